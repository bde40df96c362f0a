//! What `pomona plan` says, beside what comes of it.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;

use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;
use crate::process::{json, number, run};

const TIME: f64 = 0.15;
const MEMORY: f64 = 0.20;
const PLAN_SECS: f64 = 30.0;
const PLAN_SHARE: f64 = 0.01;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let resnet = place.scratch("resnet50-shape.onnx").display().to_string();
    run(
        &place.python,
        &[&place.script("resnet50_shape.py"), &resnet],
    )?;
    let mobilenet = shared.join("models/mobilenet_v2.onnx");
    let mobilenet = mobilenet.display().to_string();
    let with_network = |network: &str, normalise: &str| {
        ["--components", "100", "--backbone", network, normalise]
            .map(str::to_owned)
            .to_vec()
    };
    let kinds = [
        ("EfficientNet-Lite0", Vec::new()),
        ("MobileNetV2", with_network(&mobilenet, "--normalise=-1..1")),
        (
            "a network of ResNet50's shape",
            with_network(&resnet, "--normalise=imagenet"),
        ),
        ("ORB", ["--features", "orb"].map(str::to_owned).to_vec()),
    ];
    let mut figures = Vec::new();
    let (mut slowest, mut largest_share) = (0.0_f64, 0.0_f64);
    for (name, options) in &kinds {
        let compared = compare(place, shared, name, options)?;
        slowest = slowest.max(compared.plan_secs);
        largest_share = largest_share.max(compared.sample_share);
        figures.extend(compared.figures);
    }
    figures.push(Figure::new(
        "the slowest of these plans",
        &format!("≤ {PLAN_SECS} s"),
        format!("{slowest:.1} s"),
        slowest <= PLAN_SECS,
    ));
    figures.push(Figure::new(
        "share of the photos' bytes that they read, at most",
        &format!("≤ {:.0} %", PLAN_SHARE * 100.0),
        format!("{:.2} %", largest_share * 100.0),
        largest_share <= PLAN_SHARE,
    ));
    Ok(Measured::Figures(figures))
}

struct ComparedRun {
    figures: Vec<Figure>,
    plan_secs: f64,
    sample_share: f64,
}

fn compare(place: &Place, shared: &Path, name: &str, options: &[String]) -> Result<ComparedRun> {
    let photos = shared.join("data/fruits-360").display().to_string();
    let out = place.scratch("forecast");
    let common = ["--glob", "*.jpg", "--workers", "2", "--json"].map(str::to_owned);
    let mut planned = vec!["plan".to_owned(), photos.clone()];
    planned.extend(common.iter().chain(options).cloned());
    let began = Instant::now();
    let plan = json(&run(&place.pomona, &planned)?)?;
    let plan_secs = began.elapsed().as_secs_f64();
    let mut done = vec![
        "run".to_owned(),
        photos,
        "--out".to_owned(),
        out.display().to_string(),
        "--fresh".to_owned(),
    ];
    done.extend(common.iter().chain(options).cloned());
    let ran = run(&place.pomona, &done)?;
    let record = &json(&ran)?["record"];
    let ratio = |key: &str, outcome: f64| Ok::<_, anyhow::Error>(number(&plan, key)? / outcome);
    let time = ratio("total_secs", ran.seconds)?;
    let memory = ratio("peak_memory_bytes", ran.peak_bytes as f64)?;
    let images: u64 = record["counts"]
        .as_object()
        .context("the run counts nothing")?
        .values()
        .filter_map(Value::as_u64)
        .sum();
    let exact = plan["bytes_read"] == record["bytes_read"] && plan["requests"] == images;
    let figures = vec![
        Figure::new(
            &format!("{name}: time forecast ÷ time of the run, 12,503 photos"),
            &format!("within {:.0} %", TIME * 100.0),
            format!(
                "{time:.2} ({:.1} s against {:.1} s)",
                number(&plan, "total_secs")?,
                ran.seconds
            ),
            (time - 1.0).abs() <= TIME,
        ),
        Figure::new(
            &format!("{name}: peak memory, the same"),
            &format!("within {:.0} %", MEMORY * 100.0),
            format!(
                "{memory:.2} ({:.0} MB against {:.0} MB)",
                number(&plan, "peak_memory_bytes")? / 1e6,
                ran.peak_bytes as f64 / 1e6
            ),
            (memory - 1.0).abs() <= MEMORY,
        ),
        Figure::new(
            &format!("{name}: bytes read and requests"),
            "exact",
            format!(
                "{} and {} bytes, {} and {images} requests",
                plan["bytes_read"], record["bytes_read"], plan["requests"]
            ),
            exact,
        ),
    ];
    Ok(ComparedRun {
        figures,
        plan_secs,
        sample_share: number(&plan["sample"], "bytes")? / number(&plan, "bytes_read")?,
    })
}
