//! A cluster with one command.

use std::io::{BufRead as _, BufReader};
use std::process::Stdio;

use serde_json::Value;

use crate::support::{Place, Process, assert_same, wait_for};

const RUN: [&str; 8] = [
    "run",
    "photos",
    "--features",
    "orb",
    "--words",
    "16",
    "--components",
    "3",
];

/// The processes that `up` says it started are gone.
fn are_gone(processes: &[u64]) -> bool {
    processes.iter().all(|id| {
        // One that ended and was not waited for is still in the table.
        std::fs::read_to_string(format!("/proc/{id}/stat"))
            .map_or(true, |stat| stat.contains(") Z "))
    })
}

/// `pomona cluster up`, and what it says once all are at work.
fn up(place: &Place) -> (Process, Value) {
    let mut command = place.command(&[
        "cluster",
        "up",
        "--local",
        "2",
        "--bind",
        "127.0.0.1:0",
        "--json",
    ]);
    command.stdout(Stdio::piped());
    let mut child = Process::with_stdout(command);
    let stdout = child.child.stdout.take().unwrap();
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).unwrap();
    (child, serde_json::from_str(&line).unwrap())
}

#[test]
fn one_command_starts_it_and_ctrl_c_ends_all_of_it() {
    let place = Place::with_photos(1, false);
    place.done(&[&RUN[..], &["--out", "here"]].concat());
    let (mut cluster, told) = up(&place);
    assert_eq!(told["executors"], 2);
    let flag = format!("--cluster=df://{}", told["scheduler"].as_str().unwrap());
    place.done(&[&RUN[..], &["--out", "there", &flag]].concat());
    assert_same(&place.path("here"), &place.path("there"));

    let processes: Vec<u64> = serde_json::from_value(told["processes"].clone()).unwrap();
    assert_eq!(processes.len(), 3);
    cluster.signal("-INT");
    assert!(cluster.end().success(), "{}", cluster.said());
    assert!(are_gone(&processes));
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_outlives_it() {
    let place = Place::with_photos(0, false);
    let (mut cluster, told) = up(&place);
    let processes: Vec<u64> = serde_json::from_value(told["processes"].clone()).unwrap();
    assert!(!are_gone(&processes));
    cluster.kill();
    wait_for("its processes end", || are_gone(&processes).then_some(()));
}
