//! The same run twice, and with one worker or two.

use std::path::Path;

use anyhow::{Context, Result};

use super::{Figure, Measured};
use crate::place::Place;
use crate::process::{number, run};

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let text = |path: &Path| path.display().to_string();
    let demo = place.scratch("repeat-demo");
    run(&place.pomona, &["--quiet", "demo", "--out", &text(&demo)])?;
    let outs = [("repeat-a", "2"), ("repeat-b", "2"), ("repeat-c", "1")].map(|(name, workers)| {
        let out = place.scratch(name);
        let photos = text(&demo.join("photos"));
        run(
            &place.pomona,
            &[
                "--quiet",
                "run",
                &photos,
                "--out",
                &text(&out),
                "--components",
                "100",
                "--workers",
                workers,
            ],
        )
        .map(|_| out)
    });
    let mut figures = Vec::new();
    let [first, others @ ..] = outs;
    let first = first?;
    for (other, what) in others
        .into_iter()
        .zip(["twice with 2 workers", "with 1 worker and with 2"])
    {
        let other = other?;
        let mut compared = 0;
        let mut same = std::fs::read(first.join("manifest.parquet"))?
            == std::fs::read(other.join("manifest.parquet"))?;
        for folder in ["features", "images"] {
            for entry in std::fs::read_dir(first.join(folder))? {
                let name = entry?.file_name();
                let read = |run: &Path| {
                    std::fs::read(run.join(folder).join(&name)).context("a shard is missing")
                };
                same &= read(&first)? == read(&other)?;
                compared += 1;
            }
        }
        let model = place.python(
            "compare_models.py",
            &[
                &text(&first.join("model.pomona")),
                &text(&other.join("model.pomona")),
            ],
        )?;
        let worst = number(&model, "worst")?;
        figures.push(Figure::new(
            &format!("the same run {what}: manifest, features and ledger byte for byte; model"),
            "the same; ≤ 1e-9",
            format!(
                "{} ({compared} files); {worst:.1e}",
                if same { "the same" } else { "different" }
            ),
            same && compared > 0 && worst <= 1e-9,
        ));
    }
    Ok(Measured::Figures(figures))
}
