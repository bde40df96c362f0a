//! What went over the network.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Counts what goes over the network to one bucket or host.
#[derive(Debug)]
pub struct Traffic {
    started: Instant,
    requests: AtomicU64,
    failed: AtomicU64,
    throttled: AtomicU64,
    bytes_read: AtomicU64,
    bytes_written: AtomicU64,
    waited_micros: AtomicU64,
    in_flight: AtomicU64,
    most_in_flight: AtomicU64,
    limits: Mutex<Vec<LimitAt>>,
}

/// Requests allowed in flight at a moment.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LimitAt {
    /// Seconds since the place was opened.
    pub seconds: f64,
    /// Requests allowed at once from then on.
    pub limit: usize,
}

/// What went over the network so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TrafficReading {
    /// Requests sent, those included that were sent again.
    pub requests: u64,
    /// Requests that failed in a way that may pass, and were sent again where the budget allowed it; also those that
    /// stayed silent while a copy of them was answered.
    pub failed: u64,
    /// Of those, the ones that the other side refused because there were too many (503, 429).
    pub throttled: u64,
    /// Bytes of answers.
    pub bytes_read: u64,
    /// Bytes of objects sent.
    pub bytes_written: u64,
    /// Seconds that requests took, added up over all of them.
    pub waited_secs: f64,
    /// Most requests in flight at once.
    pub most_in_flight: u64,
    /// How many were allowed at once, whenever that changed.
    pub limits: Vec<LimitAt>,
}

/// Changes of the limit that are kept; a chart needs no more.
const KEPT_LIMITS: usize = 512;

impl Default for Traffic {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            requests: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            throttled: AtomicU64::new(0),
            bytes_read: AtomicU64::new(0),
            bytes_written: AtomicU64::new(0),
            waited_micros: AtomicU64::new(0),
            in_flight: AtomicU64::new(0),
            most_in_flight: AtomicU64::new(0),
            limits: Mutex::new(Vec::new()),
        }
    }
}

impl Traffic {
    /// What went over the network so far.
    #[must_use]
    pub fn read(&self) -> TrafficReading {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        TrafficReading {
            requests: get(&self.requests),
            failed: get(&self.failed),
            throttled: get(&self.throttled),
            bytes_read: get(&self.bytes_read),
            bytes_written: get(&self.bytes_written),
            waited_secs: get(&self.waited_micros) as f64 * 1e-6,
            most_in_flight: get(&self.most_in_flight),
            limits: self
                .limits
                .lock()
                .map(|limits| limits.clone())
                .unwrap_or_default(),
        }
    }

    pub(crate) fn began(&self, bytes_sent: u64) -> Flight<'_> {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.bytes_written.fetch_add(bytes_sent, Ordering::Relaxed);
        let now = self.in_flight.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_in_flight.fetch_max(now, Ordering::Relaxed);
        Flight {
            traffic: self,
            began: Instant::now(),
        }
    }

    pub(crate) fn read_bytes(&self, bytes: u64) {
        self.bytes_read.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, is_throttled: bool) -> u64 {
        if is_throttled {
            self.throttled.fetch_add(1, Ordering::Relaxed);
        }
        self.failed.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(crate) fn limit_changed(&self, limit: usize) {
        if let Ok(mut limits) = self.limits.lock() {
            if limits.len() >= KEPT_LIMITS {
                // Every other one is enough from here on.
                let mut number = 0;
                limits.retain(|_| {
                    number += 1;
                    number % 2 == 1
                });
            }
            limits.push(LimitAt {
                seconds: self.started.elapsed().as_secs_f64(),
                limit,
            });
        }
    }
}

/// A request in flight, until it is answered or nobody waits for it any more.
pub(crate) struct Flight<'a> {
    traffic: &'a Traffic,
    began: Instant,
}

impl Drop for Flight<'_> {
    fn drop(&mut self) {
        self.traffic.in_flight.fetch_sub(1, Ordering::Relaxed);
        let micros = u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.traffic
            .waited_micros
            .fetch_add(micros, Ordering::Relaxed);
    }
}
