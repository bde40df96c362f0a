//! `moments.pomona`: the sums that a model is fitted from, kept beside the features that they are of.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::prelude::col;
use futures::TryStreamExt;
use pomona_engine::{FloatRows, Grouping, ParquetTable, Status, moments_function, without_rows};
use pomona_learn::{Moments, SealedFile};
use pomona_store::Place;
use serde::{Deserialize, Serialize};

use crate::error::PipelineError;
use crate::fingerprint::Fingerprint;
use crate::folder::{RunFolder, shard_number};
use crate::model::DataFingerprint;
use crate::query;
use crate::run::Context;

/// Partial sums of moments at once, at most. It follows from the input alone: results then do not depend on the
/// machine, not even in the last bit.
const PARTITIONS: usize = 4;
/// Files that are worth a partial sum of their own: passing one on and adding it up costs as much as some files.
const FILES_A_PARTITION: usize = 8;

pub(crate) fn partitions(files: usize) -> usize {
    files.div_ceil(FILES_A_PARTITION).clamp(1, PARTITIONS)
}

#[derive(Serialize, Deserialize)]
struct Header {
    pomona: String,
    kind: String,
    /// The rows that were summed up.
    data: DataFingerprint,
    /// How their features came to be, as the files of features say.
    features: BTreeMap<String, String>,
}

const KIND: &str = "moments";

/// Sums over the features of a run, and which those are.
pub(crate) struct Kept {
    pub(crate) moments: Moments,
    data: DataFingerprint,
    features: BTreeMap<String, String>,
}

/// Writes the sums of all features of a run.
pub(crate) async fn save(
    file: &Place,
    moments: &Moments,
    data: &DataFingerprint,
    features: &BTreeMap<String, String>,
) -> Result<(), PipelineError> {
    let header = Header {
        pomona: env!("CARGO_PKG_VERSION").to_owned(),
        kind: KIND.to_owned(),
        data: data.clone(),
        features: features.clone(),
    };
    let header = serde_json::to_value(header).map_err(PipelineError::broken(file))?;
    let mut sealed = SealedFile::new(header);
    moments.write_into(&mut sealed);
    let bytes = sealed.to_bytes().map_err(PipelineError::broken(file))?;
    Ok(file.write(bytes).await?)
}

/// Reads the sums; none where there are none, or none that can be used: they can be made anew.
async fn load(file: &Place) -> Result<Option<Kept>, PipelineError> {
    let Some(bytes) = file.read_if_there().await? else {
        return Ok(None);
    };
    let read = || {
        let sealed = SealedFile::from_bytes(&bytes).ok()?;
        let header = Header::deserialize(&sealed.header).ok()?;
        let moments = Moments::read_from(&sealed).ok()?;
        (header.kind == KIND && moments.count() == header.data.rows).then_some(Kept {
            moments,
            data: header.data,
            features: header.features,
        })
    };
    Ok(read())
}

/// The sums of exactly these rows and features, where they are kept.
pub(crate) async fn of(
    file: &Place,
    data: &DataFingerprint,
    features: &BTreeMap<String, String>,
) -> Result<Option<Moments>, PipelineError> {
    Ok(load(file)
        .await?
        .filter(|kept| kept.data == *data && kept.features == *features)
        .map(|kept| kept.moments))
}

/// Schema metadata of a table's files.
async fn metadata_of(
    context: &Context,
    file: &Place,
) -> Result<BTreeMap<String, String>, PipelineError> {
    let files = [file.clone()];
    let table = ParquetTable::open(&context.session, &files, Grouping::FileEach).await?;
    let schema = datafusion::catalog::TableProvider::schema(&table);
    Ok(schema
        .metadata()
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect())
}

/// Sums up the features in some files; none where they have no rows.
pub(crate) async fn sum(
    context: &Context,
    files: &[Place],
    column: impl Into<datafusion::common::Column>,
) -> Result<Option<Moments>, PipelineError> {
    if files.is_empty() {
        return Ok(None);
    }
    let groups = Grouping::AtMost(partitions(files.len()));
    let table = ParquetTable::open(&context.session, files, groups).await?;
    let summed = context
        .session
        .read_table(Arc::new(table))?
        .aggregate(vec![], vec![moments_function().call(vec![col(column)])])?
        .collect()
        .await?;
    for batch in &summed {
        let column = batch.column(0).as_binary::<i64>();
        if !column.is_empty() && column.is_valid(0) {
            return Ok(Some(Moments::from_bytes(column.value(0))?));
        }
    }
    Ok(None)
}

/// Brings the kept sums up to date with a generation that begins at `first_shard`, before the rows `removed` are taken
/// out of the shards before it: what is new is added, what is gone subtracted. Where the kept sums are not those of
/// the run as it was, they are given up, and the next fit sums up everything.
pub(crate) async fn update(
    context: &Context,
    folder: &RunFolder,
    first_shard: u32,
    removed: &BTreeMap<u32, HashSet<String>>,
) -> Result<(), PipelineError> {
    let file = folder.moments();
    let Some(mut kept) = load(&file).await? else {
        return Ok(());
    };
    let (before, after) = fingerprints(context, folder, first_shard, removed).await?;
    if kept.data == after {
        return Ok(());
    }
    let new: Vec<Place> = folder
        .table("features")
        .await?
        .into_iter()
        .filter(|file| shard_number(file).is_some_and(|shard| shard >= first_shard))
        .collect();
    let is_same_kind = match new.first() {
        Some(first) => metadata_of(context, first).await? == kept.features,
        // Descriptors become features later, by a codebook.
        None => false,
    };
    let is_only_removal = new.is_empty() && folder.table("descriptors").await?.is_empty();
    if kept.data != before || !(is_same_kind || is_only_removal) {
        return Ok(file.delete().await?);
    }
    if let Some(added) = sum(context, &new, "features").await? {
        kept.moments.merge(&added)?;
    }
    for (shard, paths) in removed {
        let features = folder.table_file("features", *shard);
        if let Some(gone) = removed_features(&features, paths).await? {
            kept.moments.subtract(&gone)?;
        }
    }
    if kept.moments.count() != after.rows {
        return Ok(file.delete().await?);
    }
    save(&file, &kept.moments, &after, &kept.features).await
}

/// The sums of the rows of some paths.
async fn removed_features(
    file: &Place,
    paths: &HashSet<String>,
) -> Result<Option<Moments>, PipelineError> {
    let Some(bytes) = file.read_if_there().await? else {
        return Ok(None);
    };
    let Some(rest) = without_rows(bytes, paths)? else {
        return Ok(None);
    };
    let mut moments: Option<Moments> = None;
    for batch in &rest.removed {
        let Some(lists) = batch.column_by_name("features") else {
            return Ok(None);
        };
        let rows = FloatRows::read("forget", lists, None)?;
        moments
            .get_or_insert_with(|| Moments::new(rows.columns()))
            .update(rows.values())?;
    }
    Ok(moments)
}

/// Which images have features: in the shards before `first_shard`, and in all shards but for the rows `removed`.
async fn fingerprints(
    context: &Context,
    folder: &RunFolder,
    first_shard: u32,
    removed: &BTreeMap<u32, HashSet<String>>,
) -> Result<(DataFingerprint, DataFingerprint), PipelineError> {
    let (mut before, mut after) = (Fingerprint::default(), Fingerprint::default());
    let mut add = |path: &str, content: &str, is_new: bool, is_gone: bool| {
        if !is_new {
            before.add(path, content);
        }
        if !is_gone {
            after.add(path, content);
        }
    };
    let all_removed: HashSet<&str> = removed
        .values()
        .flat_map(|paths| paths.iter().map(String::as_str))
        .collect();
    for is_new in [false, true] {
        let mut files = folder.table("images").await?;
        files.retain(|file| {
            shard_number(file).is_some_and(|shard| (shard >= first_shard) == is_new)
        });
        let Some(images) = query::over(context, &files).await? else {
            continue;
        };
        let mut rows = images
            .select_columns(&["path", "content_sha256", "status"])?
            .execute_stream()
            .await?;
        while let Some(batch) = rows.try_next().await? {
            let (paths, contents, statuses) = (
                query::texts(&batch, 0)?,
                query::texts(&batch, 1)?,
                query::texts(&batch, 2)?,
            );
            for ((path, content), status) in paths.into_iter().zip(contents).zip(statuses) {
                if let (Some(path), Some(content), Some(Status::Ok)) =
                    (path, content, status.as_deref().and_then(Status::from_name))
                {
                    let is_gone = !is_new && all_removed.contains(path.as_str());
                    add(&path, &content, is_new, is_gone);
                }
            }
        }
    }
    Ok((before.finish(), after.finish()))
}
