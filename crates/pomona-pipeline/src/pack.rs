//! Many small photos into a few large archives.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::ObjectStoreExt;
use pomona_engine::{ImageSource, LabelRule, ListedImage, ListingFilter};
use pomona_pack::{PackSettings, PackWriter};
use pomona_store::Place;

use crate::error::PipelineError;
use crate::events::{Event, Progress};
use crate::run::Context;

/// Photos fetched at once.
const AT_ONCE: usize = 64;
/// Photos between two reports of progress.
const TOLD_EVERY: u64 = 500;
/// Larger files are left out: an archive is written from memory, file by file.
const LARGEST_BYTES: u64 = 256_000_000;

/// What to pack, and where to.
#[derive(Debug, Clone)]
pub struct PackRequest {
    /// The photos.
    pub source: ImageSource,
    /// Which of them.
    pub filter: ListingFilter,
    /// Folder for the archives.
    pub out: Place,
    /// Bytes after which an archive is closed.
    pub archive_bytes: u64,
}

/// What was packed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Packed {
    /// Files in the archives.
    pub files: u64,
    /// Their bytes.
    pub content_bytes: u64,
    /// Archives.
    pub archives: u64,
    /// Files that could not be read, with why: they are in no archive.
    pub left_out: Vec<(String, String)>,
}

/// Writes photos into tar archives, in the order of their paths, with an index that appears last. `run` reads the
/// folder as if the photos lay in it under their own paths.
///
/// # Errors
/// [`PipelineError::NothingToDo`] where there are no photos, and those of the stores and the archives.
pub async fn pack(context: &Context, request: &PackRequest) -> Result<Packed, PipelineError> {
    let started = Instant::now();
    context
        .observer
        .event(&Event::StageStarted { stage: "pack" });
    let settings = PackSettings {
        archive_bytes: request.archive_bytes,
    };
    let mut writer = PackWriter::create(
        Arc::clone(request.out.store()),
        request.out.path().clone(),
        settings,
    )
    .await?;
    let mut packed = Packed::default();
    let outcome = context
        .until_cancelled(add_all(context, request, &mut writer, &mut packed, started))
        .await;
    if let Err(error) = outcome {
        // What was written is taken back; what cannot be, lies in no pack.
        let _ = writer.discard().await;
        return Err(error);
    }
    if packed.files == 0 {
        let _ = writer.discard().await;
        return Err(PipelineError::NothingToDo {
            what: format!("{} holds no files to pack", request.source.place()),
        });
    }
    let summary = writer.finish().await?;
    packed.content_bytes = summary.content_bytes;
    packed.archives = summary.archives.len() as u64;
    context.observer.event(&Event::StageFinished {
        stage: "pack",
        seconds: started.elapsed().as_secs_f64(),
        items: packed.files,
    });
    Ok(packed)
}

async fn add_all(
    context: &Context,
    request: &PackRequest,
    writer: &mut PackWriter,
    packed: &mut Packed,
    started: Instant,
) -> Result<(), PipelineError> {
    let store = Arc::clone(request.source.store());
    let mut files = request
        .source
        .list(request.filter.clone(), LabelRule::default())
        .map_err(PipelineError::from)
        .map_ok(|image| {
            let store = Arc::clone(&store);
            async move {
                let content = fetch(&image, store.as_ref()).await?;
                Ok::<_, PipelineError>((image, content))
            }
        })
        .try_buffered(AT_ONCE);
    while let Some((image, content)) = files.try_next().await? {
        match content {
            Ok(content) => {
                let modified_secs = image.last_modified_micros.div_euclid(1_000_000);
                writer.add(&image.path, modified_secs, content).await?;
                packed.files += 1;
            }
            Err(reason) => packed.left_out.push((image.path, reason)),
        }
        if packed.files.is_multiple_of(TOLD_EVERY) {
            let failed = packed.left_out.len() as u64;
            context.observer.event(&Event::Progress(Progress {
                done: packed.files,
                failed,
                listed: packed.files + failed,
                per_second: packed.files as f64 / started.elapsed().as_secs_f64().max(1e-3),
                limited_by: "fetching",
                ..Progress::default()
            }));
        }
    }
    Ok(())
}

/// The bytes of a photo, or why there are none.
async fn fetch(
    image: &ListedImage,
    store: &dyn object_store::ObjectStore,
) -> Result<Result<Bytes, String>, PipelineError> {
    if let Some(problem) = &image.problem {
        return Ok(Err(problem.clone()));
    }
    if image.size_bytes > LARGEST_BYTES {
        return Ok(Err(format!("it is larger than {LARGEST_BYTES} bytes")));
    }
    let read = async {
        match &image.part {
            Some(part) => {
                let range = part.offset..part.offset + image.size_bytes;
                let archive = object_store::path::Path::parse(part.archive.as_ref())?;
                store.get_range(&archive, range).await
            }
            None => {
                let path = object_store::path::Path::parse(&image.path)?;
                store.get(&path).await?.bytes().await
            }
        }
    };
    match read.await {
        Ok(bytes) => Ok(Ok(bytes)),
        Err(error) if pomona_store::is_fatal(&error) => {
            Err(pomona_engine::EngineError::Store(error).into())
        }
        Err(error) => Ok(Err(pomona_store::reason(&error))),
    }
}

/// Removes what unfinished work left in a run folder; gives how many files that were.
///
/// # Errors
/// Where another process works on it, and those of the store.
pub async fn clean(context: &Context, place: &Place) -> Result<u64, PipelineError> {
    crate::folder::RunFolder::open(place).await?;
    let folder = crate::folder::RunFolder::locked(context, place).await?;
    let cleaned = folder.place().clean().await;
    folder.release().await;
    Ok(cleaned?)
}
