//! Images as a table.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use datafusion::arrow::array::{
    ArrayRef, Int64Array, LargeBinaryBuilder, RecordBatch, StringBuilder, TimestampMicrosecondArray,
};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::stream::{self, StreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;

use crate::listing::{ListedImage, location};
use crate::shard::Shard;

/// How the images of a shard are fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FetchSettings {
    /// Larger objects are listed but not fetched; bytes.
    pub max_object_bytes: u64,
    /// Most images in one batch.
    pub batch_images: usize,
    /// Most bytes in one batch, as listed; one larger image has a batch of its own.
    pub batch_bytes: u64,
    /// Requests in flight at once for one shard.
    pub requests: usize,
}

impl Default for FetchSettings {
    fn default() -> Self {
        Self {
            max_object_bytes: 64_000_000,
            batch_images: 32,
            batch_bytes: 16_000_000,
            requests: 16,
        }
    }
}

/// Schema of an image table:
/// path (relative to the root, `/`-separated), label (null where the rule gives none), size_bytes,
/// last_modified, content (null where it could not be, or was not to be, fetched) and read_error (why not).
#[must_use]
pub fn image_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("path", DataType::Utf8, false),
        Field::new("label", DataType::Utf8, true),
        Field::new("size_bytes", DataType::Int64, false),
        Field::new(
            "last_modified",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("content", DataType::LargeBinary, true),
        Field::new("read_error", DataType::Utf8, true),
    ]))
}

/// A table over the images of some shards: one partition a shard, rows in listing order.
#[derive(Debug)]
pub struct ImageTable {
    shards: Arc<[Shard]>,
    store: Arc<dyn ObjectStore>,
    settings: FetchSettings,
    fetch_runtime: Handle,
    schema: SchemaRef,
}

impl ImageTable {
    /// A table over `shards`, whose paths are below the root of `store`; fetches run on `fetch_runtime`.
    #[must_use]
    pub fn new(
        shards: Vec<Shard>,
        store: Arc<dyn ObjectStore>,
        settings: FetchSettings,
        fetch_runtime: Handle,
    ) -> Self {
        Self {
            shards: shards.into(),
            store,
            settings,
            fetch_runtime,
            schema: image_schema(),
        }
    }
}

#[async_trait]
impl TableProvider for ImageTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let scan: Arc<dyn ExecutionPlan> = Arc::new(ImageScanExec {
            shards: Arc::clone(&self.shards),
            store: Arc::clone(&self.store),
            settings: self.settings,
            fetch_runtime: self.fetch_runtime.clone(),
            properties: Arc::new(PlanProperties::new(
                EquivalenceProperties::new(Arc::clone(&self.schema)),
                Partitioning::UnknownPartitioning(self.shards.len()),
                EmissionType::Incremental,
                Boundedness::Bounded,
            )),
        });
        let Some(projection) = projection else {
            return Ok(scan);
        };
        let columns = projection
            .iter()
            .map(|&index| {
                let name = self.schema.field(index).name().clone();
                let column: Arc<dyn PhysicalExpr> = Arc::new(
                    datafusion::physical_expr::expressions::Column::new(&name, index),
                );
                (column, name)
            })
            .collect::<Vec<_>>();
        Ok(Arc::new(ProjectionExec::try_new(columns, scan)?))
    }
}

/// Reads the images of one shard a partition.
#[derive(Debug)]
struct ImageScanExec {
    shards: Arc<[Shard]>,
    store: Arc<dyn ObjectStore>,
    settings: FetchSettings,
    fetch_runtime: Handle,
    properties: Arc<PlanProperties>,
}

impl DisplayAs for ImageScanExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ImageScanExec: shards={}", self.shards.len())
    }
}

impl ExecutionPlan for ImageScanExec {
    fn name(&self) -> &'static str {
        "ImageScanExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        Vec::new()
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn with_new_children(
        self: Arc<Self>,
        _children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(self)
    }

    fn execute(
        &self,
        partition: usize,
        _context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let schema = self.schema();
        // One batch waits while one is worked on and one is fetched.
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&schema), 1);
        let sender = builder.tx();
        let shards = Arc::clone(&self.shards);
        let store = Arc::clone(&self.store);
        let settings = self.settings;
        builder.spawn_on(
            async move {
                let images = shards.get(partition).map_or(&[][..], |shard| &shard.images);
                for group in batches(images, &settings) {
                    let batch = fetch(group, &store, &settings, &schema).await;
                    if sender.send(batch).await.is_err() {
                        break;
                    }
                }
                Ok(())
            },
            &self.fetch_runtime,
        );
        Ok(builder.build())
    }
}

/// Cuts the images of a shard into batches bounded by images and by bytes.
fn batches<'a>(
    images: &'a [ListedImage],
    settings: &FetchSettings,
) -> impl Iterator<Item = &'a [ListedImage]> + use<'a> {
    let FetchSettings {
        batch_images,
        batch_bytes,
        ..
    } = *settings;
    let mut rest = images;
    std::iter::from_fn(move || {
        let first = rest.first()?;
        let mut bytes = first.size_bytes;
        let mut count = 1;
        while count < batch_images
            && let Some(next) = rest.get(count)
            && bytes.saturating_add(next.size_bytes) <= batch_bytes
        {
            bytes = bytes.saturating_add(next.size_bytes);
            count += 1;
        }
        let (group, others) = rest.split_at(count);
        rest = others;
        Some(group)
    })
}

/// What became of the fetching of one object.
enum Fetched {
    Content(Bytes),
    /// Larger than allowed, hence not fetched.
    Skipped {
        size_bytes: u64,
    },
    Failed(String),
}

async fn fetch_one(
    image: &ListedImage,
    store: &Arc<dyn ObjectStore>,
    settings: &FetchSettings,
) -> Fetched {
    if let Some(problem) = &image.problem {
        return Fetched::Failed(problem.clone());
    }
    if image.size_bytes > settings.max_object_bytes {
        return Fetched::Skipped {
            size_bytes: image.size_bytes,
        };
    }
    let attempt = async {
        let found = store.get(&location(&image.path)?).await?;
        // The object may have grown since it was listed.
        if found.meta.size > settings.max_object_bytes {
            return Ok(Fetched::Skipped {
                size_bytes: found.meta.size,
            });
        }
        found.bytes().await.map(Fetched::Content)
    };
    match attempt.await {
        Ok(fetched) => fetched,
        Err(error) => Fetched::Failed(store_reason(&error)),
    }
}

/// The innermost cause of a store's error: the outer ones repeat the path.
fn store_reason(error: &object_store::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

async fn fetch(
    images: &[ListedImage],
    store: &Arc<dyn ObjectStore>,
    settings: &FetchSettings,
    schema: &SchemaRef,
) -> Result<RecordBatch> {
    let requests = images.iter().cloned().map(|image| {
        let (store, settings) = (Arc::clone(store), *settings);
        async move { fetch_one(&image, &store, &settings).await }
    });
    let fetched: Vec<Fetched> = stream::iter(requests.collect::<Vec<_>>())
        .buffered(settings.requests.max(1))
        .collect()
        .await;
    let mut paths = StringBuilder::new();
    let mut labels = StringBuilder::new();
    let mut sizes = Vec::with_capacity(images.len());
    let mut contents = LargeBinaryBuilder::new();
    let mut errors = StringBuilder::new();
    for (image, fetched) in images.iter().zip(&fetched) {
        paths.append_value(&image.path);
        labels.append_option(image.label.as_deref());
        let size_bytes = match fetched {
            Fetched::Content(content) => {
                contents.append_value(content);
                errors.append_null();
                content.len() as u64
            }
            Fetched::Skipped { size_bytes } => {
                contents.append_null();
                errors.append_null();
                *size_bytes
            }
            Fetched::Failed(reason) => {
                contents.append_null();
                errors.append_value(reason);
                image.size_bytes
            }
        };
        sizes.push(i64::try_from(size_bytes).unwrap_or(i64::MAX));
    }
    let modified = images.iter().map(|image| {
        // A time is known for everything but what could not even be listed.
        (image.last_modified_micros != 0).then_some(image.last_modified_micros)
    });
    let columns: Vec<ArrayRef> = vec![
        Arc::new(paths.finish()),
        Arc::new(labels.finish()),
        Arc::new(Int64Array::from(sizes)),
        Arc::new(
            modified
                .collect::<TimestampMicrosecondArray>()
                .with_timezone("UTC"),
        ),
        Arc::new(contents.finish()),
        Arc::new(errors.finish()),
    ];
    RecordBatch::try_new(Arc::clone(schema), columns).map_err(DataFusionError::from)
}
