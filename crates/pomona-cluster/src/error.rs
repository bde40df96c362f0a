//! What can go wrong between machines.

use std::net::SocketAddr;
use std::path::PathBuf;

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
    /// A file of the TLS folder does not serve.
    #[error("{}: {problem}", path.display())]
    Tls {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: TlsProblem,
    },
}

/// What is wrong with a certificate or a key.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsProblem {
    /// The file cannot be read.
    #[error(
        "cannot be read: {0} (a TLS folder holds ca.pem, cert.pem and key.pem; `pomona cluster certificates` makes them)"
    )]
    Read(std::io::Error),
    /// A certificate was expected and none is there.
    #[error("holds no certificate in PEM form")]
    NoCertificate,
    /// A private key was expected and none is there.
    #[error("holds no private key in PEM form")]
    NoKey,
    /// The PEM text is damaged.
    #[error("is damaged: {0}")]
    Damaged(tokio_rustls::rustls::pki_types::pem::Error),
    /// A private key that everybody on the machine may read.
    #[error(
        "may be read by every user of this machine (mode {mode:04o}); give it to its owner alone: chmod 600"
    )]
    KeyForEverybody {
        /// The permission bits of the file.
        mode: u32,
    },
    /// The key is another certificate's.
    #[error("is not the key of the certificate in cert.pem")]
    OtherKey,
    /// The certificate was signed by somebody else than the authority.
    #[error("was not signed by the authority in ca.pem")]
    OtherAuthority,
    /// The certificate is past its last day.
    #[error("has expired; make a new one with `pomona cluster certificates`")]
    Expired,
    /// The certificate's first day is still to come.
    #[error("is not valid yet; is this machine's clock right?")]
    NotYetValid,
    /// The certificate is not for clients and servers both.
    #[error("is not meant for what it is used for: it must serve for a server and for a client")]
    Purpose,
    /// Anything else that TLS does not accept.
    #[error("does not serve for TLS: {0}")]
    Unusable(Box<dyn std::error::Error + Send + Sync>),
}
