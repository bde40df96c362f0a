//! The node of a logical plan that writes shards, and how it becomes a physical one.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::{RecordBatch, UInt32Array};
use datafusion::catalog::Session;
use datafusion::common::{DFSchema, DFSchemaRef};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{ExtensionPlanner, PhysicalPlanner};
use serde::{Deserialize, Serialize};

use super::files::ShardFiles;
use super::physical::{ShardWriteExec, number_schema, shard_done_schema};
use crate::plan_folder::PlanFolder;

/// Writes each partition of its input as one shard; gives one row a shard, as [`ShardDone`](super::ShardDone) reads.
#[derive(Debug, Clone)]
pub struct ShardWrite {
    input: LogicalPlan,
    target: ShardTarget,
    /// Number of the shard that each partition is.
    indices: Arc<[u32]>,
    schema: DFSchemaRef,
}

/// Where the shards go, and as what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ShardTarget {
    pub(super) folder: PlanFolder,
    pub(super) files: ShardFiles,
    /// Whether a shard that is there already stays as it is.
    pub(super) keeps: bool,
}

impl ShardWrite {
    /// A plan that writes partition `i` of `input` as shard `indices[i]` into `folder`.
    ///
    /// # Errors
    /// When the node's own schema cannot be built, which is a defect.
    pub fn plan(
        input: LogicalPlan,
        folder: PlanFolder,
        indices: Vec<u32>,
        files: ShardFiles,
    ) -> Result<LogicalPlan> {
        Self::with_target(
            input,
            indices,
            ShardTarget {
                folder,
                files,
                keeps: false,
            },
        )
    }

    /// The same where the plan, or a part of it, may be run again: a shard whose last file is there already is not
    /// worked out another time.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn plan_once(
        input: LogicalPlan,
        folder: PlanFolder,
        indices: Vec<u32>,
        files: ShardFiles,
    ) -> Result<LogicalPlan> {
        Self::with_target(
            input,
            indices,
            ShardTarget {
                folder,
                files,
                keeps: true,
            },
        )
    }

    fn with_target(
        input: LogicalPlan,
        indices: Vec<u32>,
        target: ShardTarget,
    ) -> Result<LogicalPlan> {
        let schema = Arc::new(DFSchema::try_from(shard_done_schema().as_ref().clone())?);
        Ok(LogicalPlan::Extension(Extension {
            node: Arc::new(Self {
                input,
                target,
                indices: indices.into(),
                schema,
            }),
        }))
    }
}

impl PartialEq for ShardWrite {
    fn eq(&self, other: &Self) -> bool {
        self.input == other.input && self.target == other.target && self.indices == other.indices
    }
}

impl Eq for ShardWrite {}

impl PartialOrd for ShardWrite {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl Hash for ShardWrite {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.indices.hash(state);
    }
}

impl UserDefinedLogicalNodeCore for ShardWrite {
    fn name(&self) -> &'static str {
        "ShardWrite"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShardWrite: shards={}", self.indices.len())
    }

    fn with_exprs_and_inputs(
        &self,
        _expressions: Vec<Expr>,
        inputs: Vec<LogicalPlan>,
    ) -> Result<Self> {
        let mut inputs = inputs.into_iter();
        let (Some(input), None) = (inputs.next(), inputs.next()) else {
            return Err(DataFusionError::Internal(
                "ShardWrite has one input".to_owned(),
            ));
        };
        Ok(Self {
            input,
            ..self.clone()
        })
    }
}

/// Plans [`ShardWrite`].
#[derive(Debug, Default)]
pub(crate) struct ShardWritePlanner;

#[async_trait]
impl ExtensionPlanner for ShardWritePlanner {
    async fn plan_extension(
        &self,
        _planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        _logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        _session: &dyn Session,
        _context: &datafusion::logical_expr::physical_planning_context::PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        let Some(write) = node.as_any().downcast_ref::<ShardWrite>() else {
            return Ok(None);
        };
        let [input] = physical_inputs else {
            return Err(DataFusionError::Internal(
                "ShardWrite has one input".to_owned(),
            ));
        };
        // The numbers are partitions too: an engine that sends some partitions elsewhere sends their numbers along.
        let numbers = write
            .indices
            .iter()
            .map(|index| {
                let number = Arc::new(UInt32Array::from(vec![*index]));
                Ok(vec![RecordBatch::try_new(number_schema(), vec![number])?])
            })
            .collect::<Result<Vec<_>>>()?;
        Ok(Some(Arc::new(ShardWriteExec::try_new(
            Arc::clone(input),
            MemorySourceConfig::try_new_exec(&numbers, number_schema(), None)?,
            write.target.clone(),
        )?)))
    }
}
