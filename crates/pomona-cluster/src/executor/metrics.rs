//! An executor's figures, as Prometheus reads them.

use std::fmt::Write;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};

/// What is counted.
#[derive(Debug, Default)]
pub(super) struct Figures {
    pub(super) running: AtomicU64,
    pub(super) finished: AtomicU64,
    pub(super) failed: AtomicU64,
    pub(super) handed_back: AtomicU64,
    pub(super) polls: AtomicU64,
    pub(super) lost_scheduler: AtomicU64,
    pub(super) connected: AtomicBool,
    pub(super) draining: AtomicBool,
}

/// What does not change, or is measured when asked for.
pub(super) struct Surroundings {
    pub(super) slots: usize,
    pub(super) memory_bytes: Option<u64>,
    pub(super) free_bytes: Option<u64>,
}

impl Figures {
    /// The text that Prometheus reads.
    pub(super) fn text(&self, surroundings: &Surroundings) -> String {
        let count = |counter: &AtomicU64| Some(counter.load(Relaxed));
        let flag = |flag: &AtomicBool| Some(u64::from(flag.load(Relaxed)));
        let lines = [
            (
                "tasks_running",
                "gauge",
                "Tasks at work.",
                count(&self.running),
            ),
            (
                "tasks_finished_total",
                "counter",
                "Tasks done.",
                count(&self.finished),
            ),
            (
                "tasks_failed_total",
                "counter",
                "Tasks failed.",
                count(&self.failed),
            ),
            (
                "tasks_handed_back_total",
                "counter",
                "Tasks given up, to be done elsewhere.",
                count(&self.handed_back),
            ),
            (
                "slots",
                "gauge",
                "Tasks at once.",
                Some(surroundings.slots as u64),
            ),
            (
                "memory_limit_bytes",
                "gauge",
                "Memory that operators may take.",
                surroundings.memory_bytes,
            ),
            (
                "work_folder_free_bytes",
                "gauge",
                "Room left where results wait to be fetched.",
                surroundings.free_bytes,
            ),
            (
                "polls_total",
                "counter",
                "Polls that the scheduler answered.",
                count(&self.polls),
            ),
            (
                "scheduler_losses_total",
                "counter",
                "Times that the scheduler stopped answering.",
                count(&self.lost_scheduler),
            ),
            (
                "scheduler_connected",
                "gauge",
                "Whether the scheduler answered last time.",
                flag(&self.connected),
            ),
            (
                "draining",
                "gauge",
                "Whether the executor is leaving.",
                flag(&self.draining),
            ),
        ];
        let mut text = String::new();
        for (name, kind, help, value) in lines {
            let Some(value) = value else { continue };
            let name = format!("pomona_executor_{name}");
            // Writing to a string cannot fail.
            let _ = writeln!(
                text,
                "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}"
            );
        }
        text
    }
}
