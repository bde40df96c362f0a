//! What a report tells of the storage a run read from and wrote to: plain data, filled by the caller.
//!
//! Numbers that are not finite are shown as a dash and left out of drawings.

/// What was asked of storage during a run, and how it answered.
#[derive(Debug, Clone, Default)]
pub struct StorageData {
    /// Requests sent, each try of a request counted.
    pub requests: u64,
    /// Those of them that were sent again because one before had not succeeded.
    pub retries: u64,
    /// Answers that asked for fewer requests (429, 503 SlowDown).
    pub throttled: u64,
    /// Requests that were given up.
    pub failed: u64,
    /// Bytes of answers.
    pub bytes_read: u64,
    /// Bytes sent to be kept.
    pub bytes_written: u64,
    /// Most requests that were in flight at the same time.
    pub most_in_flight: u64,
    /// How many requests were allowed in flight: (seconds since the run began, limit from then on). Add one at the run's
    /// end, so that the drawing reaches it. In any order; of many, those are drawn that show the lowest and highest.
    pub limits: Vec<(f64, u64)>,
    /// Seconds in which there was nothing to do but wait for answers.
    pub waited_seconds: f64,
    /// Traffic by place, in the order to show. At most [`MAX_PLACES`] are shown.
    pub places: Vec<StoragePlace>,
}

/// What went to and came from one place.
#[derive(Debug, Clone, Default)]
pub struct StoragePlace {
    /// Its URL. Names and passwords, queries and fragments are left out when it is shown.
    pub url: String,
    /// Requests sent to it, each try counted.
    pub requests: u64,
    /// Bytes read from and written to it.
    pub bytes: u64,
}

/// Most places shown.
pub const MAX_PLACES: usize = 50;
