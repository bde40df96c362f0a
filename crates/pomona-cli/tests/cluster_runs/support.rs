//! Real processes: the program, schedulers and executors of it, and photos for them.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pomona_cluster::{JobPhase, JobSummary, SchedulerClient};
use pomona_demo::DemoSettings;
use serde_json::Value;

/// Longer than anything takes, on a machine with other things to do.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// A folder with photos, and room for runs beside them. The program is started in it.
pub(crate) struct Place {
    folder: tempfile::TempDir,
    /// What commands find in their environment besides. Schedulers and executors do not.
    pub(crate) variables: Vec<(String, String)>,
    /// What every process finds there.
    pub(crate) everywhere: Vec<(String, String)>,
}

/// Where no keys are: without it, the program would ask for some at an address that is not this machine's.
const NOWHERE: &str = "http://127.0.0.1:1";

impl Place {
    /// `training` demonstration photos of each label.
    pub(crate) fn with_photos(training: usize, with_troubles: bool) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
            variables: Vec::new(),
            everywhere: Vec::new(),
        };
        let settings = DemoSettings {
            per_label_training: training,
            per_label_test: 0,
            with_troubles,
            ..DemoSettings::default()
        };
        pomona_demo::render(&place.path("photos"), &settings, &mut |_, _| {}).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The program with the place's variables.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        self.command_with(arguments, &self.variables)
    }

    /// The program, which fetches nothing, keeps what it is sent in this folder, and has no keys but these.
    fn command_with(&self, arguments: &[&str], variables: &[(String, String)]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pomona"));
        for (name, _) in std::env::vars_os() {
            let name = name.to_string_lossy().into_owned();
            let ours = ["AWS_", "OTEL_", "TRACEPARENT"];
            if ours.iter().any(|start| name.starts_with(start)) {
                command.env_remove(&name);
            }
        }
        command.envs(self.everywhere.iter().map(|(name, value)| (name, value)));
        command
            .args(arguments)
            .current_dir(self.folder.path())
            .env("HOME", self.path("home"))
            .env("AWS_METADATA_ENDPOINT", NOWHERE)
            .env("AWS_ENDPOINT_URL", NOWHERE)
            .env("POMONA_CACHE", self.path("cache"))
            .env("POMONA_OFFLINE", "1")
            .env_remove("POMONA_SCHEDULER")
            .env_remove("POMONA_TLS")
            .env_remove("POMONA_SETTINGS")
            .env_remove("ORT_DYLIB_PATH")
            .envs(variables.iter().map(|(name, value)| (name, value)));
        command
    }

    pub(crate) fn pomona(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The same for what must not fail.
    pub(crate) fn done(&self, arguments: &[&str]) {
        let output = self.pomona(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
    }

    /// Rows of a query about a run.
    pub(crate) fn sql(&self, run: &str, query: &str) -> Vec<Value> {
        let output = self.pomona(&["sql", run, query, "--format", "json"]);
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// What a run tells of itself.
    pub(crate) fn record(&self, run: &str) -> Value {
        let record = std::fs::read(self.path(run).join("run.json")).unwrap();
        serde_json::from_slice(&record).unwrap()
    }

    /// How many images a run counts, by what became of them; none are not told.
    pub(crate) fn counts(&self, run: &str) -> BTreeMap<String, u64> {
        let counts: BTreeMap<String, u64> =
            serde_json::from_value(self.record(run)["counts"].clone()).unwrap();
        counts.into_iter().filter(|(_, count)| *count > 0).collect()
    }
}

pub(crate) fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// All files below a folder, by their path in it.
pub(crate) fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        let Ok(entries) = std::fs::read_dir(&next) else {
            continue;
        };
        for entry in entries {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy();
                found.insert(name.into_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// The files of a run that tell no times.
pub(crate) fn outputs(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = files(run);
    for name in ["run.json", "report.html", "started.json"] {
        found.remove(name);
    }
    found
}

/// Whether two runs left the same, and which file tells otherwise.
pub(crate) fn assert_same(one: &Path, other: &Path) {
    let (one, other) = (outputs(one), outputs(other));
    assert!(!one.is_empty());
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        other.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &one {
        assert!(other[name] == *bytes, "{name} differs");
    }
}

/// Asks again and again until there is an answer.
pub(crate) fn wait_for<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let since = Instant::now();
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(since.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// A process that ends with the test.
pub(crate) struct Process {
    pub(crate) child: Child,
    lines: mpsc::Receiver<String>,
    heard: Vec<String>,
}

impl Process {
    pub(crate) fn start(mut command: Command) -> Self {
        command.stdout(Stdio::null());
        Self::with_stdout(command)
    }

    /// The same with the standard output as the command has it.
    pub(crate) fn with_stdout(mut command: Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, receiver) = mpsc::channel();
        // What nobody waits for must not stop it.
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self {
            child,
            lines: receiver,
            heard: Vec::new(),
        }
    }

    /// Waits for a line that holds `mark`.
    pub(crate) fn hear(&mut self, mark: &str) -> String {
        if let Some(line) = self.heard.iter().find(|line| line.contains(mark)) {
            return line.clone();
        }
        let until = Instant::now() + PATIENCE;
        while let Ok(line) = self
            .lines
            .recv_timeout(until.saturating_duration_since(Instant::now()))
        {
            self.heard.push(line.clone());
            if line.contains(mark) {
                return line;
            }
        }
        panic!("it did not say `{mark}`: {:?}", self.heard);
    }

    /// Everything it said until its end.
    pub(crate) fn said(&mut self) -> String {
        self.heard.extend(self.lines.iter());
        self.heard.join("\n")
    }

    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.id().to_string();
        let sent = Command::new("kill").args([name, &id]).status().unwrap();
        assert!(sent.success());
    }

    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn end(&mut self) -> ExitStatus {
        wait_for("it ends", || self.child.try_wait().unwrap())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A scheduler that loses executors after five seconds of silence, and executors of one core each.
pub(crate) struct Cluster<'a> {
    place: &'a Place,
    pub(crate) scheduler: Process,
    pub(crate) address: String,
    /// What makes a command use it.
    pub(crate) flag: String,
    pub(crate) executors: Vec<Process>,
}

impl<'a> Cluster<'a> {
    pub(crate) fn start(place: &'a Place, executors: usize) -> Self {
        Self::start_with(place, executors, &[])
    }

    /// The same with more options of the scheduler.
    pub(crate) fn start_with(place: &'a Place, executors: usize, options: &[&str]) -> Self {
        let (scheduler, address) = scheduler(place, "127.0.0.1:0", options);
        let mut cluster = Self {
            place,
            scheduler,
            flag: format!("--cluster=df://{address}"),
            address,
            executors: Vec::new(),
        };
        for _ in 0..executors {
            cluster.join();
        }
        cluster
    }

    /// Another executor.
    pub(crate) fn join(&mut self) -> &mut Process {
        self.join_with(&[])
    }

    /// Another executor, with these variables.
    pub(crate) fn join_with(&mut self, variables: &[(String, String)]) -> &mut Process {
        let arguments = [
            "cluster",
            "executor",
            "--workers",
            "1",
            "--work-dir",
            "work",
            "--scheduler",
            &self.address,
        ];
        let mut executor = Process::start(self.place.command_with(&arguments, variables));
        executor.hear("registered");
        self.executors.push(executor);
        self.executors.last_mut().unwrap()
    }

    /// The scheduler is killed and comes back where it was.
    pub(crate) fn restart(&mut self) {
        self.scheduler.kill();
        (self.scheduler, _) = scheduler(self.place, &self.address, &[]);
    }

    /// All jobs of a name, newest first.
    pub(crate) fn jobs(&self, name: &str) -> Vec<JobSummary> {
        let jobs = SchedulerClient::new(&self.address, None).jobs();
        let mut jobs = jobs.unwrap_or_default();
        jobs.retain(|job| job.name == name);
        jobs
    }

    /// Waits until so many shards of an extraction are done and it goes on.
    pub(crate) fn wait_for_shards(&self, count: u64) {
        wait_for("shards are done", || {
            let jobs = self.jobs("extract");
            let job = jobs.first()?;
            assert_ne!(job.state, JobPhase::Finished, "the job was over too soon");
            (job.shards.done >= count).then_some(())
        });
    }

    /// Ends everything; nothing may be left in the executors' work folder.
    pub(crate) fn leave(mut self) {
        self.executors_leave();
    }

    /// The same, and the scheduler has time for its last words.
    pub(crate) fn leave_slowly(mut self) {
        self.executors_leave();
        self.scheduler.signal("-TERM");
        assert_eq!(self.scheduler.end().code(), Some(0));
    }

    fn executors_leave(&mut self) {
        for executor in &self.executors {
            executor.signal("-TERM");
        }
        for executor in &mut self.executors {
            let status = executor.end();
            assert_eq!(status.code(), Some(0), "{}", executor.said());
        }
        let left = std::fs::read_dir(self.place.path("work")).unwrap().count();
        assert_eq!(left, 0, "folders in the work folder");
    }
}

fn scheduler(place: &Place, at: &str, options: &[&str]) -> (Process, String) {
    let usual = [
        "cluster",
        "scheduler",
        "--bind",
        at,
        "--executor-timeout-secs",
        "5",
    ];
    let arguments = [&usual[..], options].concat();
    let mut scheduler = Process::start(place.command_with(&arguments, &[]));
    let line = scheduler.hear("listens at");
    let address = line.rsplit(' ').next().unwrap().to_owned();
    (scheduler, address)
}
