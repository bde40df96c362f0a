//! Peak memory.

use anyhow::Result;

use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;
use crate::process::run;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let small = run(
        &place.pomona,
        &place.reference_run(shared, "run", &place.scratch("memory-small")),
    )?;
    let large = run(
        &place.pomona,
        &place.all_photos_run(shared, &place.scratch("memory-large")),
    )?;
    let megabytes = |bytes: u64| bytes as f64 / 1e6;
    let ratio = large.peak_bytes as f64 / small.peak_bytes.max(1) as f64;
    Ok(Measured::Figures(vec![
        Figure::new(
            "peak memory of `run`, 1,142 photos, MobileNetV2",
            "≤ 500 MB",
            format!("{:.0} MB", megabytes(small.peak_bytes)),
            small.peak_bytes > 0 && megabytes(small.peak_bytes) <= 500.0,
        ),
        Figure::new(
            "the same on all 12,503 Fruits-360 photos ÷ that",
            "≤ 1.2",
            format!("{ratio:.2} ({:.0} MB)", megabytes(large.peak_bytes)),
            ratio > 0.0 && ratio <= 1.2,
        ),
    ]))
}
