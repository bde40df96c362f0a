//! What became of one photo?

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Int32Type, Int64Type};
use datafusion::prelude::{col, lit};
use pomona_engine::{FloatRows, Status};
use serde::Serialize;

use crate::error::PipelineError;
use crate::folder::RunFolder;
use crate::query::{table, texts};
use crate::run::Context;

/// What a run knows of one image.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Explanation {
    /// Path relative to the photos' folder.
    pub path: String,
    /// Its label, if the rule gave one.
    pub label: Option<String>,
    /// Size in bytes.
    pub size_bytes: i64,
    /// When it was last changed.
    pub last_modified: Option<String>,
    /// SHA-256 of its content, hex.
    pub content_sha256: Option<String>,
    /// Width of the upright image.
    pub width_px: Option<i32>,
    /// Height of the upright image.
    pub height_px: Option<i32>,
    /// As in the ledger.
    pub status: String,
    /// Why it has no features.
    pub error: Option<String>,
    /// Shard it belongs to.
    pub shard: Option<i32>,
    /// Key points in it, where features are visual words and it could be read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keypoints: Option<usize>,
    /// Its first components, where they were worked out.
    pub components: Vec<f32>,
    /// What a person can do about it.
    pub advice: Option<&'static str>,
}

/// Looks an image up in the ledger.
///
/// # Errors
/// [`PipelineError::NoSuchImage`], with paths that are much like it.
pub async fn why(
    context: &Context,
    folder: &RunFolder,
    path: &str,
) -> Result<Explanation, PipelineError> {
    let path = path.trim_start_matches("./");
    let images = table(context, folder, "images")
        .await?
        .ok_or_else(|| PipelineError::NotARun {
            folder: folder.place().shown(),
            reason: "its ledger is empty".to_owned(),
        })?;
    let found = images
        .clone()
        .filter(col("path").eq(lit(path)))?
        .select_columns(&[
            "label",
            "size_bytes",
            "last_modified",
            "content_sha256",
            "width",
            "height",
            "status",
            "error",
        ])?
        .collect()
        .await?;
    let Some(row) = found.iter().find(|batch| batch.num_rows() > 0) else {
        return Err(PipelineError::NoSuchImage {
            path: path.to_owned(),
            near: near(images, path).await?,
        });
    };
    let text =
        |index: usize| Ok::<_, PipelineError>(texts(row, index)?.into_iter().next().flatten());
    let number = |index: usize| {
        let column = row.column(index).as_primitive::<Int32Type>();
        column.is_valid(0).then(|| column.value(0))
    };
    let status = text(6)?.unwrap_or_default();
    let mut explanation = Explanation {
        path: path.to_owned(),
        label: text(0)?,
        size_bytes: row.column(1).as_primitive::<Int64Type>().value(0),
        last_modified: text(2)?,
        content_sha256: text(3)?,
        width_px: number(4),
        height_px: number(5),
        error: text(7)?,
        advice: Status::from_name(&status).and_then(advice),
        status,
        shard: None,
        keypoints: None,
        components: Vec::new(),
    };
    if let (Some(descriptors), true) = (
        table(context, folder, "descriptors").await?,
        explanation.status == Status::Ok.name(),
    ) {
        let found = descriptors
            .filter(col("path").eq(lit(path)))?
            .count()
            .await?;
        explanation.keypoints = Some(found);
    }
    if folder.manifest().is_file().await? {
        let manifest = pomona_engine::ParquetTable::open(
            &context.session,
            &[folder.manifest()],
            pomona_engine::Grouping::FileEach,
        )
        .await?;
        let shards = context
            .session
            .read_table(std::sync::Arc::new(manifest))?
            .filter(col("path").eq(lit(path)))?
            .select_columns(&["shard"])?
            .collect()
            .await?;
        explanation.shard = shards
            .iter()
            .find(|batch| batch.num_rows() > 0)
            .map(|batch| batch.column(0).as_primitive::<Int32Type>().value(0));
    }
    if let Some(reduced) = table(context, folder, "reduced").await? {
        let rows = reduced
            .filter(col("path").eq(lit(path)))?
            .select_columns(&["components"])?
            .collect()
            .await?;
        if let Some(batch) = rows.iter().find(|batch| batch.num_rows() > 0) {
            let values = FloatRows::read("why", batch.column(0), None)?;
            explanation.components = values
                .values()
                .iter()
                .copied()
                .take(values.columns())
                .collect();
        }
    }
    Ok(explanation)
}

/// Paths with the same file name, or that hold the words that were asked for.
async fn near(
    images: datafusion::prelude::DataFrame,
    path: &str,
) -> Result<Vec<String>, PipelineError> {
    let name = path.rsplit('/').next().unwrap_or(path);
    let escaped = name
        .replace('\\', r"\\")
        .replace('%', r"\%")
        .replace('_', r"\_");
    let found = images
        .filter(col("path").ilike(lit(format!("%{escaped}%"))))?
        .select_columns(&["path"])?
        .sort(vec![col("path").sort(true, false)])?
        .limit(0, Some(3))?
        .collect()
        .await?;
    let mut paths = Vec::new();
    for batch in &found {
        let column = cast(batch.column(0), &DataType::Utf8)
            .map_err(datafusion::error::DataFusionError::from)?;
        paths.extend(
            column
                .as_string::<i32>()
                .iter()
                .flatten()
                .map(str::to_owned),
        );
    }
    Ok(paths)
}

fn advice(status: Status) -> Option<&'static str> {
    match status {
        Status::Empty => Some("the file holds no bytes: copy it again from where it came"),
        Status::NotAnImage => {
            Some("the content is no image: leave it out with --glob, or remove it")
        }
        Status::UnsupportedFormat => Some("convert it to JPEG or PNG"),
        Status::Corrupt => Some("the file is damaged: copy it again from where it came"),
        Status::TooLarge => Some("raise --max-pixels or --max-bytes, or make it smaller"),
        Status::Unreadable => {
            Some("check that it is still there and that you may read it, then run again")
        }
        _ => None,
    }
}
