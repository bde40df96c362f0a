//! `pomona cluster` with real processes on loopback.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

fn pomona(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pomona"));
    command
        .arg("cluster")
        .args(args)
        .current_dir(folder)
        .env("COLUMNS", "100")
        .env_remove("POMONA_SCHEDULER")
        .env_remove("POMONA_TLS");
    command
}

fn output(folder: &Path, args: &[&str]) -> Output {
    pomona(folder, args).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn json(output: &Output) -> Value {
    assert!(output.status.success(), "{}", said(output));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A process that goes on until it is dropped.
struct Process(Child);

impl Process {
    /// Starts it and waits for a line with `mark`, of which it gives the last word.
    fn start(folder: &Path, args: &[&str], mark: &str) -> (Self, String) {
        let mut child = pomona(folder, args).stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let process = Self(child);
        let line = lines
            .by_ref()
            .map(Result::unwrap)
            .find(|line| line.contains(mark))
            .unwrap();
        // What it says later must not stop it.
        std::thread::spawn(move || lines.for_each(drop));
        let last = line.rsplit(' ').next().unwrap().to_owned();
        (process, last)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn a_scheduler_and_an_executor_find_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let (_scheduler, address) = Process::start(
        at,
        &["scheduler", "--bind", "127.0.0.1:0", "--history", "jobs"],
        "listens at",
    );
    let status = || json(&output(at, &["status", "--json", "--scheduler", &address]));
    assert_eq!(status()["scaling"]["slots"], 0);
    let (_executor, _) = Process::start(
        at,
        &[
            "executor",
            "--scheduler",
            &address,
            "--workers",
            "3",
            "--work-dir",
            "work",
        ],
        "registered",
    );
    let since = Instant::now();
    // One more than workers.
    while status()["scaling"]["slots"] != 4 {
        assert!(since.elapsed() < Duration::from_secs(30));
        std::thread::sleep(Duration::from_millis(100));
    }
    let text = output(at, &["status", "--scheduler", &format!("df://{address}")]);
    let text = String::from_utf8(text.stdout).unwrap();
    assert!(text.contains("4 slots") && text.contains("alive"), "{text}");
    assert!(text.contains("no job is running"), "{text}");

    let mut jobs = pomona(at, &["jobs", "--json"]);
    let jobs = jobs.env("POMONA_SCHEDULER", &address).output().unwrap();
    assert_eq!(json(&jobs), Value::Array(Vec::new()));
    for command in ["job", "cancel"] {
        let unknown = output(at, &[command, "nobody", "--scheduler", &address]);
        assert_eq!(unknown.status.code(), Some(1), "{command}");
        assert!(
            said(&unknown).contains("knows no job nobody"),
            "{}",
            said(&unknown)
        );
    }
    assert!(at.join("jobs").is_dir());
}

#[test]
fn what_cannot_be_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    for (args, told) in [
        (&["scheduler", "--bind", "0.0.0.0:0"][..], "--plain-text"),
        (&["scheduler", "--bind", "here"], "an address is HOST:PORT"),
        (&["scheduler", "--price-per-hour=-1"], "a price is a number"),
        (
            &["scheduler", "--tls", "nowhere"],
            "pomona cluster certificates",
        ),
        (&["executor", "--bind", "[::]:0"], "--plain-text"),
        (
            &["executor", "--scheduler", "here"],
            "an address is HOST:PORT",
        ),
        // Nobody listens at this port for long.
        (&["status", "--scheduler", "127.0.0.1:1"], "does not answer"),
    ] {
        let output = output(folder.path(), args);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", said(&output));
        assert!(said(&output).contains(told), "{args:?}: {}", said(&output));
    }
}

#[test]
fn certificates_serve_and_are_needed() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let made = json(&output(
        at,
        &["certificates", "made", "--host", "localhost", "--json"],
    ));
    let identity = made["folders"][0].as_str().unwrap();
    let (_scheduler, address) = Process::start(
        at,
        &["scheduler", "--bind", "127.0.0.1:0", "--tls", identity],
        "listens at",
    );
    let known = output(
        at,
        &["jobs", "--scheduler", &address, "--tls", identity, "--json"],
    );
    assert_eq!(json(&known), Value::Array(Vec::new()));
    let stranger = output(at, &["jobs", "--scheduler", &address]);
    assert_eq!(stranger.status.code(), Some(1));
    assert!(said(&stranger).contains("--tls"), "{}", said(&stranger));
}

#[test]
fn certificates_are_kept_when_asked() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let make = |hosts: &[&str], more: &[&str]| {
        let mut args = vec!["certificates", "made", "--json"];
        args.extend(hosts.iter().flat_map(|host| ["--host", *host]));
        args.extend(more);
        output(at, &args)
    };
    assert_eq!(
        json(&make(&["one"], &["--keep"]))["kept"],
        Value::Array(Vec::new())
    );
    let key = std::fs::read(at.join("made/one/key.pem")).unwrap();
    let again = make(&["one", "two"], &[]);
    assert_eq!(again.status.code(), Some(1), "{}", said(&again));
    let told = json(&make(&["one", "two"], &["--keep"]));
    assert_eq!(told["kept"], serde_json::json!(["one"]));
    assert_eq!(told["folders"], serde_json::json!(["made/two"]));
    assert_eq!(std::fs::read(at.join("made/one/key.pem")).unwrap(), key);
}

#[test]
fn a_scheduler_with_certificates_is_probed_without() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    let made = json(&output(
        at,
        &["certificates", "made", "--host", "localhost", "--json"],
    ));
    let identity = made["folders"][0].as_str().unwrap();
    let (_scheduler, figures) = Process::start(
        at,
        &[
            "scheduler",
            "--bind",
            "127.0.0.1:0",
            "--tls",
            identity,
            "--metrics-bind",
            "127.0.0.1:0",
            "--executor-slots",
            "5",
        ],
        "figures are at",
    );
    let address = figures
        .strip_prefix("http://")
        .and_then(|rest| rest.strip_suffix("/metrics"))
        .unwrap();
    let answer = |path: &str| {
        use std::io::{Read as _, Write as _};

        let mut stream = std::net::TcpStream::connect(address).unwrap();
        write!(stream, "GET {path} HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        text
    };
    assert!(answer("/healthz").starts_with("HTTP/1.0 200"));
    assert!(answer("/pomona/scaling").contains("\"wanted_executors\":0"));
    assert!(answer("/pomona/jobs").starts_with("HTTP/1.0 404"));
}
