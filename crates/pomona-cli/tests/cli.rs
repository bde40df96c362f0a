//! The program as a person meets it: what is typed, what is said, and the exit status.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output};

fn pomona(folder: &Path, args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_pomona"))
        .args(args)
        .current_dir(folder)
        .env("COLUMNS", "100")
        .env("POMONA_OFFLINE", "1")
        .env_remove("ORT_DYLIB_PATH")
        .output()
        .unwrap()
}

/// Exit status, standard output and standard error, with the folder's own path and times made the same everywhere.
fn told(folder: &Path, args: &[&str]) -> String {
    let output = pomona(folder, args);
    let text = |bytes: &[u8]| {
        let text = String::from_utf8_lossy(bytes).into_owned();
        let real = std::fs::canonicalize(folder).unwrap();
        text.replace(real.to_str().unwrap(), "DIR")
            .replace(folder.to_str().unwrap(), "DIR")
    };
    format!(
        "exit: {}\n--- stdout\n{}--- stderr\n{}",
        output.status.code().unwrap(),
        text(&output.stdout),
        text(&output.stderr)
    )
}

/// A run of a few photos, made once for the tests that only look at it.
fn small_run(folder: &Path) {
    let photos = folder.join("photos");
    let settings = pomona_demo::DemoSettings {
        per_label_training: 1,
        per_label_test: 0,
        with_troubles: true,
        ..pomona_demo::DemoSettings::default()
    };
    pomona_demo::render(&photos, &settings, &mut |_, _| {}).unwrap();
    let made = pomona(
        folder,
        &[
            "run",
            "photos",
            "--out",
            "run",
            "--engine",
            "pure-rust",
            "--components",
            "5",
            "--glob",
            "*/[K-P]*/*",
        ],
    );
    assert!(
        made.status.success(),
        "{}",
        String::from_utf8_lossy(&made.stderr)
    );
}

#[test]
fn help_shows_the_commands_with_examples() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!("help", told(folder.path(), &["--help"]));
    for command in [
        "demo",
        "run",
        "extract",
        "fit",
        "reduce",
        "why",
        "sql",
        "cluster",
        "completions",
    ] {
        let help = told(folder.path(), &[command, "--help"]);
        assert!(
            help.starts_with("exit: 0") && help.contains("Example"),
            "{help}"
        );
    }
}

#[test]
fn wrong_input_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    std::fs::write(at.join("file.jpg"), b"x").unwrap();
    std::fs::create_dir_all(at.join("photos")).unwrap();
    std::fs::write(at.join("labels.csv"), b"file,class\n").unwrap();
    let cases: [(&str, &[&str]); 13] = [
        ("missing_folder", &["run", "nowhere", "--out", "run"]),
        ("file_for_folder", &["run", "file.jpg", "--out", "run"]),
        (
            "empty_folder",
            &["run", "photos", "--out", "run", "--engine", "pure-rust"],
        ),
        (
            "bad_glob",
            &["run", "photos", "--out", "run", "--glob", "a["],
        ),
        (
            "bad_label_rule",
            &["run", "photos", "--out", "run", "--label", "folder"],
        ),
        (
            "label_pattern_without_group",
            &["run", "photos", "--out", "run", "--label", "regex:(.*)"],
        ),
        (
            "label_file_without_columns",
            &["run", "photos", "--out", "run", "--label", "csv:labels.csv"],
        ),
        (
            "bad_components",
            &["run", "photos", "--out", "run", "--components", "1.5"],
        ),
        (
            "bad_preparation",
            &["run", "photos", "--out", "run", "--prepare", "gray"],
        ),
        (
            "not_a_model",
            &["run", "photos", "--out", "refused", "--model", "labels.csv"],
        ),
        (
            "unknown_network",
            &["run", "photos", "--out", "refused", "--backbone", "nothere"],
        ),
        ("not_a_run", &["why", "photos", "a.jpg"]),
        (
            "unknown_flag",
            &["run", "photos", "--out", "run", "--word", "3"],
        ),
    ];
    for (name, args) in cases {
        let told = told(at, args);
        assert!(!told.contains("panicked"), "{told}");
        insta::assert_snapshot!(name, told);
    }
    // Nothing was begun.
    assert!(!at.join("run/images").exists());
    assert!(!at.join("refused").exists());
}

#[test]
fn a_finished_run_can_be_asked() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    small_run(at);
    insta::assert_snapshot!(
        "sql",
        told(
            at,
            &[
                "sql",
                "run",
                "SELECT label, count(*) AS photos FROM images GROUP BY label ORDER BY label LIMIT 3"
            ]
        )
    );
    insta::assert_snapshot!(
        "sql_csv",
        told(
            at,
            &[
                "sql",
                "run",
                "SELECT path, status, error FROM images WHERE status <> 'ok' ORDER BY path",
                "--format",
                "csv"
            ]
        )
    );
    insta::assert_snapshot!(
        "sql_refused",
        told(at, &["sql", "run", "DROP TABLE images"])
    );
    insta::assert_snapshot!("why_not_found", told(at, &["why", "run", "000_100.jpg"]));
    let why = told(at, &["why", "run", "Troubles/Pear/truncated.jpg"]);
    assert!(
        why.starts_with("exit: 0") && why.contains("corrupt") && why.contains("what to do"),
        "{why}"
    );
    insta::assert_snapshot!(
        "taken",
        told(
            at,
            &["run", "photos", "--out", "run", "--engine", "pure-rust"]
        )
    );
    // Too many failures: the results are there, the exit status says so.
    let strict = pomona(
        at,
        &[
            "extract",
            "photos",
            "--out",
            "strict",
            "--engine",
            "pure-rust",
            "--glob",
            "**/Pear/*",
            "--max-failed",
            "0.5",
        ],
    );
    assert_eq!(strict.status.code(), Some(1));
    assert!(at.join("strict/run.json").exists());
    // Each step alone gives what `run` gave.
    assert!(
        pomona(
            at,
            &["fit", "run", "--out", "alone.pomona", "--components", "5"]
        )
        .status
        .success()
    );
    assert!(
        pomona(
            at,
            &["reduce", "run", "--model", "alone.pomona", "--out", "alone"]
        )
        .status
        .success()
    );
    assert!(
        std::fs::read(at.join("alone/results.csv")).unwrap()
            == std::fs::read(at.join("run/results.csv")).unwrap()
    );
    std::fs::remove_file(at.join("run/report.html")).unwrap();
    assert!(told(at, &["report", "run"]).contains("report: DIR/run/report.html"));
}

#[test]
fn progress_is_lines_or_json_and_quiet_is_quiet() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    small_run(at);
    let common = [
        "extract",
        "photos",
        "--engine",
        "pure-rust",
        "--glob",
        "*/K*/*",
        "--fresh",
        "--out",
        "other",
    ];
    let quiet = pomona(at, &[&common[..], &["--quiet"]].concat());
    assert!(
        quiet.status.success() && quiet.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&quiet.stderr)
    );
    let json = pomona(at, &[&common[..], &["--json"]].concat());
    let events: Vec<serde_json::Value> = String::from_utf8(json.stderr)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        events
            .iter()
            .any(|event| event["event"] == "progress" && event["done"].is_u64()),
        "{events:?}"
    );
    let last: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(last["event"], "finished");
    assert_eq!(last["record"]["counts"]["ok"], 1);
}

#[cfg(unix)]
#[test]
fn an_interrupt_ends_cleanly_and_the_same_command_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    pomona_demo::render(
        &at.join("photos"),
        &pomona_demo::DemoSettings {
            per_label_training: 3,
            per_label_test: 0,
            ..pomona_demo::DemoSettings::default()
        },
        &mut |_, _| {},
    )
    .unwrap();
    let child = Command::new(env!("CARGO_BIN_EXE_pomona"))
        .args([
            "run",
            "photos",
            "--out",
            "run",
            "--engine",
            "pure-rust",
            "--shard-images",
            "16",
            "--workers",
            "1",
        ])
        .current_dir(at)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    while std::fs::read_dir(at.join("run/images")).map_or(0, Iterator::count) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    let killed = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(killed.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(
        output.status.code(),
        Some(130),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(String::from_utf8_lossy(&output.stderr).contains("interrupted"));
    assert!(!at.join("run/run.json").exists());
    let status = told(at, &["status", "run"]);
    assert!(
        status.starts_with("exit: 0")
            && status.contains("not finished")
            && status.contains("shard-images   16"),
        "{status}"
    );
    let again = pomona(
        at,
        &[
            "extract",
            "photos",
            "--out",
            "run",
            "--engine",
            "pure-rust",
            "--shard-images",
            "16",
        ],
    );
    let stderr = String::from_utf8_lossy(&again.stderr);
    assert!(
        again.status.success() && stderr.contains("were done by an earlier run in this folder"),
        "{stderr}"
    );
    let status = told(at, &["status", "run"]);
    assert!(
        status.contains("extracted at")
            && status.contains("6 of 6 done")
            && status.contains("96 ok"),
        "{status}"
    );
}

/// The official libraries of ONNX Runtime keep an identifier and a queue of reports in the user's cache folder, and
/// send them to their maker, unless they are told not to before they are loaded.
#[test]
fn onnx_runtime_keeps_nothing_to_report() {
    let Some(library) = std::env::var_os("POMONA_ORT_LIBRARY") else {
        let _ = writeln!(
            std::io::stderr(),
            "skipped: POMONA_ORT_LIBRARY does not say where ONNX Runtime is"
        );
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    let settings = pomona_demo::DemoSettings {
        per_label_training: 1,
        per_label_test: 0,
        ..pomona_demo::DemoSettings::default()
    };
    pomona_demo::render(&photos, &settings, &mut |_, _| {}).unwrap();
    let home = folder.path().join("home");
    std::fs::create_dir(&home).unwrap();
    let arguments = [
        "extract",
        "photos",
        "--out",
        "run",
        "--engine",
        "onnx-runtime",
        "--glob",
        "*/K*/*",
    ];
    // A bare environment: on servers that test software the library is silent by itself.
    let output = Command::new(env!("CARGO_BIN_EXE_pomona"))
        .args(arguments)
        .current_dir(folder.path())
        .env_clear()
        .env("HOME", &home)
        .env("POMONA_ORT_LIBRARY", library)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let kept: Vec<_> = std::fs::read_dir(&home)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(kept.is_empty(), "{kept:?}");
}
