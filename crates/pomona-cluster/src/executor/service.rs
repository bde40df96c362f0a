//! What an executor answers: results for those who fetch them, cancellations, its figures and its health.

use std::collections::HashMap;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};

use arrow_flight::flight_service_server::FlightServiceServer;
use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use ballista_core::serde::protobuf::executor_grpc_server::{ExecutorGrpc, ExecutorGrpcServer};
use ballista_core::serde::protobuf::{
    CancelTasksParams, CancelTasksResult, LaunchMultiTaskParams, LaunchMultiTaskResult,
    LaunchTaskParams, LaunchTaskResult, RemoveJobDataParams, RemoveJobDataResult,
    StopExecutorParams, StopExecutorResult,
};
use ballista_executor::flight_service::BallistaFlightService;
use futures::future::AbortHandle;
use tonic::service::Routes;
use tonic::{Request, Response, Status};

use super::MAX_MESSAGE_BYTES;
use super::folder::WorkFolder;
use super::metrics::{Figures, Surroundings};
use super::settings::{ExecutorSettings, ScheduledTask};

/// The tasks at work, and how to give them up.
#[derive(Clone, Default)]
pub(super) struct RunningTasks(Arc<Mutex<HashMap<ScheduledTask, AbortHandle>>>);

impl RunningTasks {
    pub(super) fn insert(&self, task: ScheduledTask, abort: AbortHandle) {
        self.with(|tasks| tasks.insert(task, abort));
    }

    pub(super) fn remove(&self, task: &ScheduledTask) -> bool {
        self.with(|tasks| tasks.remove(task)).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.with(|tasks| tasks.len())
    }

    /// Gives all of them up. They are no longer known here.
    pub(super) fn give_up(&self) -> Vec<ScheduledTask> {
        let tasks = self.with(std::mem::take);
        tasks.values().for_each(AbortHandle::abort);
        tasks.into_keys().collect()
    }

    fn cancel(&self, job_id: &str, stage_id: u32, task_id: u32) {
        self.with(|tasks| {
            tasks
                .iter()
                .filter(|(task, _)| {
                    task.job_id == job_id && task.stage_id == stage_id && task.task_id == task_id
                })
                .for_each(|(_, abort)| abort.abort());
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut HashMap<ScheduledTask, AbortHandle>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Everything on the executor's port.
pub(super) fn routes(folder: &WorkFolder, running: RunningTasks, observation: Router) -> Router {
    let results = FlightServiceServer::new(BallistaFlightService::new(folder.text().to_owned()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let control = ExecutorGrpcServer::new(Control { running });
    Routes::new(results)
        .add_service(control)
        .into_axum_router()
        .merge(observation)
}

/// The figures at `/metrics`; `/healthz` says that the process lives and `/readyz` that the scheduler answers it.
pub(super) fn observation(
    settings: &ExecutorSettings,
    figures: Arc<Figures>,
    folder: Arc<WorkFolder>,
) -> Router {
    let (slots, memory_bytes) = (settings.slots, settings.memory_bytes);
    let ready = figures.clone();
    let metrics = move || {
        let text = figures.text(&Surroundings {
            slots,
            memory_bytes,
            free_bytes: folder.free_bytes(),
        });
        async move { ([("content-type", "text/plain; version=0.0.4")], text) }
    };
    let readiness = move || {
        let serves = ready.connected.load(Relaxed) && !ready.draining.load(Relaxed);
        async move {
            if serves {
                (StatusCode::OK, "ready\n")
            } else {
                (StatusCode::SERVICE_UNAVAILABLE, "not ready\n")
            }
        }
    };
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readiness))
}

/// The scheduler's way to an executor. Tasks are asked for and never sent, so that it is for cancellations only.
struct Control {
    running: RunningTasks,
}

fn not_here<T>() -> Result<Response<T>, Status> {
    Err(Status::unimplemented(
        "this executor asks the scheduler for its work",
    ))
}

#[tonic::async_trait]
impl ExecutorGrpc for Control {
    async fn launch_task(
        &self,
        _request: Request<LaunchTaskParams>,
    ) -> Result<Response<LaunchTaskResult>, Status> {
        not_here()
    }

    async fn launch_multi_task(
        &self,
        _request: Request<LaunchMultiTaskParams>,
    ) -> Result<Response<LaunchMultiTaskResult>, Status> {
        not_here()
    }

    async fn stop_executor(
        &self,
        _request: Request<StopExecutorParams>,
    ) -> Result<Response<StopExecutorResult>, Status> {
        // It asks this of executors that it thinks are dead. One that hears it is not.
        not_here()
    }

    async fn cancel_tasks(
        &self,
        request: Request<CancelTasksParams>,
    ) -> Result<Response<CancelTasksResult>, Status> {
        for task in request.into_inner().task_infos {
            self.running
                .cancel(&task.job_id, task.stage_id, task.task_id);
        }
        Ok(Response::new(CancelTasksResult { cancelled: true }))
    }

    async fn remove_job_data(
        &self,
        _request: Request<RemoveJobDataParams>,
    ) -> Result<Response<RemoveJobDataResult>, Status> {
        not_here()
    }
}
