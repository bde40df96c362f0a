//! Bags of visual words on all photos, and against OpenCV and scikit-learn.

use anyhow::Result;

use super::accuracy::training_to_test;
use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;
use crate::process::{number, run};

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let text = |path: std::path::PathBuf| path.display().to_string();
    let all = run(
        &place.pomona,
        &[
            "--quiet",
            "run",
            &text(shared.join("data/fruits-360")),
            "--out",
            &text(place.scratch("words-all")),
            "--glob",
            "*.jpg",
            "--features",
            "orb",
            "--words",
            "1000",
            "--components",
            "100",
            "--workers",
            "2",
        ],
    )?;
    let megabytes = all.peak_bytes as f64 / 1e6;
    let mut figures = vec![
        Figure::new(
            "all 12,503 Fruits-360 photos, 1,000 words, the whole process of `run`, 2 cores",
            "≤ 60 s",
            format!("{:.1} s", all.seconds),
            all.seconds <= 60.0,
        ),
        Figure::new(
            "its peak memory",
            "≤ 1 GB",
            format!("{megabytes:.0} MB"),
            all.peak_bytes > 0 && megabytes <= 1000.0,
        ),
    ];
    let photos = |part: &str| text(shared.join("data/fruits-360").join(part));
    for (words, components, what) in [
        ("48", "0.95", "48 words, PCA to 95 %"),
        ("1000", "100", "1,000 words, 100 components"),
    ] {
        let own = training_to_test(
            place,
            shared,
            &format!("words-{words}"),
            &[
                "--features",
                "orb",
                "--words",
                words,
                "--components",
                components,
            ],
        )?;
        let rival = place.python(
            "opencv_words.py",
            &[&photos("Training"), &photos("Test"), words, components],
        )?;
        let rival = number(&rival, "accuracy")?;
        figures.push(Figure::new(
            &format!("nearest neighbour, Training → Test, {what}, against OpenCV + scikit-learn"),
            "within 2 points, or above",
            format!(
                "{:.1} % against {:.1} % of {}",
                own.accuracy * 100.0,
                rival * 100.0,
                own.test
            ),
            own.accuracy >= rival - 0.02,
        ));
    }
    Ok(Measured::Figures(figures))
}
