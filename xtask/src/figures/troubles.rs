//! What stops a run in a bucket, and how it goes on.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Figure, Measured, NO_SHARED};
use crate::bucket::{Shop, arguments, contents, copy_photos};
use crate::place::Place;
use crate::process::{Ran, attempt_with, run_with};

/// Room on the small disk, megabytes: some shards fit, a run does not.
const DISK_MB: u32 = 3;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let shop = Shop::open(place, "troubles")?;
    copy_photos(&place.reference_photos(shared)?, &shop.photos())?;
    let command = |out: &str| {
        let mut command = arguments("run", "s3://photos", out);
        command.extend(["--shard-images", "64"].map(str::to_owned));
        command.retain(|word| word != "--json");
        command
    };
    let environment = shop.environment();
    let whole = run_with(&place.pomona, &command("s3://runs/whole"), &environment)?;
    let expected = contents(&shop.run("whole"))?;

    let mut figures = Vec::new();
    let mut tell =
        |what: &str, stopped: &Ran, words: &str, run: &Path, goes_on: bool| -> Result<()> {
            let is_told = stopped.code == Some(1)
                && stopped.stderr.contains(words)
                && stopped.stderr.contains("hint:");
            let is_hidden = !run.join("run.json").exists();
            let is_same = goes_on && contents(run)? == expected;
            figures.push(Figure::new(
                what,
                "exit 1 with a clear error, nothing half-visible, resumes",
                format!(
                    "{}, {}, {}",
                    if is_told { "told" } else { "NOT told" },
                    if is_hidden || is_same {
                        "nothing half-visible"
                    } else {
                        "half-visible"
                    },
                    if is_same {
                        "resumed to the same bytes"
                    } else {
                        "NOT resumed"
                    },
                ),
                is_told && is_same,
            ));
            Ok(())
        };

    // The bucket refuses writes from some moment on.
    let rules = shop.server.rules().clone();
    let half = Duration::from_secs_f64(whole.seconds / 2.0);
    let later = {
        let rules = rules.clone();
        std::thread::spawn(move || {
            std::thread::sleep(half);
            rules.deny_writes("denied");
        })
    };
    let stopped = attempt_with(&place.pomona, &command("s3://runs/denied"), &environment)?;
    ensure!(later.join().is_ok(), "the rule was not set");
    let was_hidden = !shop.run("denied").join("run.json").exists();
    ensure!(was_hidden, "a run that was stopped looks finished");
    rules.clear();
    run_with(&place.pomona, &command("s3://runs/denied"), &environment)?;
    tell(
        "bucket write denied in the middle of a run",
        &stopped,
        "AccessDenied",
        &shop.run("denied"),
        true,
    )?;

    // The credentials expire, and no fresh ones come.
    let later = {
        let rules = rules.clone();
        std::thread::spawn(move || {
            std::thread::sleep(half);
            rules.expire_credentials();
        })
    };
    let stopped = attempt_with(&place.pomona, &command("s3://runs/expired"), &environment)?;
    ensure!(later.join().is_ok(), "the rule was not set");
    let was_hidden = !shop.run("expired").join("run.json").exists();
    ensure!(was_hidden, "a run that was stopped looks finished");
    rules.clear();
    // The lock of a process of this machine that is gone is taken over at once.
    run_with(&place.pomona, &command("s3://runs/expired"), &environment)?;
    tell(
        "credentials expiring in the middle of a run",
        &stopped,
        "expired",
        &shop.run("expired"),
        true,
    )?;

    // A disk without room, where one can be made: a small file system in memory.
    let disk = place.scratch("troubles-disk");
    std::fs::create_dir_all(&disk)?;
    let text = disk.display().to_string();
    let mounted = Command::new("mount")
        .args([
            "-t",
            "tmpfs",
            "-o",
            &format!("size={DISK_MB}m"),
            "tmpfs",
            &text,
        ])
        .status()
        .is_ok_and(|status| status.success());
    if mounted {
        let out = disk.join("run");
        let stopped = attempt_with(
            &place.pomona,
            &command(&out.display().to_string()),
            &environment,
        );
        let hidden = !out.join("run.json").exists();
        let grown = Command::new("mount")
            .args(["-o", "remount,size=200m", &text])
            .status();
        let goes_on = run_with(
            &place.pomona,
            &command(&out.display().to_string()),
            &environment,
        );
        let told = tell(
            "disk full in the middle of a run",
            &stopped?,
            "No space left",
            &out,
            goes_on.is_ok(),
        );
        let _ = Command::new("umount").arg(&text).status();
        told?;
        ensure!(
            grown.is_ok_and(|grown| grown.success()) && hidden,
            "the disk was not what was meant"
        );
    } else {
        figures.push(Figure::told(
            "disk full in the middle of a run",
            "",
            "NOT MEASURED: no small disk can be made here".to_owned(),
        ));
    }
    Ok(Measured::Figures(figures))
}
