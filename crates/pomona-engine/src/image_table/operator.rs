//! The operator that fetches images.

use std::fmt;
use std::sync::{Arc, OnceLock};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::{SendableRecordBatchStream, TaskContext};
use datafusion::physical_expr::{EquivalenceProperties, PhysicalExpr};
use datafusion::physical_plan::execution_plan::{
    Boundedness, ChildrenPropertiesMode, EmissionType, ReplaceChildrenOptions,
};
use datafusion::physical_plan::stream::{
    RecordBatchReceiverStreamBuilder, RecordBatchStreamAdapter,
};
use datafusion::physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, Partitioning,
    PlanProperties,
};
use futures::StreamExt;
use serde::{Deserialize, Serialize};

use super::attempts::{self, Attempt};
use super::fetch::{self, FetchSettings};
use super::image_schema;
use crate::error::EngineError;
use crate::listing::rows::{read_rows, shard_of};
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
    marks: Option<PlanFolder>,
}

impl FetchExec {
    pub(super) fn new(
        listed: Arc<dyn ExecutionPlan>,
        source: PlanFolder,
        settings: FetchSettings,
        marks: Option<PlanFolder>,
    ) -> Self {
        Self::over(
            listed,
            Fetching {
                source,
                settings,
                marks,
            },
        )
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
        // Until whoever writes the shard has written it and lets go of the stream, the shard is at work here.
        let held = Arc::new(OnceLock::new());
        let keeps = Arc::clone(&held);
        // One batch waits while one is worked on and one is fetched.
        let mut builder = RecordBatchReceiverStreamBuilder::new(Arc::clone(&schema), 1);
        let sender = builder.tx();
        let runtime = services.fetch().clone();
        let fetched_schema = Arc::clone(&schema);
        builder.spawn_on(
            async move {
                let schema = fetched_schema;
                let mut images = Vec::new();
                let mut shard = None;
                while let Some(rows) = listed.next().await {
                    let rows = rows?;
                    shard = shard.or_else(|| shard_of(&rows));
                    images.extend(read_rows(&rows)?);
                }
                let store = how.source.store(&services).await;
                let store = store.map_err(EngineError::into_datafusion)?;
                let attempt = match (&how.marks, shard) {
                    (Some(folder), Some(shard)) => attempts::begin(&services, folder, shard)
                        .await
                        .map_err(EngineError::into_datafusion)?,
                    _ => Attempt::default(),
                };
                if let Some(reason) = &attempt.set_aside {
                    for image in &mut images {
                        image.problem = Some(reason.clone());
                    }
                }
                let _ = keeps.set(attempt);
                let fetched = fetch::batches(&images, &store, how.settings, &schema);
                futures::pin_mut!(fetched);
                while let Some(batch) = fetched.next().await {
                    if sender.send(batch).await.is_err() {
                        break;
                    }
                }
                Ok(())
            },
            &runtime,
        );
        let stream = builder.build().inspect(move |_| {
            let _ = &held;
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(schema, stream)))
    }
}
