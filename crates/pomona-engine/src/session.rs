//! The embedded session: a DataFusion context whose partitions are shards, and the threads that drive it.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::Session;
use datafusion::error::Result;
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::{QueryPlanner, SessionContext};
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use datafusion::prelude::SessionConfig;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::error::EngineError;
use crate::moments::moments_function;
use crate::services::Services;
use crate::shard_write::ShardWritePlanner;

/// Two runtimes: one whose threads work on batches, one whose threads only wait for objects.
///
/// Fetches must not queue behind images that are being worked on, nor the other way round.
#[derive(Debug)]
pub struct Runtimes {
    work: Option<Runtime>,
    fetch: Option<Runtime>,
}

impl Runtimes {
    /// Starts both; `workers` partitions can be worked on at once.
    ///
    /// # Errors
    /// [`EngineError::Threads`].
    pub fn start(workers: usize) -> std::result::Result<Self, EngineError> {
        let failed = |error: std::io::Error| EngineError::Threads(Box::new(error));
        let work = Builder::new_multi_thread()
            // More than there are shards in flight: a shard holds its thread while its images are worked on elsewhere.
            .worker_threads(workers + 3)
            .thread_name("work")
            .enable_all()
            .build()
            .map_err(failed)?;
        let fetch = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(8)
            .thread_name("fetch")
            .enable_all()
            .build()
            .map_err(failed)?;
        Ok(Self {
            work: Some(work),
            fetch: Some(fetch),
        })
    }

    /// Runs a future to its end on this thread, with the work runtime around it.
    ///
    /// # Errors
    /// [`EngineError::Threads`] when the runtimes are shutting down; else what the future gives.
    pub fn block_on<F, T, E>(&self, future: F) -> std::result::Result<T, E>
    where
        F: Future<Output = std::result::Result<T, E>>,
        E: From<EngineError>,
    {
        match &self.work {
            Some(work) => work.block_on(future),
            None => Err(EngineError::Threads("the runtime has ended".into()).into()),
        }
    }

    /// Starts a future that nobody waits for.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        if let Some(work) = &self.work {
            work.spawn(future);
        }
    }

    /// Where fetches run.
    ///
    /// # Errors
    /// [`EngineError::Threads`] when the runtimes are shutting down.
    pub fn fetch(&self) -> std::result::Result<Handle, EngineError> {
        match &self.fetch {
            Some(fetch) => Ok(fetch.handle().clone()),
            None => Err(EngineError::Threads("the runtime has ended".into())),
        }
    }
}

impl Drop for Runtimes {
    fn drop(&mut self) {
        for runtime in [self.work.take(), self.fetch.take()].into_iter().flatten() {
            runtime.shutdown_background();
        }
    }
}

/// Limits of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionLimits {
    /// Bytes that sorts and aggregates may hold before they spill to disk.
    pub memory_bytes: usize,
    /// Rows in one batch read from Parquet.
    pub batch_rows: usize,
}

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 256 << 20,
            batch_rows: 1024,
        }
    }
}

/// A DataFusion context that knows Pomona's functions and nodes, and leaves partitions alone: a partition is a shard.
///
/// # Errors
/// When DataFusion refuses the limits.
pub fn embedded_session(
    limits: SessionLimits,
    services: Arc<Services>,
) -> std::result::Result<SessionContext, EngineError> {
    let mut config = SessionConfig::new()
        .with_extension(services)
        // A fixed number, so that plans do not depend on the machine.
        .with_target_partitions(4)
        .with_batch_size(limits.batch_rows)
        .with_round_robin_repartition(false)
        .with_repartition_file_scans(false)
        .with_information_schema(true)
        .with_collect_statistics(false);
    config
        .options_mut()
        .execution
        .enable_file_stream_work_stealing = false;
    config.options_mut().execution.coalesce_batches = false;
    config.options_mut().execution.parquet.pushdown_filters = true;
    // A join that was given such a filter cannot be turned round any more, which Ballista does when it knows the sides:
    // it would give the job up without a word.
    config
        .options_mut()
        .optimizer
        .enable_join_dynamic_filter_pushdown = false;
    // Strings are read as they were written: what is read is often written again.
    config
        .options_mut()
        .execution
        .parquet
        .schema_force_view_types = false;
    let runtime = RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
        .build_arc()?;
    let state = SessionStateBuilder::new()
        .with_default_features()
        .with_config(config)
        .with_runtime_env(runtime)
        .with_query_planner(Arc::new(Planner))
        .build();
    let session = SessionContext::new_with_state(state);
    session.register_udaf(moments_function());
    Ok(session)
}

/// The same session for plans of one shard: joins and groups do not spread its rows over several partitions.
#[must_use]
pub fn one_partition(session: &SessionContext) -> SessionContext {
    let config = session.copied_config().with_target_partitions(1);
    let state = SessionStateBuilder::new_from_existing(session.state())
        .with_config(config)
        .build();
    SessionContext::new_with_state(state)
}

/// Plans what DataFusion plans, and Pomona's own nodes.
struct Planner;

impl fmt::Debug for Planner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Planner")
    }
}

#[async_trait]
impl QueryPlanner for Planner {
    async fn create_physical_plan(
        &self,
        logical_plan: &LogicalPlan,
        session: &dyn Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        DefaultPhysicalPlanner::with_extension_planners(vec![Arc::new(ShardWritePlanner)])
            .create_physical_plan(logical_plan, session)
            .await
    }
}
