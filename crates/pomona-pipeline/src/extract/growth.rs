//! What a listing found beside what was there, and what becomes of it.

use std::collections::{BTreeMap, HashSet};

use futures::{StreamExt, TryStreamExt};
use pomona_engine::{Status, without_rows};
use pomona_learn::Moments;
use pomona_store::Place;

use crate::error::PipelineError;
use crate::folder::{RunFolder, TABLES};
use crate::manifest::{Known, ManifestSummary, ManifestWriter};
use crate::moments;
use crate::record::now;
use crate::run::Context;
use crate::started::{Generation, Started};

/// Shards from which rows are taken at once.
const SHARDS_AT_ONCE: usize = 8;

/// What a listing found beside what was there.
#[derive(Debug, Clone, Default)]
pub(crate) struct Growth {
    started: Started,
    /// The generation that this is, or will be once something new is found.
    pub(crate) generation: Generation,
    pub(crate) first_shard: u32,
    pub(crate) next_shard: u32,
    /// Rows of earlier generations that are gone or were worked out anew, by shard.
    pub(crate) removed: BTreeMap<u32, HashSet<String>>,
    /// Sums of the new features, where they were made on the way.
    pub(crate) added: Option<Moments>,
    /// Whether shards of the generation may be there already.
    pub(super) may_be_done: bool,
    /// Whether anything is, or was, worked out or removed.
    pub(crate) is_changed: bool,
    is_begun: bool,
    is_first: bool,
    /// Whether other processes write the shards.
    has_other_writers: bool,
}

impl Growth {
    pub(super) fn new(
        context: &Context,
        started: Started,
        before: Option<&ManifestSummary>,
        is_next: bool,
    ) -> Self {
        let (number, first_shard) = match before {
            Some(before) if is_next => (started.generation + 1, before.shards),
            _ => (started.generation, started.first_shard),
        };
        Self {
            generation: Generation {
                number,
                ..Generation::default()
            },
            first_shard,
            may_be_done: true,
            is_changed: !is_next,
            is_begun: !is_next,
            is_first: before.is_none(),
            has_other_writers: context.runner.is_remote(),
            started,
            ..Self::default()
        }
    }

    /// Whether the generations that ended could fetch all their images.
    pub(super) fn is_all_readable(&self) -> bool {
        self.started.counts.get(Status::Unreadable.name()) == Some(&0)
    }

    pub(super) fn vanished(&mut self, known: &Known) {
        self.generation.vanished += 1;
        self.remove(known);
    }

    pub(super) fn changed(&mut self, known: &Known) {
        self.generation.changed += 1;
        self.remove(known);
    }

    fn remove(&mut self, known: &Known) {
        self.removed
            .entry(known.shard.unsigned_abs())
            .or_default()
            .insert(known.image.path.clone());
    }

    /// Writes down that the generation has begun, before anything of it is.
    pub(super) async fn advance(&mut self, folder: &RunFolder) -> Result<(), PipelineError> {
        self.is_changed = true;
        if self.is_begun {
            return Ok(folder.place().settle().await?);
        }
        self.is_begun = true;
        folder.fetch_ahead().await?;
        self.started.generation = self.generation.number;
        self.started.first_shard = self.first_shard;
        folder.begin_generation(&self.started).await?;
        if self.has_other_writers {
            // They know nothing of what is on its way from here.
            folder.place().settle().await?;
        }
        Ok(())
    }
}

/// A listing that ended, and whose new shards are on their way.
pub(super) struct Found {
    pub(super) growth: Growth,
    pub(super) manifest: Option<ManifestWriter>,
    pub(super) seconds: f64,
}

impl Found {
    /// All new shards are done: brings the moments up to date, removes the rows that are gone, and makes the manifest
    /// appear, which says that the generation is whole.
    pub(super) async fn finish(
        mut self,
        context: &Context,
        folder: &RunFolder,
    ) -> Result<Growth, PipelineError> {
        let mut growth = self.growth;
        let manifest = self.manifest.take();
        if !growth.is_begun {
            if let Some(manifest) = manifest {
                manifest.abandon().await;
            }
            return Ok(growth);
        }
        folder.remove_beyond(growth.next_shard).await?;
        growth.generation.when = now();
        if !growth.is_first {
            let (number, first) = (growth.generation.number, growth.first_shard);
            growth.added = moments::update(context, folder, number, first, &growth.removed).await?;
            remove_rows(folder, &growth.removed).await?;
        }
        if let Some(manifest) = manifest {
            manifest.finish().await?;
        }
        Ok(growth)
    }
}

/// Takes rows out of all tables of some shards; a shard without any left goes. Doing it twice is no different from once.
pub(crate) async fn remove_rows(
    folder: &RunFolder,
    removed: &BTreeMap<u32, HashSet<String>>,
) -> Result<(), PipelineError> {
    futures::stream::iter(removed)
        .map(|(shard, paths)| remove_from(folder, *shard, paths))
        .buffer_unordered(SHARDS_AT_ONCE)
        .try_collect()
        .await
}

async fn remove_from(
    folder: &RunFolder,
    shard: u32,
    paths: &HashSet<String>,
) -> Result<(), PipelineError> {
    let ledger = folder.table_file("images", shard);
    let is_empty = match ledger.read_if_there().await? {
        Some(bytes) => without_rows(bytes, paths)?.is_some_and(|rest| rest.rows == 0),
        None => false,
    };
    // The ledger last: while it has the row, the others are looked at again.
    for table in TABLES.iter().rev() {
        let file = folder.table_file(table, shard);
        if is_empty {
            file.delete().await?;
        } else {
            rewrite_without(&file, paths).await?;
        }
    }
    Ok(())
}

async fn rewrite_without(file: &Place, paths: &HashSet<String>) -> Result<(), PipelineError> {
    let Some(bytes) = file.read_if_there().await? else {
        return Ok(());
    };
    if let Some(rest) = without_rows(bytes, paths)? {
        file.write(rest.content).await?;
    }
    Ok(())
}
