//! `moments.pomona`: the sums that a model is fitted from, kept beside the features that they are of.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::prelude::{col, lit};
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

/// Partial sums of moments of a run of usual size, at most. It follows from the input alone: results then do not depend
/// on the machine, not even in the last bit.
const PARTITIONS: usize = 4;
/// Files that are worth a partial sum of their own: passing one on and adding it up costs as much as some files.
const FILES_A_PARTITION: usize = 8;
/// Above so many files to each of the partitions there are more of them, for clusters, up to a bound on what is added up.
const FILES_OF_A_LARGE_RUN: usize = 1024;
const PARTITIONS_OF_A_LARGE_RUN: usize = 64;

pub(crate) fn partitions(files: usize) -> usize {
    let usual = files.div_ceil(FILES_A_PARTITION).clamp(1, PARTITIONS);
    usual.max((files / FILES_OF_A_LARGE_RUN).min(PARTITIONS_OF_A_LARGE_RUN))
}

/// Which rows were summed up, and what of them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Summed {
    /// The images.
    pub(crate) data: DataFingerprint,
    /// How their features came to be, as the files of features say.
    pub(crate) features: BTreeMap<String, String>,
    /// The generation of the run that they were last brought up to date with.
    pub(crate) generation: u32,
}

#[derive(Serialize, Deserialize)]
struct Header {
    pomona: String,
    kind: String,
    #[serde(flatten)]
    summed: Summed,
}

const KIND: &str = "moments";

/// Sums over the features of a run, and which those are.
struct Kept {
    moments: Moments,
    summed: Summed,
}

/// Writes the sums of all features of a run.
pub(crate) async fn save(
    file: &Place,
    moments: &Moments,
    summed: &Summed,
) -> Result<(), PipelineError> {
    let header = Header {
        pomona: env!("CARGO_PKG_VERSION").to_owned(),
        kind: KIND.to_owned(),
        summed: summed.clone(),
    };
    let header = serde_json::to_value(header).map_err(PipelineError::broken(file))?;
    let mut sealed = SealedFile::new(header);
    moments.write_into(&mut sealed);
    let bytes = sealed.to_bytes().map_err(PipelineError::broken(file))?;
    Ok(file.write_later(bytes).await?)
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
        let is_usable = header.kind == KIND && moments.count() == header.summed.data.rows;
        is_usable.then_some(Kept {
            moments,
            summed: header.summed,
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
        .filter(|kept| kept.summed.data == *data && kept.summed.features == *features)
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
    let query = context
        .session
        .read_table(Arc::new(table))?
        .aggregate(vec![], vec![moments_function().call(vec![col(column)])])?;
    let summed = context.collect("moments", query).await?;
    for batch in &summed {
        let column = batch.column(0).as_binary::<i64>();
        if !column.is_empty() && column.is_valid(0) {
            return Ok(Some(Moments::from_bytes(column.value(0))?));
        }
    }
    Ok(None)
}

/// Brings the kept sums up to date with a generation that begins at `first_shard`, before the rows `removed` are taken
/// out of the shards before it: what is new is added, what is gone subtracted.
///
/// The fingerprint is added to and subtracted from in the same steps, so sums that went wrong, by whatever was stopped
/// in between, are never taken for those of the run: the next fit sums up everything then.
///
/// Gives the sums of what is new, where they were made.
pub(crate) async fn update(
    context: &Context,
    folder: &RunFolder,
    generation: u32,
    first_shard: u32,
    removed: &BTreeMap<u32, HashSet<String>>,
) -> Result<Option<Moments>, PipelineError> {
    let file = folder.moments();
    let Some(mut kept) = load(&file).await? else {
        return Ok(None);
    };
    // Done already, before the run was stopped.
    if kept.summed.generation == generation {
        return Ok(None);
    }
    let new: Vec<Place> = folder
        .table("features")
        .await?
        .into_iter()
        .filter(|file| shard_number(file).is_some_and(|shard| shard >= first_shard))
        .collect();
    let is_same_kind = match new.first() {
        Some(first) => metadata_of(context, first).await? == kept.summed.features,
        // Descriptors become features later, by a codebook.
        None => folder.table("descriptors").await?.is_empty(),
    };
    let data = &kept.summed.data;
    let after = fingerprint_after(context, folder, data, first_shard, removed).await?;
    let (Some(after), true) = (after, is_same_kind) else {
        file.delete().await?;
        return Ok(None);
    };
    let added = sum(context, &new, "features").await?;
    if let Some(added) = &added {
        kept.moments.merge(added)?;
    }
    if !subtract(folder, &mut kept.moments, removed).await? || kept.moments.count() != after.rows {
        file.delete().await?;
        return Ok(added);
    }
    kept.summed.data = after;
    kept.summed.generation = generation;
    save(&file, &kept.moments, &kept.summed).await?;
    Ok(added)
}

/// Takes rows out of the kept sums before they are taken out of the shards. Sums that are not those of all rows are
/// given up.
pub(crate) async fn forget(
    context: &Context,
    folder: &RunFolder,
    removed: &BTreeMap<u32, HashSet<String>>,
) -> Result<(), PipelineError> {
    let file = folder.moments();
    let Some(mut kept) = load(&file).await? else {
        return Ok(());
    };
    let ledgers = folder.table("images").await?;
    let all_removed: HashSet<&str> = removed
        .values()
        .flat_map(|paths| paths.iter().map(String::as_str))
        .collect();
    let (mut gone, mut left) = (Fingerprint::default(), Fingerprint::default());
    add_images(context, &ledgers, &mut gone, |path| {
        all_removed.contains(path)
    })
    .await?;
    add_images(context, &ledgers, &mut left, |path| {
        !all_removed.contains(path)
    })
    .await?;
    let after = left.finish();
    // Done already, before it was interrupted.
    if kept.summed.data == after {
        return Ok(());
    }
    let mut before = Fingerprint::of(&kept.summed.data).unwrap_or_default();
    before.remove(&gone);
    let is_theirs = before.finish() == after;
    if !is_theirs || !subtract(folder, &mut kept.moments, removed).await? {
        return Ok(file.delete().await?);
    }
    kept.summed.data = after;
    save(&file, &kept.moments, &kept.summed).await
}

/// Subtracts the features of some rows; false where the sums have no such rows.
async fn subtract(
    folder: &RunFolder,
    moments: &mut Moments,
    removed: &BTreeMap<u32, HashSet<String>>,
) -> Result<bool, PipelineError> {
    for (shard, paths) in removed {
        let features = folder.table_file("features", *shard);
        if let Some(gone) = removed_features(&features, paths).await?
            && moments.subtract(&gone).is_err()
        {
            return Ok(false);
        }
    }
    Ok(true)
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

/// Which images have features once the shards from `first_shard` on are added to those that were summed up, and the
/// rows `removed` taken out; none where those that were summed up cannot be told.
async fn fingerprint_after(
    context: &Context,
    folder: &RunFolder,
    before: &DataFingerprint,
    first_shard: u32,
    removed: &BTreeMap<u32, HashSet<String>>,
) -> Result<Option<DataFingerprint>, PipelineError> {
    let Some(mut sum) = Fingerprint::of(before) else {
        return Ok(None);
    };
    let (mut new, mut gone) = (Vec::new(), Vec::new());
    for file in folder.table("images").await? {
        match shard_number(&file) {
            Some(shard) if shard >= first_shard => new.push(file),
            Some(shard) if removed.contains_key(&shard) => gone.push(file),
            _ => {}
        }
    }
    let all_removed: HashSet<&str> = removed
        .values()
        .flat_map(|paths| paths.iter().map(String::as_str))
        .collect();
    let mut taken = Fingerprint::default();
    add_images(context, &gone, &mut taken, |path| {
        all_removed.contains(path)
    })
    .await?;
    sum.remove(&taken);
    add_images(context, &new, &mut sum, |_| true).await?;
    Ok(Some(sum.finish()))
}

/// Adds the images with features in some ledgers, if they are wanted.
async fn add_images(
    context: &Context,
    ledgers: &[Place],
    sum: &mut Fingerprint,
    is_wanted: impl Fn(&str) -> bool,
) -> Result<(), PipelineError> {
    let Some(images) = query::over(context, ledgers).await? else {
        return Ok(());
    };
    let mut rows = images
        .filter(col("status").eq(lit(Status::Ok.name())))?
        .select_columns(&["path", "content_sha256"])?
        .execute_stream()
        .await?;
    while let Some(batch) = rows.try_next().await? {
        let paths = query::texts(&batch, 0)?;
        for (path, content) in paths.into_iter().zip(query::texts(&batch, 1)?) {
            if let (Some(path), Some(content)) = (path, content)
                && is_wanted(&path)
            {
                sum.add(&path, &content);
            }
        }
    }
    Ok(())
}
