//! Columns of small Parquet files, each file read in one piece.

use bytes::Bytes;
use datafusion::arrow::array::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::parquet::arrow::ProjectionMask;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use futures::stream::{BoxStream, StreamExt};
use pomona_store::Place;

use crate::error::EngineError;

/// Files on their way or being decoded at once, at most.
const FILES_AT_ONCE: usize = 32;
/// Their bytes, about.
const BYTES_AT_ONCE: u64 = 64 << 20;
/// Rows in a batch, at most: a shard is one batch.
const BATCH_ROWS: usize = 8192;

/// Reads some columns of Parquet files, several files at a time: the batches of each file, in the order of the files.
///
/// Each file is fetched whole, in one request where it is in a bucket; a plan would ask for its footer first, then for
/// each column. For files of which most is wanted, or that are small. Begin it in a runtime.
///
/// # Errors
/// [`EngineError::NotParquet`] for a file that is none, and those of the store.
pub async fn scan_columns(
    files: &[Place],
    columns: &'static [&'static str],
) -> Result<BoxStream<'static, Result<Vec<RecordBatch>, EngineError>>, EngineError> {
    let mut largest = 1;
    for file in files {
        largest = largest.max(file.meta().await?.map_or(0, |meta| meta.size));
    }
    let fitting = usize::try_from(BYTES_AT_ONCE / largest).unwrap_or(FILES_AT_ONCE);
    Ok(futures::stream::iter(files.to_vec())
        .map(move |file| async move {
            let bytes = file.read().await?;
            let decoded = tokio::task::spawn_blocking(move || decode(&file, bytes, columns)).await;
            decoded.map_err(|error| EngineError::Threads(Box::new(error)))?
        })
        .buffered(fitting.clamp(1, FILES_AT_ONCE))
        .boxed())
}

fn decode(file: &Place, bytes: Bytes, columns: &[&str]) -> Result<Vec<RecordBatch>, EngineError> {
    let not_parquet = || EngineError::NotParquet { path: file.shown() };
    let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|_| not_parquet())?;
    let wanted = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
    let reader = builder
        .with_projection(wanted)
        .with_batch_size(BATCH_ROWS)
        .build()
        .map_err(DataFusionError::from)?;
    Ok(reader
        .collect::<Result<Vec<_>, _>>()
        .map_err(DataFusionError::from)?)
}
