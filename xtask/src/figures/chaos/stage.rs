//! The processes of one run: a scheduler, executors, and the client.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use super::network::Network;
use crate::cluster::{Process, files};

/// How long an executor that was told to leave may take, and a scheduler.
const LEAVING: Duration = Duration::from_secs(45);

/// A cluster to be disturbed.
pub(super) struct Stage<'a> {
    pomona: &'a Path,
    folder: PathBuf,
    network: Option<&'a Network>,
    pub(super) scheduler: Process,
    pub(super) address: String,
    /// By the place that each has: the first two are there at the start.
    pub(super) executors: Vec<Process>,
    /// How many were told to leave.
    pub(super) leaving: usize,
    /// Those that are no more, for what they said.
    gone: Vec<Process>,
}

impl<'a> Stage<'a> {
    /// A scheduler and two executors of one core each; with a network, the first of them at its other end.
    pub(super) fn set(
        pomona: &'a Path,
        folder: &Path,
        network: Option<&'a Network>,
        timeout: Duration,
    ) -> Result<Self> {
        std::fs::create_dir_all(folder)?;
        let host = network.map_or("127.0.0.1", Network::here);
        let mut command = Command::new(pomona);
        command
            .args(["cluster", "scheduler", "--bind", &format!("{host}:0")])
            .args(["--executor-timeout-secs", &timeout.as_secs().to_string()]);
        if network.is_some() {
            command.arg("--plain-text");
        }
        let (scheduler, line) = Process::start(command, |line| line.contains("listens at "))?;
        let address = line
            .rsplit_once("listens at ")
            .map(|(_, address)| address.trim().to_owned())
            .context("the scheduler says where it listens")?;
        let mut stage = Self {
            pomona,
            folder: folder.to_owned(),
            network,
            scheduler,
            address,
            executors: Vec::new(),
            leaving: 0,
            gone: Vec::new(),
        };
        for _ in 0..2 {
            stage.join()?;
        }
        Ok(stage)
    }

    fn executor(&self, place: usize) -> Result<Process> {
        let inside = self.network.filter(|_| place == 0);
        let mut command = match inside {
            Some(network) => {
                let [program, before @ ..] = network.inside();
                let mut command = Command::new(program);
                command.args(before).arg(self.pomona);
                command
            }
            None => Command::new(self.pomona),
        };
        command
            .args(["cluster", "executor", "--workers", "1", "--scheduler"])
            .arg(&self.address)
            .arg("--work-dir")
            .arg(self.folder.join(format!("executor-{place}")));
        if let Some(network) = self.network {
            let host = inside.map_or(network.here(), Network::there);
            command.args(["--bind", &format!("{host}:0"), "--plain-text"]);
        }
        Ok(Process::start(command, |line| line.contains("registered"))?.0)
    }

    /// Another executor.
    pub(super) fn join(&mut self) -> Result<()> {
        let executor = self.executor(self.executors.len())?;
        self.executors.push(executor);
        Ok(())
    }

    /// An executor in the place, and the work folder, of one that is no more.
    pub(super) fn replace(&mut self, place: usize) -> Result<()> {
        let new = self.executor(place)?;
        if let Some(old) = self.executors.get_mut(place) {
            self.gone.push(std::mem::replace(old, new));
        }
        Ok(())
    }

    pub(super) fn signal(&self, place: usize, name: &str) -> Result<()> {
        self.executors
            .get(place)
            .context("there is such an executor")?
            .signal(name)
    }

    /// What the scheduler says at a path.
    pub(super) fn said_at(&self, path: &str) -> Result<String> {
        let url = format!("http://{}{path}", self.address);
        Ok(ureq::get(&url).call()?.body_mut().read_to_string()?)
    }

    /// The same, where it is JSON.
    pub(super) fn asked(&self, path: &str) -> Result<serde_json::Value> {
        Ok(serde_json::from_str(&self.said_at(path)?)?)
    }

    /// Has all leave; gives what was not as it should be.
    pub(super) fn leave(&mut self) -> Result<Vec<String>> {
        let mut troubles = Vec::new();
        for executor in &self.executors {
            // One may have gone already.
            let _ = executor.signal("TERM");
        }
        for (place, executor) in self.executors.iter_mut().enumerate() {
            let code = executor.end(LEAVING)?;
            if code != Some(0) {
                troubles.push(format!("executor {place} ended with {code:?}"));
            }
        }
        let _ = self.scheduler.signal("TERM");
        let code = self.scheduler.end(LEAVING)?;
        if code != Some(0) {
            troubles.push(format!("the scheduler ended with {code:?}"));
        }
        let left = files(&self.folder)?;
        if !left.is_empty() {
            troubles.push(format!("work folders still hold {}", left.join(", ")));
        }
        for place in 0..self.executors.len() {
            let folder = self.folder.join(format!("executor-{place}"));
            if std::fs::read_dir(&folder).is_ok_and(|mut entries| entries.next().is_some()) {
                troubles.push(format!("{} is not empty", folder.display()));
            }
        }
        Ok(troubles)
    }

    /// What all processes said.
    pub(super) fn said(&self) -> String {
        let mut text = String::new();
        let named =
            |process: &Process, name: &str| format!("--- {name}\n{}\n", process.said().join("\n"));
        text.push_str(&named(&self.scheduler, "scheduler"));
        for (place, executor) in self.executors.iter().enumerate() {
            text.push_str(&named(executor, &format!("executor {place}")));
        }
        for executor in &self.gone {
            text.push_str(&named(executor, "an executor that was killed"));
        }
        text
    }
}
