//! What is kept of an executor.

use std::collections::HashSet;
use std::sync::Arc;

use super::TaskKey;
use crate::summary::ExecutorSummary;

/// An executor that was seen.
#[derive(Debug)]
pub(super) struct Executor {
    pub(super) host: Arc<str>,
    pub(super) port: u32,
    pub(super) slots: u32,
    pub(super) free: u32,
    pub(super) first_seen_ms: u64,
    pub(super) last_seen_ms: u64,
    pub(super) draining: bool,
    /// It said that it goes.
    pub(super) left: bool,
    /// It was silent for too long.
    pub(super) lost: bool,
    /// Since when it has had all slots free and nothing to report.
    pub(super) idle_since_ms: Option<u64>,
    pub(super) tasks_done: u64,
    pub(super) images: u64,
    pub(super) busy_ms: u64,
    /// Tasks handed to it of which it has not reported an end.
    pub(super) out: HashSet<TaskKey>,
}

impl Executor {
    pub(super) fn new(host: &str, port: u32, slots: u32, now: u64) -> Self {
        Self {
            host: host.into(),
            port,
            slots,
            free: slots,
            first_seen_ms: now,
            last_seen_ms: now,
            draining: false,
            left: false,
            lost: false,
            idle_since_ms: None,
            tasks_done: 0,
            images: 0,
            busy_ms: 0,
            out: HashSet::new(),
        }
    }

    pub(super) fn is_alive(&self, now: u64, timeout_ms: u64) -> bool {
        !self.left && now.saturating_sub(self.last_seen_ms) <= timeout_ms
    }

    pub(super) fn summary(&self, id: &str, now: u64, timeout_ms: u64) -> ExecutorSummary {
        let state = match (self.left, self.is_alive(now, timeout_ms), self.draining) {
            (true, ..) => "left",
            (_, false, _) => "lost",
            (_, _, true) => "draining",
            _ => "alive",
        };
        ExecutorSummary {
            id: id.to_owned(),
            host: self.host.to_string(),
            port: self.port,
            state: state.to_owned(),
            draining: self.draining,
            slots: self.slots,
            free: self.free,
            first_seen_ms: self.first_seen_ms,
            last_seen_ms: self.last_seen_ms,
            tasks_done: self.tasks_done,
            images: self.images,
            busy_seconds: self.busy_ms as f64 / 1_000.0,
        }
    }
}
