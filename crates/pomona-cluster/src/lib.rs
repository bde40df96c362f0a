//! Who does the work when it is more than one machine?
//!
//! A scheduler and executors of Apache DataFusion Ballista, set up for plans whose partitions are shards, and closed
//! to everybody who holds no certificate of theirs.

mod client;
mod error;
mod page;
mod scheduler;
mod serve;
mod summary;
mod tls;

pub use client::SchedulerClient;
pub use error::{ClusterError, TlsProblem, VersionInfo};
pub use scheduler::{Price, Scheduler, SchedulerSettings, Tell, check_exposure, run_scheduler};
pub use serve::{bind, serve};
pub use summary::{
    Cost, ExecutorShare, ExecutorSummary, Images, JobDetail, JobPhase, JobSummary, OperatorSums,
    Scaling, Shards, StageSummary,
};
pub use tls::{Tls, http_agent, scheme};
