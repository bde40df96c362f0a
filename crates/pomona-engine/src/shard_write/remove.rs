//! A shard's file without some of its rows.

use std::collections::HashSet;

use bytes::Bytes;
use datafusion::arrow::array::{AsArray, BooleanArray, RecordBatch};
use datafusion::arrow::compute::{cast, filter_record_batch, not};
use datafusion::arrow::datatypes::DataType;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::files::{column, encode};
use crate::error::EngineError;

/// What is left of a file, and what was taken out of it.
#[derive(Debug, Clone)]
pub struct Remainder {
    /// The file without the rows, encoded as all files of shards are.
    pub content: Vec<u8>,
    /// Rows in it.
    pub rows: usize,
    /// The rows that are gone.
    pub removed: Vec<RecordBatch>,
}

/// Takes the rows of some paths out of a Parquet file with a column `path`; none where it has no such rows.
///
/// # Errors
/// When the file is no Parquet file, or has no column `path`.
pub fn without_rows(
    file: Bytes,
    paths: &HashSet<String>,
) -> Result<Option<Remainder>, EngineError> {
    let builder = ParquetRecordBatchReaderBuilder::try_new(file)
        .map_err(datafusion::error::DataFusionError::from)?;
    let schema = builder.schema().clone();
    let reader = builder
        .build()
        .map_err(datafusion::error::DataFusionError::from)?;
    let (mut kept, mut removed) = (Vec::new(), Vec::new());
    for batch in reader {
        let batch = batch.map_err(datafusion::error::DataFusionError::from)?;
        let names = cast(column(&batch, "path")?, &DataType::Utf8)
            .map_err(datafusion::error::DataFusionError::from)?;
        let is_gone: BooleanArray = names
            .as_string::<i32>()
            .iter()
            .map(|path| Some(path.is_some_and(|path| paths.contains(path))))
            .collect();
        let filtered = |mask: &BooleanArray| {
            filter_record_batch(&batch, mask).map_err(datafusion::error::DataFusionError::from)
        };
        if is_gone.true_count() > 0 {
            removed.push(filtered(&is_gone)?);
        }
        let is_kept = not(&is_gone).map_err(datafusion::error::DataFusionError::from)?;
        if is_kept.true_count() > 0 {
            kept.push(filtered(&is_kept)?);
        }
    }
    if removed.is_empty() {
        return Ok(None);
    }
    Ok(Some(Remainder {
        content: encode(&schema, &kept)?,
        rows: kept.iter().map(RecordBatch::num_rows).sum(),
        removed,
    }))
}
