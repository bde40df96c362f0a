//! Explained variance against Spark's.

use anyhow::Result;

use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;
use crate::process::{number, run};

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let text = |path: std::path::PathBuf| path.display().to_string();
    let features = text(shared.join("reference/keras_mobilenet_v2_features.parquet"));
    let reference = text(shared.join("reference/spark_explained_variance.json"));
    let mut figures = Vec::new();
    for (key, components, options) in [
        ("standardised_k100", 100.0, &[][..]),
        ("raw_k400", 400.0, &["--no-scale"][..]),
    ] {
        let model = text(place.scratch(key));
        let count = format!("{components}");
        let mut arguments = vec![
            "--quiet",
            "fit",
            &features,
            "--out",
            &model,
            "--components",
            &count,
        ];
        arguments.extend(options);
        run(&place.pomona, &arguments)?;
        let found = place.python("compare_variance.py", &[&model, &reference, key])?;
        let (worst, compared) = (number(&found, "worst")?, number(&found, "compared")?);
        figures.push(Figure::new(
            &format!("largest difference of an explained share to Spark's, {key}"),
            &format!("≤ 1e-6, of {components} shares"),
            format!("{worst:.1e}, of {compared} shares"),
            worst <= 1e-6 && compared == components,
        ));
    }
    Ok(Measured::Figures(figures))
}
