//! Runs that are killed at any moment and gone on with.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, ensure};

use super::{Figure, Measured, NO_SHARED};
use crate::bucket::{Shop, contents, copy_photos};
use crate::place::Place;
use crate::process::run_with;

const KILLS: u64 = 20;
const SHARD_IMAGES: u64 = 64;
const WORKERS: u64 = 2;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let shop = Shop::open(place, "killed")?;
    copy_photos(&place.reference_photos(shared)?, &shop.photos())?;
    let arguments = |out: &str| {
        let mut arguments =
            crate::bucket::arguments("run", "s3://photos", &format!("s3://runs/{out}"));
        let more = [
            "--components",
            "100",
            "--shard-images",
            &SHARD_IMAGES.to_string(),
        ];
        arguments.extend(more.map(str::to_owned));
        arguments
    };
    let environment = shop.environment();
    let whole = run_with(&place.pomona, &arguments("never"), &environment)?.seconds;
    let expected = contents(&shop.run("never"))?;
    let (mut same, mut most_twice, mut twice, mut early) = (0, 0, 0, 0);
    for kill in 0..KILLS {
        let out = kill.to_string();
        let mut child = Command::new(&place.pomona)
            .args(arguments(&out))
            .envs(shop.environment())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        // Moments spread over the whole run by the golden ratio: any order, none twice.
        let moment = (kill as f64 * 0.618_033_988_75).fract() * whole;
        std::thread::sleep(Duration::from_secs_f64(moment));
        child.kill()?;
        let events = String::from_utf8(child.wait_with_output()?.stderr)?;
        let reported = events
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter(|event| event["event"] == "progress")
            .filter_map(|event| Some(event["done"].as_u64()? + event["failed"].as_u64()?))
            .next_back()
            .unwrap_or(0);
        let finished = run_with(&place.pomona, &arguments(&out), &environment)?;
        let before = finished
            .stderr
            .lines()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
            .filter_map(|event| {
                let text = event["text"].as_str()?;
                text.split_once(" of ")?.0.parse::<u64>().ok()
            })
            .next()
            .unwrap_or(0);
        early += u64::from(before == 0);
        let again = reported.saturating_sub(before);
        twice += again;
        most_twice = most_twice.max(again);
        let found = contents(&shop.run(&out))?;
        ensure!(!found.is_empty(), "the run left nothing");
        same += u64::from(found == expected);
        std::fs::remove_dir_all(shop.run(&out))?;
        shop.server.refresh()?;
    }
    let allowed = SHARD_IMAGES * WORKERS;
    Ok(Measured::Figures(vec![
        Figure::new(
            &format!(
                "killed (SIGKILL) at {KILLS} moments of a run of 1,142 photos in a bucket and gone on with: outputs as undisturbed, to the bit"
            ),
            &format!("{KILLS}"),
            format!("{same} ({early} killed before a shard was done)"),
            same == KILLS,
        ),
        Figure::new(
            "images worked out twice, most for one kill",
            &format!("≤ {allowed}, a shard for each worker"),
            format!("{most_twice} ({twice} in all)"),
            most_twice <= allowed,
        ),
    ]))
}
