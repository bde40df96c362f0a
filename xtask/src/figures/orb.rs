//! ORB key points and descriptors against OpenCV's, and how fast they are found.

use anyhow::{Context, Result};

use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;
use crate::process::{json, median, number, run};

const ROUNDS: usize = 5;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let text = |path: std::path::PathBuf| path.display().to_string();
    let out = text(place.scratch("orb"));
    let photos = text(shared.join("data/fruits-360/Test"));
    // As the reference was made: 100 key points.
    run(
        &place.pomona,
        &[
            "--quiet",
            "extract",
            &photos,
            "--out",
            &out,
            "--features",
            "orb",
            "--keypoints",
            "100",
        ],
    )?;
    let reference = text(shared.join("reference/opencv_orb.json.gz"));
    let found = place.python("compare_orb.py", &[&out, &reference])?;
    let (again, also) = (
        number(&found, "found_again")?,
        number(&found, "also_there")?,
    );
    let (median_bits, bits_95) = (number(&found, "median_bits")?, number(&found, "bits_95")?);

    let example = place.example("pomona-vision", "orb_rate")?;
    let list = place.scratch("photos.txt");
    std::fs::write(&list, place.reference_photos(shared)?.join("\n"))?;
    let list = text(list);
    let (mut ours, mut theirs, mut ratios) = (vec![], vec![], vec![]);
    for round in 0..=ROUNDS {
        let rival = place.python("opencv_orb_rate.py", &[&list])?;
        let own = json(&run(&example, &[&list])?)?;
        anyhow::ensure!(
            own["keypoints"] == rival["keypoints"],
            "as many key points as OpenCV finds: {own}, {rival}"
        );
        // The first round warms caches.
        if round > 0 {
            let rate = |one: &serde_json::Value| number(one, "images_per_second");
            let (own, rival) = (rate(&own)?, rate(&rival)?);
            ours.push(own);
            theirs.push(rival);
            ratios.push(own / rival);
        }
    }
    let ratio = median(ratios);
    let keypoints = found["keypoints"].as_u64().context("key points")?;
    Ok(Measured::Figures(vec![
        Figure::new(
            "OpenCV's key points found again: same octave, within 0.5 px and 2°",
            "≥ 95 %",
            format!("{:.2} % of {keypoints}", again * 100.0),
            again >= 0.95,
        ),
        Figure::new(
            "key points that OpenCV finds too",
            "≥ 95 %",
            format!("{:.2} %", also * 100.0),
            also >= 0.95,
        ),
        Figure::new(
            "Hamming distance of matched descriptors: median; 95 % within",
            "≤ 2 bits; ≤ 12 bits",
            format!("{median_bits}; {bits_95}"),
            median_bits <= 2.0 && bits_95 <= 12.0,
        ),
        Figure::new(
            "rate on 100×100 photos, reading and decoding included, one core ÷ OpenCV's through Python",
            "≥ 1.5",
            format!(
                "{ratio:.2} ({:.0} against {:.0} images/s)",
                median(ours),
                median(theirs)
            ),
            ratio >= 1.5,
        ),
    ]))
}
