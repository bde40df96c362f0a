//! Nearest neighbour from Training to Test.

use anyhow::Result;

use super::accuracy::training_to_test;
use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let found = training_to_test(place, shared, "neighbours", &["--components", "100"])?;
    Ok(Measured::Figures(vec![Figure::new(
        "nearest neighbour on 100 components, Training → Test, default backbone",
        "≥ 98 %",
        format!(
            "{:.2} % of {} test photos",
            found.accuracy * 100.0,
            found.test
        ),
        found.accuracy >= 0.98,
    )]))
}
