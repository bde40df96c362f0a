//! End-to-end rate against ONNX Runtime alone.

use anyhow::Result;

use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;
use crate::process::{median, number, run};

const ROUNDS: usize = 9;
const IMAGES: f64 = 1142.0;
const ALL_ROUNDS: usize = 3;
const ALL_IMAGES: f64 = 12_503.0;

/// Images a second, and what they are of the rival's in the same round.
#[derive(Default)]
struct Rounds {
    alone: Vec<f64>,
    extract: Vec<f64>,
    whole: Vec<f64>,
    of_extract: Vec<f64>,
    of_whole: Vec<f64>,
}

impl Rounds {
    fn add(&mut self, rival: f64, extract: f64, whole: f64) {
        self.alone.push(rival);
        self.extract.push(extract);
        self.whole.push(whole);
        self.of_extract.push(extract / rival);
        self.of_whole.push(whole / rival);
    }
}

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
    // The first round warms caches and finds the rival's best batch.
    let warm = place.python("onnx_runtime_rate.py", &[&network])?;
    run(&place.pomona, &arguments)?;
    let batch = number(&warm, "batch")?.to_string();
    let rival = || -> Result<f64> {
        let measured = place.python("onnx_runtime_rate.py", &[&network, &batch])?;
        number(&measured, "images_per_second")
    };
    let mut rounds = Rounds::default();
    // The machine's own speed drifts: each run is compared with the rival just before and just after it.
    let mut before = rival()?;
    for _ in 0..ROUNDS {
        let ran = run(&place.pomona, &arguments)?;
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out.join("run.json"))?)?;
        let after = rival()?;
        rounds.add(
            f64::midpoint(before, after),
            number(&record, "images_per_second")?,
            IMAGES / ran.seconds,
        );
        before = after;
    }
    let all = place.all_photos_run(shared, &place.scratch("rate-all"));
    let (mut all_rates, mut of_all) = (Vec::new(), Vec::new());
    for _ in 0..ALL_ROUNDS {
        let (ran, after) = (run(&place.pomona, &all)?, rival()?);
        let rate = ALL_IMAGES / ran.seconds;
        all_rates.push(rate);
        of_all.push(rate / f64::midpoint(before, after));
        before = after;
    }
    let (all_rate, of_all) = (median(all_rates), median(of_all));
    let Rounds {
        alone,
        extract,
        whole,
        of_extract,
        of_whole,
    } = rounds;
    let rival = median(alone);
    let (of_whole, of_extract) = (median(of_whole), median(of_extract));
    Ok(Measured::Figures(vec![
        Figure::told(
            "ONNX Runtime 1.31.1 alone, 2 sessions × 1 thread, best batch",
            "–",
            format!("{rival:.0} images/s (batch {batch})"),
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
        Figure::new(
            "the same on all 12,503 Fruits-360 photos",
            "≥ 0.90",
            format!("{of_all:.3} ({all_rate:.0} images/s)"),
            of_all >= 0.90,
        ),
    ]))
}
