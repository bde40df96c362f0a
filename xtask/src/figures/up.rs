//! A cluster with one command.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};
use serde_json::Value;

use super::cluster::until_first_task;
use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;

const MOST_SECS: f64 = 10.0;

/// Its processes end with it.
struct Up(Child);

impl Drop for Up {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let began = Instant::now();
    let child = Command::new(&place.pomona)
        .args(["cluster", "up", "--local", "2", "--bind", "127.0.0.1:0"])
        .arg("--json")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()?;
    let mut up = Up(child);
    let stdout = up.0.stdout.take().context("it has an output")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    let ready = began.elapsed().as_secs_f64();
    let told: Value = serde_json::from_str(&line).context("it did not start")?;
    let address = told["scheduler"].as_str().context("it tells no address")?;
    let flag = [format!("--cluster=df://{address}")];
    let first = until_first_task(place, shared, address, &flag, began)?;
    Ok(Measured::Figures(vec![Figure::new(
        "`cluster up --local 2` to a job's first image in work",
        &format!("≤ {MOST_SECS} s"),
        format!("{first:.1} s (all of it ready after {ready:.1} s)"),
        first <= MOST_SECS,
    )]))
}
