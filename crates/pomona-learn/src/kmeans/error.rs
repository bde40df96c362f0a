/// Why descriptors could not be clustered or assigned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KMeansError {
    /// A block of descriptors, keys or labels has the wrong size.
    #[error("{operation}: expected {expected}, got {got}")]
    Shape {
        /// What was being done.
        operation: &'static str,
        /// The size it needs, in words.
        expected: String,
        /// The size it was given, in words.
        got: String,
    },
    /// A setting that cannot be used.
    #[error("{setting} {reason}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// What it has to be.
        reason: &'static str,
    },
    /// There is nothing to cluster.
    #[error("no image gave a descriptor, so there is no codebook to learn")]
    NoDescriptors,
    /// More rows than a summary counts.
    #[error("more descriptors than can be counted (2^40)")]
    TooManyRows,
    /// Summaries that do not belong together, such as of two passes.
    #[error("{operation}: the summaries are of different passes or settings")]
    Mixed {
        /// What was being done.
        operation: &'static str,
    },
    /// The steps of a fit were called out of turn.
    #[error("{operation} is not the next step of this fit")]
    OutOfTurn {
        /// What was being done.
        operation: &'static str,
    },
    /// Centres that cannot be a codebook.
    #[error("the centres cannot be used: {reason}")]
    Centres {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// Bytes that were not written by this program, or not completely.
    #[error("not a {what}: {reason}")]
    Broken {
        /// What they should be.
        what: &'static str,
        /// What is wrong with them.
        reason: &'static str,
    },
    /// Threads could not be started.
    #[error("worker threads could not be started")]
    Threads(#[source] rayon::ThreadPoolBuildError),
}
