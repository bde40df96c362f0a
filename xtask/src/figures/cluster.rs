//! The same run in one process and on a cluster.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Figure, Measured, NO_SHARED};
use crate::bucket::contents;
use crate::cluster::Cluster;
use crate::place::Place;
use crate::process::{median, number, run};

const ROUNDS: usize = 3;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let began = Instant::now();
    let cluster = Cluster::start(place, "cluster", 2, &[], 20)?;
    let up_seconds = began.elapsed().as_secs_f64();
    let arguments = |out: &Path, more: &[String]| {
        let mut arguments = place.all_photos_run(shared, out);
        arguments.extend(more.iter().cloned());
        arguments
    };
    let (here, there) = (place.scratch("embedded"), place.scratch("clustered"));
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let embedded = run(&place.pomona, &arguments(&here, &[]))?.seconds;
        let clustered = run(&place.pomona, &arguments(&there, &cluster.flag()))?.seconds;
        ratios.push(clustered / embedded);
        times.push((clustered, embedded));
    }
    let ratio = median(ratios);
    let (clustered, embedded) = (
        median(times.iter().map(|time| time.0).collect()),
        median(times.iter().map(|time| time.1).collect()),
    );
    let (features, model) = differences(place, &here, &there)?;
    let first = first_image(place, shared)?;
    drop(cluster);
    let (fit_ratio, fit_text) = fit(place)?;
    Ok(Measured::Figures(vec![
        Figure::new(
            "1 scheduler and 2 one-core executors on loopback ÷ one process with 2 workers, 12,503 photos, the whole command",
            "≤ 1.10",
            format!(
                "{ratio:.2} ({clustered:.1} s against {embedded:.1} s, median of {ROUNDS} ratios)"
            ),
            ratio <= 1.10,
        ),
        Figure::new(
            "scheduler started to the first image in work on an executor that starts beside it",
            "≤ 5 s",
            format!("{first:.1} s (scheduler and two executors ready: {up_seconds:.1} s)"),
            first <= 5.0,
        ),
        Figure::new(
            "outputs against those of one process: features; model",
            "to the bit; ≤ 1e-9",
            format!(
                "{}; {model:.1e}",
                if features { "to the bit" } else { "DIFFERENT" }
            ),
            features && model <= 1e-9,
        ),
        Figure::new(
            "fit of 20,000 × 1,280 features on the cluster ÷ in one process",
            "≤ 2",
            fit_text,
            fit_ratio <= 2.0,
        ),
    ]))
}

/// Whether features and ledger are the same bytes, and the largest difference of the components.
fn differences(place: &Place, here: &Path, there: &Path) -> Result<(bool, f64)> {
    let (one, other) = (contents(here)?, contents(there)?);
    let of_tables = |name: &str| name.starts_with("features/") || name.starts_with("images/");
    let same = |name: &String| one.get(name) == other.get(name);
    let tables: Vec<&String> = one.keys().filter(|name| of_tables(name)).collect();
    ensure!(!tables.is_empty(), "the run left no features");
    let is_same =
        tables.into_iter().all(same) && other.keys().filter(|name| of_tables(name)).all(same);
    let text = |path: &Path| path.join("model.pomona").display().to_string();
    let compared = place.python("compare_models.py", &[&text(here), &text(there)])?;
    Ok((is_same, number(&compared, "worst")?))
}

/// Seconds from the start of a scheduler and an executor, and of a run on them, to the first image in work.
fn first_image(place: &Place, shared: &Path) -> Result<f64> {
    let began = Instant::now();
    let cluster = Cluster::start(place, "first-cluster", 1, &[], 20)?;
    until_first_task(place, shared, &cluster.address, &cluster.flag(), began)
}

/// Starts a run on a cluster; gives the seconds since `began` when its first image was in work.
pub(super) fn until_first_task(
    place: &Place,
    shared: &Path,
    address: &str,
    flag: &[String],
    began: Instant,
) -> Result<f64> {
    let out = place.scratch("first");
    let mut arguments = place.all_photos_run(shared, &out);
    arguments.retain(|argument| argument != "--quiet");
    arguments.extend(flag.iter().cloned());
    let mut child = Command::new(&place.pomona)
        .args(arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let metrics = format!("http://{address}/metrics");
    let mut first = None;
    while began.elapsed() < Duration::from_secs(60) {
        // A task is at work from the moment that an executor has it.
        let text = ureq::get(&metrics).call()?.body_mut().read_to_string()?;
        let running = text
            .lines()
            .find_map(|line| line.strip_prefix("pomona_tasks_running "))
            .and_then(|value| value.trim().parse::<f64>().ok());
        if running.context("the scheduler tells how many tasks are running")? > 0.0 {
            first = Some(began.elapsed().as_secs_f64());
            break;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let _ = child.kill();
    let _ = child.wait();
    first.context("no image came into work")
}

fn fit(place: &Place) -> Result<(f64, String)> {
    let features = place.scratch("features-20000");
    let made: Value = place.python(
        "many_features.py",
        &[&features.display().to_string(), "20000", "1280", "8"],
    )?;
    ensure!(made["rows"] == 20_000, "the features were not made");
    let cluster = Cluster::start(place, "fit-cluster", 2, &[], 20)?;
    let (mut ratios, mut times) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut seconds = [0.0; 2];
        for (number, more) in [Vec::new(), cluster.flag().to_vec()]
            .into_iter()
            .enumerate()
        {
            let model = place.scratch("fit.pomona");
            let mut arguments: Vec<String> = ["--quiet", "fit"].map(str::to_owned).to_vec();
            arguments.push(features.display().to_string());
            arguments.extend(["--out".to_owned(), model.display().to_string()]);
            arguments.extend(["--components", "100", "--workers", "2"].map(str::to_owned));
            arguments.extend(more);
            seconds[number] = run(&place.pomona, &arguments)?.seconds;
        }
        ratios.push(seconds[1] / seconds[0]);
        times.push(seconds);
    }
    let ratio = median(ratios);
    let of = |number: usize| median(times.iter().map(|time| time[number]).collect());
    Ok((
        ratio,
        format!("{ratio:.2} ({:.2} s against {:.2} s)", of(1), of(0)),
    ))
}
