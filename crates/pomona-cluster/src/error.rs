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
    /// A folder or file cannot be used.
    #[error("{}: {source}", path.display())]
    File {
        /// The folder or file.
        path: PathBuf,
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
    /// The scheduler did not answer for as long as it was waited for.
    #[error(
        "no scheduler answers at {address}, waited for {waited_secs} s: {reason} (is it running, and is the address right?)"
    )]
    NoScheduler {
        /// Its address.
        address: String,
        /// How long it was waited for, in seconds.
        waited_secs: u64,
        /// What went wrong at the last attempt.
        reason: String,
    },
    /// The other side does not speak as this one does: one uses TLS and the other does not, or neither trusts
    /// the other's certificate.
    #[error(
        "{address} refuses to talk: {reason} (the scheduler, its executors and its clients all need --tls with certificates of one authority, or none of them; certificates must name the host that is connected to)"
    )]
    Refused {
        /// Its address.
        address: String,
        /// What it said.
        reason: String,
    },
    /// Something answers, and it is no scheduler of Pomona.
    #[error(
        "what answers at {address} is no scheduler of pomona ({what}); start one with `pomona cluster scheduler`"
    )]
    NotPomona {
        /// Its address.
        address: String,
        /// What it answered.
        what: String,
    },
    /// The scheduler is another version.
    #[error(
        "the scheduler at {address} is pomona {theirs} and this is pomona {ours}; install the same version on every machine of a cluster"
    )]
    OtherVersion {
        /// Its address.
        address: String,
        /// Its version and plan format.
        theirs: VersionInfo,
        /// This program's version and plan format.
        ours: VersionInfo,
    },
    /// An executor left because there was no room for results.
    #[error(
        "{}: only {free_bytes} bytes are left, so the executor has left; make room, or give it another --work-folder", path.display()
    )]
    DiskFull {
        /// The work folder.
        path: PathBuf,
        /// What was left, in bytes.
        free_bytes: u64,
    },
    /// The operating system gives no threads.
    #[error("no threads for tasks: {0}")]
    Threads(std::io::Error),
    /// The operating system has no place for signals.
    #[error("signals cannot be waited for: {0}")]
    Signals(std::io::Error),
    /// A setting makes no sense.
    #[error("{name} is {value}; {expected}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// What it is.
        value: String,
        /// What it must be.
        expected: &'static str,
    },
    /// Certificates cannot be made.
    #[error("cannot make a certificate for {host}: {source}")]
    MakeCertificate {
        /// Whom it was for.
        host: String,
        /// What is wrong.
        source: rcgen::Error,
    },
    /// A file that would be overwritten.
    #[error("{} is there already and is left as it is; choose another folder, or remove it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Others than this machine would be served in the clear.
    #[error(
        "{address} can be reached from other machines, and whoever reaches it could run plans and read photos: give --tls DIR (`pomona cluster certificates` makes one), or --plain-text where the network lets nobody else in"
    )]
    PlainText {
        /// The address.
        address: SocketAddr,
    },
    /// The folder of jobs that are over does not serve.
    #[error("{}: the history of jobs cannot be kept here: {source}", path.display())]
    History {
        /// The folder or a file in it.
        path: PathBuf,
        /// What the operating system says.
        source: std::io::Error,
    },
    /// Ballista's scheduler does not start.
    #[error("the scheduler does not start: {0}")]
    Scheduler(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The scheduler did not answer a question.
    #[error("the scheduler at {address} does not answer: {reason}")]
    NoAnswer {
        /// Its address.
        address: String,
        /// What went wrong.
        reason: String,
    },
    /// The scheduler says no.
    #[error("the scheduler at {address} answers {status}: {text}")]
    Answer {
        /// Its address.
        address: String,
        /// The HTTP status.
        status: u16,
        /// What it says.
        text: String,
    },
    /// The scheduler does not know a job.
    #[error(
        "the scheduler at {address} knows no job {id}; `pomona cluster jobs` lists those that it knows"
    )]
    NoSuchJob {
        /// Its address.
        address: String,
        /// The identifier.
        id: String,
    },
    /// A job is over already.
    #[error("job {id} is over already: {state}")]
    JobIsOver {
        /// The identifier.
        id: String,
        /// How it ended.
        state: String,
    },
}

/// What two processes of a cluster must agree on.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct VersionInfo {
    /// The program's version.
    pub pomona: String,
    /// The version of the form in which plans travel.
    pub plan_format: u32,
}

impl std::fmt::Display for VersionInfo {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (plan format {})", self.pomona, self.plan_format)
    }
}

impl ClusterError {
    pub(crate) fn file(path: &std::path::Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::File { path, source }
    }
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
