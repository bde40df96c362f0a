//! Prometheus metrics: Ballista's own, and ours.

use std::fmt::Write as _;
use std::sync::Arc;

use ballista_core::JobId;
use ballista_core::error::Result;
use ballista_scheduler::metrics::{SchedulerMetricsCollector, default_metrics_collector};

use super::tally::Tally;
use crate::summary::Scaling;

/// Ballista's collector, told nothing that it could not bear, and the tally told what it is told.
pub(crate) struct Collector {
    inner: Arc<dyn SchedulerMetricsCollector>,
    tally: Arc<Tally>,
}

impl Collector {
    pub(crate) fn new(tally: Arc<Tally>) -> Result<Self> {
        Ok(Self {
            inner: default_metrics_collector()?,
            tally,
        })
    }
}

impl SchedulerMetricsCollector for Collector {
    fn record_submitted(&self, job_id: &JobId, queued_at: u64, submitted_at: u64) {
        // Clocks are set back now and then, and Ballista takes one from the other.
        self.inner
            .record_submitted(job_id, queued_at.min(submitted_at), submitted_at);
    }

    fn record_completed(&self, job_id: &JobId, queued_at: u64, completed_at: u64) {
        self.inner
            .record_completed(job_id, queued_at.min(completed_at), completed_at);
    }

    fn record_failed(&self, job_id: &JobId, queued_at: u64, failed_at: u64) {
        self.inner.record_failed(job_id, queued_at, failed_at);
    }

    fn record_cancelled(&self, job_id: &JobId) {
        self.tally.cancelled(job_id.as_str());
        self.inner.record_cancelled(job_id);
    }

    fn set_pending_tasks_queue_size(&self, value: u64) {
        self.inner.set_pending_tasks_queue_size(value);
    }

    fn gather_metrics(&self) -> Result<Option<(Vec<u8>, String)>> {
        self.inner.gather_metrics()
    }
}

/// Our metrics in Prometheus' text form.
pub(crate) fn text(
    tally: &Tally,
    scaling: &Scaling,
    jobs_running: u64,
    jobs_queued: u64,
) -> String {
    let totals = tally.totals();
    let (slots, executors) = tally.slots();
    let mut text = String::new();
    let mut one = |kind: &str, name: &str, help: &str, value: u64| {
        // Writing to a String cannot fail.
        let _ = write!(
            text,
            "# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"
        );
    };
    one(
        "gauge",
        "pomona_jobs_queued",
        "Jobs whose plans are being cut into stages.",
        jobs_queued,
    );
    one(
        "gauge",
        "pomona_jobs_running",
        "Jobs that run.",
        jobs_running,
    );
    one(
        "gauge",
        "pomona_tasks_pending",
        "Tasks that could run if there were room.",
        scaling.pending_tasks,
    );
    one(
        "gauge",
        "pomona_tasks_running",
        "Tasks in work.",
        scaling.running_tasks,
    );
    one(
        "gauge",
        "pomona_executors_alive",
        "Executors that take work.",
        executors,
    );
    one(
        "gauge",
        "pomona_executor_slots",
        "Tasks that those can run at a time.",
        slots,
    );
    one(
        "counter",
        "pomona_executors_lost_total",
        "Executors that fell silent.",
        totals.executors_lost,
    );
    one(
        "counter",
        "pomona_tasks_done_total",
        "Tasks reported as done.",
        totals.tasks_done,
    );
    one(
        "counter",
        "pomona_tasks_failed_total",
        "Tasks reported as failed.",
        totals.tasks_failed,
    );
    one(
        "counter",
        "pomona_tasks_forgotten_total",
        "Tasks lost on the way to their executor, and handed out again.",
        totals.tasks_forgotten,
    );
    one(
        "counter",
        "pomona_shards_set_aside_total",
        "Shards given up because executors were lost over them.",
        totals.shards_set_aside,
    );
    one(
        "counter",
        "pomona_images_done_total",
        "Photos done, those done twice too.",
        totals.images_done,
    );
    one(
        "counter",
        "pomona_images_failed_total",
        "Photos that could not be read.",
        totals.images_failed,
    );
    one(
        "counter",
        "pomona_bytes_read_total",
        "Bytes fetched from storage.",
        totals.bytes_read,
    );
    text
}
