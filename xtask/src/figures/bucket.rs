//! A run in a bucket against the same run in a folder.

use anyhow::Result;

use super::{Figure, Measured, NO_SHARED};
use crate::bucket::{Shop, arguments, copy_photos};
use crate::place::Place;
use crate::process::{median, run, run_with};

const ROUNDS: usize = 5;
const MOST: f64 = 1.10;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let shop = Shop::open(place, "bucket")?;
    copy_photos(&place.reference_photos(shared)?, &shop.photos())?;
    let photos = shop.photos().display().to_string();
    let (mut folder, mut bucket, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        let out = place.scratch(&format!("bucket-local-{round}"));
        let local = arguments("run", &photos, &out.display().to_string());
        let before = run(&place.pomona, &local)?.seconds;
        let remote = arguments("run", "s3://photos", &format!("s3://runs/{round}"));
        let there = run_with(&place.pomona, &remote, &shop.environment())?.seconds;
        std::fs::remove_dir_all(&out)?;
        // The machine's speed drifts: each run in the bucket is compared with the folder just before and just after.
        let after = run(&place.pomona, &local)?.seconds;
        std::fs::remove_dir_all(&out)?;
        ratios.push(2.0 * there / (before + after));
        folder.push((before + after) / 2.0);
        bucket.push(there);
    }
    let ratio = median(ratios);
    Ok(Measured::Figures(vec![Figure::new(
        "run on 1,142 photos in a bucket ÷ the same in a folder (30 ms added to each request)",
        &format!("≤ {MOST:.2} ×"),
        format!(
            "{ratio:.2} × ({:.2} s, {:.2} s; medians of {ROUNDS})",
            median(bucket),
            median(folder)
        ),
        ratio <= MOST,
    )]))
}
