//! A photo is removed from everything that a run holds.

use std::collections::{BTreeMap, HashSet};

use datafusion::prelude::{Expr, col, lit};
use futures::TryStreamExt;
use pomona_store::Place;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::PipelineError;
use crate::extract::remove_rows;
use crate::folder::{RECEIPTS, RunFolder, TABLES, shard_number, write_json};
use crate::manifest::{self, ManifestWriter};
use crate::model::ModelFile;
use crate::moments;
use crate::query;
use crate::record::{RunRecord, now};
use crate::report::{Gathered, report_of};
use crate::results;
use crate::run::Context;

/// Which photos are forgotten.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ForgetRequest {
    /// Paths, relative to the photos' folder.
    pub paths: Vec<String>,
    /// SHA-256 of contents, hex.
    pub contents: Vec<String>,
}

/// What was forgotten.
#[derive(Debug, Clone)]
pub struct Forgotten {
    /// Images whose rows are gone.
    pub images: u64,
    /// The run.
    pub run: Place,
    /// The receipt.
    pub receipt: Place,
}

/// A receipt. It names nothing but hashes, so it can be kept.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Receipt {
    /// When, RFC 3339.
    when: String,
    /// Version of the program.
    pomona: String,
    /// Each image by the SHA-256 of its path and of its content, hex.
    forgotten: Vec<ForgottenImage>,
    /// Rows removed, by table.
    rows_removed: BTreeMap<String, u64>,
    /// What became of the sums that the model is fitted from.
    moments: String,
    /// What still holds traces that no row can be taken out of.
    remains: Vec<String>,
    /// SHA-256 of the receipt before; empty for the first. So none can be taken out unseen.
    previous_sha256: String,
    /// SHA-256 of this receipt with this field empty.
    receipt_sha256: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ForgottenImage {
    path_sha256: String,
    content_sha256: Option<String>,
}

/// What is being forgotten, until the receipt is there.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Pending {
    rows: Vec<Row>,
    rows_removed: BTreeMap<String, u64>,
    /// `run.json`, which is not there meanwhile.
    record: Option<RunRecord>,
}

/// A row of the ledger that is to go.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Row {
    path: String,
    content: Option<String>,
    shard: u32,
}

/// SHA-256 of a path, as receipts name it, hex.
pub(crate) fn path_hash(path: &str) -> String {
    hex(&Sha256::digest(path.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The paths that were forgotten, by their hashes.
pub(crate) async fn forgotten(folder: &RunFolder) -> Result<HashSet<String>, PipelineError> {
    let mut hashes = HashSet::new();
    for (_, receipt) in receipts(folder).await? {
        hashes.extend(receipt.forgotten.into_iter().map(|image| image.path_sha256));
    }
    let pending = pending(folder).await?;
    hashes.extend(pending.rows.iter().map(|row| path_hash(&row.path)));
    Ok(hashes)
}

fn pending_file(folder: &RunFolder) -> Place {
    folder.place().join(RECEIPTS).join("pending.json")
}

/// What an interrupted request was about to forget.
async fn pending(folder: &RunFolder) -> Result<Pending, PipelineError> {
    let file = pending_file(folder);
    match file.read_if_there().await? {
        Some(bytes) => serde_json::from_slice(&bytes).map_err(PipelineError::broken(&file)),
        None => Ok(Pending::default()),
    }
}

async fn receipts(folder: &RunFolder) -> Result<Vec<(Place, Receipt)>, PipelineError> {
    let mut receipts = Vec::new();
    for file in folder.place().join(RECEIPTS).files().await? {
        if !file.name().starts_with("forgotten-") {
            continue;
        }
        let receipt =
            serde_json::from_slice(&file.read().await?).map_err(PipelineError::broken(&file))?;
        receipts.push((file, receipt));
    }
    Ok(receipts)
}

/// Removes photos from every table of a run, from its manifest, its sums, its components, `results.csv` and its
/// report, and leaves a receipt in `forgotten/`. Later runs in the folder leave the paths out, even if the photos are
/// still there.
///
/// What was interrupted is gone on with by the next request, whatever that asks for.
///
/// # Errors
/// [`PipelineError::NoSuchImage`] where the run has none of them, [`PipelineError::Incomplete`] where it did not end.
pub async fn forget(
    context: &Context,
    place: &Place,
    request: &ForgetRequest,
) -> Result<Forgotten, PipelineError> {
    RunFolder::open(place).await?;
    let folder = RunFolder::locked(context, place).await?;
    let outcome = remove(context, &folder, request).await;
    folder.release().await;
    outcome
}

async fn remove(
    context: &Context,
    folder: &RunFolder,
    request: &ForgetRequest,
) -> Result<Forgotten, PipelineError> {
    let before = pending(folder).await?;
    if before.rows.is_empty() {
        folder.check_complete(context).await?;
    }
    let record = folder.record().await.ok().or(before.record);
    let mut rows = rows(context, folder, request, &before.rows).await?;
    let mut rows_removed = count(context, folder, &rows).await?;
    for (table, rows) in before.rows_removed {
        *rows_removed.entry(table).or_default() += rows;
    }
    for row in before.rows {
        if !rows.iter().any(|other| other.path == row.path) {
            rows.push(row);
        }
    }
    // From here on it is known what is to go, whatever happens.
    let pending = Pending {
        rows: rows.clone(),
        rows_removed: rows_removed.clone(),
        record: record.clone(),
    };
    write_json(&pending_file(folder), &pending).await?;
    folder.unfinish().await?;
    let mut removed: BTreeMap<u32, HashSet<String>> = BTreeMap::new();
    for row in &rows {
        removed
            .entry(row.shard)
            .or_default()
            .insert(row.path.clone());
    }
    let all: HashSet<&str> = rows.iter().map(|row| row.path.as_str()).collect();
    let had_moments = folder.moments().is_file().await?;
    moments::forget(context, folder, &removed).await?;
    let has_moments = folder.moments().is_file().await?;
    remove_rows(folder, &removed).await?;
    rewrite_manifest(context, folder, &all).await?;
    // They count what is no more; a run with --per label makes them again.
    for name in ["words_by_label.csv", "words_by_label.parquet"] {
        folder.place().join(name).delete().await?;
    }
    let csv = folder.place().join("results.csv");
    if csv.is_file().await? {
        let model = ModelFile::load(&folder.model()).await?;
        results::write(context, folder.place(), &model, &csv, None, None).await?;
        folder.place().settle().await?;
    }
    if let Some(mut record) = record {
        record.counts = query::counts_by_status(folder).await?;
        if folder.report().is_file().await? {
            report_of(context, folder, record.clone(), Gathered::default()).await?;
        }
        folder.write_record(&record).await?;
    }
    if let Some(mut started) = folder.started().await? {
        started.forgotten += rows.len() as u64;
        folder.write_started(&started).await?;
    }
    let mut remains = vec![
        "the photo itself, where it lies".to_owned(),
        "files outside the run folder, such as those of --per-image-csv".to_owned(),
    ];
    if folder.model().is_file().await? {
        remains.push(
            "model.pomona: means, deviations and components to which the image contributed, until a run with --refit"
                .to_owned(),
        );
    }
    let told = match (had_moments, has_moments) {
        (false, _) => "there were none",
        (true, true) => "subtracted",
        (true, false) => "removed; the next fit sums up everything anew",
    };
    let receipt = write_receipt(folder, &rows, rows_removed, told, remains).await?;
    pending_file(folder).delete().await?;
    Ok(Forgotten {
        images: rows.len() as u64,
        run: folder.place().clone(),
        receipt,
    })
}

/// The rows of the ledger that are asked for.
async fn rows(
    context: &Context,
    folder: &RunFolder,
    request: &ForgetRequest,
    pending: &[Row],
) -> Result<Vec<Row>, PipelineError> {
    let list = |values: &[String]| -> Vec<Expr> {
        values.iter().map(|value| lit(value.as_str())).collect()
    };
    let paths: Vec<String> = request
        .paths
        .iter()
        .map(|path| path.trim_start_matches("./").to_owned())
        .collect();
    let contents: Vec<String> = request
        .contents
        .iter()
        .map(|hash| hash.to_ascii_lowercase())
        .collect();
    let wanted = col("path")
        .in_list(list(&paths), false)
        .or(col("content_sha256").in_list(list(&contents), false));
    let mut rows = Vec::new();
    for file in folder.table("images").await? {
        let Some(shard) = shard_number(&file) else {
            continue;
        };
        let Some(images) = query::over(context, std::slice::from_ref(&file)).await? else {
            continue;
        };
        let found = images
            .filter(wanted.clone())?
            .select_columns(&["path", "content_sha256"])?
            .collect()
            .await?;
        for batch in &found {
            let names = query::texts(batch, 0)?;
            for (path, content) in names.into_iter().zip(query::texts(batch, 1)?) {
                rows.extend(path.map(|path| Row {
                    path,
                    content,
                    shard,
                }));
            }
        }
    }
    let known = || rows.iter().chain(pending);
    let missing = paths
        .iter()
        .find(|path| !known().any(|row| row.path == **path))
        .or_else(|| {
            contents
                .iter()
                .find(|hash| !known().any(|row| row.content.as_ref() == Some(*hash)))
        });
    match missing {
        Some(missing) => Err(PipelineError::NoSuchImage {
            path: missing.clone(),
            near: Vec::new(),
        }),
        None => Ok(rows),
    }
}

/// Rows that will go, by table.
async fn count(
    context: &Context,
    folder: &RunFolder,
    rows: &[Row],
) -> Result<BTreeMap<String, u64>, PipelineError> {
    let paths: Vec<Expr> = rows.iter().map(|row| lit(row.path.as_str())).collect();
    let mut counts = BTreeMap::new();
    for table in TABLES {
        if let Some(rows) = query::table(context, folder, table).await? {
            let found = rows
                .filter(col("path").in_list(paths.clone(), false))?
                .count()
                .await?;
            counts.insert(table.to_owned(), found as u64);
        }
    }
    Ok(counts)
}

/// The same manifest without some paths.
async fn rewrite_manifest(
    context: &Context,
    folder: &RunFolder,
    gone: &HashSet<&str>,
) -> Result<(), PipelineError> {
    let Some(summary) = folder.manifest_summary(context).await? else {
        return Ok(());
    };
    let mut known = manifest::read(context, &folder.manifest()).await?;
    let mut writer = ManifestWriter::create(folder.manifest(), summary.generation)?;
    while let Some(row) = known.try_next().await? {
        if !gone.contains(row.image.path.as_str()) {
            writer.write_known(&[row]).await?;
        }
    }
    writer.finish().await
}

async fn write_receipt(
    folder: &RunFolder,
    rows: &[Row],
    rows_removed: BTreeMap<String, u64>,
    moments: &str,
    remains: Vec<String>,
) -> Result<Place, PipelineError> {
    let before = receipts(folder).await?;
    // One that was taken away leaves its number unused: the next one must not look like it.
    let number = before.last().map_or(0, |(file, _)| {
        let name = file.name();
        let digits = name
            .trim_start_matches("forgotten-")
            .trim_end_matches(".json");
        digits.parse::<u32>().map_or(0, |number| number + 1)
    });
    let file = folder
        .place()
        .join(&format!("{RECEIPTS}/forgotten-{number:05}.json"));
    let mut receipt = Receipt {
        when: now(),
        pomona: env!("CARGO_PKG_VERSION").to_owned(),
        forgotten: rows
            .iter()
            .map(|row| ForgottenImage {
                path_sha256: path_hash(&row.path),
                content_sha256: row.content.clone(),
            })
            .collect(),
        rows_removed,
        moments: moments.to_owned(),
        remains,
        previous_sha256: before
            .last()
            .map(|(_, receipt)| receipt.receipt_sha256.clone())
            .unwrap_or_default(),
        receipt_sha256: String::new(),
    };
    let content = serde_json::to_vec(&receipt).map_err(PipelineError::broken(&file))?;
    receipt.receipt_sha256 = hex(&Sha256::digest(&content));
    write_json(&file, &receipt).await?;
    Ok(file)
}
