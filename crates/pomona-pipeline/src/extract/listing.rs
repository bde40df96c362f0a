//! What is listed now, beside what was listed before.

use std::collections::HashSet;
use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::time::Instant;

use datafusion::prelude::{col, lit};
use futures::stream::{BoxStream, Peekable, StreamExt, TryStreamExt};
use pomona_engine::{ImageListing, ListedImage, Shard, ShardBuilder, Status};
use pomona_store::Place;
use tokio::sync::mpsc;

use super::growth::{Found, Growth};
use super::{ExtractSettings, Listed, Selection};
use crate::error::PipelineError;
use crate::folder::RunFolder;
use crate::forget;
use crate::manifest::{self, Known, ManifestWriter};
use crate::query;
use crate::run::Context;
use crate::started::Started;

/// Kept images that are written to the manifest at once.
const KEPT_AT_ONCE: usize = 1024;

type Base = Pin<Box<Peekable<BoxStream<'static, Result<Known, PipelineError>>>>>;

/// Photos, as they are listed.
pub(super) struct Photos<'a> {
    pub(super) place: &'a Place,
    pub(super) images: ImageListing,
}

/// Lists the photos beside those of the generation before, and sends the shards of what is new to be worked on.
///
/// The generation before is a run that ended: its manifest says what it held, and is not touched until this one ends
/// too. So a run that was stopped finds the same new images again, in the same shards.
pub(super) async fn list(
    context: &Context,
    photos: Photos<'_>,
    settings: &ExtractSettings,
    folder: &RunFolder,
    started: Started,
    listed: &Listed,
    sender: mpsc::Sender<Shard>,
) -> Result<Found, PipelineError> {
    let began = Instant::now();
    let before = folder.manifest_summary(context).await?;
    let is_next = before.is_some_and(|before| before.generation == started.generation);
    let mut growth = Growth::new(context, started, before.as_ref(), is_next);
    if !is_next {
        folder.unfinish().await?;
    }
    let base: BoxStream<'static, _> = match before {
        Some(_) => manifest::read(context, &folder.manifest()).await?,
        None => futures::stream::empty().boxed(),
    };
    let unreadable = match before {
        // Where the generation before says that all could be fetched, nobody need look.
        Some(_) if !growth.is_all_readable() => {
            unreadable(context, folder, growth.first_shard).await?
        }
        _ => HashSet::new(),
    };
    let mut base: Base = Box::pin(base.peekable());
    let mut images = photos.images.map_err(PipelineError::from);
    // Then everything else stays as it is, whatever became of it.
    let only_unreadable = settings.selection == Selection::Unreadable && before.is_some();
    let forgotten = forget::forgotten(folder).await?;
    let mut builder = ShardBuilder::new(settings.shard_size, growth.first_shard);
    let mut manifest = ManifestWriter::create(folder.manifest(), growth.generation.number)?;
    let mut kept = Vec::new();
    while let Some(image) = images.try_next().await? {
        if !forgotten.is_empty() && forgotten.contains(&forget::path_hash(&image.path)) {
            continue;
        }
        while let Some(gone) = next_before(&mut base, &image.path).await? {
            if only_unreadable {
                kept.push(gone);
            } else {
                growth.vanished(&gone);
            }
        }
        let known = next_same(&mut base, &image.path).await?;
        if only_unreadable && known.is_none() {
            continue;
        }
        listed.images.fetch_add(1, Ordering::Relaxed);
        match known {
            Some(known)
                if stays(&known, &image, &unreadable)
                    || (only_unreadable && !unreadable.contains(&image.path)) =>
            {
                kept.push(known);
                if kept.len() >= KEPT_AT_ONCE {
                    manifest.write_known(&kept).await?;
                    kept.clear();
                }
                listed.done_before.fetch_add(1, Ordering::Relaxed);
                continue;
            }
            Some(known) => growth.changed(&known),
            None => growth.generation.new += 1,
        }
        if let Some(shard) = builder.push(image) {
            add(folder, &mut growth, &mut manifest, listed, &sender, shard).await?;
        }
    }
    if listed.images.load(Ordering::Relaxed) == 0 {
        // Photos that are all gone at once are more likely a place that was not there than photos that were removed.
        return Err(PipelineError::NothingToDo {
            what: format!(
                "{} holds no files to read (hidden ones do not count)",
                photos.place
            ),
        });
    }
    while let Some(gone) = base.as_mut().try_next().await? {
        if only_unreadable {
            kept.push(gone);
        } else {
            growth.vanished(&gone);
        }
    }
    if let Some(shard) = builder.finish() {
        add(folder, &mut growth, &mut manifest, listed, &sender, shard).await?;
    }
    manifest.write_known(&kept).await?;
    if !growth.removed.is_empty() {
        growth.advance(folder).await?;
    }
    listed.ended.store(true, Ordering::Relaxed);
    growth.next_shard = builder.next();
    growth.generation.shards = u64::from(builder.next() - growth.first_shard);
    Ok(Found {
        growth,
        manifest: Some(manifest),
        seconds: began.elapsed().as_secs_f64(),
    })
}

/// Sends a shard of new images, if it was not done before the run was stopped.
async fn add(
    folder: &RunFolder,
    growth: &mut Growth,
    manifest: &mut ManifestWriter,
    listed: &Listed,
    sender: &mpsc::Sender<Shard>,
    shard: Shard,
) -> Result<(), PipelineError> {
    growth.advance(folder).await?;
    manifest.write(&shard.images, shard.index).await?;
    if growth.may_be_done && folder.is_done(&shard).await? {
        let images = shard.images.len() as u64;
        listed.done_before.fetch_add(images, Ordering::Relaxed);
        return Ok(());
    }
    growth.is_changed = true;
    // Where nobody takes it any more, the work was stopped.
    sender
        .send(shard)
        .await
        .map_err(|_| PipelineError::Interrupted)
}

/// Whether the image needs no work: it is listed as before, and could be fetched then, or cannot be now.
fn stays(known: &Known, image: &ListedImage, unreadable: &HashSet<String>) -> bool {
    known.is(image) && (image.problem.is_some() || !unreadable.contains(&image.path))
}

async fn next_before(base: &mut Base, path: &str) -> Result<Option<Known>, PipelineError> {
    take_if(base, |known| known.image.path.as_str() < path).await
}

async fn next_same(base: &mut Base, path: &str) -> Result<Option<Known>, PipelineError> {
    take_if(base, |known| known.image.path == path).await
}

async fn take_if(
    base: &mut Base,
    is_wanted: impl Fn(&Known) -> bool,
) -> Result<Option<Known>, PipelineError> {
    let is_next = match base.as_mut().peek().await {
        Some(Ok(known)) => is_wanted(known),
        Some(Err(_)) => true,
        None => false,
    };
    if is_next {
        base.as_mut().try_next().await
    } else {
        Ok(None)
    }
}

/// Paths of the shards before `first_shard` that could not be fetched.
async fn unreadable(
    context: &Context,
    folder: &RunFolder,
    first_shard: u32,
) -> Result<HashSet<String>, PipelineError> {
    let mut files = folder.table("images").await?;
    files.retain(|file| crate::folder::shard_number(file).is_some_and(|shard| shard < first_shard));
    let Some(images) = query::over(context, &files).await? else {
        return Ok(HashSet::new());
    };
    let rows = images
        .filter(col("status").eq(lit(Status::Unreadable.name())))?
        .select_columns(&["path"])?
        .collect()
        .await?;
    let mut paths = HashSet::new();
    for batch in &rows {
        paths.extend(query::texts(batch, 0)?.into_iter().flatten());
    }
    Ok(paths)
}
