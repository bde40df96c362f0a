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
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::StreamExt;
use object_store::ObjectStoreExt;

use super::files::ShardFile;
use super::logical::ShardTarget;

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

/// Writes each partition of its input as the files of one shard.
#[derive(Debug)]
pub(super) struct ShardWriteExec {
    input: Arc<dyn ExecutionPlan>,
    target: ShardTarget,
    properties: Arc<PlanProperties>,
}

impl ShardWriteExec {
    pub(super) fn try_new(input: Arc<dyn ExecutionPlan>, target: ShardTarget) -> Result<Self> {
        let partitions = input.output_partitioning().partition_count();
        if partitions != target.indices.len() {
            return Err(DataFusionError::Internal(format!(
                "{} shards cannot be written from {partitions} partitions",
                target.indices.len()
            )));
        }
        Ok(Self {
            input,
            target,
            properties: Arc::new(PlanProperties::new(
                EquivalenceProperties::new(shard_done_schema()),
                Partitioning::UnknownPartitioning(partitions),
                EmissionType::Final,
                Boundedness::Bounded,
            )),
        })
    }
}

impl DisplayAs for ShardWriteExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShardWriteExec: shards={}", self.target.indices.len())
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
        vec![&self.input]
    }

    /// A partition is a shard: nothing may split or merge them.
    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
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
        match <[_; 1]>::try_from(children) {
            Ok([input]) => Ok(Arc::new(Self::try_new(input, self.target.clone())?)),
            Err(_) => Err(DataFusionError::Internal(
                "ShardWriteExec has one child".to_owned(),
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

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let mut input = self.input.execute(partition, context)?;
        let target = self.target.clone();
        let schema = self.schema();
        let write = async move {
            let index = target.indices.get(partition).copied().ok_or_else(|| {
                DataFusionError::Internal(format!("there is no shard for partition {partition}"))
            })?;
            let mut rows = Vec::new();
            while let Some(batch) = input.next().await {
                let batch = batch?;
                target.files.check(&batch)?;
                rows.push(batch);
            }
            let encoded = target.files.encode(index, &rows)?;
            // The last one says that the shard is done: it comes when the others are there.
            let mut files = encoded.files;
            let last = files.pop();
            let put = |file: ShardFile| {
                let store = Arc::clone(&target.store);
                async move { store.put(&file.path, file.content.into()).await }
            };
            futures::future::try_join_all(files.into_iter().map(put)).await?;
            if let Some(last) = last {
                put(last).await?;
            }
            Ok(RecordBatch::try_new(
                shard_done_schema(),
                vec![
                    Arc::new(UInt32Array::from(vec![index])),
                    Arc::new(UInt64Array::from(vec![encoded.ok])),
                    Arc::new(UInt64Array::from(vec![encoded.failed])),
                ],
            )?)
        };
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            schema,
            futures::stream::once(write),
        )))
    }
}
