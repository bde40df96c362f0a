//! Photos to features: the one step that sees pixels.

mod growth;
mod listing;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use datafusion::execution::context::SessionContext;
use datafusion::prelude::col;
use object_store::ObjectStore;
use pomona_engine::{
    EngineError, Extractor, FetchSettings, ImageListing, ImageSource, ImageTable, LabelRule,
    ListingFilter, Shard, ShardDone, ShardFiles, ShardSize, ShardWrite, Status, extract_function,
};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::error::PipelineError;
use crate::events::{Event, Progress};
use crate::extraction::{Extraction, KeyPointExtraction, NetworkExtraction};
use crate::folder::RunFolder;
use crate::ledger::LedgerSummary;
use crate::run::Context;
use crate::started::{Generation, Started};

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

/// Everything that working on one shard needs.
struct Job {
    session: SessionContext,
    source: Arc<dyn ObjectStore>,
    target: Arc<dyn ObjectStore>,
    extractor: Arc<Extractor>,
    fetch: FetchSettings,
    fetch_runtime: tokio::runtime::Handle,
    files: ShardFiles,
}

impl Job {
    /// One plan: scan the images of the shard, extract, write.
    async fn work(&self, shard: Shard) -> Result<Vec<ShardDone>, PipelineError> {
        let index = shard.index;
        let table = ImageTable::new(
            vec![shard],
            Arc::clone(&self.source),
            self.fetch,
            self.fetch_runtime.clone(),
        );
        let extracted = extract_function(Arc::clone(&self.extractor))
            .call(vec![col("content"), col("size_bytes"), col("read_error")])
            .alias("extracted");
        let rows = self.session.read_table(Arc::new(table))?.select(vec![
            col("path"),
            col("label"),
            col("size_bytes"),
            col("last_modified"),
            extracted,
        ])?;
        let plan = ShardWrite::plan(
            rows.into_unoptimized_plan(),
            Arc::clone(&self.target),
            vec![index],
            self.files.clone(),
        )?;
        let done = self
            .session
            .execute_logical_plan(plan)
            .await?
            .collect()
            .await?;
        Ok(done.iter().flat_map(ShardDone::read).collect())
    }
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
    source: &ImageSource,
    extractor: &Arc<Extractor>,
    settings: &ExtractSettings,
    folder: &RunFolder,
    started_with: Started,
    images: ImageListing,
) -> Result<(Extracted, LedgerSummary), PipelineError> {
    let started = Instant::now();
    context
        .observer
        .event(&Event::StageStarted { stage: "extract" });
    let job = Arc::new(job(context, source, extractor, settings, folder)?);
    let before = extractor.counters().read();
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

    // Two shards at a time at least, so that one is fetched and written while another is worked on; no more than a shard
    // a worker, since that is what is done again after the process was killed.
    let in_flight = context.workers.max(2);
    let mut running: JoinSet<Result<Vec<ShardDone>, PipelineError>> = JoinSet::new();
    let mut tick = tokio::time::interval(TICK);
    let mut receiving = true;
    let mut found = None;
    let mut outcome = Ok(());
    while outcome.is_ok() && (found.is_none() || receiving || !running.is_empty()) {
        tokio::select! {
            biased;
            () = context.cancel.cancelled() => outcome = Err(PipelineError::Interrupted),
            Some(finished) = running.join_next(), if !running.is_empty() => {
                outcome = match finished {
                    Ok(result) => result.map(|_| ()),
                    Err(error) => Err(EngineError::Threads(Box::new(error)).into()),
                };
            }
            shard = receiver.recv(), if receiving && running.len() < in_flight => match shard {
                Some(shard) => {
                    let job = Arc::clone(&job);
                    running.spawn(async move { job.work(shard).await });
                }
                None => receiving = false,
            },
            listed = &mut listing, if found.is_none() => match listed {
                Ok(done) => found = Some(done),
                Err(error) => outcome = Err(error),
            },
            _ = tick.tick() => report_progress(context, extractor, &before, &listed, started),
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
    report_progress(context, extractor, &before, &listed, started);
    let growth = found.finish(context, folder).await?;
    let ledger = LedgerSummary::read(folder).await?;
    let seconds = started.elapsed().as_secs_f64();
    let reading = extractor.counters().read();
    let extracted = Extracted {
        counts: ledger.counts.clone(),
        seconds,
        listing_seconds,
        done_before: listed.done_before.load(Ordering::Relaxed),
        new_images: reading.done - before.done,
        prepare_seconds: reading.prepare_secs - before.prepare_secs,
        features_seconds: reading.features_secs - before.features_secs,
        is_changed: growth.is_changed,
        first_shard: growth.first_shard,
        generation: growth.generation,
    };
    context.observer.event(&Event::StageFinished {
        stage: "extract",
        seconds,
        items: extracted.total(),
    });
    Ok((extracted, ledger))
}

fn job(
    context: &Context,
    source: &ImageSource,
    extractor: &Arc<Extractor>,
    settings: &ExtractSettings,
    folder: &RunFolder,
) -> Result<Job, PipelineError> {
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
    Ok(Job {
        session: context.session.clone(),
        source: Arc::clone(source.store()),
        target: folder.store(),
        extractor: Arc::clone(extractor),
        fetch,
        fetch_runtime: context.runtimes.fetch()?,
        files: ShardFiles::Extraction {
            feature_count,
            metadata,
            stop_at_failure: settings.on_error == OnError::Fail,
        },
    })
}

/// What the time that makes features is called.
pub(crate) fn features_stage(extractor: &Extractor) -> &'static str {
    if extractor.backbone().is_some() {
        "network"
    } else {
        "keypoints"
    }
}

fn report_progress(
    context: &Context,
    extractor: &Extractor,
    before: &pomona_engine::ExtractReading,
    listed: &Listed,
    started: Instant,
) {
    let reading = extractor.counters().read();
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
    let limited_by = if waiting > prepare.max(features) {
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
        limited_by,
    }));
}
