//! Who does the work when it is more than one machine?
//!
//! A scheduler and executors of Apache DataFusion Ballista, set up for plans whose partitions are shards, and closed
//! to everybody who holds no certificate of theirs.

mod certificates;
mod client;
mod engine;
mod error;
mod executor;
mod page;
mod plans;
mod reading;
mod results;
mod runner;
mod scheduler;
mod serve;
mod summary;
mod tls;
mod trace;
mod version;

pub use certificates::{hosts_without_certificate, make_certificates};
pub use client::SchedulerClient;
pub use engine::Engine;
pub use error::{ClusterError, TlsProblem, VersionInfo};
pub use executor::{
    ExecutorEvent, ExecutorSettings, HandBackHook, LeaveReason, Observer, ScheduledTask,
    SessionHook, free_bytes, run_executor, stop_on_signals,
};
pub use plans::{own_version, plan_codec};
pub use runner::ClusterRunner;
pub use scheduler::{
    JobHook, Price, Scheduler, SchedulerSettings, Tell, check_exposure, run_scheduler,
};
pub use serve::{bind, serve};
pub use summary::{
    Cost, ExecutorShare, ExecutorSummary, Images, JobDetail, JobPhase, JobSummary, OperatorSums,
    Scaling, Shards, StageSummary,
};
pub use tls::{Tls, endpoint_override, http_agent, scheme, session_config};
pub use trace::TraceParent;
pub use version::{VERSION_PATH, VersionFailure, check_version};
