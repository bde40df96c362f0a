//! A plan whose partitions are shards: rows from memory, and an operator that counts them as photos.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, Partitioning, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::metrics::{ExecutionPlanMetricsSet, MetricBuilder, MetricsSet};
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use futures::StreamExt;

/// What the operator does besides counting.
#[derive(Debug, Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
pub(crate) struct Manner {
    pub(crate) pause_ms: u64,
    pub(crate) fails: bool,
}

/// `shards` partitions of `rows` rows, of which the first of each shard is a photo that cannot be read.
pub(crate) fn shards(shards: usize, rows: usize, manner: Manner) -> Arc<dyn ExecutionPlan> {
    let schema: SchemaRef = Arc::new(Schema::new(vec![Field::new("n", DataType::Int64, false)]));
    let partitions: Vec<Vec<RecordBatch>> = (0..shards)
        .map(|shard| {
            let numbers: Int64Array = (0..rows).map(|row| (shard * rows + row) as i64).collect();
            vec![RecordBatch::try_new(schema.clone(), vec![Arc::new(numbers)]).unwrap()]
        })
        .collect();
    let leaf = MemorySourceConfig::try_new_exec(&partitions, schema, None).unwrap();
    Arc::new(CountExec::new(leaf, manner))
}

/// Bears the name by which a scheduler knows that partitions stand each for itself.
#[derive(Debug)]
struct CountExec {
    input: Arc<dyn ExecutionPlan>,
    manner: Manner,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl CountExec {
    fn new(input: Arc<dyn ExecutionPlan>, manner: Manner) -> Self {
        let partitions = input.output_partitioning().partition_count();
        let properties = PlanProperties::new(
            EquivalenceProperties::new(input.schema()),
            Partitioning::UnknownPartitioning(partitions),
            EmissionType::Final,
            Boundedness::Bounded,
        );
        Self {
            input,
            manner,
            properties: Arc::new(properties),
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

impl DisplayAs for CountExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShardWriteExec")
    }
}

impl ExecutionPlan for CountExec {
    fn name(&self) -> &'static str {
        "ShardWriteExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

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
        let [input] = <[_; 1]>::try_from(children).unwrap();
        Ok(Arc::new(Self::new(input, self.manner)))
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
        let count = |name: &'static str| MetricBuilder::new(&self.metrics).counter(name, partition);
        let (done, failed, bytes) = (
            count("images_done"),
            count("images_failed"),
            count("bytes_read"),
        );
        let (input, manner) = (self.input.execute(partition, context)?, self.manner);
        let counted = input.then(move |batch| {
            let (done, failed, bytes) = (done.clone(), failed.clone(), bytes.clone());
            async move {
                tokio::time::sleep(Duration::from_millis(manner.pause_ms)).await;
                if manner.fails {
                    return Err(DataFusionError::External("<b>no such bucket</b>".into()));
                }
                let batch = batch?;
                done.add(batch.num_rows() - 1);
                failed.add(1);
                bytes.add(1_000 * batch.num_rows());
                Ok(batch)
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            counted,
        )))
    }
}

/// The operator around Ballista's codec.
#[derive(Debug, Default)]
pub(crate) struct Codec {
    ballista: BallistaPhysicalExtensionCodec,
}

const MARK: &[u8] = b"count";

impl PhysicalExtensionCodec for Codec {
    fn try_decode(
        &self,
        buf: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        ctx: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        match buf.strip_prefix(MARK) {
            Some(manner) => Ok(Arc::new(CountExec::new(
                inputs[0].clone(),
                serde_json::from_slice(manner).unwrap(),
            ))),
            None => self.ballista.try_decode(buf, inputs, ctx, converter),
        }
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buf: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        match node.downcast_ref::<CountExec>() {
            Some(node) => {
                buf.extend_from_slice(MARK);
                buf.extend_from_slice(&serde_json::to_vec(&node.manner).unwrap());
                Ok(())
            }
            None => self.ballista.try_encode(node, buf, converter),
        }
    }
}
