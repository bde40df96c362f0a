//! A small run in a temporary folder, by the program itself.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use pomona_forecast::{Line, MemoryLine, Rehearsal, Transfer};
use pomona_pipeline::{RunRecord, Sampled};
use serde_json::Value;
use tokio_util::sync::CancellationToken;

use super::bounds;
use crate::failure::Failure;

/// Seconds that the larger of the two runs should work on photos.
const LONG_SECS: f64 = 8.0;
/// Images of the larger one, at most.
const MOST_IMAGES: u64 = 16_384;
/// Images of the smaller one, at least: fewer say nothing about what a run takes beside them.
const LEAST_IMAGES: u64 = 64;
/// Bytes of a process that has one worker and nothing in work.
const BARE_BYTES: u64 = 160 << 20;
/// Bytes of components that are sorted in memory; more are sorted on the disk.
const SORTED_BYTES: u64 = 96 << 20;
/// Bytes that a run keeps of each image to its end.
const ROW_BYTES: f64 = 300.0;
/// Bytes of a component while all are sorted: as read, and in their order.
const COMPONENT_BYTES: f64 = 8.0;
/// Shards of the larger run: enough for as many partial sums as any run has.
const SHARDS: u64 = 40;
/// The same of the smaller one.
const FEW_SHARDS: u64 = 8;

/// What both runs were like.
pub(super) struct Rehearsed {
    pub(super) rehearsal: Rehearsal,
    /// The record of the larger run.
    pub(super) record: RunRecord,
}

/// What a rehearsal is made of.
pub(super) struct Stage<'a> {
    pub(super) sample: &'a [Sampled],
    /// Options of the run, as they would be typed.
    pub(super) words: &'a [OsString],
    /// Photos that the run itself will have.
    pub(super) images: u64,
    pub(super) workers: u32,
    pub(super) shard_images: u32,
    pub(super) transfer: Option<Transfer>,
    pub(super) cancel: &'a CancellationToken,
}

/// One of the runs.
struct Played {
    images: u64,
    secs: f64,
    record: RunRecord,
    written_bytes: u64,
    /// Seconds from the end of one pass of the codebook to that of the next.
    pass_secs: f64,
}

impl Stage<'_> {
    /// Does both runs.
    pub(super) fn rehearse(&self) -> Result<Rehearsed, Failure> {
        let folder = tempfile::Builder::new().prefix("pomona-plan-").tempdir()?;
        let originals = folder.path().join("sample");
        fs::create_dir(&originals)?;
        for (number, photo) in self.sample.iter().enumerate() {
            fs::write(originals.join(number.to_string()), &photo.content)?;
        }
        // What a settings file says is among the words already.
        let nothing = folder.path().join("nothing.toml");
        fs::write(&nothing, "")?;
        let distinct = self.sample.len() as u64;
        let first = distinct.max(LEAST_IMAGES);
        let few = self.play(folder.path(), "few", first, FEW_SHARDS)?;
        let rate = few.images as f64 / stage(&few.record, "extract").max(1e-3);
        let wanted =
            ((rate * LONG_SECS) as u64).clamp(few.images * 2, MOST_IMAGES.max(few.images * 2));
        let wanted = wanted.min(self.images.max(few.images * 2));
        let many = self.play(folder.path(), "many", wanted, SHARDS)?;
        Ok(Rehearsed {
            rehearsal: self.measured(&few, &many),
            record: many.record,
        })
    }

    /// The lines through both runs.
    fn measured(&self, few: &Played, many: &Played) -> Rehearsal {
        let line = |name: &str| {
            // The same photos again and again settle sooner than as many different ones: all passes are counted.
            let secs = |played: &Played| {
                let further = if name == "codebook" {
                    passes_left(&played.record) * played.pass_secs
                } else {
                    0.0
                };
                stage(&played.record, name) + further
            };
            Line::through((few.images, secs(few)), (many.images, secs(many)))
        };
        let names: Vec<&str> = many
            .record
            .stages
            .iter()
            .map(|stage| stage.name.as_str())
            // The listing goes on beside the extraction.
            .filter(|name| !["list", "extract"].contains(name))
            .collect();
        let inside: f64 = names
            .iter()
            .map(|name| stage(&many.record, name))
            .sum::<f64>()
            + stage(&many.record, "extract");
        let threads = |name: &str| many.record.thread_seconds.get(name).copied().unwrap_or(0.0);
        let features = threads("network") + threads("keypoints");
        let thread_secs = features + threads("prepare");
        let extract = bounds::of_extraction(
            line("extract"),
            few.images,
            (many.images, stage(&many.record, "extract")),
            thread_secs,
            self.workers,
        );
        let feature_count = feature_count(&many.record);
        let most_of_fit = bounds::of_fit(feature_count);
        let after = |name: &&str| {
            let whole = (many.images, stage(&many.record, name));
            let record = &many.record;
            let line = bounds::of_step(line(name), name, whole, most_of_fit, record, feature_count);
            ((*name).to_owned(), line)
        };
        let components = many.record.explained_variance_ratio.len() as f64;
        let further = self.further_components(&many.record) * COMPONENT_BYTES;
        let sorted = (further * self.images as f64) as u64;
        let bytes = many.record.peak_memory_bytes.unwrap_or(0);
        Rehearsal {
            workers: self.workers,
            images: many.images,
            feature_count,
            outside_secs: (many.secs - inside).max(0.0),
            extract,
            after: names.iter().map(after).collect(),
            network_share: features / thread_secs.max(1e-9),
            memory: MemoryLine {
                bytes: bytes + sorted.min(2 * SORTED_BYTES),
                images: many.images,
                per_image: ROW_BYTES + components * COMPONENT_BYTES,
                growth_at_most: 2 * SORTED_BYTES + (ROW_BYTES * self.images as f64) as u64,
                per_worker: bytes.saturating_sub(BARE_BYTES) / u64::from(self.workers.max(1)),
            },
            written_per_image: many.written_bytes as f64 / many.images.max(1) as f64,
            transfer: self.transfer,
            images_in_shard: self.shard_images,
        }
    }

    /// Components that the run will keep beyond those of a rehearsal, where they are a share of the variance: as many of all
    /// that there can be as the sample needs of those that it can have.
    fn further_components(&self, record: &RunRecord) -> f64 {
        let kept = record.explained_variance_ratio.len() as f64;
        let asked = record.settings.get("components");
        let is_share = asked.is_some_and(|asked| asked.contains('.'));
        let possible = (self.sample.len() as f64 - 1.0).max(1.0);
        if !is_share {
            return 0.0;
        }
        let most = (feature_count(record) as f64).min(self.images as f64);
        (kept / possible * most - kept).clamp(0.0, most)
    }

    /// One run over so many photos, those of the sample again and again, in at most so many shards.
    fn play(&self, folder: &Path, name: &str, images: u64, shards: u64) -> Result<Played, Failure> {
        let (photos, run) = (folder.join(name), folder.join(format!("{name}-run")));
        self.lay_out(&folder.join("sample"), &photos, images)?;
        // As many as the run will have, where those are few.
        let shards = shards.min(self.images.div_ceil(self.shard_images.max(1).into()));
        let shard_images = images.div_ceil(shards.max(1)).min(65_536);
        let told = folder.join(format!("{name}.txt"));
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg("run")
            .args(["--json", "--workers", &self.workers.to_string()])
            .args(["--shard-images", &shard_images.to_string()])
            .arg("--settings")
            .arg(folder.join("nothing.toml"))
            .arg("--out")
            .arg(&run)
            .args(self.words)
            .arg("--")
            .arg(&photos)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(fs::File::create(&told)?);
        // What is measured is the run, and no trace of it.
        for endpoint in crate::traces::ENDPOINTS {
            command.env_remove(endpoint);
        }
        let began = Instant::now();
        let output = wait(command, self.cancel)?;
        let secs = began.elapsed().as_secs_f64();
        if !output.status.success() {
            return Err(failure(&told, &photos, &run));
        }
        let result: Value = serde_json::from_slice(&output.stdout)?;
        let record = result.get("record").cloned().unwrap_or_default();
        let played = Played {
            images,
            secs,
            record: serde_json::from_value(record)?,
            written_bytes: bytes_below(&run)?,
            pass_secs: pass_secs(&fs::read_to_string(&told).unwrap_or_default()),
        };
        fs::remove_dir_all(&photos)?;
        fs::remove_dir_all(&run)?;
        Ok(played)
    }

    /// Links to the sample, in the folders that its photos were in.
    fn lay_out(&self, originals: &Path, photos: &Path, images: u64) -> Result<(), Failure> {
        for number in 0..images {
            let at = (number % self.sample.len().max(1) as u64) as usize;
            let Some(photo) = self.sample.get(at) else {
                break;
            };
            // Names from a bucket are not to lead anywhere else.
            let mut parts = photo.path.rsplit('/');
            let file = parts.next().unwrap_or_default();
            let label: String = parts
                .next()
                .unwrap_or_default()
                .chars()
                .map(|one| if one.is_alphanumeric() { one } else { '_' })
                .take(60)
                .collect();
            let to = photos.join(format!("label {label}"));
            if number < self.sample.len() as u64 {
                fs::create_dir_all(&to)?;
            }
            let extension = Path::new(file)
                .extension()
                .and_then(|extension| extension.to_str())
                .filter(|extension| extension.chars().all(char::is_alphanumeric))
                .unwrap_or("jpg");
            let to = to.join(format!("{number:06}.{extension}"));
            let original = originals.join(at.to_string());
            if fs::hard_link(&original, &to).is_err() {
                fs::copy(&original, &to)?;
            }
        }
        Ok(())
    }
}

/// Seconds of a stage; none where it was not done.
fn stage(record: &RunRecord, name: &str) -> f64 {
    record
        .stages
        .iter()
        .find(|stage| stage.name == name)
        .map_or(0.0, |stage| stage.seconds)
}

/// Seconds from the end of one pass of the codebook to that of the next, by the events of a run.
fn pass_secs(events: &str) -> f64 {
    let ends: Vec<f64> = events
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|event| event.get("event").and_then(Value::as_str) == Some("codebook_pass"))
        .filter_map(|event| event.get("seconds")?.as_f64())
        .collect();
    match (ends.first(), ends.last()) {
        (Some(first), Some(last)) if ends.len() > 1 => (last - first) / (ends.len() - 1) as f64,
        _ => 0.0,
    }
}

/// How many more passes than were made the codebook may take.
fn passes_left(record: &RunRecord) -> f64 {
    let most = record.settings.get("max-passes");
    let most: f64 = most.and_then(|most| most.parse().ok()).unwrap_or(0.0);
    let made = record.words.as_ref().map_or(0, |words| words.passes.len());
    (most + 1.0 - made as f64).max(0.0)
}

fn feature_count(record: &RunRecord) -> usize {
    let words = record.settings.get("words");
    record
        .backbone
        .get("features")
        .or(words)
        .and_then(|count| count.parse().ok())
        .unwrap_or(0)
}

/// Waits for a process, and ends it where the command is stopped.
fn wait(mut command: Command, cancel: &CancellationToken) -> Result<std::process::Output, Failure> {
    let mut child = command.spawn()?;
    // What it says at its end fits into the pipe's reader at once.
    let mut stdout = child.stdout.take();
    let reader = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(stdout) = &mut stdout {
            std::io::Read::read_to_end(stdout, &mut bytes)?;
        }
        Ok::<_, std::io::Error>(bytes)
    });
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if cancel.is_cancelled() {
            let _ = child.kill();
            let _ = child.wait();
            return Err(pomona_pipeline::PipelineError::Interrupted.into());
        }
        std::thread::sleep(Duration::from_millis(5));
    };
    let stdout = reader
        .join()
        .map_err(|_| Failure::input("the rehearsal's answer could not be read"))??;
    Ok(std::process::Output {
        status,
        stdout,
        stderr: Vec::new(),
    })
}

/// Why a rehearsal failed: what would stop the run, too.
fn failure(told: &Path, photos: &Path, run: &Path) -> Failure {
    let text = fs::read_to_string(told).unwrap_or_default();
    let error = text
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .find(|event| event.get("event").and_then(Value::as_str) == Some("error"));
    let texts = |key: &str| -> Vec<String> {
        let found = error.as_ref().and_then(|error| error.get(key)?.as_array());
        found
            .into_iter()
            .flatten()
            // Nobody else has seen these folders, and they are gone by then.
            .filter_map(|text| {
                let text = text.as_str()?.replace(run.to_str()?, "RUN");
                Some(text.replace(photos.to_str()?, "PHOTOS"))
            })
            .collect()
    };
    let hint = error
        .as_ref()
        .and_then(|error| error.get("hint")?.as_str().map(str::to_owned));
    let mut causes = texts("causes");
    if causes.is_empty() {
        causes.push("the program ended without saying why".to_owned());
    }
    if causes.iter().any(|cause| cause.contains("os error 28")) {
        // The run has another folder.
        return Failure::input(format!(
            "the temporary folder {} has no room for a small run",
            std::env::temp_dir().display()
        ))
        .hint("make room there, or name another one in TMPDIR");
    }
    let mut failure =
        Failure::input("the run would fail: so did a small one with some of the photos");
    failure.causes.extend(causes);
    match hint {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

fn bytes_below(folder: &Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    let mut open: Vec<PathBuf> = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(next)? {
            let entry = entry?;
            let meta = entry.metadata()?;
            if meta.is_dir() {
                open.push(entry.path());
            } else {
                bytes += meta.len();
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passes_are_timed_from_one_end_to_the_next() {
        let pass =
            |seconds: f64| format!("{{\"event\":\"codebook_pass\",\"seconds\":{seconds}}}\n");
        let events = format!(
            "{}not json\n{{\"event\":\"progress\",\"seconds\":90.0}}\n{}{}",
            pass(1.0),
            pass(1.5),
            pass(2.0)
        );
        assert!((pass_secs(&events) - 0.5).abs() < 1e-12);
        assert_eq!(pass_secs(&pass(1.0)), 0.0);
        assert_eq!(pass_secs(""), 0.0);
    }
}
