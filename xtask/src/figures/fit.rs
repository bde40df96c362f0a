//! Fitting against NumPy.

use anyhow::Result;

use super::{Figure, Measured};
use crate::place::Place;
use crate::process::{json, median, number, run};

const ROUNDS: usize = 3;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let example = place.example("pomona-learn", "fit_rate")?;
    let (mut ours, mut rival, mut rival_f32, mut ratios) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let own = number(
            &json(&run(&example, &["20000", "1280", "100"])?)?,
            "seconds_total",
        )?;
        let numpy = place.python("numpy_fit.py", &["20000", "1280"])?;
        let other = number(&numpy, "seconds_total")?;
        ours.push(own);
        rival.push(other);
        rival_f32.push(number(&numpy, "seconds_total_f32")?);
        ratios.push(own / other);
    }
    let ratio = median(ratios);
    Ok(Measured::Figures(vec![Figure::new(
        "moments + PCA 100 of 20,000 × 1,280 ÷ NumPy's X.T @ X + eigh, both f64",
        "≤ 1.5",
        format!(
            "{ratio:.2} ({:.2} s against {:.2} s; NumPy in f32: {:.2} s)",
            median(ours),
            median(rival),
            median(rival_f32)
        ),
        ratio <= 1.5,
    )]))
}
