//! Runs on a cluster whose executors are killed, frozen, cut off, drained and joined by others.
//!
//! `POMONA_CHAOS_SEEDS=3,17` does only these runs.

mod events;
mod network;
mod stage;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use self::events::{Blow, Event, drawn};
use self::network::Network;
use self::stage::Stage;
use super::{Figure, Measured, NO_SHARED};
use crate::bucket::contents;
use crate::cluster::files;
use crate::place::Place;
use crate::process::{median, run, say};

const RUNS: u64 = 30;
/// Shards of so many images, so that there are many.
const SHARD_IMAGES: &str = "32";
/// After so long a silence an executor is lost: the least that a scheduler takes.
const TIMEOUT: Duration = Duration::from_secs(5);
/// A run that takes longer hangs.
const HANGS: Duration = Duration::from_secs(150);
/// How long executors may take to come to rest after a run, those that come back too.
const REST: Duration = Duration::from_secs(45);

/// What an undisturbed run is, to compare with.
struct Undisturbed {
    outputs: Outputs,
    counts: Value,
    bytes_read: u64,
    seconds: f64,
}

/// What a disturbed run came to.
struct Outcome {
    seconds: f64,
    /// Why it is not as if nothing had happened; empty where it is.
    troubles: Vec<String>,
    /// Images whose work was told twice, by the bytes that were read.
    twice: f64,
    /// Of its events, those that fell while it ran.
    in_time: usize,
}

/// What is done to the cluster, when it is due.
#[derive(Debug, Clone, Copy)]
enum Act {
    Blow(Event),
    Replace(usize),
    Thaw(usize),
    Mend,
}

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let undisturbed = undisturbed(place, shared)?;
    say(&format!(
        "chaos: undisturbed on the cluster: {:.1} s",
        undisturbed.seconds
    ));
    let seeds: Vec<u64> = match std::env::var("POMONA_CHAOS_SEEDS") {
        Ok(named) => named.split(',').map(str::parse).collect::<Result<_, _>>()?,
        Err(_) => (0..RUNS).collect(),
    };
    let (mut passed, mut skipped, mut troubles) = (0, 0, Vec::new());
    let (mut lost, mut twice, mut in_time) = (Vec::new(), Vec::new(), 0);
    let mut kinds = BTreeMap::new();
    for &seed in &seeds {
        let events = drawn(seed, TIMEOUT);
        let named: Vec<String> = events.iter().map(named).collect();
        let named = named.join(", ");
        let is_cut = events.iter().any(|event| event.blow == Blow::CutOff);
        let network = if is_cut { Network::make() } else { None };
        if is_cut && network.is_none() {
            skipped += 1;
            say(&format!(
                "chaos: run {seed}: {named}: SKIPPED, no network namespace can be made here"
            ));
            continue;
        }
        let outcome = disturbed(place, shared, seed, &events, network.as_ref(), &undisturbed)?;
        let seconds = outcome.seconds - undisturbed.seconds;
        say(&format!(
            "chaos: run {seed}: {named}: {:.1} s, {}",
            outcome.seconds,
            if outcome.troubles.is_empty() {
                "as if nothing had happened".to_owned()
            } else {
                format!("NOT AS IT SHOULD BE: {}", outcome.troubles.join("; "))
            }
        ));
        passed += usize::from(outcome.troubles.is_empty());
        if !outcome.troubles.is_empty() {
            troubles.push(seed);
        }
        lost.push(seconds / events.len() as f64);
        twice.push(outcome.twice);
        in_time += outcome.in_time;
        for event in &events {
            *kinds.entry(event.blow.word()).or_insert(0_u64) += 1;
        }
    }
    let done = seeds.len() - skipped;
    let kinds: Vec<String> = kinds
        .iter()
        .map(|(kind, times)| format!("{times} × {kind}"))
        .collect();
    let most = |values: &[f64]| values.iter().copied().fold(0.0, f64::max);
    Ok(Measured::Figures(vec![
        Figure::new(
            &format!(
                "1,142 photos on two executors, disturbed at seeded moments ({}): finished, outputs to the bit as of an undisturbed run in one process, no shard counted twice, no file left over",
                kinds.join(", ")
            ),
            &format!("all {} runs", seeds.len()),
            format!(
                "{passed} of {done}{}{}; {in_time} events fell while the run was at work",
                if skipped > 0 {
                    format!(", {skipped} SKIPPED without network namespaces")
                } else {
                    String::new()
                },
                if troubles.is_empty() {
                    String::new()
                } else {
                    format!(", not as it should be: {troubles:?}")
                }
            ),
            passed == done,
        ),
        Figure::told(
            "time lost for an event, executors being lost after 5 s of silence",
            "told",
            format!(
                "median {:.1} s, largest {:.1} s, beside {:.1} s undisturbed",
                median(lost.clone()),
                most(&lost),
                undisturbed.seconds
            ),
        ),
        Figure::told(
            "images worked out twice and told so, by the bytes read",
            "told",
            format!(
                "median {:.0} a run, most {:.0}",
                median(twice.clone()),
                most(&twice)
            ),
        ),
    ]))
}

fn named(event: &Event) -> String {
    let Event {
        blow,
        moment,
        victim,
        pause,
    } = event;
    format!(
        "{} {victim} at {:.0} % ({:.1} s)",
        blow.word(),
        moment * 100.0,
        pause.as_secs_f64()
    )
}

fn arguments(place: &Place, shared: &Path, out: &Path) -> Vec<String> {
    let mut arguments = place.reference_run(shared, "run", out);
    arguments.extend(
        [
            "--components",
            "100",
            "--workers",
            "2",
            "--shard-images",
            SHARD_IMAGES,
        ]
        .map(str::to_owned),
    );
    arguments
}

/// In one process for the outputs, and on a cluster for the time.
fn undisturbed(place: &Place, shared: &Path) -> Result<Undisturbed> {
    let out = place.scratch("chaos-embedded");
    run(&place.pomona, &arguments(place, shared, &out))?;
    let mut outputs = contents(&out)?;
    outputs.retain(|name, _| !name.starts_with(".pomona/"));
    let mut seconds = Vec::new();
    let mut bytes_read = 0;
    for number in 0..3 {
        let folder = place.scratch(&format!("chaos-undisturbed-{number}"));
        let mut stage = Stage::set(&place.pomona, &folder, None, TIMEOUT)?;
        let mut all = arguments(place, shared, &folder.join("run"));
        all.extend(cluster(&stage));
        seconds.push(run(&place.pomona, &all)?.seconds);
        bytes_read = self::bytes_read(&stage)?;
        stage.leave()?;
        std::fs::remove_dir_all(&folder)?;
    }
    Ok(Undisturbed {
        counts: counts(&out)?,
        outputs,
        bytes_read,
        seconds: median(seconds),
    })
}

fn cluster(stage: &Stage<'_>) -> [String; 2] {
    ["--cluster".to_owned(), format!("df://{}", stage.address)]
}

fn counts(run: &Path) -> Result<Value> {
    let record: Value = serde_json::from_slice(&std::fs::read(run.join("run.json"))?)?;
    Ok(record["counts"].clone())
}

/// Bytes that tasks told to have read, those that were done twice too.
fn bytes_read(stage: &Stage<'_>) -> Result<u64> {
    let metrics = stage.said_at("/metrics")?;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("pomona_bytes_read_total "));
    let bytes = line.context("the scheduler tells how many bytes were read")?;
    Ok(bytes.trim().parse()?)
}

fn disturbed(
    place: &Place,
    shared: &Path,
    seed: u64,
    events: &[Event],
    network: Option<&Network>,
    undisturbed: &Undisturbed,
) -> Result<Outcome> {
    let folder = place.scratch(&format!("chaos-{seed}"));
    let out = place.scratch(&format!("chaos-run-{seed}"));
    let mut stage = Stage::set(&place.pomona, &folder, network, TIMEOUT)?;
    let mut all = arguments(place, shared, &out);
    all.extend(cluster(&stage));
    let said = place.scratch(&format!("chaos-said-{seed}"));
    let mut client = Command::new(&place.pomona)
        .args(all)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&said)?)
        .spawn()?;
    let began = Instant::now();
    let due = |seconds: f64| began + Duration::from_secs_f64(seconds);
    let mut acts: Vec<(Instant, Act)> = events
        .iter()
        .map(|event| (due(event.moment * undisturbed.seconds), Act::Blow(*event)))
        .collect();
    let (mut troubles, mut in_time, mut ended) = (Vec::new(), 0, None);
    // What is due after the run's end is done as well: those that come back must find nothing to spoil.
    while ended.is_none() || !acts.is_empty() {
        if ended.is_none()
            && let Some(status) = client.try_wait()?
        {
            ended = Some((status.code(), began.elapsed().as_secs_f64()));
        }
        if ended.is_none() && began.elapsed() > HANGS {
            client.kill()?;
            client.wait()?;
            ended = Some((None, began.elapsed().as_secs_f64()));
            troubles.push("it hangs".to_owned());
        }
        let now = Instant::now();
        while let Some(number) = acts.iter().position(|(due, _)| *due <= now) {
            let (_, act) = acts.swap_remove(number);
            if let Some(back) = comes_back(&acts, act) {
                // Nobody is there to be hit yet.
                acts.push((back + Duration::from_millis(1), act));
                continue;
            }
            if matches!(act, Act::Blow(_)) && ended.is_none() {
                in_time += 1;
            }
            act_on(&mut stage, network, act, &mut acts)?;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let (code, seconds) = ended.context("the run ended")?;
    if code != Some(0) {
        troubles.push(format!("it ended with {code:?}"));
    }
    if let Err(trouble) = rest(&stage) {
        troubles.push(trouble.to_string());
    }
    let bytes_read = self::bytes_read(&stage)?;
    let told = stage.asked("/pomona/jobs")?;
    troubles.extend(stage.leave()?);
    troubles.extend(differences(&out, undisturbed)?);
    if !troubles.is_empty() {
        let kept = std::env::temp_dir().join(format!("pomona-chaos-{seed}.txt"));
        let client = std::fs::read_to_string(&said)?;
        std::fs::write(
            &kept,
            format!(
                "{troubles:#?}\n--- client\n{client}\n{}\n{told:#}",
                stage.said()
            ),
        )?;
        troubles.push(format!("see {}", kept.display()));
    }
    drop(stage);
    for path in [&folder, &out] {
        let _ = std::fs::remove_dir_all(path);
    }
    let each = undisturbed.bytes_read as f64 / images(&undisturbed.counts);
    Ok(Outcome {
        seconds,
        troubles,
        twice: (bytes_read as f64 - undisturbed.bytes_read as f64).max(0.0) / each,
        in_time,
    })
}

fn images(counts: &Value) -> f64 {
    counts
        .as_object()
        .map(|counts| counts.values().filter_map(Value::as_f64).sum())
        .unwrap_or(f64::NAN)
}

/// When the victim of a blow, which is gone, is replaced; none where it is there.
fn comes_back(acts: &[(Instant, Act)], act: Act) -> Option<Instant> {
    let Act::Blow(event) = act else { return None };
    let replaced = |act: &Act| matches!(act, Act::Replace(place) if *place == event.victim);
    let is_hit = !matches!(event.blow, Blow::Join);
    acts.iter()
        .find_map(|(due, act)| (is_hit && replaced(act)).then_some(*due))
}

fn act_on(
    stage: &mut Stage<'_>,
    network: Option<&Network>,
    act: Act,
    acts: &mut Vec<(Instant, Act)>,
) -> Result<()> {
    match act {
        Act::Blow(Event {
            blow,
            victim,
            pause,
            ..
        }) => {
            let later = Instant::now() + pause;
            match blow {
                Blow::Kill => {
                    stage.signal(victim, "KILL")?;
                    acts.push((later, Act::Replace(victim)));
                }
                Blow::Freeze => {
                    stage.signal(victim, "STOP")?;
                    acts.push((later, Act::Thaw(victim)));
                }
                Blow::CutOff => {
                    let is_cut = network.map(|network| network.set(false)).transpose()?;
                    ensure!(is_cut == Some(true), "the link cannot be cut");
                    acts.push((later, Act::Mend));
                }
                Blow::Drain => {
                    stage.signal(victim, "TERM")?;
                    stage.leaving += 1;
                    if stage.leaving == 2 {
                        // Somebody has to do the work.
                        stage.join()?;
                    }
                }
                Blow::Join => stage.join()?,
            }
        }
        Act::Replace(victim) => stage.replace(victim)?,
        Act::Thaw(victim) => stage.signal(victim, "CONT")?,
        Act::Mend => {
            let is_up = network.map(|network| network.set(true)).transpose()?;
            ensure!(is_up == Some(true), "the link cannot be mended");
        }
    }
    Ok(())
}

/// Waits until all executors that should be there are, and have nothing to do.
fn rest(stage: &Stage<'_>) -> Result<()> {
    let expected = stage.executors.len() - stage.leaving;
    let since = Instant::now();
    loop {
        let status = stage.asked("/pomona/executors")?;
        let at_rest = status
            .as_array()
            .context("the scheduler tells its executors")?
            .iter()
            .filter(|executor| {
                executor["state"] == "alive" && executor["free"] == executor["slots"]
            })
            .count();
        if at_rest >= expected {
            return Ok(());
        }
        ensure!(
            since.elapsed() < REST,
            "{at_rest} of {expected} executors came to rest"
        );
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// What is not as in the undisturbed run.
fn differences(out: &Path, undisturbed: &Undisturbed) -> Result<Vec<String>> {
    let mut found = match contents(out) {
        Ok(found) => found,
        Err(error) => return Ok(vec![format!("it left nothing to read: {error:#}")]),
    };
    found.retain(|name, _| !name.starts_with(".pomona/"));
    let mut troubles = Vec::new();
    for (is_so, what) in [
        (missing as fn(&_, &_, &str) -> bool, "missing"),
        (differs, "different"),
        (too_many, "left over"),
    ] {
        let names: Vec<&String> = undisturbed
            .outputs
            .keys()
            .chain(
                found
                    .keys()
                    .filter(|name| !undisturbed.outputs.contains_key(*name)),
            )
            .filter(|name| is_so(&undisturbed.outputs, &found, name))
            .collect();
        if let Some(first) = names.first() {
            troubles.push(format!("{} files are {what}, as {first}", names.len()));
        }
    }
    let working: PathBuf = out.join(".pomona");
    for file in files(&working)? {
        if file != working.join("lock").display().to_string() {
            troubles.push(format!("{file} is left over"));
        }
    }
    match counts(out) {
        Ok(counts) if counts == undisturbed.counts => {}
        Ok(counts) => troubles.push(format!("run.json counts {counts}")),
        Err(error) => troubles.push(format!("run.json: {error:#}")),
    }
    Ok(troubles)
}

type Outputs = BTreeMap<String, Vec<u8>>;

fn missing(expected: &Outputs, found: &Outputs, name: &str) -> bool {
    expected.contains_key(name) && !found.contains_key(name)
}

fn differs(expected: &Outputs, found: &Outputs, name: &str) -> bool {
    matches!((expected.get(name), found.get(name)), (Some(one), Some(other)) if one != other)
}

fn too_many(expected: &Outputs, _found: &Outputs, name: &str) -> bool {
    !expected.contains_key(name)
}
