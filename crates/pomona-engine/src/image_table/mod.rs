//! Images as a table.

mod fetch;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::Result;
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::projection::ProjectionExec;
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan, PlanProperties};
use futures::StreamExt;
use object_store::ObjectStore;
use tokio::runtime::Handle;

pub use fetch::FetchSettings;

use crate::shard::Shard;

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
                let fetched = fetch::batches(images, &store, settings, &schema);
                futures::pin_mut!(fetched);
                while let Some(batch) = fetched.next().await {
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
