//! A scheduler and executors, as processes of this machine.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::place::Place;
use crate::process::high_mark;

/// How long a process may take to say that it listens.
const PATIENCE: Duration = Duration::from_secs(20);

/// A process that is killed when it is let go of.
pub(crate) struct Process {
    child: Child,
    said: Arc<Mutex<Vec<String>>>,
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
        let said = Arc::<Mutex<Vec<String>>>::default();
        let process = Self {
            child,
            said: Arc::clone(&said),
        };
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                // Later lines are read so that the process never waits for a reader.
                said.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .push(line.clone());
                let _ = sender.send(line);
            }
        });
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            if is_ready(&line) {
                return Ok((process, line));
            }
        }
        bail!(
            "{command:?} did not become ready:\n{}",
            process.said().join("\n")
        )
    }

    /// What it said on its standard error so far.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Waits for its end; gives its exit status, or none where it was killed or goes on.
    pub(crate) fn end(&mut self, patience: Duration) -> Result<Option<i32>> {
        let until = Instant::now() + patience;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            if Instant::now() > until {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn signal(&self, name: &str) -> Result<()> {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.child.id().to_string()])
            .status()?;
        if status.success() {
            Ok(())
        } else {
            bail!("there is no process to send {name} to")
        }
    }

    /// Most memory it held so far; 0 where that cannot be read.
    pub(crate) fn peak_bytes(&self) -> u64 {
        high_mark(&format!("/proc/{}/status", self.child.id()))
    }

    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Time that processors worked for it so far; 0 where that cannot be read.
    pub(crate) fn processor_seconds(&self) -> f64 {
        /// Clock ticks of a second, which Linux tells programs are always so many.
        const TICKS: f64 = 100.0;
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.unwrap_or_default();
        // The name, in brackets, may hold anything.
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let ticks = after_name.split_whitespace().skip(11).take(2);
        ticks
            .filter_map(|ticks| ticks.parse::<f64>().ok())
            .sum::<f64>()
            / TICKS
    }
}

/// A cluster on loopback.
pub(crate) struct Cluster {
    scheduler: Process,
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
            scheduler,
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

    pub(crate) fn scheduler(&self) -> &Process {
        &self.scheduler
    }

    /// What makes a run use the cluster.
    pub(crate) fn flag(&self) -> [String; 2] {
        ["--cluster".to_owned(), format!("df://{}", self.address)]
    }
}

/// All files below a folder.
pub(crate) fn files(folder: &Path) -> Result<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else {
            continue;
        };
        for entry in entries {
            let path = entry?.path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    Ok(found)
}
