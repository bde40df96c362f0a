//! The operator that writes shards.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch, UInt32Array, UInt64Array};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, UInt32Type, UInt64Type};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{
    Count, ExecutionPlanMetricsSet, MetricBuilder, MetricsSet,
};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::StreamExt;
use object_store::ObjectStoreExt;
use object_store::path::Path;

use super::files::ShardFile;
use super::logical::ShardTarget;
use crate::error::EngineError;
use crate::services::Services;

/// A shard that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardDone {
    /// Its number.
    pub index: u32,
    /// Rows that carry numbers.
    pub ok: u64,
    /// Rows that do not.
    pub failed: u64,
}

impl ShardDone {
    /// Reads the rows that a plan of [`ShardWrite`](super::ShardWrite) gives.
    #[must_use]
    pub fn read(batch: &RecordBatch) -> Vec<Self> {
        let indices = batch.column(0).as_primitive::<UInt32Type>();
        let ok = batch.column(1).as_primitive::<UInt64Type>();
        let failed = batch.column(2).as_primitive::<UInt64Type>();
        (0..batch.num_rows())
            .map(|row| Self {
                index: indices.value(row),
                ok: ok.value(row),
                failed: failed.value(row),
            })
            .collect()
    }

    /// The shard as such a row.
    fn row(&self) -> Result<RecordBatch> {
        Ok(RecordBatch::try_new(
            shard_done_schema(),
            vec![
                Arc::new(UInt32Array::from(vec![self.index])),
                Arc::new(UInt64Array::from(vec![self.ok])),
                Arc::new(UInt64Array::from(vec![self.failed])),
            ],
        )?)
    }
}

/// Schema of the rows that the operator gives: shard, ok, failed.
#[must_use]
pub fn shard_done_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("shard", DataType::UInt32, false),
        Field::new("ok", DataType::UInt64, false),
        Field::new("failed", DataType::UInt64, false),
    ]))
}

/// Schema of the rows that number the shards.
pub(super) fn number_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![Field::new(
        "shard",
        DataType::UInt32,
        false,
    )]))
}

/// Writes each partition of its first input as the files of one shard; the second input has as many partitions, each of
/// one row, the number of the shard.
#[derive(Debug)]
pub(crate) struct ShardWriteExec {
    input: Arc<dyn ExecutionPlan>,
    numbers: Arc<dyn ExecutionPlan>,
    target: ShardTarget,
    metrics: ExecutionPlanMetricsSet,
    properties: Arc<PlanProperties>,
}

impl ShardWriteExec {
    pub(crate) fn try_new(
        input: Arc<dyn ExecutionPlan>,
        numbers: Arc<dyn ExecutionPlan>,
        target: ShardTarget,
    ) -> Result<Self> {
        let partitions = input.output_partitioning().partition_count();
        let shards = numbers.output_partitioning().partition_count();
        if partitions != shards {
            return Err(DataFusionError::Internal(format!(
                "{shards} shards cannot be written from {partitions} partitions"
            )));
        }
        Ok(Self {
            input,
            numbers,
            target,
            metrics: ExecutionPlanMetricsSet::new(),
            properties: Arc::new(PlanProperties::new(
                EquivalenceProperties::new(shard_done_schema()),
                Partitioning::UnknownPartitioning(partitions),
                EmissionType::Final,
                Boundedness::Bounded,
            )),
        })
    }

    pub(crate) fn target(&self) -> &ShardTarget {
        &self.target
    }
}

impl DisplayAs for ShardWriteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shards = self.numbers.output_partitioning().partition_count();
        write!(f, "ShardWriteExec: shards={shards}")
    }
}

impl ExecutionPlan for ShardWriteExec {
    fn name(&self) -> &'static str {
        "ShardWriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input, &self.numbers]
    }

    /// A partition is a shard: nothing may split or merge them.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false, false]
    }

    fn apply_expressions(
        &self,
        _f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        Ok(TreeNodeRecursion::Continue)
    }

    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _options: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match <[_; 2]>::try_from(children) {
            Ok([input, numbers]) => Ok(Arc::new(Self::try_new(
                input,
                numbers,
                self.target.clone(),
            )?)),
            Err(_) => Err(DataFusionError::Internal(
                "ShardWriteExec has two children".to_owned(),
            )),
        }
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let services = Services::of(&context).map_err(EngineError::into_datafusion)?;
        let mut numbers = self.numbers.execute(partition, Arc::clone(&context))?;
        let input = Arc::clone(&self.input);
        let target = self.target.clone();
        let counted = Counted::new(&self.metrics, partition);
        let schema = self.schema();
        let write = async move {
            let index = match numbers.next().await {
                Some(number) => number?
                    .column(0)
                    .as_primitive::<UInt32Type>()
                    .values()
                    .first()
                    .copied(),
                None => None,
            };
            let index = index.ok_or_else(|| {
                DataFusionError::Internal(format!("there is no shard for partition {partition}"))
            })?;
            let place = target.folder.place(&services).await;
            let place = place.map_err(EngineError::into_datafusion)?;
            let store = place.below();
            let named = |path: &Path, error| EngineError::at(error, &place.join(path.as_ref()));
            // Its objects are on their way while it is looked whether the shard is there.
            let mut input = input.execute(partition, context)?;
            if target.keeps
                && let Some(done) = target
                    .files
                    .there(index, &store)
                    .await
                    .map_err(|error| named(&target.files.last(index), error))?
            {
                counted.add(&done, 0);
                return done.row();
            }
            let mut rows = Vec::new();
            let mut bytes = 0;
            while let Some(batch) = input.next().await {
                let batch = batch?;
                target.files.check(&batch)?;
                bytes += target.files.bytes_read(&batch);
                rows.push(batch);
            }
            let encoded = target.files.encode(index, &rows)?;
            // The last one says that the shard is done: it comes when the others are there.
            let mut files = encoded.files;
            let last = files.pop();
            let put = |file: ShardFile| {
                let (store, named) = (&store, &named);
                async move {
                    let put = store.put(&file.path, file.content.into()).await;
                    put.map_err(|error| named(&file.path, error.into()))
                }
            };
            futures::future::try_join_all(files.into_iter().map(put)).await?;
            if let Some(last) = last {
                put(last).await?;
            }
            let done = ShardDone {
                index,
                ok: encoded.ok,
                failed: encoded.failed,
            };
            counted.add(&done, bytes);
            done.row()
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            futures::stream::once(write),
        )))
    }
}

/// What is counted while shards are written.
struct Counted {
    done: Count,
    failed: Count,
    bytes: Count,
}

impl Counted {
    fn new(metrics: &ExecutionPlanMetricsSet, partition: usize) -> Self {
        let counter = |name| MetricBuilder::new(metrics).counter(name, partition);
        Self {
            done: counter("images_done"),
            failed: counter("images_failed"),
            bytes: counter("bytes_read"),
        }
    }

    fn add(&self, done: &ShardDone, bytes: u64) {
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        self.done.add(number(done.ok));
        self.failed.add(number(done.failed));
        self.bytes.add(number(bytes));
    }
}
