//! A network's features and visual words side by side: accuracy, rate and size.

use std::path::Path;

use anyhow::Result;

use super::accuracy::training_to_test;
use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;
use crate::process::number;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let mut figures = Vec::new();
    for (name, what, options) in [
        (
            "network",
            "EfficientNet-Lite0, 100 components",
            &["--components", "100"][..],
        ),
        (
            "orb-48",
            "48 words, PCA to 95 %",
            &["--features", "orb", "--words", "48", "--components", "0.95"],
        ),
        (
            "orb-1000",
            "1,000 words, 100 components",
            &[
                "--features",
                "orb",
                "--words",
                "1000",
                "--components",
                "100",
            ],
        ),
        (
            "orb-weighed",
            "1,000 words, tf-idf, L2, 100 components",
            &[
                "--features",
                "orb",
                "--words",
                "1000",
                "--weighting",
                "tf-idf",
                "--norm",
                "l2",
                "--components",
                "100",
            ],
        ),
    ] {
        let found = training_to_test(place, shared, &format!("roads-{name}"), options)?;
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(found.fitted.join("run.json"))?)?;
        let images = record["counts"]["ok"].as_f64().unwrap_or(f64::NAN);
        let size = |table: &str| -> f64 { bytes_below(&found.fitted.join(table)) as f64 / images };
        figures.push(Figure::told(
            what,
            "–",
            format!(
                "nearest neighbour {:.1} %; {:.0} images/s extracted, {:.0} in the whole run; bytes an image: descriptors {:.0}, features {:.0}, components {:.0}",
                found.accuracy * 100.0,
                number(&record, "images_per_second")?,
                images / found.seconds,
                size("descriptors"),
                size("features"),
                size("reduced"),
            ),
        ));
    }
    Ok(Measured::Figures(figures))
}

/// Bytes of the files in a folder; 0 where there is none.
fn bytes_below(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| Some(entry.metadata().ok()?.len()))
        .sum()
}
