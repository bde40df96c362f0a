//! From a clean checkout.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail};

use super::{Figure, Measured};
use crate::place::Place;
use crate::process::run;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let clone = place.scratch("clone");
    let text = |path: &Path| path.display().to_string();
    run(
        Path::new("git"),
        &["clone", "--quiet", &text(&place.root), &text(&clone)],
    )?;
    let readme = std::fs::read_to_string(clone.join("README.md"))?;
    let mut blocks = readme.split("```bash\n").skip(1);
    let mut command = || {
        blocks
            .next()
            .and_then(|rest| rest.split("```").next())
            .map(|block| block.trim().to_owned())
            .context("the README has two commands")
    };
    let (demo, tests) = (command()?, command()?);
    let started = Instant::now();
    let mut minutes = Vec::new();
    for command in [demo, tests] {
        let status = Command::new("bash")
            .args(["-c", &command])
            .current_dir(&clone)
            .env("CARGO_TARGET_DIR", place.scratch("target"))
            .stdout(std::process::Stdio::null())
            .status()?;
        if !status.success() {
            bail!("`{command}` failed in a clean checkout");
        }
        minutes.push(started.elapsed().as_secs_f64() / 60.0);
    }
    Ok(Measured::Figures(vec![
        Figure::new(
            "clean checkout to the demonstration's report, empty target folder",
            "≤ 15 min",
            format!("{:.1} min", minutes[0]),
            minutes[0] <= 15.0,
        ),
        Figure::new(
            "and to the end of the tests",
            "≤ 20 min",
            format!("{:.1} min", minutes[1]),
            minutes[1] <= 20.0,
        ),
    ]))
}
