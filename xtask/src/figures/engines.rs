//! The two inference engines.

use anyhow::Result;

use super::{Figure, Measured};
use crate::place::Place;
use crate::process::{number, run};

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let text = |path: std::path::PathBuf| path.display().to_string();
    let demo = place.scratch("engines-demo");
    run(
        &place.pomona,
        &["--quiet", "demo", "--out", &text(demo.clone())],
    )?;
    let photos = text(demo.join("photos"));
    let mut rates = Vec::new();
    let mut folders = Vec::new();
    for engine in ["onnx-runtime", "pure-rust"] {
        let out = place.scratch(engine);
        run(
            &place.pomona,
            &[
                "--quiet",
                "extract",
                &photos,
                "--out",
                &text(out.clone()),
                "--engine",
                engine,
                "--glob",
                "Test/*/*",
            ],
        )?;
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out.join("run.json"))?)?;
        rates.push(number(&record, "images_per_second")?);
        folders.push(text(out.join("features")));
    }
    let found = place.python("compare_features.py", &[&folders[0], &folders[1]])?;
    let worst = number(&found, "relative_l2_worst")?;
    Ok(Measured::Figures(vec![
        Figure::new(
            "largest relative L2 difference between ONNX Runtime and the pure-Rust engine, built-in network",
            "≤ 1e-4",
            format!("{worst:.1e}, of {} images", number(&found, "images")?),
            worst <= 1e-4,
        ),
        Figure::told(
            "rate of ONNX Runtime ÷ pure Rust, photos to features",
            "–",
            format!(
                "{:.1} ({:.0} against {:.0} images/s)",
                rates[0] / rates[1],
                rates[0],
                rates[1]
            ),
        ),
    ]))
}
