//! Who does the work when it is more than one machine?
//!
//! A scheduler and executors of Apache DataFusion Ballista, set up for plans whose partitions are shards, and closed
//! to everybody who holds no certificate of theirs.

mod certificates;
mod error;
mod executor;
mod serve;
mod tls;
mod version;

pub use certificates::make_certificates;
pub use error::{ClusterError, TlsProblem, VersionInfo};
pub use executor::{
    ExecutorEvent, ExecutorSettings, HandBackHook, LeaveReason, Observer, ScheduledTask,
    SessionHook, run_executor, stop_on_signals,
};
pub use serve::{bind, serve};
pub use tls::{Tls, endpoint_override, http_agent, scheme, session_config};
pub use version::{VERSION_PATH, VersionFailure, check_version};
