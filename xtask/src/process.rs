//! Running programs and reading what they say.

use std::ffi::OsStr;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde_json::Value;

/// One line on the standard output.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{text}");
}

/// What a program did.
pub(crate) struct Ran {
    pub(crate) seconds: f64,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
    /// Most memory it held, from the operating system's own account; 0 where that cannot be read.
    pub(crate) peak_bytes: u64,
}

/// Runs a program to its end; it may fail.
pub(crate) fn attempt<S: AsRef<OsStr>>(program: &Path, arguments: &[S]) -> Result<Ran> {
    attempt_with(program, arguments, &[])
}

/// The same with variables of the environment.
pub(crate) fn attempt_with<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    variables: &[(String, String)],
) -> Result<Ran> {
    let started = Instant::now();
    let mut command = Command::new(program);
    // What cargo told this program would make the cargo that it starts build again what looks at it.
    for (name, _) in std::env::vars_os() {
        let name_text = name.to_string_lossy();
        if name_text.starts_with("CARGO_PKG_") || name_text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(&name);
        }
    }
    command.envs(variables.iter().map(|(name, value)| (name, value)));
    // What this shell tells libraries of arithmetic would slow a rival down, or speed it up.
    for name in [
        "OPENBLAS_CORETYPE",
        "OPENBLAS_L2_SIZE",
        "OPENBLAS_NUM_THREADS",
        "OMP_NUM_THREADS",
        "MKL_NUM_THREADS",
    ] {
        command.env_remove(name);
    }
    let mut child = command
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {}", program.display()))?;
    let status_file = format!("/proc/{}/status", child.id());
    let mut peak_bytes = 0;
    let mut streams = (child.stdout.take(), child.stderr.take());
    let readers = (
        std::thread::spawn(move || read_all(streams.0.as_mut())),
        std::thread::spawn(move || read_all(streams.1.as_mut())),
    );
    // The kernel keeps the highest mark, so the last reading before the end tells it.
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        peak_bytes = peak_bytes.max(high_mark(&status_file));
        std::thread::sleep(Duration::from_millis(5));
    };
    let text = |reader: std::thread::JoinHandle<String>| reader.join().unwrap_or_default();
    Ok(Ran {
        seconds: started.elapsed().as_secs_f64(),
        stdout: text(readers.0),
        stderr: text(readers.1),
        code: status.code(),
        peak_bytes,
    })
}

/// Runs a program that must not fail.
pub(crate) fn run<S: AsRef<OsStr>>(program: &Path, arguments: &[S]) -> Result<Ran> {
    run_with(program, arguments, &[])
}

/// The same with variables of the environment.
pub(crate) fn run_with<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    variables: &[(String, String)],
) -> Result<Ran> {
    let ran = attempt_with(program, arguments, variables)?;
    if ran.code != Some(0) {
        bail!(
            "{} failed ({:?}):\n{}",
            program.display(),
            ran.code,
            ran.stderr
        );
    }
    Ok(ran)
}

/// The JSON object on the last line of what a program printed.
pub(crate) fn json(ran: &Ran) -> Result<Value> {
    let last = ran.stdout.trim_end().lines().last().unwrap_or_default();
    serde_json::from_str(last).with_context(|| format!("expected a line of JSON, got: {last}"))
}

/// A number in a JSON object.
pub(crate) fn number(value: &Value, key: &str) -> Result<f64> {
    value[key]
        .as_f64()
        .with_context(|| format!("there is no number `{key}` in {value}"))
}

/// The middle one.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn read_all(stream: Option<&mut impl std::io::Read>) -> String {
    let mut text = Vec::new();
    if let Some(stream) = stream {
        let _ = stream.read_to_end(&mut text);
    }
    String::from_utf8_lossy(&text).into_owned()
}

/// Most memory that the process of a `/proc/PID/status` held, bytes; 0 where that cannot be read.
pub(crate) fn high_mark(status_file: &str) -> u64 {
    std::fs::read_to_string(status_file)
        .ok()
        .and_then(|status| {
            let line = status
                .lines()
                .find(|line| line.starts_with("VmHWM:"))?
                .to_owned();
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .map_or(0, |kilobytes| kilobytes * 1024)
}
