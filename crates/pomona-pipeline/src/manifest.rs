//! `manifest.parquet`: which object belongs to which shard, written down once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{
    DataType, Field, Int32Type, Int64Type, Schema, SchemaRef, TimeUnit, TimestampMicrosecondType,
};
use datafusion::catalog::TableProvider;
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use datafusion::prelude::col;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use pomona_engine::{Grouping, ListedImage, ParquetTable, Shard, Status};
use pomona_store::{Place, PlaceWriter};

use crate::error::PipelineError;
use crate::run::Context;

const GENERATION_KEY: &str = "pomona.generation";
/// Bytes that wait to be written.
const WAITING_BYTES: usize = 1 << 20;

fn schema(generation: u32) -> SchemaRef {
    let fields = vec![
        Field::new("path", DataType::Utf8, false),
        Field::new("label", DataType::Utf8, true),
        Field::new("size_bytes", DataType::Int64, false),
        Field::new(
            "last_modified",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("shard", DataType::Int32, false),
        Field::new("etag", DataType::Utf8, true),
    ];
    let metadata = HashMap::from([(GENERATION_KEY.to_owned(), generation.to_string())]);
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

/// Writes the manifest while the listing goes on; it appears when the listing has ended.
pub(crate) struct ManifestWriter {
    schema: SchemaRef,
    writer: ArrowWriter<Vec<u8>>,
    out: PlaceWriter,
    file: Place,
}

impl ManifestWriter {
    pub(crate) fn create(file: Place, generation: u32) -> Result<Self, PipelineError> {
        let schema = schema(generation);
        let broken = |error| PipelineError::broken(&file)(error);
        let level = ZstdLevel::try_new(1).map_err(broken)?;
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(level))
            .set_max_row_group_row_count(Some(65_536))
            .build();
        let writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), Some(properties))
            .map_err(broken)?;
        Ok(Self {
            schema,
            writer,
            out: file.writer(),
            file,
        })
    }

    /// Adds images of one shard.
    pub(crate) async fn write(
        &mut self,
        images: &[ListedImage],
        shard: u32,
    ) -> Result<(), PipelineError> {
        if images.is_empty() {
            return Ok(());
        }
        let shards = Int32Array::from(vec![i32::try_from(shard).unwrap_or(i32::MAX); images.len()]);
        self.write_rows(images, shards).await
    }

    /// Adds images with the shard of each.
    pub(crate) async fn write_known(&mut self, known: &[Known]) -> Result<(), PipelineError> {
        if known.is_empty() {
            return Ok(());
        }
        let shards = known.iter().map(|known| known.shard).collect();
        let images: Vec<ListedImage> = known.iter().map(|known| known.image.clone()).collect();
        self.write_rows(&images, shards).await
    }

    async fn write_rows(
        &mut self,
        images: &[ListedImage],
        shards: Int32Array,
    ) -> Result<(), PipelineError> {
        let texts = |text: fn(&ListedImage) -> Option<&String>| -> ArrayRef {
            Arc::new(images.iter().map(text).collect::<StringArray>())
        };
        let modified = images
            .iter()
            .map(|image| (image.last_modified_micros != 0).then_some(image.last_modified_micros));
        let sizes = images
            .iter()
            .map(|image| i64::try_from(image.size_bytes).unwrap_or(i64::MAX));
        let columns: Vec<ArrayRef> = vec![
            texts(|image| Some(&image.path)),
            texts(|image| image.label.as_ref()),
            Arc::new(sizes.collect::<Int64Array>()),
            Arc::new(
                modified
                    .collect::<TimestampMicrosecondArray>()
                    .with_timezone("UTC"),
            ),
            Arc::new(shards),
            texts(|image| image.etag.as_ref()),
        ];
        let broken = PipelineError::broken(&self.file);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(broken)?;
        self.writer
            .write(&batch)
            .map_err(PipelineError::broken(&self.file))?;
        if self.writer.inner().len() > WAITING_BYTES {
            let bytes = std::mem::take(self.writer.inner_mut());
            self.out.write(bytes).await?;
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<(), PipelineError> {
        let rest = self
            .writer
            .into_inner()
            .map_err(PipelineError::broken(&self.file))?;
        self.out.write(rest).await?;
        Ok(self.out.finish().await?)
    }

    pub(crate) async fn abandon(self) {
        self.out.abandon().await;
    }
}

/// An image of an earlier listing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Known {
    pub(crate) image: ListedImage,
    pub(crate) shard: i32,
}

impl Known {
    /// Whether it is listed now as it was then.
    pub(crate) fn is(&self, image: &ListedImage) -> bool {
        let known = &self.image;
        known.size_bytes == image.size_bytes
            && known.last_modified_micros == image.last_modified_micros
            && known.label == image.label
            && (known.etag.is_none() || image.etag.is_none() || known.etag == image.etag)
    }
}

/// The generation that wrote a manifest, and how many shards it names; none where there is no manifest.
pub(crate) async fn summary(
    context: &Context,
    file: &Place,
) -> Result<Option<ManifestSummary>, PipelineError> {
    if !file.is_file().await? {
        return Ok(None);
    }
    let files = [file.clone()];
    let table = ParquetTable::open(&context.session, &files, Grouping::FileEach).await?;
    let generation = table
        .schema()
        .metadata()
        .get(GENERATION_KEY)
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let rows = context
        .session
        .read_table(Arc::new(table))?
        .aggregate(
            vec![],
            vec![
                datafusion::functions_aggregate::expr_fn::max(col("shard")),
                datafusion::functions_aggregate::expr_fn::count(col("shard")),
            ],
        )?
        .collect()
        .await?;
    let mut found = ManifestSummary {
        generation,
        ..ManifestSummary::default()
    };
    for batch in &rows {
        let highest = batch.column(0).as_primitive::<Int32Type>();
        if batch.num_rows() > 0 {
            if highest.is_valid(0) {
                found.shards = highest.value(0).unsigned_abs() + 1;
            }
            let images = batch.column(1).as_primitive::<Int64Type>();
            found.images = images.value(0).unsigned_abs();
        }
    }
    Ok(Some(found))
}

/// The shards that a manifest names.
pub(crate) async fn shards(
    context: &Context,
    file: &Place,
) -> Result<BTreeSet<u32>, PipelineError> {
    if !file.is_file().await? {
        return Ok(BTreeSet::new());
    }
    let files = [file.clone()];
    let table = ParquetTable::open(&context.session, &files, Grouping::FileEach).await?;
    let rows = context
        .session
        .read_table(Arc::new(table))?
        .aggregate(vec![col("shard")], vec![])?
        .collect()
        .await?;
    Ok(rows
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int32Type>().values())
        .map(|shard| shard.unsigned_abs())
        .collect())
}

/// What a manifest says of itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct ManifestSummary {
    pub(crate) generation: u32,
    /// One more than the highest shard.
    pub(crate) shards: u32,
    pub(crate) images: u64,
}

/// The images of a manifest, in the byte order of their paths.
pub(crate) async fn read(
    context: &Context,
    file: &Place,
) -> Result<BoxStream<'static, Result<Known, PipelineError>>, PipelineError> {
    let files = [file.clone()];
    let table = ParquetTable::open(&context.session, &files, Grouping::FileEach).await?;
    let rows = context
        .session
        .read_table(Arc::new(table))?
        .sort(vec![col("path").sort(true, false)])?
        .execute_stream()
        .await?;
    Ok(rows
        .map_err(PipelineError::from)
        .and_then(|batch| async move { known(&batch) })
        .map_ok(|known| futures::stream::iter(known.into_iter().map(Ok)))
        .try_flatten()
        .boxed())
}

fn known(batch: &RecordBatch) -> Result<Vec<Known>, PipelineError> {
    let column = |name: &str| {
        batch.column_by_name(name).ok_or_else(|| {
            datafusion::error::DataFusionError::Execution(format!("the manifest has no {name}"))
        })
    };
    let text =
        |array: &StringArray, row: usize| array.is_valid(row).then(|| array.value(row).to_owned());
    let (paths, labels, etags) = (
        column("path")?.as_string::<i32>(),
        column("label")?.as_string::<i32>(),
        column("etag")?.as_string::<i32>(),
    );
    let sizes = column("size_bytes")?.as_primitive::<Int64Type>();
    let modified = column("last_modified")?.as_primitive::<TimestampMicrosecondType>();
    let shards = column("shard")?.as_primitive::<Int32Type>();
    Ok((0..batch.num_rows())
        .map(|row| Known {
            image: ListedImage {
                path: paths.value(row).to_owned(),
                label: text(labels, row),
                size_bytes: sizes.value(row).unsigned_abs(),
                last_modified_micros: if modified.is_valid(row) {
                    modified.value(row)
                } else {
                    0
                },
                etag: text(etags, row),
                ..ListedImage::default()
            },
            shard: shards.value(row),
        })
        .collect())
}

/// Whether a ledger file holds these very images: the same paths and labels, last changed at the same time, and
/// where they could be fetched of the same size.
pub(crate) async fn is_of(ledger: &Place, shard: &Shard) -> Result<bool, PipelineError> {
    let Some(bytes) = ledger.read_if_there().await? else {
        return Ok(false);
    };
    // What cannot be read is done again.
    let Ok(reader) = ParquetRecordBatchReaderBuilder::try_new(bytes).and_then(|file| file.build())
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
