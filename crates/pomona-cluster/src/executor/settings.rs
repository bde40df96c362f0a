//! What an executor is told, and what it tells.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::SessionState;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::PhysicalExtensionCodec;
use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use crate::error::{ClusterError, VersionInfo};
use crate::tls::Tls;
use crate::trace::TraceParent;

/// Puts what operators need into the configuration that a task runs under. It sees the job's own settings.
pub type SessionHook = Arc<dyn Fn(SessionConfig) -> SessionConfig + Send + Sync>;
/// Is told what happens. It is called between polls, so it must not block.
pub type Observer = Arc<dyn Fn(&ExecutorEvent) + Send + Sync>;
/// Is told of tasks that were begun here and will be done elsewhere, before anybody else can begin them.
pub type HandBackHook = Arc<dyn Fn(Vec<ScheduledTask>) -> BoxFuture<'static, ()> + Send + Sync>;

/// All that an executor needs to know.
#[derive(Clone)]
pub struct ExecutorSettings {
    /// The scheduler's host name or address.
    pub scheduler_host: String,
    /// The scheduler's port.
    pub scheduler_port: u16,
    /// Where the executor listens: other executors and clients fetch results there. Port 0 is any free one.
    pub bind: SocketAddr,
    /// The name or address under which others reach the executor. By default the one that the scheduler sees it at.
    /// With TLS the certificate must name it.
    pub advertised_host: Option<String>,
    /// Where metrics are served in the clear as well, at `/metrics`; by default only where the executor listens.
    pub metrics_bind: Option<SocketAddr>,
    /// How many tasks run at once, at least 1.
    pub slots: usize,
    /// The memory that operators may take, in bytes, in equal parts for the slots; `None` for no limit.
    pub memory_bytes: Option<u64>,
    /// Where results wait to be fetched; by default the system's temporary folder. The executor makes a folder of its
    /// own in it, which it removes at the end, and removes those of executors that are gone.
    pub work_folder: Option<PathBuf>,
    /// With less room than this in the work folder, in bytes, the executor leaves.
    pub min_free_bytes: u64,
    /// How long tasks may take to end once the executor is to leave.
    pub drain: Duration,
    /// How long the scheduler is waited for at the start.
    pub scheduler_wait: Duration,
    /// Who this process is and whom it trusts; without, everything goes in the clear.
    pub tls: Option<Tls>,
    /// What scheduler and executor must agree on.
    pub version: VersionInfo,
    /// Reads the plans of tasks.
    pub codec: Arc<dyn PhysicalExtensionCodec>,
    /// Its functions can be named in plans.
    pub session: SessionState,
    /// Called for every task.
    pub session_hook: Option<SessionHook>,
    /// Where the object stores of tasks come from; by default DataFusion's own, for local files.
    pub object_stores: Option<Arc<dyn ObjectStoreRegistry>>,
    /// Called for every event.
    pub observer: Option<Observer>,
    /// Called for tasks that are given up, which is no failure of theirs.
    pub hand_back: Option<HandBackHook>,
    /// Makes the executor leave, in the time of [`drain`](Self::drain).
    pub stop: CancellationToken,
    /// Makes the executor leave at once.
    pub stop_now: CancellationToken,
}

impl ExecutorSettings {
    /// Settings for one slot on this machine, without a limit to its memory.
    pub fn new(
        scheduler_host: impl Into<String>,
        scheduler_port: u16,
        version: VersionInfo,
        codec: Arc<dyn PhysicalExtensionCodec>,
        session: SessionState,
    ) -> Self {
        Self {
            scheduler_host: scheduler_host.into(),
            scheduler_port,
            bind: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            advertised_host: None,
            metrics_bind: None,
            slots: 1,
            memory_bytes: None,
            work_folder: None,
            min_free_bytes: 64 * 1024 * 1024,
            drain: Duration::from_secs(30),
            scheduler_wait: Duration::from_secs(60),
            tls: None,
            version,
            codec,
            session,
            session_hook: None,
            object_stores: None,
            observer: None,
            hand_back: None,
            stop: CancellationToken::new(),
            stop_now: CancellationToken::new(),
        }
    }

    pub(super) fn check(&self) -> Result<(), ClusterError> {
        if self.slots == 0 {
            return Err(ClusterError::Setting {
                name: "--slots",
                value: "0".to_owned(),
                expected: "an executor has at least one",
            });
        }
        match self.memory_bytes {
            Some(bytes) if bytes / (self.slots as u64) == 0 => Err(ClusterError::Setting {
                name: "--memory-bytes",
                value: bytes.to_string(),
                expected: "every slot needs some",
            }),
            _ => Ok(()),
        }
    }

    pub(super) fn tell(&self, event: ExecutorEvent) {
        if let Some(observer) = &self.observer {
            observer(&event);
        }
    }
}

/// A task as the scheduler names it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ScheduledTask {
    /// The job.
    pub job_id: String,
    /// The stage, from 1.
    pub stage_id: u32,
    /// Which attempt at the stage, from 0.
    pub stage_attempt: u32,
    /// The task within the stage; another attempt at the same work has another number.
    pub task_id: u32,
    /// The partitions of the stage that the task is for.
    pub partitions: Vec<u32>,
}

impl fmt::Display for ScheduledTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "task {} of stage {} of job {}",
            self.task_id, self.stage_id, self.job_id
        )
    }
}

/// Why an executor leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum LeaveReason {
    /// It was told to.
    Stopped,
    /// There is no room left in its work folder.
    DiskFull {
        /// What is left, in bytes.
        free_bytes: u64,
    },
}

impl fmt::Display for LeaveReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stopped => f.write_str("it was told to stop"),
            Self::DiskFull { free_bytes } => {
                write!(f, "its work folder has no room left ({free_bytes} bytes)")
            }
        }
    }
}

/// What happens in the life of an executor.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ExecutorEvent {
    /// It listens.
    Listening {
        /// Where.
        address: SocketAddr,
        /// Where results wait to be fetched.
        work_folder: PathBuf,
    },
    /// It waits for a scheduler that does not answer.
    WaitingForScheduler {
        /// The scheduler's address.
        address: String,
        /// Why there is no answer.
        reason: String,
    },
    /// The scheduler knows it, at the start or again.
    Registered {
        /// Its name at the scheduler.
        executor_id: String,
    },
    /// The scheduler stopped answering. The executor goes on trying.
    LostScheduler {
        /// What happened.
        reason: String,
    },
    /// A task has begun.
    TaskStarted {
        /// The task.
        task: ScheduledTask,
        /// The client's span that its job belongs to.
        trace_parent: Option<TraceParent>,
    },
    /// A task has ended.
    TaskFinished {
        /// The task.
        task: ScheduledTask,
        /// How long it took.
        elapsed: Duration,
        /// Why it failed, if it did.
        error: Option<String>,
    },
    /// A task was cancelled, with its job.
    TaskCancelled {
        /// The task.
        task: ScheduledTask,
    },
    /// The results of a job, or of stages of it that nobody needs any more, are removed.
    JobRemoved {
        /// The job.
        job_id: String,
    },
    /// The executor takes no new tasks and will leave.
    Draining {
        /// Why.
        reason: LeaveReason,
        /// How many tasks are to end.
        running: usize,
    },
    /// Tasks were given up, to be done elsewhere.
    HandedBack {
        /// How many.
        tasks: usize,
    },
    /// It has left the scheduler.
    Left,
}

impl fmt::Display for ExecutorEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Listening {
                address,
                work_folder,
            } => {
                write!(
                    f,
                    "listening at {address}, work folder {}",
                    work_folder.display()
                )
            }
            Self::WaitingForScheduler { address, reason } => {
                write!(f, "waiting for the scheduler at {address}: {reason}")
            }
            Self::Registered { executor_id } => {
                write!(f, "registered with the scheduler as {executor_id}")
            }
            Self::LostScheduler { reason } => {
                write!(f, "lost the scheduler, trying to find it again: {reason}")
            }
            Self::TaskStarted { task, .. } => write!(f, "began {task}"),
            Self::TaskFinished {
                task,
                elapsed,
                error,
            } => {
                let secs = elapsed.as_secs_f64();
                match error {
                    None => write!(f, "finished {task} in {secs:.3} s"),
                    Some(error) => write!(f, "failed {task} after {secs:.3} s: {error}"),
                }
            }
            Self::TaskCancelled { task } => write!(f, "cancelled {task}"),
            Self::JobRemoved { job_id } => write!(f, "removed the results of job {job_id}"),
            Self::Draining { reason, running } => {
                write!(
                    f,
                    "leaving, because {reason}; {running} tasks are still to end"
                )
            }
            Self::HandedBack { tasks } => write!(f, "handed {tasks} tasks back"),
            Self::Left => f.write_str("left"),
        }
    }
}
