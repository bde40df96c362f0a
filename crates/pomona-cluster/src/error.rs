//! What can go wrong between machines.

use std::net::SocketAddr;

/// An error of the scheduler, of an executor, or on the way to them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClusterError {
    /// Nothing can listen at an address.
    #[error(
        "cannot listen at {address}: {source} (another process may use the port; choose one with --bind)"
    )]
    Bind {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        source: std::io::Error,
    },
}
