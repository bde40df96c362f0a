//! Ten thousand damaged files.

use anyhow::Result;

use super::{Figure, Measured};
use crate::place::Place;
use crate::process::{attempt, json, number, run};

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let text = |path: &std::path::Path| path.display().to_string();
    let (files, out) = (place.scratch("damaged"), place.scratch("damaged-run"));
    place.python("damage.py", &[&text(&files), "10000"])?;
    let ran = attempt(
        &place.pomona,
        &["--quiet", "extract", &text(&files), "--out", &text(&out)],
    )?;
    let counted = run(
        &place.pomona,
        &[
            "sql",
            &text(&out),
            "SELECT count(*) AS rows, count(DISTINCT path) AS paths, count(*) FILTER (WHERE status = 'ok') AS ok, \
             count(*) FILTER (WHERE status <> 'ok' AND error IS NULL) AS unexplained FROM images",
            "--format",
            "json",
        ],
    )?;
    let counts = json(&counted)?;
    let count = |key: &str| number(&counts, key);
    let is_quiet = !ran.stderr.contains("panicked") && !ran.stderr.contains("does not expect");
    let megabytes = ran.peak_bytes as f64 / 1e6;
    Ok(Measured::Figures(vec![
        Figure::new(
            "10,000 damaged files: exit status, and whether anything panicked",
            "0, no",
            format!(
                "{:?}, {}",
                ran.code.unwrap_or(-1),
                if is_quiet { "no" } else { "yes" }
            ),
            ran.code == Some(0) && is_quiet,
        ),
        Figure::new(
            "ledger rows, distinct paths, failures without a reason",
            "10000, 10000, 0",
            format!(
                "{}, {}, {} ({} still readable)",
                count("rows")?,
                count("paths")?,
                count("unexplained")?,
                count("ok")?
            ),
            count("rows")? == 10_000.0
                && count("paths")? == 10_000.0
                && count("unexplained")? == 0.0,
        ),
        Figure::new(
            "peak memory",
            "≤ 700 MB",
            format!("{megabytes:.0} MB"),
            megabytes > 0.0 && megabytes <= 700.0,
        ),
    ]))
}
