//! Nearest neighbour from Training to Test.

use anyhow::Result;

use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;
use crate::process::{number, run};

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let text = |path: std::path::PathBuf| path.display().to_string();
    let (training, test) = (place.scratch("training"), place.scratch("test"));
    let photos = |part: &str| text(shared.join("data/fruits-360").join(part));
    let fitted = text(training.clone());
    run(
        &place.pomona,
        &[
            "--quiet",
            "run",
            &photos("Training"),
            "--out",
            &fitted,
            "--components",
            "100",
        ],
    )?;
    let model = text(training.join("model.pomona"));
    run(
        &place.pomona,
        &[
            "--quiet",
            "run",
            &photos("Test"),
            "--out",
            &text(test.clone()),
            "--model",
            &model,
        ],
    )?;
    let found = place.python(
        "nearest_neighbour.py",
        &[&text(training.join("reduced")), &text(test.join("reduced"))],
    )?;
    let accuracy = number(&found, "accuracy")?;
    Ok(Measured::Figures(vec![Figure::new(
        "nearest neighbour on 100 components, Training → Test, default backbone",
        "≥ 98 %",
        format!(
            "{:.2} % of {} test photos",
            accuracy * 100.0,
            number(&found, "test")?
        ),
        accuracy >= 0.98,
    )]))
}
