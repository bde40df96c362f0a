//! A run in a bucket of whose requests every tenth fails.

use anyhow::Result;
use pomona_testbed::Faults;

use super::{Figure, Measured, NO_SHARED};
use crate::bucket::{Shop, arguments, contents, copy_photos};
use crate::place::Place;
use crate::process::run_with;

const SHARE: f64 = 0.10;
const MOST: f64 = 2.0;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let shop = Shop::open(place, "faults")?;
    copy_photos(&place.reference_photos(shared)?, &shop.photos())?;
    let timed = |name: &str| {
        let arguments = arguments("run", "s3://photos", &format!("s3://runs/{name}"));
        Ok::<_, anyhow::Error>(run_with(&place.pomona, &arguments, &shop.environment())?.seconds)
    };
    let before = timed("before")?;
    shop.server.rules().set_faults(Faults::mix(SHARE));
    let among_faults = timed("faults")?;
    let injected = shop.server.counters().faults_total();
    shop.server.rules().set_faults(Faults::none());
    let after = timed("after")?;
    let is_same = contents(&shop.run("faults"))? == contents(&shop.run("before"))?;
    let ratio = 2.0 * among_faults / (before + after);
    let told = "10 % of requests failing (503, 429, 500, time-outs, resets, lost answers, truncated and short bodies, expired tokens)";
    Ok(Measured::Figures(vec![
        Figure::new(
            &format!("{told}: bytes of the outputs"),
            "as without",
            format!(
                "{} ({injected} faults)",
                if is_same { "as without" } else { "others" }
            ),
            is_same && injected > 0,
        ),
        Figure::new(
            &format!("{told}: time ÷ that without"),
            &format!("≤ {MOST:.1} ×"),
            format!("{ratio:.2} × ({among_faults:.2} s)"),
            ratio <= MOST,
        ),
    ]))
}
