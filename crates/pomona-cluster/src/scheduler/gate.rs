//! Stands before Ballista's scheduler: what comes from outside is checked here, once.
//!
//! Ballista trusts what executors say. A report that comes twice would put a shard's rows into the result twice, one
//! about a task that does not exist would end the scheduler's event loop, and a task that was lost on the way to its
//! executor would never be done.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use axum::extract::ConnectInfo;
use ballista_core::JobId;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpc;
use ballista_core::serde::protobuf::{
    CancelJobParams, CancelJobResult, CleanJobDataParams, CleanJobDataResult,
    CreateUpdateSessionParams, CreateUpdateSessionResult, ExecuteQueryParams, ExecuteQueryResult,
    ExecutionError, ExecutorRegistration, ExecutorStoppedParams, ExecutorStoppedResult, FailedTask,
    GetJobMetricsParams, GetJobMetricsResult, GetJobStatusParams, GetJobStatusResult,
    HeartBeatParams, HeartBeatResult, PollWorkParams, PollWorkResult, RegisterExecutorParams,
    RegisterExecutorResult, RemoveSessionParams, RemoveSessionResult, SuccessfulTask, TaskKilled,
    TaskStatus, UpdateTaskStatusParams, UpdateTaskStatusResult, execute_query_params::Query,
    executor_status, failed_task::FailedReason, task_status,
};
use ballista_scheduler::scheduler_server::SchedulerServer;
use datafusion::physical_plan::ExecutionPlan;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use futures::Stream;
use tonic::{Request, Response, Status};

use super::Tell;
use super::tally::{HandOut, Tally};

/// Ballista's scheduler.
pub(crate) type Server = SchedulerServer<LogicalPlanNode, PhysicalPlanNode>;

/// The operator whose partitions may be given up one by one: each writes files of its own and nobody adds them up.
const SHARD_WRITER: &str = "ShardWriteExec";
/// No executor's identifier.
const NOBODY: &str = "-";
const LONGEST_NAME: usize = 256;
const MOST_SLOTS: u32 = 65_536;

/// See the module.
#[derive(Clone)]
pub(crate) struct Gate {
    pub(crate) server: Arc<Server>,
    pub(crate) tally: Arc<Tally>,
    /// After how many executors lost over it a shard is set aside; 0 is never.
    pub(crate) set_aside_after: u32,
    /// Whether a shard that is done stays done when its executor is lost.
    pub(crate) shards_outlive_executors: bool,
    pub(crate) tell: Tell,
}

impl Gate {
    /// Tells Ballista something in an executor's name.
    async fn inject(&self, executor: &str, status: TaskStatus) -> Result<(), Status> {
        let told = UpdateTaskStatusParams {
            executor_id: executor.to_owned(),
            task_status: vec![status],
        };
        SchedulerGrpc::update_task_status(&*self.server, Request::new(told))
            .await
            .map(|_| ())
    }

    /// Whether the partitions of a stage stand each for itself, so that the job is whole without one.
    async fn is_of_shards(&self, job: &str, stage: u32) -> bool {
        if let Some(known) = self.tally.is_of_shards(job, stage) {
            return known;
        }
        let running = self.server.state.task_manager.get_running_job_cache();
        let Some(cached) = running.get(job) else {
            return false;
        };
        let graph = cached.execution_graph.read().await;
        let is_of_shards = graph
            .stages()
            .get(&(stage as usize))
            .is_some_and(|stage| stage.output_links().is_empty() && writes_shards(stage.plan()));
        drop(graph);
        self.tally.note_of_shards(job, stage, is_of_shards);
        is_of_shards
    }

    /// What Ballista is told of a shard that is done, so that it has nothing to lose with the executor: that nobody in
    /// particular did it, and that its result lies nowhere.
    async fn outlive(&self, status: &mut TaskStatus) {
        if let Some(task_status::Status::Successful(done)) = &mut status.status
            && self.shards_outlive_executors
            && self.is_of_shards(&status.job_id, status.stage_id).await
        {
            NOBODY.clone_into(&mut done.executor_id);
            done.partitions.clear();
        }
    }

    /// Gives a shard up, or the whole job where nothing else would be right.
    async fn set_aside(
        &self,
        executor: &str,
        task: &ballista_core::serde::protobuf::TaskDefinition,
    ) -> Result<(), Status> {
        let shards = &task.global_output_partition_ids;
        let named = shards
            .iter()
            .map(u32::to_string)
            .collect::<Vec<_>>()
            .join(", ");
        let lost = self.set_aside_after;
        let status = if self.is_of_shards(&task.job_id, task.stage_id).await {
            (self.tell)(&format!(
                "shard {named} of job {} is set aside: {lost} executors were lost while they worked on it",
                task.job_id
            ));
            self.tally
                .set_aside(&task.job_id, task.stage_id, task.task_id);
            task_status::Status::Successful(SuccessfulTask {
                executor_id: executor.to_owned(),
                ..SuccessfulTask::default()
            })
        } else {
            task_status::Status::Failed(FailedTask {
                error: format!(
                    "{lost} executors were lost while they worked on partition {named} of stage {}; see their logs \
                     and their memory",
                    task.stage_id
                ),
                retryable: false,
                count_to_failures: true,
                failed_reason: Some(FailedReason::ExecutionError(ExecutionError {})),
            })
        };
        self.inject(executor, answer_for(task, status)).await
    }

    async fn hand_out(
        &self,
        executor: &str,
        mut result: PollWorkResult,
    ) -> Result<PollWorkResult, Status> {
        let mut given = Vec::with_capacity(result.tasks.len());
        for task in std::mem::take(&mut result.tasks) {
            match self.tally.hand_out(executor, &task, self.set_aside_after) {
                HandOut::Give => given.push(task),
                HandOut::SetAside => self.set_aside(executor, &task).await?,
            }
        }
        result.tasks = given;
        Ok(result)
    }
}

fn writes_shards(plan: &dyn ExecutionPlan) -> bool {
    plan.name() == SHARD_WRITER
        || plan
            .children()
            .into_iter()
            .any(|child| writes_shards(child.as_ref()))
}

fn answer_for(
    task: &ballista_core::serde::protobuf::TaskDefinition,
    status: task_status::Status,
) -> TaskStatus {
    TaskStatus {
        task_id: task.task_id,
        job_id: task.job_id.clone(),
        stage_id: task.stage_id,
        stage_attempt_num: task.stage_attempt_num,
        launch_time: task.launch_time,
        status: Some(status),
        ..TaskStatus::default()
    }
}

/// What Ballista would take for granted.
fn check(metadata: Option<&ExecutorRegistration>) -> Result<&ExecutorRegistration, Status> {
    let refused = |what: &str| Err(Status::invalid_argument(what.to_owned()));
    let Some(metadata) = metadata else {
        return refused("the executor did not say who it is");
    };
    if metadata.id.is_empty() || metadata.id.len() > LONGEST_NAME {
        return refused("the executor's identifier is empty or too long");
    }
    if metadata
        .host
        .as_ref()
        .is_some_and(|host| host.is_empty() || host.len() > LONGEST_NAME)
    {
        return refused("the executor's host is empty or too long");
    }
    if slots(metadata).is_none_or(|slots| slots == 0 || slots > MOST_SLOTS) {
        return refused("the executor did not say how many tasks it can run");
    }
    if metadata.os_info.is_none() {
        return refused("the executor did not say what it runs on");
    }
    if u16::try_from(metadata.port).is_err() {
        return refused("the executor's port is none");
    }
    Ok(metadata)
}

fn slots(metadata: &ExecutorRegistration) -> Option<u32> {
    use ballista_core::serde::scheduler::ExecutorSpecification;
    let specification = metadata.specification.clone()?;
    let specification: ExecutorSpecification = specification.into();
    Some(specification.vcores)
}

fn peer<T>(request: &Request<T>) -> Option<IpAddr> {
    request
        .extensions()
        .get::<ConnectInfo<SocketAddr>>()
        .map(|ConnectInfo(address)| address.ip())
}

#[tonic::async_trait]
impl SchedulerGrpc for Gate {
    type ExecuteQueryPushStream =
        Pin<Box<dyn Stream<Item = Result<GetJobStatusResult, Status>> + Send>>;

    async fn poll_work(
        &self,
        request: Request<PollWorkParams>,
    ) -> Result<Response<PollWorkResult>, Status> {
        let peer = peer(&request);
        let (grpc_metadata, extensions, mut asked) = request.into_parts();
        let executor = check(asked.metadata.as_ref())?.clone();
        let host = match (&executor.host, peer) {
            (Some(host), _) => host.clone(),
            (None, Some(peer)) => peer.to_string(),
            (None, None) => {
                return Err(Status::invalid_argument(
                    "the executor did not say where it is",
                ));
            }
        };
        let slots = slots(&executor).unwrap_or(0);
        let seen = self.tally.seen(
            &executor,
            &host,
            slots,
            asked.num_free_vcores,
            !asked.task_status.is_empty(),
        );
        if seen.has_left {
            return Ok(Response::new(PollWorkResult::default()));
        }
        if seen.is_new {
            (self.tell)(&format!("executor {} at {host} is there", executor.id));
        }
        asked.task_status = std::mem::take(&mut asked.task_status)
            .into_iter()
            .filter_map(|status| self.tally.reported(&executor.id, status))
            .collect();
        for status in &mut asked.task_status {
            self.outlive(status).await;
        }
        asked.task_status.extend(
            seen.forgotten
                .into_iter()
                .map(|(task, attempt)| TaskStatus {
                    task_id: task.task,
                    job_id: task.job.to_string(),
                    stage_id: task.stage,
                    stage_attempt_num: attempt,
                    status: Some(task_status::Status::Failed(FailedTask {
                        error: "the task was lost on the way to its executor".to_owned(),
                        retryable: true,
                        count_to_failures: false,
                        failed_reason: Some(FailedReason::TaskKilled(TaskKilled {})),
                    })),
                    ..TaskStatus::default()
                }),
        );
        if !seen.takes_work {
            asked.num_free_vcores = 0;
        }
        let request = Request::from_parts(grpc_metadata, extensions, asked);
        let response = SchedulerGrpc::poll_work(&*self.server, request).await?;
        let (metadata, result, extensions) = response.into_parts();
        let result = self.hand_out(&executor.id, result).await?;
        Ok(Response::from_parts(metadata, result, extensions))
    }

    async fn register_executor(
        &self,
        _request: Request<RegisterExecutorParams>,
    ) -> Result<Response<RegisterExecutorResult>, Status> {
        Err(Status::failed_precondition(
            "this scheduler gives work to executors that ask for it",
        ))
    }

    /// Executors are alive as long as they ask for work. This is how one says that it is about to leave.
    async fn heart_beat_from_executor(
        &self,
        request: Request<HeartBeatParams>,
    ) -> Result<Response<HeartBeatResult>, Status> {
        let beat = request.into_inner();
        let status = beat.status.and_then(|status| status.status);
        if let Some(executor_status::Status::Terminating(_)) = status {
            (self.tell)(&format!(
                "executor {} is draining",
                crate::summary::shortened(&beat.executor_id, LONGEST_NAME)
            ));
            self.tally.draining(&beat.executor_id, false);
        }
        Ok(Response::new(HeartBeatResult { reregister: false }))
    }

    async fn update_task_status(
        &self,
        request: Request<UpdateTaskStatusParams>,
    ) -> Result<Response<UpdateTaskStatusResult>, Status> {
        let UpdateTaskStatusParams {
            executor_id,
            task_status,
        } = request.into_inner();
        let mut task_status: Vec<TaskStatus> = task_status
            .into_iter()
            .filter_map(|status| self.tally.reported(&executor_id, status))
            .collect();
        for status in &mut task_status {
            self.outlive(status).await;
        }
        let request = Request::new(UpdateTaskStatusParams {
            executor_id,
            task_status,
        });
        SchedulerGrpc::update_task_status(&*self.server, request).await
    }

    async fn create_update_session(
        &self,
        request: Request<CreateUpdateSessionParams>,
    ) -> Result<Response<CreateUpdateSessionResult>, Status> {
        SchedulerGrpc::create_update_session(&*self.server, request).await
    }

    async fn remove_session(
        &self,
        request: Request<RemoveSessionParams>,
    ) -> Result<Response<RemoveSessionResult>, Status> {
        SchedulerGrpc::remove_session(&*self.server, request).await
    }

    async fn execute_query_push(
        &self,
        request: Request<ExecuteQueryParams>,
    ) -> Result<Response<Self::ExecuteQueryPushStream>, Status> {
        check_query(request.get_ref())?;
        SchedulerGrpc::execute_query_push(&*self.server, request).await
    }

    async fn execute_query(
        &self,
        request: Request<ExecuteQueryParams>,
    ) -> Result<Response<ExecuteQueryResult>, Status> {
        check_query(request.get_ref())?;
        SchedulerGrpc::execute_query(&*self.server, request).await
    }

    async fn get_job_status(
        &self,
        request: Request<GetJobStatusParams>,
    ) -> Result<Response<GetJobStatusResult>, Status> {
        SchedulerGrpc::get_job_status(&*self.server, request).await
    }

    async fn get_job_metrics(
        &self,
        request: Request<GetJobMetricsParams>,
    ) -> Result<Response<GetJobMetricsResult>, Status> {
        SchedulerGrpc::get_job_metrics(&*self.server, request).await
    }

    async fn executor_stopped(
        &self,
        request: Request<ExecutorStoppedParams>,
    ) -> Result<Response<ExecutorStoppedResult>, Status> {
        let stopped = request.get_ref();
        (self.tell)(&format!(
            "executor {} leaves: {}",
            crate::summary::shortened(&stopped.executor_id, LONGEST_NAME),
            crate::summary::shortened(&stopped.reason, LONGEST_NAME)
        ));
        self.tally.draining(&stopped.executor_id, true);
        SchedulerGrpc::executor_stopped(&*self.server, request).await
    }

    async fn cancel_job(
        &self,
        request: Request<CancelJobParams>,
    ) -> Result<Response<CancelJobResult>, Status> {
        let id = JobId::from(request.get_ref().job_id.clone());
        // Ballista counts cancellations of jobs that it does not have.
        let known = self.server.state.task_manager.get_job_status(&id).await;
        if !matches!(known, Ok(Some(_))) {
            return Ok(Response::new(CancelJobResult { cancelled: false }));
        }
        SchedulerGrpc::cancel_job(&*self.server, request).await
    }

    async fn clean_job_data(
        &self,
        request: Request<CleanJobDataParams>,
    ) -> Result<Response<CleanJobDataResult>, Status> {
        SchedulerGrpc::clean_job_data(&*self.server, request).await
    }
}

/// Other plans would be planned here, and could make the scheduler read files of its own machine.
fn check_query(query: &ExecuteQueryParams) -> Result<(), Status> {
    match query.query {
        Some(Query::PhysicalPlan(_)) => Ok(()),
        _ => Err(Status::invalid_argument(
            "this scheduler takes physical plans only",
        )),
    }
}
