//! `pomona cluster up`: a scheduler and executors on this machine, for trying and teaching.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pomona_cluster::stop_on_signals;
use tokio_util::sync::CancellationToken;

use super::address::{listen_at, runtime};
use crate::args::UpArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

/// How long a process may take until it says that it is there.
const READY: Duration = Duration::from_secs(20);
/// Between two looks at the processes.
const LOOK: Duration = Duration::from_millis(50);
/// What a scheduler says before its address, and an executor once the scheduler knows it.
const LISTENS: &str = "listens at ";
const REGISTERED: &str = "registered";

pub(super) fn up(args: &UpArgs, reporter: &Reporter) -> Result<(), Failure> {
    let bind = listen_at(&args.bind, "--bind")?;
    if !bind.ip().is_loopback() {
        return Err(Failure::input(format!(
            "--bind {}: this cluster serves its own machine only",
            args.bind
        ))
        .hint(
            "start `pomona cluster scheduler` and `pomona cluster executor` for others, with --tls",
        ));
    }
    // Listened for before anything is started: whoever stops this stops all of it.
    let (stop, stop_now) = (CancellationToken::new(), CancellationToken::new());
    let runtime = runtime()?;
    runtime.block_on(async { stop_on_signals(stop.clone(), stop_now.clone()) })?;
    let tell = reporter.teller();

    let mut scheduler = Part::start("scheduler", |command| {
        command.args(["scheduler", "--bind", &bind.to_string()]);
        if let Some(history) = &args.history {
            command.arg("--history").arg(history);
        }
        if let Some(price) = args.price_per_hour {
            command.args(["--price-per-hour", &price.to_string()]);
            command.args(["--currency", &args.currency]);
        }
    })?;
    let line = scheduler.hear(LISTENS, &stop)?;
    let address = line
        .rsplit_once(LISTENS)
        .map_or(line.as_str(), |(_, address)| address)
        .trim()
        .to_owned();
    let mut cluster = Cluster {
        scheduler,
        executors: Vec::new(),
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = match args.workers {
        Some(workers) => workers as usize,
        None => cores.div_ceil(args.local as usize).max(1),
    };
    for number in 1..=args.local {
        cluster
            .executors
            .push(Part::start(&format!("executor {number}"), |command| {
                command.args(["executor", "--scheduler", &address]);
                command.args(["--workers", &workers.to_string()]);
            })?);
    }
    for executor in &mut cluster.executors {
        executor.hear(REGISTERED, &stop)?;
    }
    reporter.result(
        &format!(
            "{} executors with {workers} workers each are at work for the scheduler at {address}\n\
             use it:  pomona run PHOTOS --out RUN --cluster df://{address}\n\
             look:    http://{address}\n\
             stop:    Ctrl-C",
            args.local
        ),
        &serde_json::json!({
            "event": "up",
            "scheduler": address,
            "executors": args.local,
            "workers": workers,
            "processes": cluster.processes(),
        }),
    );
    let ended = cluster.watch(&stop, &*tell);
    if stop.is_cancelled() {
        reporter.say("stopping: executors end what they have in work; again to stop at once");
        cluster.leave(&stop_now);
    }
    runtime.shutdown_background();
    ended
}

/// The processes. They end with this.
struct Cluster {
    scheduler: Part,
    executors: Vec<Part>,
}

impl Cluster {
    fn processes(&self) -> Vec<u32> {
        std::iter::once(&self.scheduler)
            .chain(&self.executors)
            .map(|part| part.child.id())
            .collect()
    }

    /// Until it is to stop, or a part of it has ended. An executor may end: the others go on.
    fn watch(&mut self, stop: &CancellationToken, tell: &dyn Fn(&str)) -> Result<(), Failure> {
        loop {
            for part in std::iter::once(&mut self.scheduler).chain(&mut self.executors) {
                part.pass_on(tell);
            }
            if stop.is_cancelled() {
                return Ok(());
            }
            if let Some(status) = self.scheduler.child.try_wait()? {
                return Err(ended("the scheduler", status));
            }
            let mut left = Vec::new();
            for mut executor in std::mem::take(&mut self.executors) {
                match executor.child.try_wait()? {
                    Some(status) => {
                        executor.pass_on(tell);
                        tell(&format!("{} ended ({status})", executor.name));
                    }
                    None => left.push(executor),
                }
            }
            self.executors = left;
            if self.executors.is_empty() {
                return Err(Failure::input("all executors have ended")
                    .hint("start them again: what is done of a run stays done"));
            }
            std::thread::sleep(LOOK);
        }
    }

    /// Executors first: a scheduler is needed to hand work back to.
    fn leave(&mut self, stop_now: &CancellationToken) {
        for executor in &self.executors {
            executor.ask_to_end();
        }
        for part in self
            .executors
            .iter_mut()
            .chain(std::iter::once(&mut self.scheduler))
        {
            // The scheduler is asked when it is its turn; asking an executor twice would hurry it.
            if part.name == "scheduler" {
                part.ask_to_end();
            }
            while matches!(part.child.try_wait(), Ok(None)) {
                if stop_now.is_cancelled() {
                    return;
                }
                std::thread::sleep(LOOK);
            }
        }
    }
}

/// One process.
struct Part {
    name: String,
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Part {
    fn start(name: &str, arguments: impl FnOnce(&mut Command)) -> Result<Self, Failure> {
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("cluster");
        arguments(&mut command);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        alone(&mut command);
        let mut child = command.spawn()?;
        let (sender, lines) = mpsc::channel();
        if let Some(stderr) = child.stderr.take() {
            // What nobody waits for must not stop it.
            std::thread::spawn(move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        break;
                    }
                }
            });
        }
        Ok(Self {
            name: name.to_owned(),
            child,
            lines,
        })
    }

    /// Waits for a line that holds `mark`.
    fn hear(&mut self, mark: &str, stop: &CancellationToken) -> Result<String, Failure> {
        let until = Instant::now() + READY;
        let mut heard = Vec::new();
        loop {
            match self.lines.recv_timeout(LOOK) {
                Ok(line) if line.contains(mark) => return Ok(line),
                Ok(line) => heard.push(line),
                Err(mpsc::RecvTimeoutError::Timeout) if stop.is_cancelled() => {
                    return Err(pomona_pipeline::PipelineError::Interrupted.into());
                }
                Err(mpsc::RecvTimeoutError::Timeout) if Instant::now() < until => {}
                Err(_) => {
                    let mut failure = Failure::input(format!("the {} did not start", self.name));
                    // Its own words say why.
                    failure.causes.extend(
                        heard
                            .iter()
                            .map(|line| line.trim_start_matches("error: ").to_owned()),
                    );
                    return Err(failure);
                }
            }
        }
    }

    /// Says what it said.
    fn pass_on(&mut self, tell: &dyn Fn(&str)) {
        for line in self.lines.try_iter() {
            tell(&format!("{}: {line}", self.name));
        }
    }

    #[cfg(unix)]
    fn ask_to_end(&self) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            // SAFETY: the process is a child that was not waited for, so its number is no other's.
            unsafe {
                libc::kill(id, libc::SIGTERM);
            }
        }
    }

    #[cfg(not(unix))]
    fn ask_to_end(&self) {}
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn ended(what: &str, status: ExitStatus) -> Failure {
    Failure::input(format!("{what} ended ({status})"))
        .hint("start the cluster again; the same run goes on with what is missing")
}

/// Keeps Ctrl-C on the terminal from reaching a child before its turn, and a child from outliving this process.
#[cfg(unix)]
fn alone(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
    #[cfg(target_os = "linux")]
    // SAFETY: between fork and exec only this call is made, which allocates nothing and takes no lock.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
            Ok(())
        });
    }
}

#[cfg(not(unix))]
fn alone(_command: &mut Command) {}
