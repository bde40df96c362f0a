//! Who does the work when it is more than one machine?
//!
//! A scheduler and executors of Apache DataFusion Ballista, set up for plans whose partitions are shards, and closed
//! to everybody who holds no certificate of theirs.

mod error;
mod serve;
mod tls;

pub use error::{ClusterError, TlsProblem};
pub use serve::{bind, serve};
pub use tls::{Tls, http_agent, scheme};
