//! The bytes of a shard's images, fetched ahead of the work on them.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use datafusion::arrow::array::{
    ArrayRef, Int64Array, LargeBinaryBuilder, RecordBatch, StringBuilder, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};
use futures::future::{BoxFuture, Either};
use futures::stream::{FuturesOrdered, Stream, StreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::listing::{ListedImage, location};

/// How the images of a shard are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FetchSettings {
    /// Larger objects are listed but not fetched; bytes.
    pub max_object_bytes: u64,
    /// Most images in one batch.
    pub batch_images: usize,
    /// Most bytes in one batch, as listed; one larger image has a batch of its own.
    pub batch_bytes: u64,
    /// Requests in flight at once for one shard.
    pub requests: usize,
    /// Bytes, as listed, that they may bring at once; one larger image is fetched alone.
    pub ahead_bytes: u64,
    /// A small object that was not answered for within this time is asked for a second time, and the first answer taken:
    /// of many requests some are always slow. None never asks twice.
    pub hedge: Option<Duration>,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            max_object_bytes: 64_000_000,
            batch_images: 32,
            batch_bytes: 16_000_000,
            requests: 16,
            ahead_bytes: 16_000_000,
            hedge: None,
        }
    }
}

impl FetchSettings {
    /// The same over a network, where a request takes long and many are in flight.
    #[must_use]
    pub fn over_a_network(self) -> Self {
        Self {
            requests: 48,
            ahead_bytes: 32_000_000,
            hedge: Some(Duration::from_millis(700)),
            ..self
        }
    }
}

/// Neighbouring members of an archive are fetched together, up to so many bytes.
const TOGETHER_BYTES: u64 = 4 << 20;
/// Larger objects are never asked for twice, nor more than so many of a shard: a slow network is not helped by that.
const HEDGED_BYTES: u64 = 1 << 20;
const HEDGES: usize = 16;
/// Times that an answer of another length than the one listed is asked for again.
const LENGTH_TRIES: u32 = 4;
const LENGTH_WAIT: Duration = Duration::from_millis(50);

/// What became of the fetching of one image.
enum Fetched {
    Content(Bytes),
    /// Larger than allowed, hence not fetched.
    Skipped {
        size_bytes: u64,
    },
    Failed(String),
}

/// The images of a shard in batches, in order; their objects are fetched ahead, as far as `settings` allow.
pub(super) fn batches<'a>(
    images: &'a [ListedImage],
    store: &'a Arc<dyn ObjectStore>,
    settings: FetchSettings,
    schema: &'a SchemaRef,
) -> impl Stream<Item = Result<RecordBatch>> + 'a {
    let state = Ahead {
        rest: images,
        images,
        store,
        settings,
        running: FuturesOrdered::new(),
        running_bytes: 0,
        ready: Vec::new(),
        ready_bytes: 0,
        hedges: Arc::new(AtomicUsize::new(0)),
    };
    futures::stream::try_unfold(state, move |mut state| async move {
        let batch = state.next_batch(schema).await?;
        Ok(batch.map(|batch| (batch, state)))
    })
}

/// A request's listed bytes, and what came of it.
type Request<'a> = BoxFuture<'a, (u64, std::result::Result<Vec<Fetched>, EngineError>)>;

struct Ahead<'a> {
    /// Images that no request was made for.
    rest: &'a [ListedImage],
    /// Images that are in no batch.
    images: &'a [ListedImage],
    store: &'a Arc<dyn ObjectStore>,
    settings: FetchSettings,
    running: FuturesOrdered<Request<'a>>,
    running_bytes: u64,
    ready: Vec<Fetched>,
    ready_bytes: u64,
    /// Objects that were asked for twice.
    hedges: Arc<AtomicUsize>,
}

fn listed_bytes(images: &[ListedImage]) -> u64 {
    images
        .iter()
        .fold(0, |sum, image| sum.saturating_add(image.size_bytes))
}

impl Ahead<'_> {
    /// Starts requests as far as there is room.
    fn start(&mut self) {
        while self.running.len() < self.settings.requests.max(1)
            && let Some(count) = together(self.rest)
        {
            let (group, rest) = self.rest.split_at(count);
            let bytes = listed_bytes(group);
            if !self.running.is_empty()
                && self.running_bytes.saturating_add(bytes) > self.settings.ahead_bytes
            {
                return;
            }
            self.rest = rest;
            self.running_bytes = self.running_bytes.saturating_add(bytes);
            let (store, settings) = (self.store, self.settings);
            let hedges = Arc::clone(&self.hedges);
            self.running.push_back(Box::pin(async move {
                (bytes, fetch(group, store, &settings, &hedges).await)
            }));
        }
    }

    async fn next_batch(&mut self, schema: &SchemaRef) -> Result<Option<RecordBatch>> {
        loop {
            self.start();
            let count = self.whole_batch();
            if count > 0 {
                let fetched: Vec<Fetched> = self.ready.drain(..count).collect();
                let (batch, images) = self.images.split_at(count);
                self.images = images;
                self.ready_bytes -= listed_bytes(batch);
                return record_batch(batch, &fetched, schema).map(Some);
            }
            match self.running.next().await {
                Some((bytes, fetched)) => {
                    self.running_bytes -= bytes;
                    self.ready_bytes = self.ready_bytes.saturating_add(bytes);
                    self.ready
                        .extend(fetched.map_err(EngineError::into_datafusion)?);
                }
                None => return Ok(None),
            }
        }
    }

    /// How many of the images that are ready make a whole batch; 0 where more could come into it.
    fn whole_batch(&self) -> usize {
        let FetchSettings {
            batch_images,
            batch_bytes,
            ..
        } = self.settings;
        let mut bytes = 0_u64;
        for (count, image) in self.images.iter().take(self.ready.len()).enumerate() {
            bytes = bytes.saturating_add(image.size_bytes);
            if count > 0 && (count >= batch_images || bytes > batch_bytes) {
                return count;
            }
        }
        let is_all = self.ready.len() == self.images.len();
        if is_all || self.ready.len() >= batch_images {
            self.ready.len().min(batch_images)
        } else {
            0
        }
    }
}

/// How many of the first images one request fetches; none where there are no more images.
fn together(images: &[ListedImage]) -> Option<usize> {
    let first = images.first()?;
    let Some(part) = &first.part else {
        return Some(1);
    };
    let mut count = 1;
    let mut end = part.offset.saturating_add(first.size_bytes);
    for image in &images[1..] {
        let Some(next) = &image.part else { break };
        let next_end = next.offset.saturating_add(image.size_bytes);
        let is_near = next.archive == part.archive
            && next.offset >= end
            && next_end.saturating_sub(part.offset) <= TOGETHER_BYTES;
        if !is_near {
            break;
        }
        end = next_end;
        count += 1;
    }
    Some(count)
}

async fn fetch(
    images: &[ListedImage],
    store: &Arc<dyn ObjectStore>,
    settings: &FetchSettings,
    hedges: &AtomicUsize,
) -> std::result::Result<Vec<Fetched>, EngineError> {
    match images {
        [image] if image.part.is_none() => fetch_hedged(image, store, settings, hedges)
            .await
            .map(|one| vec![one]),
        members => fetch_members(members, store, settings).await,
    }
}

/// What a failed request means: an error that stops the work, or a row of the ledger.
fn told(error: object_store::Error) -> std::result::Result<Fetched, EngineError> {
    if pomona_store::is_fatal(&error) {
        return Err(EngineError::Store(error));
    }
    Ok(Fetched::Failed(pomona_store::reason(&error)))
}

/// One object, asked for a second time where the first answer is slow to come.
async fn fetch_hedged(
    image: &ListedImage,
    store: &Arc<dyn ObjectStore>,
    settings: &FetchSettings,
    hedges: &AtomicUsize,
) -> std::result::Result<Fetched, EngineError> {
    let first = fetch_object(image, store, settings);
    let Some(patience) = settings.hedge.filter(|_| image.size_bytes <= HEDGED_BYTES) else {
        return first.await;
    };
    futures::pin_mut!(first);
    if let Ok(fetched) = tokio::time::timeout(patience, &mut first).await {
        return fetched;
    }
    if hedges.fetch_add(1, Ordering::Relaxed) >= HEDGES {
        return first.await;
    }
    let second = fetch_object(image, store, settings);
    futures::pin_mut!(second);
    match futures::future::select(first, second).await {
        // Whichever answers first counts, unless it is a failure and the other may yet do better.
        Either::Left((Ok(Fetched::Failed(_)) | Err(_), other)) => other.await,
        Either::Right((Ok(Fetched::Failed(_)) | Err(_), other)) => other.await,
        Either::Left((fetched, _)) | Either::Right((fetched, _)) => fetched,
    }
}

async fn fetch_object(
    image: &ListedImage,
    store: &Arc<dyn ObjectStore>,
    settings: &FetchSettings,
) -> std::result::Result<Fetched, EngineError> {
    if let Some(problem) = &image.problem {
        return Ok(Fetched::Failed(problem.clone()));
    }
    if image.size_bytes > settings.max_object_bytes {
        return Ok(Fetched::Skipped {
            size_bytes: image.size_bytes,
        });
    }
    let mut tries = 0;
    loop {
        let attempt = async {
            let found = store.get(&location(&image.path)?).await?;
            // The object may have grown since it was listed.
            if found.meta.size > settings.max_object_bytes {
                let size_bytes = found.meta.size;
                return Ok((Fetched::Skipped { size_bytes }, true));
            }
            // Another content of another length is a newer one. The same content with another length is half of it.
            let is_newer = image.etag.is_none() || found.meta.e_tag != image.etag;
            let bytes = found.bytes().await?;
            let is_whole = is_newer || bytes.len() as u64 == image.size_bytes;
            Ok((Fetched::Content(bytes), is_whole))
        };
        match attempt.await {
            Ok((fetched, true)) => return Ok(fetched),
            Ok((fetched, false)) if tries == LENGTH_TRIES => {
                let got = match fetched {
                    Fetched::Content(bytes) => bytes.len(),
                    _ => 0,
                };
                return Ok(Fetched::Failed(format!(
                    "the storage gives {got} of the {} bytes that it lists",
                    image.size_bytes
                )));
            }
            Ok(_) => {}
            Err(error) => return told(error),
        }
        tries += 1;
        tokio::time::sleep(LENGTH_WAIT * 2_u32.pow(tries)).await;
    }
}

/// Neighbouring members of one archive, by one request.
async fn fetch_members(
    members: &[ListedImage],
    store: &Arc<dyn ObjectStore>,
    settings: &FetchSettings,
) -> std::result::Result<Vec<Fetched>, EngineError> {
    let ranges: Vec<Option<(&Arc<str>, Range<u64>)>> = members
        .iter()
        .map(|image| {
            let part = image.part.as_ref()?;
            let is_wanted =
                image.problem.is_none() && image.size_bytes <= settings.max_object_bytes;
            is_wanted.then_some((&part.archive, part.offset..part.offset + image.size_bytes))
        })
        .collect();
    let wanted: Vec<&(&Arc<str>, Range<u64>)> = ranges.iter().flatten().collect();
    let whole = match (wanted.first(), wanted.last()) {
        (Some((archive, first)), Some((_, last))) => {
            let read = async {
                store
                    .get_range(&location(archive)?, first.start..last.end)
                    .await
            };
            Some((first.start, read.await))
        }
        _ => None,
    };
    let mut fetched = Vec::with_capacity(members.len());
    for (image, range) in members.iter().zip(&ranges) {
        fetched.push(match (&image.problem, range, &whole) {
            (Some(problem), ..) => Fetched::Failed(problem.clone()),
            (None, None, _) | (_, _, None) => Fetched::Skipped {
                size_bytes: image.size_bytes,
            },
            (None, Some((_, range)), Some((start, Ok(bytes)))) => {
                let part = usize::try_from(range.start - start)
                    .ok()
                    .zip(usize::try_from(range.end - start).ok())
                    .filter(|(_, end)| *end <= bytes.len());
                match part {
                    Some((from, to)) => Fetched::Content(bytes.slice(from..to)),
                    None => {
                        Fetched::Failed("the archive is shorter than its index says".to_owned())
                    }
                }
            }
            (None, Some(_), Some((_, Err(error)))) => {
                if pomona_store::is_fatal(error) {
                    break;
                }
                Fetched::Failed(pomona_store::reason(error))
            }
        });
    }
    match whole {
        Some((_, Err(error))) if pomona_store::is_fatal(&error) => Err(EngineError::Store(error)),
        _ => Ok(fetched),
    }
}

fn record_batch(
    images: &[ListedImage],
    fetched: &[Fetched],
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let mut paths = StringBuilder::new();
    let mut labels = StringBuilder::new();
    let mut sizes = Vec::with_capacity(images.len());
    let mut contents = LargeBinaryBuilder::new();
    let mut errors = StringBuilder::new();
    for (image, fetched) in images.iter().zip(fetched) {
        paths.append_value(&image.path);
        labels.append_option(image.label.as_deref());
        let size_bytes = match fetched {
            Fetched::Content(content) => {
                contents.append_value(content);
                errors.append_null();
                content.len() as u64
            }
            Fetched::Skipped { size_bytes } => {
                contents.append_null();
                errors.append_null();
                *size_bytes
            }
            Fetched::Failed(reason) => {
                contents.append_null();
                errors.append_value(reason);
                image.size_bytes
            }
        };
        sizes.push(i64::try_from(size_bytes).unwrap_or(i64::MAX));
    }
    let modified = images.iter().map(|image| {
        // A time is known for everything but what could not even be listed.
        (image.last_modified_micros != 0).then_some(image.last_modified_micros)
    });
    let columns: Vec<ArrayRef> = vec![
        Arc::new(paths.finish()),
        Arc::new(labels.finish()),
        Arc::new(Int64Array::from(sizes)),
        Arc::new(
            modified
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        Arc::new(contents.finish()),
        Arc::new(errors.finish()),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(DataFusionError::from)
}
