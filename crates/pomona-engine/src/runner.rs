//! Who runs a plan: this process, or a cluster.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::{ExecutionPlan, collect};

use crate::cluster_reading::{ClusterReading, CostReading};
use crate::error::EngineError;
use crate::extract::ExtractReading;

/// The name of plans that turn images into features, each image once.
pub const EXTRACT_JOB: &str = "extract";

/// Runs plans that an embedded session made.
#[async_trait]
pub trait Runner: fmt::Debug + Send + Sync {
    /// Runs a plan to its end and gives its rows. `name` is for people.
    ///
    /// Dropping the future stops the work.
    ///
    /// # Errors
    /// Those of the plan, and [`EngineError::Cluster`].
    async fn run(
        &self,
        name: &str,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
    ) -> Result<Vec<RecordBatch>, EngineError>;

    /// Waits until work that was stopped has been called off elsewhere, as far as that can be.
    async fn settle(&self) {}

    /// Whether plans are run by other processes: then what their functions hold must be put where those find it, and
    /// what they write appears without this process's doing.
    fn is_remote(&self) -> bool;

    /// Plans, or partitions of them, that are worked on at once, as far as it is known now.
    fn at_once(&self) -> usize;

    /// Images worked on so far by all plans run here; none where the extractor of this process counts them.
    fn reading(&self) -> Option<ExtractReading>;

    /// What the plans run here have cost so far, where a cluster was told what it costs.
    fn spent(&self) -> Option<CostReading> {
        None
    }

    /// What an hour of one of its machines costs, where a cluster was told.
    fn hour(&self) -> Option<CostReading> {
        None
    }

    /// What a cluster did for the plans run here that are over; none where there is no cluster.
    async fn cluster(&self) -> Option<ClusterReading> {
        None
    }
}

/// Runs plans in this process.
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    /// Images worked on at once.
    pub workers: usize,
}

#[async_trait]
impl Runner for Embedded {
    async fn run(
        &self,
        _name: &str,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
    ) -> Result<Vec<RecordBatch>, EngineError> {
        Ok(collect(plan, context).await?)
    }

    fn is_remote(&self) -> bool {
        false
    }

    fn at_once(&self) -> usize {
        self.workers
    }

    fn reading(&self) -> Option<ExtractReading> {
        None
    }
}
