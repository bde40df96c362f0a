//! New photos in a bucket that has a run.

use anyhow::Result;

use super::{Figure, Measured, NO_SHARED};
use crate::bucket::{Shop, arguments};
use crate::place::Place;
use crate::process::{json, run_with};

/// Every hundredth photo comes later.
const EVERY: usize = 100;
const MOST: f64 = 0.03;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let shop = Shop::open(place, "growth")?;
    let from = shared.join("data/fruits-360");
    let mut photos = Vec::new();
    let mut open = vec![from.clone()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "jpg") {
                photos.push(path);
            }
        }
    }
    photos.sort();
    let put = |is_later: bool| -> Result<usize> {
        let mut count = 0;
        for (number, photo) in photos.iter().enumerate() {
            if (number % EVERY == EVERY / 2) == is_later {
                let to = shop.photos().join(photo.strip_prefix(&from)?);
                if let Some(folder) = to.parent() {
                    std::fs::create_dir_all(folder)?;
                }
                std::fs::copy(photo, to)?;
                count += 1;
            }
        }
        shop.server.refresh()?;
        Ok(count)
    };
    let command = arguments("run", "s3://photos", "s3://runs/growing");
    let timed = || run_with(&place.pomona, &command, &shop.environment());
    put(false)?;
    let whole = timed()?.seconds;
    let new = put(true)?;
    let grown = timed()?;
    let record = &json(&grown)?["record"];
    let found = record["generations"][1]["new"].as_u64().unwrap_or(0);
    let ratio = grown.seconds / whole;
    Ok(Measured::Figures(vec![Figure::new(
        &format!(
            "{new} new photos added to {} in a bucket: time ÷ that of the first run",
            photos.len() - new
        ),
        &format!("≤ {:.0} %", MOST * 100.0),
        format!(
            "{:.1} % ({:.2} s, {whole:.1} s; {found} worked out)",
            ratio * 100.0,
            grown.seconds
        ),
        ratio <= MOST && found == new as u64,
    )]))
}
