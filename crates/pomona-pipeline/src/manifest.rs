//! `manifest.parquet`: which object belongs to which shard, written down once.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{
    DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use pomona_engine::{Shard, Status};
use tempfile::NamedTempFile;

use crate::error::PipelineError;

fn schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("path", DataType::Utf8, false),
        Field::new("label", DataType::Utf8, true),
        Field::new("size_bytes", DataType::Int64, false),
        Field::new(
            "last_modified",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("shard", DataType::Int32, false),
    ]))
}

/// Writes the manifest while the listing goes on; it appears when the listing has ended.
pub(crate) struct ManifestWriter {
    writer: ArrowWriter<NamedTempFile>,
    file: PathBuf,
}

impl ManifestWriter {
    pub(crate) fn create(file: PathBuf) -> Result<Self, PipelineError> {
        let folder = file.parent().unwrap_or(Path::new("."));
        let temporary = tempfile::Builder::new()
            .prefix(".pomona-manifest-")
            .suffix(".tmp")
            .tempfile_in(folder)
            .map_err(PipelineError::io(&file))?;
        let level = ZstdLevel::try_new(1).map_err(PipelineError::broken(&file))?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(65_536))
            .build();
        let writer = ArrowWriter::try_new(temporary, schema(), Some(properties))
            .map_err(PipelineError::broken(&file))?;
        Ok(Self { writer, file })
    }

    pub(crate) fn write(&mut self, shard: &Shard) -> Result<(), PipelineError> {
        let images = &shard.images;
        let index = i32::try_from(shard.index).unwrap_or(i32::MAX);
        let columns: Vec<ArrayRef> = vec![
            Arc::new(
                images
                    .iter()
                    .map(|image| Some(&image.path))
                    .collect::<StringArray>(),
            ),
            Arc::new(
                images
                    .iter()
                    .map(|image| image.label.as_ref())
                    .collect::<StringArray>(),
            ),
            Arc::new(
                images
                    .iter()
                    .map(|image| i64::try_from(image.size_bytes).unwrap_or(i64::MAX))
                    .collect::<Int64Array>(),
            ),
            Arc::new(
                images
                    .iter()
                    .map(|image| {
                        (image.last_modified_micros != 0).then_some(image.last_modified_micros)
                    })
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            ),
            Arc::new(Int32Array::from(vec![index; images.len()])),
        ];
        let batch =
            RecordBatch::try_new(schema(), columns).map_err(PipelineError::broken(&self.file))?;
        self.writer
            .write(&batch)
            .map_err(PipelineError::broken(&self.file))
    }

    pub(crate) fn finish(self) -> Result<(), PipelineError> {
        let file = self.file;
        let temporary = self
            .writer
            .into_inner()
            .map_err(PipelineError::broken(&file))?;
        temporary
            .as_file()
            .sync_all()
            .map_err(PipelineError::io(&file))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = std::fs::Permissions::from_mode(0o644);
            temporary
                .as_file()
                .set_permissions(mode)
                .map_err(PipelineError::io(&file))?;
        }
        temporary
            .persist(&file)
            .map(|_| ())
            .map_err(|error| PipelineError::io(&file)(error.error))
    }
}

/// Whether a ledger file holds these very images: the same paths and labels, last changed at the same time, and
/// where they could be fetched of the same size.
pub(crate) fn is_of(ledger: &Path, shard: &Shard) -> Result<bool, PipelineError> {
    let opened = File::open(ledger).map_err(PipelineError::io(ledger))?;
    // What cannot be read is done again.
    let Ok(reader) = ParquetRecordBatchReaderBuilder::try_new(opened).and_then(|file| file.build())
    else {
        return Ok(false);
    };
    let mut images = shard.images.iter();
    for batch in reader {
        let Ok(batch) = batch else {
            return Ok(false);
        };
        let column = |name: &str| batch.column_by_name(name);
        let (Some(paths), Some(labels), Some(sizes), Some(modified), Some(statuses)) = (
            column("path"),
            column("label"),
            column("size_bytes"),
            column("last_modified"),
            column("status"),
        ) else {
            return Ok(false);
        };
        let (paths, labels) = (paths.as_string::<i32>(), labels.as_string::<i32>());
        let sizes = sizes.as_primitive::<Int64Type>();
        let modified = modified.as_primitive::<TimestampMicrosecondType>();
        let statuses = statuses.as_string::<i32>();
        for row in 0..batch.num_rows() {
            let Some(image) = images.next() else {
                return Ok(false);
            };
            let micros = if modified.is_valid(row) {
                modified.value(row)
            } else {
                0
            };
            let label = labels.is_valid(row).then(|| labels.value(row));
            let size = i64::try_from(image.size_bytes).unwrap_or(i64::MAX);
            // What could not be fetched may be there now.
            if paths.value(row) != image.path
                || label != image.label.as_deref()
                || micros != image.last_modified_micros
                || sizes.value(row) != size
                || statuses.value(row) == Status::Unreadable.name()
            {
                return Ok(false);
            }
        }
    }
    Ok(images.next().is_none())
}

/// Shards in a manifest; 0 where there is none.
pub(crate) fn shard_count(file: &Path) -> Result<usize, PipelineError> {
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(0),
        Err(error) => return Err(PipelineError::io(file)(error)),
    };
    let builder =
        ParquetRecordBatchReaderBuilder::try_new(opened).map_err(PipelineError::broken(file))?;
    // Shards are numbered in the order of the rows: only the last row group matters.
    let groups = builder.metadata().num_row_groups();
    let reader = builder
        .with_row_groups((groups.saturating_sub(1)..groups).collect())
        .build()
        .map_err(PipelineError::broken(file))?;
    let mut shards = 0;
    for batch in reader {
        let batch = batch.map_err(PipelineError::broken(file))?;
        let column = batch.column(4).as_primitive::<Int32Type>();
        if let Some(&last) = column.values().last() {
            shards = usize::try_from(last).unwrap_or(0) + 1;
        }
    }
    Ok(shards)
}
