//! A model fitted on the Training photos and applied to the Test photos.

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::place::Place;
use crate::process::{number, run};

/// What became of it.
pub(crate) struct Applied {
    /// Share of the Test photos whose nearest Training photo has their label.
    pub(crate) accuracy: f64,
    /// Test photos.
    pub(crate) test: f64,
    /// The run folder of Training.
    pub(crate) fitted: PathBuf,
    /// Seconds of the whole process on Training.
    pub(crate) seconds: f64,
}

/// Fits with `options` on Training, applies to Test, and asks each Test photo for its nearest neighbour.
pub(crate) fn training_to_test(
    place: &Place,
    shared: &Path,
    name: &str,
    options: &[&str],
) -> Result<Applied> {
    let text = |path: &Path| path.display().to_string();
    let (fitted, applied) = (
        place.scratch(&format!("{name}-training")),
        place.scratch(&format!("{name}-test")),
    );
    let photos = |part: &str| text(&shared.join("data/fruits-360").join(part));
    let training = photos("Training");
    let out = text(&fitted);
    let mut arguments = vec!["--quiet", "run", &training, "--out", &out];
    arguments.extend(options);
    let seconds = run(&place.pomona, &arguments)?.seconds;
    let model = text(&fitted.join("model.pomona"));
    run(
        &place.pomona,
        &[
            "--quiet",
            "run",
            &photos("Test"),
            "--out",
            &text(&applied),
            "--model",
            &model,
        ],
    )?;
    let found = place.python(
        "nearest_neighbour.py",
        &[
            &text(&fitted.join("reduced")),
            &text(&applied.join("reduced")),
        ],
    )?;
    Ok(Applied {
        accuracy: number(&found, "accuracy")?,
        test: number(&found, "test")?,
        fitted,
        seconds,
    })
}
