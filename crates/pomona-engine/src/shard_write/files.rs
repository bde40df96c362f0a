//! What the files of one shard hold.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, UInt32Array};
use datafusion::arrow::compute::{
    cast, concat_batches, filter_record_batch, sort_to_indices, take_record_batch,
};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, TimeUnit};
use datafusion::error::{DataFusionError, Result};
use datafusion::parquet::arrow::ArrowWriter;
use datafusion::parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use datafusion::parquet::basic::{Compression, ZstdLevel};
use datafusion::parquet::file::properties::WriterProperties;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use serde::{Deserialize, Serialize};

use super::keypoints::keypoint_tables;
use super::physical::ShardDone;
use crate::error::EngineError;
use crate::extract::{Status, float_list_type};

/// Which files a shard becomes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ShardFiles {
    /// `features/features-NNNNN.parquet`, `thumbnails/thumbnails-NNNNN.parquet` and, last, the ledger
    /// `images/images-NNNNN.parquet`; from rows of path, label, size_bytes, last_modified and the struct that
    /// [`extract`](crate::extract_function) gives. Where that holds key points, not features:
    /// `descriptors/descriptors-NNNNN.parquet`, one row a key point, and `patches/patches-NNNNN.parquet`, of some.
    Extraction {
        /// Values in each list of features; none where there are key points.
        feature_count: Option<usize>,
        /// Schema metadata of the files of features or descriptors.
        metadata: BTreeMap<String, String>,
        /// Whether the first image without features stops the work.
        stop_at_failure: bool,
    },
    /// One file of lists of numbers, from rows of path, label and the list. Features, which come out of a join in
    /// any order, are sorted by path.
    Lists {
        /// Which file.
        table: ListTable,
        /// Values in each list.
        count: usize,
        /// Schema metadata of the files.
        metadata: BTreeMap<String, String>,
    },
}

/// Files of path, label and a list of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ListTable {
    /// `features/features-NNNNN.parquet`, of the column `features`.
    Features,
    /// `reduced/reduced-NNNNN.parquet`, of the column `components`.
    Reduced,
}

impl ListTable {
    fn names(self) -> (&'static str, &'static str) {
        match self {
            Self::Features => ("features", "features"),
            Self::Reduced => ("reduced", "components"),
        }
    }
}

/// One file of a shard, ready to be put.
pub(super) struct ShardFile {
    pub(super) path: Path,
    pub(super) content: Vec<u8>,
}

/// A shard, encoded.
pub(super) struct Encoded {
    /// In the order in which they must appear.
    pub(super) files: Vec<ShardFile>,
    pub(super) ok: u64,
    pub(super) failed: u64,
}

/// How many thumbnails the shard numbered `index` keeps, besides one for each of its labels: all of the first
/// shards, and ever fewer of later ones, so that a run of any size keeps a few thousand.
#[must_use]
pub fn thumbnails_kept(index: u32, images: usize) -> usize {
    const WHOLE_SHARDS: u32 = 8;
    const SHARED: usize = 2048;
    if index < WHOLE_SHARDS {
        images
    } else {
        images.min(SHARED / (index as usize + 1))
    }
}

fn path_and_label() -> [Field; 2] {
    [
        Field::new("path", DataType::Utf8, false),
        Field::new("label", DataType::Utf8, true),
    ]
}

pub(super) fn with_path_and_label(
    others: impl IntoIterator<Item = Field>,
    metadata: &BTreeMap<String, String>,
) -> SchemaRef {
    let fields: Vec<Field> = path_and_label().into_iter().chain(others).collect();
    let metadata: HashMap<String, String> = metadata
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    Arc::new(Schema::new_with_metadata(fields, metadata))
}

fn ledger_schema() -> SchemaRef {
    with_path_and_label(
        [
            Field::new("size_bytes", DataType::Int64, false),
            Field::new(
                "last_modified",
                DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
                true,
            ),
            Field::new("content_sha256", DataType::Utf8, true),
            Field::new("width", DataType::Int32, true),
            Field::new("height", DataType::Int32, true),
            Field::new("status", DataType::Utf8, false),
            Field::new("error", DataType::Utf8, true),
        ],
        &BTreeMap::new(),
    )
}

pub(super) fn encode(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_dictionary_enabled(false)
        .set_created_by(concat!("pomona ", env!("CARGO_PKG_VERSION")).to_owned())
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(schema), Some(properties))?;
    for batch in batches {
        writer.write(batch)?;
    }
    Ok(writer.into_inner()?)
}

fn numbered(kind: &str, index: u32) -> Path {
    Path::from(format!("{kind}/{kind}-{index:05}.parquet"))
}

pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| {
        DataFusionError::Internal(format!("the shard writer lacks the column {name}"))
    })
}

impl ShardFiles {
    /// Encodes the rows of shard `index`, in their order.
    pub(super) fn encode(&self, index: u32, rows: &[RecordBatch]) -> Result<Encoded> {
        match self {
            Self::Extraction {
                feature_count,
                metadata,
                ..
            } => encode_extraction(index, rows, *feature_count, metadata),
            Self::Lists {
                table,
                count,
                metadata,
            } => {
                let schema = with_path_and_label(
                    [Field::new(table.names().1, float_list_type(*count), false)],
                    metadata,
                );
                // An optimiser drops a sort that no operator asks for: the order is made here.
                let sorted = match table {
                    ListTable::Features => sorted_by_path(rows)?,
                    ListTable::Reduced => rows.to_vec(),
                };
                let (table, lists) = table.names();
                let mut batches = Vec::with_capacity(sorted.len());
                for batch in &sorted {
                    // Other programs' tables hold other types of strings, or categories.
                    let text = |name| {
                        Ok::<_, DataFusionError>(cast(column(batch, name)?, &DataType::Utf8)?)
                    };
                    batches.push(RecordBatch::try_new(
                        Arc::clone(&schema),
                        vec![
                            text("path")?,
                            text("label")?,
                            Arc::clone(column(batch, lists)?),
                        ],
                    )?);
                }
                Ok(Encoded {
                    ok: rows.iter().map(|batch| batch.num_rows() as u64).sum(),
                    failed: 0,
                    files: vec![ShardFile {
                        path: numbered(table, index),
                        content: encode(&schema, &batches)?,
                    }],
                })
            }
        }
    }

    /// The last file of shard `index`, which says that the shard is done.
    pub(super) fn last(&self, index: u32) -> Path {
        match self {
            Self::Extraction { .. } => numbered("images", index),
            Self::Lists { table, .. } => numbered(table.names().0, index),
        }
    }

    /// What became of shard `index`, where its last file is there already.
    pub(super) async fn there(
        &self,
        index: u32,
        store: &Arc<dyn ObjectStore>,
    ) -> Result<Option<ShardDone>> {
        let file = match store.get(&self.last(index)).await {
            Ok(found) => found.bytes().await?,
            Err(object_store::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let mut done = ShardDone {
            index,
            ok: 0,
            failed: 0,
        };
        for batch in ParquetRecordBatchReaderBuilder::try_new(file)?.build()? {
            let batch = batch?;
            let rows = batch.num_rows() as u64;
            let ok = match self {
                Self::Extraction { .. } => column(&batch, "status")?
                    .as_string::<i32>()
                    .iter()
                    .filter(|status| *status == Some(Status::Ok.name()))
                    .count() as u64,
                Self::Lists { .. } => rows,
            };
            done.ok += ok;
            done.failed += rows - ok;
        }
        Ok(Some(done))
    }

    /// Bytes of the objects that the rows of a batch came from, where they came from objects.
    pub(super) fn bytes_read(&self, batch: &RecordBatch) -> u64 {
        match batch.column_by_name("size_bytes") {
            Some(sizes) => sizes
                .as_primitive_opt::<Int64Type>()
                .map_or(0, |sizes| sizes.values().iter().sum::<i64>().unsigned_abs()),
            None => 0,
        }
    }

    /// Refuses a batch that holds an image without features, where that is to stop the work.
    pub(super) fn check(&self, batch: &RecordBatch) -> Result<()> {
        let Self::Extraction {
            stop_at_failure: true,
            ..
        } = self
        else {
            return Ok(());
        };
        let extracted = column(batch, "extracted")?.as_struct();
        let (statuses, errors) = (
            extracted.column(0).as_string::<i32>(),
            extracted.column(1).as_string::<i32>(),
        );
        let paths = column(batch, "path")?.as_string::<i32>();
        for row in 0..batch.num_rows() {
            if statuses.value(row) != Status::Ok.name() {
                return Err(EngineError::ImageFailed {
                    path: paths.value(row).to_owned(),
                    status: Status::from_name(statuses.value(row)).map_or("corrupt", Status::name),
                    reason: errors.value(row).to_owned(),
                }
                .into_datafusion());
            }
        }
        Ok(())
    }
}

fn sorted_by_path(rows: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
    let Some(first) = rows.first() else {
        return Ok(Vec::new());
    };
    let all = concat_batches(&first.schema(), rows)?;
    let order = sort_to_indices(column(&all, "path")?, None, None)?;
    Ok(vec![take_record_batch(&all, &order)?])
}

fn encode_extraction(
    index: u32,
    rows: &[RecordBatch],
    feature_count: Option<usize>,
    metadata: &BTreeMap<String, String>,
) -> Result<Encoded> {
    let feature_schema = feature_count.map(|count| {
        let lists = Field::new("features", float_list_type(count), false);
        with_path_and_label([lists], metadata)
    });
    let thumbnail_schema = with_path_and_label(
        [Field::new("thumbnail", DataType::Binary, false)],
        &BTreeMap::new(),
    );
    let ledger_schema = ledger_schema();
    let (mut features, mut thumbnails, mut ledger) = (Vec::new(), Vec::new(), Vec::new());
    let (mut ok, mut failed) = (0, 0);
    for batch in rows {
        let extracted = column(batch, "extracted")?.as_struct();
        let part = |name: &str| {
            extracted
                .column_by_name(name)
                .ok_or_else(|| DataFusionError::Internal(format!("extract lacks the field {name}")))
        };
        let is_ok: BooleanArray = part("status")?
            .as_string::<i32>()
            .iter()
            .map(|status| Some(status == Some(Status::Ok.name())))
            .collect();
        ok += is_ok.true_count() as u64;
        failed += (is_ok.len() - is_ok.true_count()) as u64;
        let (path, label) = (column(batch, "path")?, column(batch, "label")?);
        ledger.push(RecordBatch::try_new(
            Arc::clone(&ledger_schema),
            vec![
                Arc::clone(path),
                Arc::clone(label),
                Arc::clone(column(batch, "size_bytes")?),
                Arc::clone(column(batch, "last_modified")?),
                Arc::clone(part("content_sha256")?),
                Arc::clone(part("width")?),
                Arc::clone(part("height")?),
                Arc::clone(part("status")?),
                Arc::clone(part("error")?),
            ],
        )?);
        let successes = |name: &str, schema: &SchemaRef| -> Result<RecordBatch> {
            let nullable = Schema::new(
                schema
                    .fields()
                    .iter()
                    .map(|field| field.as_ref().clone().with_nullable(true))
                    .collect::<Vec<_>>(),
            );
            let all = RecordBatch::try_new(
                Arc::new(nullable),
                vec![Arc::clone(path), Arc::clone(label), Arc::clone(part(name)?)],
            )?;
            let kept = filter_record_batch(&all, &is_ok)?;
            Ok(RecordBatch::try_new(
                Arc::clone(schema),
                kept.columns().to_vec(),
            )?)
        };
        if let Some(schema) = &feature_schema {
            features.push(successes("features", schema)?);
        }
        thumbnails.push(successes("thumbnail", &thumbnail_schema)?);
    }
    let thumbnails = choose_thumbnails(index, &thumbnails)?;
    let mut files = match &feature_schema {
        Some(schema) => vec![ShardFile {
            path: numbered("features", index),
            content: encode(schema, &features)?,
        }],
        None => {
            let (descriptors, patches) = keypoint_tables(rows, &thumbnails, metadata)?;
            vec![
                ShardFile {
                    path: numbered("descriptors", index),
                    content: descriptors.encode()?,
                },
                ShardFile {
                    path: numbered("patches", index),
                    content: patches.encode()?,
                },
            ]
        }
    };
    // The ledger comes last: a shard is done when it is there.
    for (name, schema, batches) in [
        ("thumbnails", &thumbnail_schema, &thumbnails),
        ("images", &ledger_schema, &ledger),
    ] {
        files.push(ShardFile {
            path: numbered(name, index),
            content: encode(schema, batches)?,
        });
    }
    Ok(Encoded { ok, failed, files })
}

/// Keeps the first thumbnail of each label and others at even steps.
fn choose_thumbnails(index: u32, batches: &[RecordBatch]) -> Result<Vec<RecordBatch>> {
    let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
    let kept = thumbnails_kept(index, total);
    let step = if kept == 0 {
        usize::MAX
    } else {
        total.div_ceil(kept)
    };
    let mut labels = HashSet::new();
    let mut number = 0;
    let mut chosen = Vec::with_capacity(batches.len());
    for batch in batches {
        let label_column = column(batch, "label")?.as_string::<i32>();
        let mut rows = Vec::new();
        for row in 0..batch.num_rows() {
            let label = label_column.is_valid(row).then(|| label_column.value(row));
            if labels.insert(label) || number % step == 0 {
                rows.push(u32::try_from(row).unwrap_or(u32::MAX));
            }
            number += 1;
        }
        chosen.push(take_record_batch(batch, &UInt32Array::from(rows))?);
    }
    Ok(chosen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_of_any_size_keeps_some_thousands_of_thumbnails() {
        assert_eq!(thumbnails_kept(0, 256), 256);
        let kept: usize = (0..400_000).map(|index| thumbnails_kept(index, 256)).sum();
        assert!((2_048..20_000).contains(&kept), "{kept}");
    }
}
