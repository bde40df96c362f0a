//! What is told about jobs and executors, for the page, the JSON and the metrics alike.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ballista_core::JobId;
use ballista_core::serde::protobuf::job_status::Status;
use ballista_scheduler::metrics::SchedulerMetricsCollector;
use ballista_scheduler::state::execution_stage::ExecutionStage;
use ballista_scheduler::state::task_manager::JobInfoCache;

use super::Price;
use super::archive::Archive;
use super::collector::{self, Collector};
use super::gate::Server;
use super::summarise::summarise;
use super::tally::Tally;
use crate::error::VersionInfo;
use crate::summary::{Cost, ExecutorSummary, JobDetail, JobPhase, JobSummary, Scaling};

/// An answer this old is given again: many may ask, several times a second.
const FRESH: Duration = Duration::from_millis(150);

/// See the module.
pub(crate) struct View {
    server: Arc<Server>,
    pub(crate) tally: Arc<Tally>,
    archive: Arc<Archive>,
    collector: Arc<Collector>,
    price: Option<Price>,
    pub(crate) version: VersionInfo,
    executor_slots: u32,
    fresh: Mutex<HashMap<String, (Instant, Arc<JobDetail>)>>,
}

/// What became of a wish to cancel a job.
#[derive(Debug)]
pub(crate) enum Cancel {
    Asked,
    Over(JobPhase),
    Unknown,
    Failed,
}

impl View {
    pub(crate) fn new(
        server: Arc<Server>,
        tally: Arc<Tally>,
        archive: Arc<Archive>,
        collector: Arc<Collector>,
        price: Option<Price>,
        version: VersionInfo,
        executor_slots: u32,
    ) -> Self {
        Self {
            server,
            tally,
            archive,
            collector,
            price,
            version,
            executor_slots,
            fresh: Mutex::default(),
        }
    }

    fn running(&self) -> Arc<HashMap<JobId, JobInfoCache>> {
        self.server.state.task_manager.get_running_job_cache()
    }

    async fn open_detail(
        &self,
        summary: JobSummary,
        running: &HashMap<JobId, JobInfoCache>,
    ) -> Arc<JobDetail> {
        let id = summary.id.clone();
        let queued = || {
            Arc::new(JobDetail {
                summary: summary.clone(),
                stages: Vec::new(),
                executors: Vec::new(),
            })
        };
        let Some(cached) = running.get(id.as_str()) else {
            return queued();
        };
        let graph = cached.execution_graph.read().await;
        {
            let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some((since, detail)) = fresh.get(&id)
                && since.elapsed() < FRESH
                // Whoever asks at a job's end is told how it ended.
                && detail.summary.state.is_over() == is_over(&graph.status().status)
            {
                return detail.clone();
            }
        }
        let detail = self.tally.with_job(&id, |job| {
            summarise(graph.as_ref(), job, self.price.as_ref())
        });
        drop(graph);
        let Some(detail) = detail.map(Arc::new) else {
            return queued();
        };
        let mut fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner);
        fresh.retain(|_, (since, _)| since.elapsed() < FRESH);
        fresh.insert(id, (Instant::now(), detail.clone()));
        detail
    }

    /// Jobs, newest first: those that are open, then those that are over, `most` in all.
    pub(crate) async fn jobs(&self, most: usize) -> Vec<Arc<JobSummary>> {
        let running = self.running();
        let mut jobs = Vec::new();
        for open in self.tally.open_jobs().into_iter().take(most) {
            let detail = self.open_detail(open, &running).await;
            jobs.push(Arc::new(detail.summary.clone()));
        }
        let mut over = self.archive.summaries(most);
        // A job ends while the list is made.
        over.retain(|job| !jobs.iter().any(|open| open.id == job.id));
        jobs.extend(over);
        jobs.truncate(most);
        jobs
    }

    /// A job, if there is or was one.
    pub(crate) async fn job(&self, id: &str) -> Option<Arc<JobDetail>> {
        if let Some(summary) = self.tally.with_job(id, |job| job.queued.clone()) {
            return Some(self.open_detail(summary, &self.running()).await);
        }
        self.archive.detail(id).await
    }

    pub(crate) fn executors(&self) -> Vec<ExecutorSummary> {
        self.tally.executors()
    }

    pub(crate) async fn cancel(&self, id: &str) -> Cancel {
        let Some(job) = self.job(id).await else {
            return Cancel::Unknown;
        };
        if job.summary.state.is_over() {
            return Cancel::Over(job.summary.state);
        }
        match self.server.cancel_job(id.into()).await {
            Ok(()) => Cancel::Asked,
            Err(_) => Cancel::Failed,
        }
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.server.is_ready()
    }

    pub(crate) async fn scaling(&self) -> Scaling {
        let (mut pending, mut at_work) = (0, 0);
        for job in self.running().values() {
            let graph = job.execution_graph.read().await;
            for stage in graph.stages().values() {
                match stage {
                    ExecutionStage::Running(stage) => {
                        pending += stage.pending.remaining() as u64;
                        at_work += stage.running_tasks().len() as u64;
                    }
                    ExecutionStage::Resolved(stage) => pending += stage.partitions as u64,
                    _ => {}
                }
            }
        }
        let (slots, executors) = self.tally.slots();
        let each = slots
            .checked_div(executors)
            .unwrap_or_else(|| self.executor_slots.into())
            .max(1);
        Scaling {
            pending_tasks: pending,
            running_tasks: at_work,
            slots,
            wanted_executors: (pending + at_work).div_ceil(each),
            executor_hour: self.price.as_ref().map(|price| Cost {
                amount: price.per_executor_hour,
                currency: price.currency.clone(),
            }),
        }
    }

    /// Metrics in Prometheus' text form.
    pub(crate) async fn metrics(&self) -> String {
        let scaling = self.scaling().await;
        let open = self.tally.open_jobs().len() as u64;
        let running = self.running().len() as u64;
        let mut text = match self.collector.gather_metrics() {
            Ok(Some((text, _))) => String::from_utf8_lossy(&text).into_owned(),
            _ => String::new(),
        };
        text.push_str(&collector::text(
            &self.tally,
            &scaling,
            running,
            open.saturating_sub(running),
        ));
        text
    }
}

fn is_over(status: &Option<Status>) -> bool {
    matches!(status, Some(Status::Successful(_) | Status::Failed(_)))
}
