//! Features against Keras's.

use anyhow::Result;

use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;
use crate::process::{number, run};

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let out = place.scratch("features");
    run(&place.pomona, &place.reference_run(shared, "extract", &out))?;
    let reference = shared.join("reference/keras_mobilenet_v2_features.parquet");
    let found = place.python(
        "compare_features.py",
        &[
            &out.join("features").display().to_string(),
            &reference.display().to_string(),
        ],
    )?;
    let (cosine, relative) = (
        number(&found, "cosine_of_99_percent")?,
        number(&found, "relative_l2_median")?,
    );
    let images = number(&found, "images")?;
    Ok(Measured::Figures(vec![
        Figure::new(
            "cosine to Keras's features that 99 % of the images reach",
            "≥ 0.9999, of 1,142 images",
            format!("{cosine:.8}, of {images} images"),
            cosine >= 0.9999 && images == 1142.0,
        ),
        Figure::new(
            "median relative L2 error",
            "≤ 0.005",
            format!("{relative:.2e}"),
            relative <= 0.005,
        ),
    ]))
}
