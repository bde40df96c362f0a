//! End-to-end rate against ONNX Runtime alone.

use anyhow::Result;

use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;
use crate::process::{median, number, run};

const ROUNDS: usize = 5;
const IMAGES: f64 = 1142.0;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let out = place.scratch("rate");
    let mut arguments = place.reference_run(shared, "run", &out);
    arguments.extend(["--components", "100", "--workers", "2"].map(str::to_owned));
    let network = shared
        .join("models/mobilenet_v2.onnx")
        .display()
        .to_string();
    let (mut alone, mut whole, mut extract, mut of_whole, mut of_extract) =
        (vec![], vec![], vec![], vec![], vec![]);
    for round in 0..=ROUNDS {
        let rival = number(
            &place.python("onnx_runtime_rate.py", &[&network])?,
            "images_per_second",
        )?;
        let ran = run(&place.pomona, &arguments)?;
        // The first round warms caches.
        if round == 0 {
            continue;
        }
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out.join("run.json"))?)?;
        let stage = number(&record, "images_per_second")?;
        let process = IMAGES / ran.seconds;
        alone.push(rival);
        whole.push(process);
        extract.push(stage);
        of_whole.push(process / rival);
        of_extract.push(stage / rival);
    }
    let rival = median(alone);
    let (of_whole, of_extract) = (median(of_whole), median(of_extract));
    Ok(Measured::Figures(vec![
        Figure::told(
            "ONNX Runtime 1.31.1 alone, 2 sessions × 1 thread, best batch",
            "–",
            format!("{rival:.0} images/s"),
        ),
        Figure::new(
            "photos to features (`extract` within `run`) ÷ ONNX Runtime alone",
            "≥ 0.90",
            format!("{of_extract:.3} ({:.0} images/s)", median(extract)),
            of_extract >= 0.90,
        ),
        Figure::new(
            "the whole process of `run`, start to report, ÷ ONNX Runtime alone",
            "≥ 0.90",
            format!("{of_whole:.3} ({:.0} images/s)", median(whole)),
            of_whole >= 0.90,
        ),
    ]))
}
