//! Photos to features: the one step that sees pixels.

mod batching;
mod growth;
mod listing;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use datafusion::execution::context::SessionContext;
use datafusion::prelude::col;
use pomona_engine::{
    EXTRACT_JOB, Embedded, EngineError, ExtractReading, Extractor, FetchSettings, ImageListing,
    ImageSource, ImageTable, LabelRule, ListingFilter, PlanFolder, Runner, Shard, ShardDone,
    ShardFiles, ShardSize, ShardWrite, Status, extract_function,
};
use pomona_learn::Moments;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::batching::Batching;
use crate::bounds::{Bounds, Reached};
use crate::error::PipelineError;
use crate::events::{Event, Observer, Progress};
use crate::extraction::{Extraction, KeyPointExtraction, NetworkExtraction};
use crate::folder::RunFolder;
use crate::ledger::LedgerSummary;
use crate::run::Context;
use crate::started::{Generation, Started};

pub use batching::{IMAGES_A_JOB, JOBS_AT_ONCE, SHARDS_A_JOB};
pub(crate) use growth::remove_rows;

/// Shards that may be listed before they are worked on.
const SHARDS_AHEAD: usize = 512;
/// Time between two reports of progress.
const TICK: Duration = Duration::from_millis(200);

/// What to do about images that give no features.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum OnError {
    /// Record why in the ledger and go on.
    #[default]
    Record,
    /// Stop at the first.
    Fail,
}

/// What is listed, and how it is cut into shards.
#[derive(Debug, Clone, Default)]
pub struct ExtractSettings {
    /// Which objects are listed.
    pub filter: ListingFilter,
    /// How labels are found.
    pub labels: LabelRule,
    /// How large a shard may become.
    pub shard_size: ShardSize,
    /// How images are fetched.
    pub fetch: FetchSettings,
    /// What to do about images that give no features.
    pub on_error: OnError,
    /// Which of the photos are looked at.
    pub selection: Selection,
    /// How long it may take, and what it may cost.
    pub bounds: Bounds,
}

/// Which of the photos are looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Selection {
    /// All that are listed now.
    #[default]
    Listed,
    /// Those of a finished run that could not be fetched.
    Unreadable,
}

/// What an extraction did.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Extracted {
    /// Listed objects by status; every status has its entry.
    pub counts: BTreeMap<String, u64>,
    /// Seconds it took.
    pub seconds: f64,
    /// Seconds until everything was listed; the rest of the work began before.
    pub listing_seconds: f64,
    /// Images whose features this run worked out.
    pub new_images: u64,
    /// Bytes of photos that it read.
    pub bytes_read: u64,
    /// Listed objects that an earlier run had done.
    pub done_before: u64,
    /// Time of all threads for decoding and preparing, seconds.
    pub prepare_seconds: f64,
    /// Time of all threads in the network or on key points, seconds.
    pub features_seconds: f64,
    /// The generation of the run, and what is new in it.
    pub generation: Generation,
    /// Its first shard.
    pub first_shard: u32,
    /// Whether this extraction changed anything.
    pub is_changed: bool,
}

/// What an extraction read that later steps need.
pub(crate) struct Seen {
    pub(crate) ledger: LedgerSummary,
    /// Sums of the features of the newest generation, where they were made.
    pub(crate) added: Option<Moments>,
}

impl Extracted {
    /// Listed objects.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.counts.values().sum()
    }

    /// Images with features.
    #[must_use]
    pub fn ok(&self) -> u64 {
        self.counts.get(Status::Ok.name()).copied().unwrap_or(0)
    }

    /// Images without features.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.total() - self.ok()
    }
}

/// Listing, as far as it has come.
#[derive(Default)]
struct Listed {
    images: AtomicU64,
    done_before: AtomicU64,
    ended: AtomicBool,
}

/// What is to be extracted, how, and where to.
pub(crate) struct Work<'a> {
    pub(crate) source: &'a ImageSource,
    pub(crate) extractor: &'a Arc<Extractor>,
    /// The extractor, for other processes; empty where there are none.
    pub(crate) description: String,
    pub(crate) settings: &'a ExtractSettings,
    pub(crate) folder: &'a RunFolder,
}

/// Everything that working on some shards needs.
struct Job {
    session: SessionContext,
    runner: Arc<dyn Runner>,
    observer: Arc<dyn Observer>,
    source: PlanFolder,
    target: PlanFolder,
    extractor: Arc<Extractor>,
    description: String,
    fetch: FetchSettings,
    files: ShardFiles,
}

impl Job {
    /// Works on some shards, and on those that a cluster gives up on as far as that can be.
    async fn work(&self, shards: Vec<Shard>) -> Result<(), PipelineError> {
        if !self.runner.is_remote() {
            self.run(&Embedded { workers: 1 }, shards).await?;
            return Ok(());
        }
        let done = self.run(self.runner.as_ref(), shards.clone()).await?;
        let done: HashSet<u32> = done.iter().map(|shard| shard.index).collect();
        let given_up: Vec<Shard> = shards
            .into_iter()
            .filter(|shard| !done.contains(&shard.index))
            .map(set_aside)
            .collect();
        for shard in given_up {
            self.observer.event(&Event::Note {
                text: format!(
                    "shard {} was set aside: executors ended while they worked on it; its {} images are in the ledger as unreadable, and `pomona retry` tries them again",
                    shard.index,
                    shard.images.len()
                ),
            });
            // Nothing of it is fetched or decoded: only its ledger is written, here.
            self.run(&Embedded { workers: 1 }, vec![shard]).await?;
        }
        Ok(())
    }

    /// One plan: scan the images of the shards, extract, write.
    async fn run(
        &self,
        runner: &dyn Runner,
        shards: Vec<Shard>,
    ) -> Result<Vec<ShardDone>, PipelineError> {
        let indices: Vec<u32> = shards.iter().map(|shard| shard.index).collect();
        let table = ImageTable::new(shards, self.source.clone(), self.fetch);
        let extracted = extract_function(Arc::clone(&self.extractor), self.description.clone())
            .call(vec![col("content"), col("size_bytes"), col("read_error")])
            .alias("extracted");
        let rows = self.session.read_table(Arc::new(table))?.select(vec![
            col("path"),
            col("label"),
            col("size_bytes"),
            col("last_modified"),
            extracted,
        ])?;
        let write = if runner.is_remote() {
            ShardWrite::plan_once
        } else {
            ShardWrite::plan
        };
        let plan = write(
            rows.into_unoptimized_plan(),
            self.target.clone(),
            indices,
            self.files.clone(),
        )?;
        let query = self.session.execute_logical_plan(plan).await?;
        let context = Arc::new(query.task_ctx());
        let plan = query.create_physical_plan().await?;
        let done = runner.run(EXTRACT_JOB, plan, context).await?;
        Ok(done.iter().flat_map(ShardDone::read).collect())
    }
}

/// The shard with a reason at each image why it is not looked at.
fn set_aside(mut shard: Shard) -> Shard {
    for image in &mut shard.images {
        image.problem.get_or_insert_with(|| {
            "set aside: executors ended while they worked on its shard; `pomona retry` tries it again".to_owned()
        });
    }
    shard
}

/// Takes the `images` listed in `source`, works out their features and writes manifest, features and ledger into `folder`.
///
/// Work starts before the listing ends. Which shard an image belongs to, and in which place, follows from the
/// sorted paths alone. Where the folder holds a run that ended, only what is new or changed since is worked out, in
/// shards of its own, and the rows of what is gone are removed.
///
/// # Errors
/// [`PipelineError::Interrupted`], [`PipelineError::NothingToDo`] when nothing is listed, and those of the engine.
pub(crate) async fn extract(
    context: &Context,
    work: &Work<'_>,
    started_with: Started,
    images: ImageListing,
) -> Result<(Extracted, Seen), PipelineError> {
    let Work {
        source,
        extractor,
        settings,
        folder,
        ..
    } = work;
    let started = Instant::now();
    context
        .observer
        .event(&Event::StageStarted { stage: "extract" });
    let job = Arc::new(job(context, work));
    let before = reading(context, extractor);
    let listed = Listed::default();
    let (sender, mut receiver) = mpsc::channel(SHARDS_AHEAD);
    let listing = listing::list(
        context,
        listing::Photos {
            place: source.place(),
            images,
        },
        settings,
        folder,
        started_with,
        &listed,
        sender,
    );
    tokio::pin!(listing);

    let mut batching = Batching::of(context);
    let mut running: JoinSet<Result<(), PipelineError>> = JoinSet::new();
    let mut tick = tokio::time::interval(TICK);
    let mut receiving = true;
    let mut found = None;
    let mut outcome = Ok(());
    let mut reached = None;
    while outcome.is_ok()
        && (found.is_none() || receiving || !running.is_empty() || !batching.is_empty())
    {
        tokio::select! {
            biased;
            () = context.cancel.cancelled() => outcome = Err(PipelineError::Interrupted),
            Some(finished) = running.join_next(), if !running.is_empty() => {
                outcome = match finished {
                    Ok(result) => result,
                    Err(error) => Err(EngineError::Threads(Box::new(error)).into()),
                };
            }
            shard = receiver.recv(), if receiving && batching.has_room(running.len()) => match shard {
                Some(shard) => batching.push(shard),
                None => receiving = false,
            },
            listed = &mut listing, if found.is_none() => match listed {
                Ok(done) => found = Some(done),
                Err(error) => outcome = Err(error),
            },
            _ = tick.tick() => {
                report_progress(context, work, &before, &listed, started);
                if reached.is_none() {
                    reached = settings.bounds.reached(context.started, context.runner.as_ref());
                }
            }
        }
        if let Some(reached) = reached
            && outcome.is_ok()
            && (running.is_empty() || context.runner.is_remote())
        {
            // In this process the shards that are begun are ended; on a cluster what is done of a job stays done.
            outcome = Err(bounded(reached, context, extractor, &before, &listed));
        }
        if outcome.is_ok()
            && reached.is_none()
            && let Some(shards) = batching.next(running.len(), receiving)
        {
            let job = Arc::clone(&job);
            running.spawn(async move { job.work(shards).await });
        }
    }
    running.shutdown().await;
    if let (Err(_), Some(found)) = (&outcome, &mut found)
        && let Some(manifest) = found.manifest.take()
    {
        manifest.abandon().await;
    }
    outcome?;
    let Some(found) = found else {
        return Err(PipelineError::Interrupted);
    };
    let listing_seconds = found.seconds;
    report_progress(context, work, &before, &listed, started);
    let growth = found.finish(context, folder).await?;
    let ledger = LedgerSummary::read(folder).await?;
    let seconds = started.elapsed().as_secs_f64();
    let reading = reading(context, extractor);
    let extracted = Extracted {
        counts: ledger.counts.clone(),
        seconds,
        listing_seconds,
        done_before: listed.done_before.load(Ordering::Relaxed),
        new_images: reading.done - before.done,
        bytes_read: reading.bytes - before.bytes,
        prepare_seconds: reading.prepare_secs - before.prepare_secs,
        features_seconds: reading.features_secs - before.features_secs,
        is_changed: growth.is_changed,
        first_shard: growth.first_shard,
        generation: growth.generation,
    };
    extractor.rest();
    context.observer.event(&Event::StageFinished {
        stage: "extract",
        seconds,
        items: extracted.total(),
    });
    Ok((
        extracted,
        Seen {
            ledger,
            added: growth.added,
        },
    ))
}

/// What was done so far, wherever it was.
fn reading(context: &Context, extractor: &Extractor) -> ExtractReading {
    context
        .runner
        .reading()
        .unwrap_or_else(|| extractor.counters().read())
}

fn job(context: &Context, work: &Work<'_>) -> Job {
    let Work {
        source,
        extractor,
        description,
        settings,
        folder,
    } = work;
    let (feature_count, metadata) = match (
        NetworkExtraction::of(extractor),
        KeyPointExtraction::of(extractor),
    ) {
        (Some(network), _) => (
            Some(network.feature_count),
            Extraction::Network(network).metadata(),
        ),
        (None, keypoints) => (
            None,
            keypoints.map_or_else(BTreeMap::new, |keypoints| keypoints.metadata()),
        ),
    };
    let fetch = if source.place().is_remote() {
        settings.fetch.over_a_network()
    } else {
        settings.fetch
    };
    Job {
        session: context.session.clone(),
        runner: Arc::clone(&context.runner),
        observer: Arc::clone(&context.observer),
        source: source.folder_of_plans(),
        target: PlanFolder::working(folder.place()),
        extractor: Arc::clone(extractor),
        description: description.clone(),
        fetch,
        files: ShardFiles::Extraction {
            feature_count,
            metadata,
            stop_at_failure: settings.on_error == OnError::Fail,
        },
    }
}

/// What the time that makes features is called.
pub(crate) fn features_stage(extractor: &Extractor) -> &'static str {
    if extractor.backbone().is_some() {
        "network"
    } else {
        "keypoints"
    }
}

/// What a run that reached a bound says.
fn bounded(
    reached: Reached,
    context: &Context,
    extractor: &Extractor,
    before: &ExtractReading,
    listed: &Listed,
) -> PipelineError {
    let reading = reading(context, extractor);
    let here = reading.done + reading.failed - before.done - before.failed;
    let done = here + listed.done_before.load(Ordering::Relaxed);
    let images = listed.images.load(Ordering::Relaxed);
    PipelineError::Bounded {
        bound: reached.to_string(),
        done,
        left: images.saturating_sub(done),
        is_all_listed: listed.ended.load(Ordering::Relaxed),
    }
}

fn report_progress(
    context: &Context,
    work: &Work<'_>,
    before: &ExtractReading,
    listed: &Listed,
    started: Instant,
) {
    let extractor = work.extractor;
    let reading = reading(context, extractor);
    let (done, failed) = (reading.done - before.done, reading.failed - before.failed);
    let total = listed.images.load(Ordering::Relaxed);
    let listing_ended = listed.ended.load(Ordering::Relaxed);
    let seconds = started.elapsed().as_secs_f64();
    let done_before = listed.done_before.load(Ordering::Relaxed);
    let per_second = (done + failed) as f64 / seconds.max(1e-3);
    let seconds_left = (listing_ended && per_second > 0.0)
        .then(|| total.saturating_sub(done + failed + done_before) as f64 / per_second);
    let prepare = reading.prepare_secs - before.prepare_secs;
    let features = reading.features_secs - before.features_secs;
    // Threads that neither prepare nor compute are waiting for objects.
    let waiting = seconds * context.workers as f64 - prepare - features;
    let limited_by = if context.runner.is_remote() {
        "cluster"
    } else if waiting > prepare.max(features) {
        "fetching"
    } else if prepare > features {
        "preparing"
    } else {
        features_stage(extractor)
    };
    let (sent_again, throttled) = context.stores.troubles();
    context.observer.event(&Event::Progress(Progress {
        done: done + done_before,
        failed,
        listed: total,
        listing_ended,
        per_second,
        seconds_left,
        sent_again,
        throttled,
        spent: work
            .settings
            .bounds
            .spent(context.started, context.runner.as_ref()),
        limited_by,
    }));
}
