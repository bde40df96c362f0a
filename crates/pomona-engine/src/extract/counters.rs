//! How far the work is.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Work done so far, counted while it is done.
#[derive(Debug, Default)]
pub struct ExtractCounters {
    done: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    pub(super) prepare_nanos: AtomicU64,
    pub(super) features_nanos: AtomicU64,
}

/// A reading of [`ExtractCounters`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ExtractReading {
    /// Images with features.
    pub done: u64,
    /// Images without.
    pub failed: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Time spent on hashing, decoding, preparing and resizing, added up over the threads; seconds.
    pub prepare_secs: f64,
    /// Time spent in the network or on key points, added up over the threads; seconds.
    pub features_secs: f64,
}

impl ExtractCounters {
    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> ExtractReading {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ExtractReading {
            done: load(&self.done),
            failed: load(&self.failed),
            bytes: load(&self.bytes),
            prepare_secs: load(&self.prepare_nanos) as f64 * 1e-9,
            features_secs: load(&self.features_nanos) as f64 * 1e-9,
        }
    }

    pub(super) fn add_images(&self, done: usize, failed: usize) {
        self.done.fetch_add(done as u64, Ordering::Relaxed);
        self.failed.fetch_add(failed as u64, Ordering::Relaxed);
    }

    pub(super) fn add_bytes(&self, bytes: u64) {
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn add_time(counter: &AtomicU64, since: Instant) {
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counter.fetch_add(nanos, Ordering::Relaxed);
    }
}
