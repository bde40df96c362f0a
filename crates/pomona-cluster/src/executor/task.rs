//! One task: from the scheduler's definition to the status that it is told.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use ballista_core::RuntimeProducer;
use ballista_core::error::BallistaError;
use ballista_core::extension::{SessionConfigExt, SessionConfigHelperExt};
use ballista_core::registry::BallistaFunctionRegistry;
use ballista_core::serde::protobuf::{
    FailedTask, OperatorMetricsSet, SuccessfulTask, TaskDefinition, TaskStatus, failed_task,
    task_status,
};
use ballista_executor::execution_engine::{
    DefaultExecutionEngine, ExecutionEngine, QueryStageExecutor,
};
use ballista_executor::runtime_cache::{
    DefaultSessionRuntimeCache, MemoryPoolPolicy, SessionRuntimeCache,
};
use datafusion::error::DataFusionError;
use datafusion::execution::TaskContext;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::{AsExecutionPlan, PhysicalExtensionCodec};
use datafusion_proto::protobuf::PhysicalPlanNode;
use futures::FutureExt;
use pomona_engine::EngineError;

use super::folder::WorkFolder;
use super::pool::ClientPool;
use super::settings::{ExecutorSettings, ScheduledTask, SessionHook};
use crate::tls::{Tls, session_config};

/// How many sessions keep their object stores and file footers between tasks.
const CACHED_SESSIONS: usize = 16;

/// What all tasks of an executor share.
pub(super) struct TaskEnvironment {
    codec: Arc<dyn PhysicalExtensionCodec>,
    functions: BallistaFunctionRegistry,
    engine: DefaultExecutionEngine,
    runtimes: DefaultSessionRuntimeCache,
    tls: Option<Tls>,
    session_hook: Option<SessionHook>,
    folder: Arc<WorkFolder>,
}

impl TaskEnvironment {
    pub(super) fn new(settings: &ExecutorSettings, folder: Arc<WorkFolder>) -> Self {
        let pool = Arc::new(ClientPool::default());
        Self {
            codec: settings.codec.clone(),
            functions: BallistaFunctionRegistry::from(&settings.session),
            engine: DefaultExecutionEngine::with_client_pool(pool),
            runtimes: DefaultSessionRuntimeCache::new(
                runtime_producer(settings, &folder),
                memory_policy(settings),
                CACHED_SESSIONS,
            ),
            tls: settings.tls.clone(),
            session_hook: settings.session_hook.clone(),
            folder,
        }
    }

    /// Runs `task` to its end, whatever that is. Dropping the future gives the task up.
    pub(super) async fn run(&self, task: &TaskDefinition, executor_id: String) -> TaskStatus {
        let start_exec_time = unix_millis();
        let mut metrics = Vec::new();
        let work = AssertUnwindSafe(self.execute(task, executor_id, &mut metrics)).catch_unwind();
        let status = match work.await {
            Ok(Ok(success)) => task_status::Status::Successful(success),
            Ok(Err(error)) => task_status::Status::Failed(failed(error)),
            Err(panic) => task_status::Status::Failed(failed(BallistaError::Internal(format!(
                "the task came to an abrupt end: {}",
                panic_message(&*panic)
            )))),
        };
        TaskStatus {
            task_id: task.task_id,
            job_id: task.job_id.clone(),
            stage_id: task.stage_id,
            stage_attempt_num: task.stage_attempt_num,
            launch_time: task.launch_time,
            start_exec_time,
            end_exec_time: unix_millis(),
            metrics,
            status: Some(status),
        }
    }

    async fn execute(
        &self,
        task: &TaskDefinition,
        executor_id: String,
        metrics: &mut Vec<OperatorMetricsSet>,
    ) -> Result<SuccessfulTask, BallistaError> {
        let context = self.context(task)?;
        let plan = PhysicalPlanNode::try_decode(&task.plan)
            .and_then(|node| node.try_into_physical_plan(&context, &*self.codec))?;
        let stage = self.engine.create_query_stage_exec(
            task.job_id.clone().into(),
            task.stage_id as usize,
            task.task_id as usize,
            task.global_output_partition_ids
                .iter()
                .map(|id| *id as usize)
                .collect(),
            plan,
            self.folder.text(),
            context.session_config(),
        )?;
        let outcome = stage
            .execute_query_stage(task.task_id as usize, context)
            .await;
        *metrics = collect_metrics(&*stage);
        Ok(SuccessfulTask {
            executor_id,
            partitions: outcome?,
            runtime_stats: stage.collect_runtime_stats_reports(),
            task_column_stats: stage.collect_column_stats(),
            window_state: stage.collect_window_state_reports()?,
        })
    }

    fn context(&self, task: &TaskDefinition) -> Result<Arc<TaskContext>, DataFusionError> {
        let config = SessionConfig::new_with_ballista().update_from_key_value_pair(&task.props);
        let config = match &self.session_hook {
            Some(hook) => hook(config),
            None => config,
        };
        // Last, so that no setting of a job sends anything in the clear.
        let config = session_config(config, self.tls.as_ref());
        let runtime =
            self.runtimes
                .produce_runtime(&task.session_id, &config, task.vcores_consumed)?;
        Ok(Arc::new(TaskContext::new(
            Some(named(task).to_string()),
            task.session_id.clone(),
            config,
            self.functions.scalar_functions.clone(),
            self.functions.higher_order_functions.clone(),
            self.functions.aggregate_functions.clone(),
            self.functions.window_functions.clone(),
            runtime,
        )))
    }
}

pub(super) fn named(task: &TaskDefinition) -> ScheduledTask {
    ScheduledTask {
        job_id: task.job_id.clone(),
        stage_id: task.stage_id,
        stage_attempt: task.stage_attempt_num,
        task_id: task.task_id,
        partitions: task.global_output_partition_ids.clone(),
    }
}

/// Why a task failed, if it did.
pub(super) fn failure(status: &TaskStatus) -> Option<&FailedTask> {
    match &status.status {
        Some(task_status::Status::Failed(failed)) => Some(failed),
        _ => None,
    }
}

/// A failure of this machine's and not of the task's: it is done again elsewhere and nothing is held against it.
pub(super) fn forgive(status: &mut TaskStatus) {
    if let Some(task_status::Status::Failed(failed)) = &mut status.status {
        failed.retryable = true;
        failed.count_to_failures = false;
        failed.failed_reason = Some(failed_task::FailedReason::IoError(
            ballista_core::serde::protobuf::IoError {},
        ));
    }
}

fn failed(error: BallistaError) -> FailedTask {
    let text = own_words(&error).unwrap_or_else(|| error.to_string());
    let mut failed = FailedTask::from(error);
    // Ballista writes these for its developers.
    failed.error = text;
    failed
}

/// What Pomona itself says of an error, below all that was wrapped around it.
fn own_words(error: &BallistaError) -> Option<String> {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        if let Some(words) = EngineError::for_cluster(cause) {
            return Some(words);
        }
        cause = match cause.downcast_ref::<BallistaError>() {
            // Ballista's error names no cause.
            Some(BallistaError::DataFusionError(inner)) => &**inner,
            Some(_) => return None,
            None => cause.source()?,
        };
    }
}

fn collect_metrics(stage: &dyn QueryStageExecutor) -> Vec<OperatorMetricsSet> {
    stage
        .collect_plan_metrics()
        .into_iter()
        .map(TryInto::try_into)
        .collect::<Result<_, BallistaError>>()
        // Without its figures a task is as good.
        .unwrap_or_default()
}

/// The runtime that the tasks of a session share.
fn runtime_producer(settings: &ExecutorSettings, folder: &WorkFolder) -> RuntimeProducer {
    let stores = settings.object_stores.clone();
    let spill = folder.spill();
    Arc::new(move |_config| {
        let mut builder = RuntimeEnvBuilder::new().with_temp_file_path(spill.clone());
        if let Some(stores) = &stores {
            builder = builder.with_object_store_registry(stores.clone());
        }
        builder.build_arc()
    })
}

/// A pool for each task: its slots' share of the executor's memory.
fn memory_policy(settings: &ExecutorSettings) -> MemoryPoolPolicy {
    let slots = settings.slots as u64;
    let share = settings
        .memory_bytes
        .map(|bytes| usize::try_from(bytes / slots.max(1)).unwrap_or(usize::MAX));
    Arc::new(move |base, _config, taken| match share {
        None => Ok(base),
        Some(share) => {
            let bytes = share.saturating_mul(taken.max(1) as usize);
            RuntimeEnvBuilder::from_runtime_env(&base)
                .with_memory_pool(Arc::new(FairSpillPool::new(bytes)))
                .build_arc()
        }
    })
}

fn panic_message(panic: &(dyn Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("without a reason")
}

fn unix_millis() -> u64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
