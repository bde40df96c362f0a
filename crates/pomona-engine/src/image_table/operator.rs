//! The operator that fetches images.

use std::fmt;
use std::sync::Arc;

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::RecordBatchReceiverStreamBuilder;
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use super::fetch::{self, FetchSettings};
use super::image_schema;
use crate::error::EngineError;
use crate::listing::rows::read_rows;
use crate::plan_folder::PlanFolder;
use crate::services::Services;

/// Fetches the listed images of its input, partition by partition.
#[derive(Debug)]
pub(crate) struct FetchExec {
    listed: Arc<dyn ExecutionPlan>,
    how: Fetching,
    properties: Arc<PlanProperties>,
}

/// Everything but the listing.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Fetching {
    source: PlanFolder,
    settings: FetchSettings,
}

impl FetchExec {
    pub(super) fn new(
        listed: Arc<dyn ExecutionPlan>,
        source: PlanFolder,
        settings: FetchSettings,
    ) -> Self {
        Self::over(listed, Fetching { source, settings })
    }

    pub(crate) fn over(listed: Arc<dyn ExecutionPlan>, how: Fetching) -> Self {
        let partitions = listed.output_partitioning().partition_count();
        Self {
            listed,
            how,
            properties: Arc::new(PlanProperties::new(
                EquivalenceProperties::new(image_schema()),
                Partitioning::UnknownPartitioning(partitions),
                EmissionType::Incremental,
                Boundedness::Bounded,
            )),
        }
    }

    pub(crate) fn how(&self) -> &Fetching {
        &self.how
    }
}

impl DisplayAs for FetchExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shards = self.listed.output_partitioning().partition_count();
        write!(f, "FetchExec: shards={shards}")
    }
}

impl ExecutionPlan for FetchExec {
    fn name(&self) -> &'static str {
        "FetchExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.listed]
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
            Ok([listed]) => Ok(Arc::new(Self::over(listed, self.how.clone()))),
            Err(_) => Err(DataFusionError::Internal(
                "FetchExec has one child".to_owned(),
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
        let services = Services::of(&context).map_err(EngineError::into_datafusion)?;
        let mut listed = self.listed.execute(partition, context)?;
        let how = self.how.clone();
        let schema = self.schema();
        // One batch waits while one is worked on and one is fetched.
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&schema), 1);
        let sender = builder.tx();
        let runtime = services.fetch().clone();
        builder.spawn_on(
            async move {
                let mut images = Vec::new();
                while let Some(rows) = listed.next().await {
                    images.extend(read_rows(&rows?)?);
                }
                let place = how.source.place(&services).await;
                let place = place.map_err(EngineError::into_datafusion)?;
                let store = place.below();
                let fetched = fetch::batches(&images, &store, how.settings, &schema);
                futures::pin_mut!(fetched);
                while let Some(batch) = fetched.next().await {
                    let batch = batch.map_err(|error| EngineError::at(error, &place));
                    if sender.send(batch).await.is_err() {
                        break;
                    }
                }
                Ok(())
            },
            &runtime,
        );
        Ok(builder.build())
    }
}
