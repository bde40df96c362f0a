//! An executor: takes tasks from a scheduler, does them, and keeps their results until they are fetched.

mod folder;
mod metrics;
mod pool;
mod scheduler;
mod service;
mod settings;
mod task;
mod worker;

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio_util::sync::CancellationToken;

use crate::error::ClusterError;
use crate::serve::{bind, serve};
use folder::WorkFolder;
pub use folder::free_bytes;
use metrics::Figures;
use service::RunningTasks;
pub use settings::{
    ExecutorEvent, ExecutorSettings, HandBackHook, LeaveReason, Observer, ScheduledTask,
    SessionHook,
};
use worker::{Worker, Workplace};

/// The largest message between processes, in bytes: a task with its shard, or the statuses of tasks.
const MAX_MESSAGE_BYTES: usize = 64 * 1024 * 1024;

/// Runs an executor until it is told to leave by the tokens of its settings, or has to.
///
/// It waits for the scheduler, checks its version, and asks it for tasks. When the scheduler goes away, it waits for
/// it to come back and checks again. On [`ExecutorSettings::stop`] it takes no new task, ends those it has within
/// [`ExecutorSettings::drain`], tells the scheduler, and returns; what is not done by then is handed back, which is
/// no failure.
///
/// # Errors
///
/// [`ClusterError::Setting`] for settings that make no sense; [`ClusterError::Bind`] and [`ClusterError::File`] when
/// it cannot listen or has no work folder; [`ClusterError::NoScheduler`], [`ClusterError::Refused`],
/// [`ClusterError::NotPomona`] and [`ClusterError::OtherVersion`] when it finds no scheduler to work for;
/// [`ClusterError::DiskFull`] when it left because its work folder was full.
pub async fn run_executor(settings: ExecutorSettings) -> Result<(), ClusterError> {
    settings.check()?;
    let folder = Arc::new(WorkFolder::make(settings.work_folder.as_deref())?);
    let listener = bind(settings.bind).await?;
    let address = listener.local_addr().map_err(|source| ClusterError::Bind {
        address: settings.bind,
        source,
    })?;
    let figures = Arc::new(Figures::default());
    let running = RunningTasks::default();
    let observation = service::observation(&settings, figures.clone(), folder.clone());
    let routes = service::routes(&folder, running.clone(), observation.clone());

    let stop_serving = CancellationToken::new();
    // Also when this future is dropped.
    let _guard = stop_serving.clone().drop_guard();
    let mut servers = tokio::task::JoinSet::new();
    if let Some(metrics_bind) = settings.metrics_bind {
        let listener = bind(metrics_bind).await?;
        let stop = stop_serving.clone();
        servers.spawn(async move { serve(listener, observation, None, stop).await });
    }
    let (tls, stop) = (settings.tls.clone(), stop_serving.clone());
    servers.spawn(async move { serve(listener, routes, tls.as_ref(), stop).await });
    settings.tell(ExecutorEvent::Listening {
        address,
        work_folder: folder.path().to_owned(),
    });

    let task_runtime = TaskRuntime::new(settings.slots)?;
    let worker = Worker::new(Workplace {
        settings,
        port: address.port(),
        folder: folder.clone(),
        figures,
        running,
        task_runtime: task_runtime.handle(),
    })?;
    let outcome = worker.work().await;
    // Those who are fetching results may end.
    stop_serving.cancel();
    while servers.join_next().await.is_some() {}
    drop(task_runtime);
    // Threads that are still at it may hold the folder for longer.
    let _ = tokio::task::spawn_blocking(move || folder.remove()).await;
    outcome
}

/// Makes the process leave on SIGTERM or Ctrl-C: the first cancels `stop`, the second `stop_now`.
///
/// # Errors
///
/// [`ClusterError::Signals`] when the operating system has no place for them.
pub fn stop_on_signals(
    stop: CancellationToken,
    stop_now: CancellationToken,
) -> Result<(), ClusterError> {
    let mut signals = Signals::new().map_err(ClusterError::Signals)?;
    tokio::spawn(async move {
        signals.next().await;
        stop.cancel();
        signals.next().await;
        stop_now.cancel();
    });
    Ok(())
}

#[cfg(unix)]
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};

        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

#[cfg(not(unix))]
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) {
        let _ = tokio::signal::ctrl_c().await;
    }
}

/// Threads for tasks, apart from those that talk to the scheduler: one for each slot, and one more for what tasks wait
/// for while others compute.
struct TaskRuntime(Option<Runtime>);

impl TaskRuntime {
    fn new(slots: usize) -> Result<Self, ClusterError> {
        Builder::new_multi_thread()
            .worker_threads(slots.saturating_add(1))
            .thread_name("pomona-task")
            .enable_all()
            .build()
            .map(|runtime| Self(Some(runtime)))
            .map_err(ClusterError::Threads)
    }

    fn handle(&self) -> tokio::runtime::Handle {
        match &self.0 {
            Some(runtime) => runtime.handle().clone(),
            None => tokio::runtime::Handle::current(),
        }
    }
}

impl Drop for TaskRuntime {
    fn drop(&mut self) {
        // A runtime that waits for its threads must not be dropped among other tasks.
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
