//! Deadlines, played through with recorded rates and machines that are lost.

use anyhow::{Context, Result, ensure};
use pomona_forecast::{
    BOOT_SECS, Fleet, Goal, Offer, Photos, PriceBook, Rehearsal, Shards, simulate, size,
};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;
use crate::process::{json, run};

/// Runs in all.
const RUNS: u32 = 1_000;
const KEPT: f64 = 0.95;
/// Photos of the run that is played, and when it is to be done.
const IMAGES: u64 = 3_000_000;
/// Every machine is taken away once an hour, on average: far more often than providers tell.
const LOST: f64 = 1.0;
const DEADLINES: [(f64, &str); 4] = [
    (1_800.0, "30 min"),
    (3_600.0, "1 h"),
    (7_200.0, "2 h"),
    (14_400.0, "4 h"),
];
const MACHINES: [&str; 5] = [
    "c7g.xlarge",
    "c7i.xlarge",
    "c6g.4xlarge",
    "c7i.4xlarge",
    "c8i.4xlarge",
];

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let photos = shared.join("data/fruits-360").display().to_string();
    let plan = json(&run(
        &place.pomona,
        &["plan", &photos, "--glob", "*.jpg", "--json"],
    )?)?;
    let rehearsal: Rehearsal = serde_json::from_value(plan["rehearsal"].clone())?;
    let recorded = recorded(place, &photos, &rehearsal)?;
    let book = PriceBook::built_in()?;
    let system = plan["cpu"].as_str().unwrap_or_default();
    let here = book.cpu_called(system);
    let bytes = plan["bytes_read"].as_u64().unwrap_or(0) / plan["images"].as_u64().unwrap_or(1);
    let photos = Photos {
        images: IMAGES,
        bytes: bytes * IMAGES,
        requests: IMAGES,
        is_estimate: false,
    };
    let mut dice = StdRng::seed_from_u64(1_000);
    let (mut kept, mut played, mut lost, mut sizes) = (0_u32, 0_u32, 0.0, Vec::new());
    let each = RUNS / (MACHINES.len() * DEADLINES.len()) as u32;
    for name in MACHINES {
        let machine = book.machine(name, Some("eu-west-3"))?;
        for (deadline, _) in DEADLINES {
            let goal = Goal::Within(deadline);
            let sized = size(&book, here, &rehearsal, photos, machine, goal, LOST)
                .with_context(|| format!("no number of {name} is done in {deadline} s"))?;
            sizes.push(sized.offer.machines);
            let translation = sized.offer.translation;
            let slower = Offer::worker_secs(&rehearsal, &translation) / rehearsal.worker_secs();
            let alone: f64 = rehearsal
                .after
                .iter()
                .map(|(_, line)| line.at(IMAGES))
                .sum::<f64>()
                + rehearsal.outside_secs
                + rehearsal.extract.fixed_secs;
            for run in 0..each {
                // Nobody knows better how a rate here becomes one there.
                let wrong = dice.random_range(1.0 - translation.error..1.0 + translation.error);
                let secs: Vec<f64> = recorded.iter().map(|secs| secs * slower * wrong).collect();
                let shards = Shards {
                    count: IMAGES.div_ceil(rehearsal.images_in_shard.into()),
                    secs: &secs,
                };
                let fleet = Fleet {
                    machines: sized.offer.machines,
                    workers: machine.vcpus,
                    boot_secs: BOOT_SECS,
                    lost_per_hour: LOST,
                    silence_secs: 20.0,
                    alone_secs: alone / translation.general * wrong,
                };
                let one = simulate(shards, fleet, 1, u64::from(played) * 7 + u64::from(run));
                kept += u32::from(one.within(deadline) > 0.5);
                lost += one.lost;
                played += 1;
            }
        }
    }
    ensure!(played == RUNS, "{played} runs were played");
    let share = f64::from(kept) / f64::from(played);
    sizes.sort_unstable();
    Ok(Measured::Figures(vec![Figure::new(
        &format!(
            "deadlines of {} met by the size recommended for {} million photos on {} types of machines, {played} simulated runs on recorded rates with machines lost at random",
            DEADLINES.map(|(_, name)| name).join(", "),
            IMAGES / 1_000_000,
            MACHINES.len(),
        ),
        &format!("≥ {:.0} %", KEPT * 100.0),
        format!(
            "{:.1} % ({} to {} machines, {:.1} lost in a run)",
            share * 100.0,
            sizes.first().copied().unwrap_or(0),
            sizes.last().copied().unwrap_or(0),
            lost / f64::from(played),
        ),
        share >= KEPT,
    )]))
}

/// Seconds that one worker took for a shard, by the rates of a real run from one report of progress to the next.
fn recorded(place: &Place, photos: &str, rehearsal: &Rehearsal) -> Result<Vec<f64>> {
    let out = place.scratch("recorded").display().to_string();
    let ran = run(
        &place.pomona,
        &[
            "extract", photos, "--glob", "*.jpg", "--out", &out, "--fresh", "--json",
        ],
    )?;
    // (seconds since the stage began, images done)
    let reports: Vec<(f64, f64)> = ran
        .stderr
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event["event"] == "progress")
        .filter_map(|event| {
            let done = event["done"].as_f64()? + event["failed"].as_f64()?;
            let rate = event["per_second"].as_f64().filter(|rate| *rate > 0.0)?;
            Some((done / rate, done))
        })
        .collect();
    // A second's worth each, so that a shard that ends just before or after a report does not count as a rate.
    let mut secs = Vec::new();
    let mut last = reports.first().copied().unwrap_or_default();
    for report in reports {
        if report.0 - last.0 >= 1.0 && report.1 > last.1 {
            let rate = (report.1 - last.1) / (report.0 - last.0) / f64::from(rehearsal.workers);
            secs.push(f64::from(rehearsal.images_in_shard) / rate);
            last = report;
        }
    }
    ensure!(secs.len() >= 5, "the run was too short to record rates");
    Ok(secs)
}
