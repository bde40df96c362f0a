//! A scheduler and executors, as processes of this machine.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::place::Place;

/// How long a process may take to say that it listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that is killed when it is let go of.
pub(crate) struct Process {
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        // Frozen ones too.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    /// Starts one and waits until it says a line that `is_ready` takes; gives that line.
    pub(crate) fn start(
        mut command: Command,
        is_ready: impl Fn(&str) -> bool,
    ) -> Result<(Self, String)> {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let stderr = child.stderr.take().context("it has a standard error")?;
        let process = Self { child };
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Later lines are read so that the process never waits for a reader.
                let _ = sender.send(line);
            }
        });
        let until = Instant::now() + PATIENCE;
        let mut said = Vec::new();
        while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if is_ready(&line) {
                return Ok((process, line));
            }
            said.push(line);
        }
        bail!("{command:?} did not become ready:\n{}", said.join("\n"))
    }
}

/// A cluster on loopback.
pub(crate) struct Cluster {
    _scheduler: Process,
    executors: Vec<Process>,
    pub(crate) address: String,
    pomona: PathBuf,
    folder: PathBuf,
    variables: Vec<(String, String)>,
    started: usize,
}

impl Cluster {
    /// A scheduler and so many executors of one core each, which read and write buckets with these variables.
    pub(crate) fn start(
        place: &Place,
        name: &str,
        executors: usize,
        variables: &[(String, String)],
        timeout_secs: u64,
    ) -> Result<Self> {
        let folder = place.scratch(name);
        std::fs::create_dir_all(&folder)?;
        let mut command = Command::new(&place.pomona);
        command.args([
            "cluster",
            "scheduler",
            "--bind",
            "127.0.0.1:0",
            "--executor-timeout-secs",
            &timeout_secs.to_string(),
        ]);
        let (scheduler, line) = Process::start(command, |line| line.contains("listens at "))?;
        let address = line
            .rsplit_once("listens at ")
            .map(|(_, address)| address.trim().to_owned())
            .context("the scheduler says where it listens")?;
        let mut cluster = Self {
            _scheduler: scheduler,
            executors: Vec::new(),
            address,
            pomona: place.pomona.clone(),
            folder,
            variables: variables.to_vec(),
            started: 0,
        };
        for _ in 0..executors {
            let executor = cluster.executor()?;
            cluster.executors.push(executor);
        }
        Ok(cluster)
    }

    /// Another executor of one core.
    fn executor(&mut self) -> Result<Process> {
        self.started += 1;
        let work = self.folder.join(format!("executor-{}", self.started));
        let mut command = Command::new(&self.pomona);
        command
            .args(["cluster", "executor", "--workers", "1", "--scheduler"])
            .arg(&self.address)
            .arg("--work-dir")
            .arg(&work)
            .envs(self.variables.iter().map(|(name, value)| (name, value)));
        Ok(Process::start(command, |line| line.contains("registered"))?.0)
    }

    /// What makes a run use the cluster.
    pub(crate) fn flag(&self) -> [String; 2] {
        ["--cluster".to_owned(), format!("df://{}", self.address)]
    }
}
