//! Ballista's memory of jobs, bounded, and summaries of those that are over.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ballista_core::error::Result;
use ballista_core::serde::protobuf::{JobStatus, job_status::Status};
use ballista_core::{JobId, JobStatusSubscriber};
use ballista_scheduler::cluster::memory::InMemoryJobState;
use ballista_scheduler::cluster::{JobState, JobStateEventStream};
use ballista_scheduler::state::execution_graph::ExecutionGraphBox;
use datafusion::prelude::{SessionConfig, SessionContext};

use super::Price;
use super::archive::Archive;
use super::summarise::summarise;
use super::tally::{Tally, now_ms};
use crate::summary::{JobDetail, JobPhase, JobSummary};
use crate::trace::of_session;

/// Graphs of jobs that are over, which Ballista's own pages show.
const MOST_GRAPHS: usize = 16;
/// How long such a graph is kept.
const GRAPH_KEPT: Duration = Duration::from_secs(60);
/// How long a client can ask what became of its job.
const STATUS_KEPT: Duration = Duration::from_secs(3_600);
/// Partitions of results whose places are remembered for clients that have not fetched them, over all jobs.
const MOST_LOCATIONS: usize = 400_000;
/// Jobs whose end is remembered for clients.
const MOST_STATUSES: usize = 10_000;

/// See the module.
pub(crate) struct Jobs {
    inner: InMemoryJobState,
    tally: Arc<Tally>,
    archive: Arc<Archive>,
    price: Option<Price>,
    over: Mutex<Over>,
    tell: super::Tell,
    hook: Option<super::JobHook>,
}

#[derive(Default)]
struct Over {
    graphs: VecDeque<(Instant, JobId)>,
    statuses: VecDeque<(Instant, JobId, JobStatus, usize)>,
    locations: usize,
}

impl Jobs {
    pub(crate) fn new(
        inner: InMemoryJobState,
        tally: Arc<Tally>,
        archive: Arc<Archive>,
        price: Option<Price>,
        tell: super::Tell,
        hook: Option<super::JobHook>,
    ) -> Self {
        Self {
            inner,
            tally,
            archive,
            price,
            over: Mutex::default(),
            tell,
            hook,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Over> {
        self.over.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps what became of a job: for clients, for people, and for those who come after a restart.
    async fn ended(&self, id: &JobId, status: JobStatus, detail: Option<JobDetail>) {
        if let Some(detail) = detail {
            let summary = &detail.summary;
            let named = if summary.name.is_empty() {
                String::new()
            } else {
                format!(" ({})", summary.name)
            };
            (self.tell)(&format!("job {id}{named} {}", summary.state.word()));
            if let Err(problem) = self.archive.add(detail).await {
                (self.tell)(&format!("warning: {problem}"));
            }
        }
        self.tally.over(id.as_str());
        let locations = match &status.status {
            Some(Status::Successful(done)) => done.partition_location.len(),
            _ => 0,
        };
        let mut over = self.lock();
        over.graphs.push_back((Instant::now(), id.clone()));
        over.statuses
            .push_back((Instant::now(), id.clone(), status, locations));
        over.locations += locations;
    }

    /// To be called now and then: lets go of what nobody will ask for any more.
    pub(crate) async fn trim(&self) {
        let graphs: Vec<JobId> = {
            let mut over = self.lock();
            while over.statuses.front().is_some_and(|(since, ..)| {
                since.elapsed() > STATUS_KEPT
                    || over.statuses.len() > MOST_STATUSES
                    // The last one's client is still coming.
                    || (over.locations > MOST_LOCATIONS && over.statuses.len() > 1)
            }) {
                if let Some((.., locations)) = over.statuses.pop_front() {
                    over.locations -= locations;
                }
            }
            let mut old = Vec::new();
            while over.graphs.front().is_some_and(|(since, _)| {
                since.elapsed() > GRAPH_KEPT || over.graphs.len() > MOST_GRAPHS
            }) {
                old.extend(over.graphs.pop_front().map(|(_, id)| id));
            }
            old
        };
        for id in graphs {
            // It may be gone already, which is as good.
            let _ = self.inner.remove_job(&id).await;
        }
    }
}

#[async_trait]
impl JobState for Jobs {
    fn accept_job(&self, job_id: &JobId, job_name: &str, queued_at: u64) -> Result<()> {
        self.tally.queued(job_id.as_str(), job_name, queued_at);
        self.inner.accept_job(job_id, job_name, queued_at)
    }

    fn pending_job_number(&self) -> usize {
        self.inner.pending_job_number()
    }

    async fn submit_job(
        &self,
        job_id: JobId,
        graph: &ExecutionGraphBox,
        subscriber: Option<JobStatusSubscriber>,
    ) -> Result<()> {
        self.inner.submit_job(job_id, graph, subscriber).await
    }

    async fn get_jobs(&self) -> Result<HashSet<JobId>> {
        self.inner.get_jobs().await
    }

    async fn get_all_jobs(&self) -> Result<HashSet<JobId>> {
        self.inner.get_all_jobs().await
    }

    async fn get_job_status(&self, job_id: &JobId) -> Result<Option<JobStatus>> {
        if let Some(status) = self.inner.get_job_status(job_id).await? {
            return Ok(Some(status));
        }
        let over = self.lock();
        Ok(over
            .statuses
            .iter()
            .rev()
            .find(|(_, id, ..)| id == job_id)
            .map(|(_, _, status, _)| status.clone()))
    }

    async fn get_execution_graph(&self, job_id: &JobId) -> Result<Option<ExecutionGraphBox>> {
        self.inner.get_execution_graph(job_id).await
    }

    async fn save_job(&self, job_id: &JobId, graph: &ExecutionGraphBox) -> Result<()> {
        let status = graph.status().clone();
        let is_over = matches!(
            status.status,
            Some(Status::Successful(_) | Status::Failed(_))
        );
        if is_over {
            let detail = self.tally.with_job(job_id.as_str(), |job| {
                summarise(graph.as_ref(), job, self.price.as_ref())
            });
            if let (Some(hook), Some(detail)) = (&self.hook, &detail) {
                hook(detail, of_session(&graph.session_config()));
            }
            self.ended(job_id, status, detail).await;
        }
        let saved = self.inner.save_job(job_id, graph).await;
        if is_over {
            self.trim().await;
        }
        saved
    }

    async fn fail_unscheduled_job(&self, job_id: &JobId, reason: String) -> Result<()> {
        let summary = self.tally.with_job(job_id.as_str(), |job| JobSummary {
            state: JobPhase::Failed,
            error: Some(reason.clone()),
            ended_ms: Some(now_ms()),
            ..job.queued.clone()
        });
        let failed = self.inner.fail_unscheduled_job(job_id, reason).await;
        if let Some(status) = self.inner.get_job_status(job_id).await? {
            let detail = summary.map(|summary| JobDetail {
                summary,
                stages: Vec::new(),
                executors: Vec::new(),
            });
            self.ended(job_id, status, detail).await;
        }
        failed
    }

    async fn remove_job(&self, _job_id: &JobId) -> Result<()> {
        // Asked for an hour after a job's end; by then it is gone.
        self.trim().await;
        Ok(())
    }

    async fn try_acquire_job(&self, job_id: &JobId) -> Result<Option<ExecutionGraphBox>> {
        self.inner.try_acquire_job(job_id).await
    }

    async fn job_state_events(&self) -> Result<JobStateEventStream> {
        self.inner.job_state_events().await
    }

    async fn create_or_update_session(
        &self,
        session_id: &str,
        config: &SessionConfig,
    ) -> Result<Arc<SessionContext>> {
        self.inner
            .create_or_update_session(session_id, config)
            .await
    }

    async fn remove_session(&self, session_id: &str) -> Result<()> {
        self.inner.remove_session(session_id).await
    }

    fn produce_config(&self) -> SessionConfig {
        self.inner.produce_config()
    }
}
