//! Plans of an embedded session, run by a cluster.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use ballista_core::config::{
    BALLISTA_ADAPTIVE_PLANNER_ENABLED, BALLISTA_JOB_NAME,
    BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK, BallistaConfig,
};
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    CancelJobParams, ExecuteQueryParams, GetJobStatusParams, KeyValuePair, PartitionLocation,
    execute_query_failure_result, execute_query_result, job_status,
};
use ballista_core::utils::{GrpcClientConfig, create_grpc_client_endpoint};
use ballista_core::version;
use datafusion::arrow::array::RecordBatch;
use datafusion::execution::TaskContext;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::{AsExecutionPlan, PhysicalExtensionCodec};
use datafusion_proto::protobuf::PhysicalPlanNode;
use pomona_engine::{ClusterReading, CostReading, EngineError, ExtractReading, Runner};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};

use crate::client::{SchedulerClient, host_and_port};
use crate::error::{ClusterError, VersionInfo};
use crate::reading::{executors_of, job_of, unknown};
use crate::results::{fetch, newest};
use crate::summary::JobDetail;
use crate::tls::{Tls, endpoint_override, scheme};
use crate::trace::TraceParent;
use crate::version::{VersionFailure, check_version};

/// Bytes of one message: a plan carries what is listed of its shards.
const LARGEST_MESSAGE: usize = 512 << 20;
/// Longest time between two questions whether a job has ended.
const ASK: Duration = Duration::from_millis(40);
/// The shortest, for jobs that are over in no time.
const ASK_SOON: Duration = Duration::from_millis(5);
/// Time between two questions how far a job is.
const LOOK: Duration = Duration::from_millis(250);
/// How long a job that was accepted may be unknown.
const UNSEEN: Duration = Duration::from_secs(20);
/// How long the scheduler may be silent before the job is given up.
const SILENCE: Duration = Duration::from_secs(30);
/// Times that a job is submitted again because its results went with an executor.
const AGAIN: usize = 3;
/// How long what jobs did is asked for when all of them are over.
const LAST_LOOK: Duration = Duration::from_secs(2);

/// Runs plans on a cluster, as one job a plan.
pub struct ClusterRunner {
    address: String,
    scheduler: SchedulerGrpcClient<Channel>,
    http: SchedulerClient,
    codec: Arc<dyn PhysicalExtensionCodec>,
    tls: Option<Tls>,
    session: String,
    /// Slots of the executors that are there.
    slots: AtomicU64,
    /// What an hour of one executor costs.
    hour: Option<CostReading>,
    read: Arc<Mutex<Readings>>,
    cancelling: Arc<Mutex<Vec<JoinHandle<()>>>>,
    /// Called with what a person should know, such as that the scheduler does not answer.
    tell: Box<dyn Fn(&str) + Send + Sync>,
    /// Tells the span that jobs belong to.
    trace: Option<Box<dyn Fn() -> Option<TraceParent> + Send + Sync>>,
}

impl fmt::Debug for ClusterRunner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClusterRunner")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// What jobs did, those at work too.
#[derive(Default)]
struct Readings {
    jobs: HashMap<String, ExtractReading>,
    order: Vec<String>,
    /// Jobs of which it is not known how they ended.
    open: Vec<OpenJob>,
    /// The others.
    over: ClusterReading,
}

struct OpenJob {
    id: String,
    name: String,
    detail: Option<JobDetail>,
}

impl Readings {
    /// Notes how far a job is.
    fn look(&mut self, id: &str, detail: JobDetail) {
        let summary = &detail.summary;
        let reading = ExtractReading {
            done: summary.images.done,
            failed: summary.images.failed,
            bytes: summary.bytes_read,
            ..ExtractReading::default()
        };
        self.jobs.insert(id.to_owned(), reading);
        let Some(at) = self.open.iter().position(|job| job.id == id) else {
            return;
        };
        if summary.state.is_over() {
            self.open.remove(at);
            self.over.add(job_of(&detail), executors_of(&detail));
        } else if let Some(job) = self.open.get_mut(at) {
            job.detail = Some(detail);
        }
    }

    /// What is known of all jobs.
    fn cluster(&self) -> ClusterReading {
        let mut reading = self.over.clone();
        for job in &self.open {
            match &job.detail {
                Some(detail) => reading.add(job_of(detail), executors_of(detail)),
                None => reading.add(unknown(&job.id, &job.name), Vec::new()),
            }
        }
        reading
    }

    /// What all jobs have cost so far.
    fn spent(&self) -> Option<CostReading> {
        let over = self.over.jobs.iter().filter_map(|job| job.cost.clone());
        let open = self.open.iter().filter_map(|job| {
            let cost = job.detail.as_ref()?.summary.cost.as_ref()?;
            Some(CostReading {
                amount: cost.amount,
                currency: cost.currency.clone(),
            })
        });
        over.chain(open).reduce(|mut sum, more| {
            sum.amount += more.amount;
            sum
        })
    }

    fn sum(&self) -> ExtractReading {
        let mut sum = ExtractReading::default();
        for reading in self.jobs.values() {
            sum.done += reading.done;
            sum.failed += reading.failed;
            sum.bytes += reading.bytes;
        }
        sum
    }
}

impl ClusterRunner {
    /// Connects to the scheduler at `address` (`HOST:PORT`), which must be of the same version.
    ///
    /// # Errors
    /// [`ClusterError`]: it does not answer, is none of Pomona's, or of another version.
    pub async fn connect(
        address: &str,
        tls: Option<Tls>,
        version: VersionInfo,
        codec: Arc<dyn PhysicalExtensionCodec>,
        tell: Box<dyn Fn(&str) + Send + Sync>,
    ) -> Result<Self, ClusterError> {
        let http = SchedulerClient::new(address, tls.as_ref());
        let (host, port) = host_and_port(address)?;
        let own = tls.clone();
        blocking(move || {
            check_version(&host, port, own.as_ref(), &version).map_err(|failure| match failure {
                VersionFailure::Final(error) => error,
                VersionFailure::Unreachable(reason) => ClusterError::NoScheduler {
                    address: format!("{host}:{port}"),
                    waited_secs: 0,
                    reason,
                },
            })
        })
        .await?;
        let asked = http.clone();
        let scaling = blocking(move || asked.scaling()).await?;
        let no_answer = |reason: &dyn fmt::Display| ClusterError::NoAnswer {
            address: address.to_owned(),
            reason: reason.to_string(),
        };
        let url = format!("{}://{address}", scheme(tls.as_ref()));
        let config = GrpcClientConfig::from(&BallistaConfig::default());
        let endpoint = create_grpc_client_endpoint(url, Some(&config))
            .map_err(|error| no_answer(&error))?
            // A large plan takes its time.
            .timeout(Duration::from_secs(120));
        let endpoint =
            endpoint_override(tls.as_ref())(endpoint).map_err(|error| no_answer(&error))?;
        let channel = endpoint.connect_lazy();
        Ok(Self {
            address: address.to_owned(),
            scheduler: SchedulerGrpcClient::new(channel)
                .max_encoding_message_size(LARGEST_MESSAGE)
                .max_decoding_message_size(LARGEST_MESSAGE),
            http,
            codec,
            tls,
            session: uuid::Uuid::new_v4().to_string(),
            slots: AtomicU64::new(scaling.slots),
            hour: scaling.executor_hour.map(|cost| CostReading {
                amount: cost.amount,
                currency: cost.currency,
            }),
            read: Arc::default(),
            cancelling: Arc::default(),
            tell,
            trace: None,
        })
    }

    /// The same, whose jobs tell what `trace` says when they are submitted: the span they belong to.
    #[must_use]
    pub fn with_trace(self, trace: Box<dyn Fn() -> Option<TraceParent> + Send + Sync>) -> Self {
        Self {
            trace: Some(trace),
            ..self
        }
    }

    /// Jobs that this runner submitted, in their order.
    #[must_use]
    pub fn jobs(&self) -> Vec<String> {
        lock(&self.read).order.clone()
    }

    fn failed(&self, reason: impl fmt::Display) -> EngineError {
        EngineError::Cluster {
            reason: reason.to_string(),
            hint: None,
        }
    }

    fn silent(&self, status: &Status) -> EngineError {
        self.failed(format!(
            "the scheduler at {} does not answer: {} (what is done is kept; run the same command again to go on)",
            self.address,
            status.message()
        ))
    }

    /// Submits a plan; gives the job's identifier.
    async fn submit(
        &self,
        name: &str,
        plan: &[u8],
        session: &SessionConfig,
    ) -> Result<String, EngineError> {
        let setting = |key: &str, value: &str| KeyValuePair {
            key: key.to_owned(),
            value: Some(value.to_owned()),
        };
        let mut settings = vec![
            setting(BALLISTA_JOB_NAME, name),
            // The plan is run as it was made here.
            setting(BALLISTA_ADAPTIVE_PLANNER_ENABLED, "false"),
            setting(BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK, "1"),
        ];
        settings.extend(
            changed(session)
                .iter()
                .map(|(key, value)| setting(key, value)),
        );
        let trace = self.trace.as_ref().and_then(|trace| trace());
        settings.extend(trace.map(crate::trace::setting));
        let query = ExecuteQueryParams {
            query: Some(Query::PhysicalPlan(plan.to_vec())),
            settings,
            session_id: self.session.clone(),
            operation_id: uuid::Uuid::new_v4().to_string(),
        };
        let mut request = Request::new(query);
        version::insert_version_header(request.metadata_mut());
        let answer = self
            .scheduler
            .clone()
            .execute_query(request)
            .await
            .map_err(|status| match status.code() {
                Code::Unavailable | Code::DeadlineExceeded => self.silent(&status),
                _ => self.failed(format!(
                    "the scheduler at {} refuses the job: {}",
                    self.address,
                    status.message()
                )),
            })?;
        match answer.into_inner().result {
            Some(execute_query_result::Result::Success(accepted)) => Ok(accepted.job_id),
            Some(execute_query_result::Result::Failure(failed)) => {
                use execute_query_failure_result::Failure;
                let reason = match failed.failure {
                    Some(
                        Failure::SessionNotFound(reason)
                        | Failure::PlanParsingFailure(reason)
                        | Failure::SqlParsingFailure(reason),
                    ) => reason,
                    None => "it does not say why".to_owned(),
                };
                Err(self.failed(format!(
                    "the scheduler at {} does not understand the job: {reason}",
                    self.address
                )))
            }
            None => Err(self.failed(format!(
                "the scheduler at {} does not say whether it takes the job",
                self.address
            ))),
        }
    }

    /// Waits for a job's end; gives where its results are.
    async fn wait(&self, job: &str) -> Result<Vec<PartitionLocation>, EngineError> {
        let mut silent_since: Option<Instant> = None;
        let (submitted, mut was_seen) = (Instant::now(), false);
        loop {
            let asked = self
                .scheduler
                .clone()
                .get_job_status(GetJobStatusParams {
                    job_id: job.to_owned(),
                })
                .await;
            let status = match asked {
                Ok(answer) => {
                    if silent_since.take().is_some() {
                        (self.tell)(&format!("the scheduler at {} answers again", self.address));
                    }
                    answer.into_inner().status
                }
                Err(status) => {
                    let since = match silent_since {
                        Some(since) => since,
                        None => {
                            (self.tell)(&format!(
                                "the scheduler at {} does not answer ({}); trying again for {} s",
                                self.address,
                                status.message(),
                                SILENCE.as_secs()
                            ));
                            Instant::now()
                        }
                    };
                    silent_since = Some(since);
                    if since.elapsed() > SILENCE {
                        return Err(self.silent(&status));
                    }
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    continue;
                }
            };
            match status.and_then(|status| status.status) {
                Some(job_status::Status::Successful(done)) => {
                    return Ok(newest(done.partition_location));
                }
                Some(job_status::Status::Failed(failed)) => {
                    return Err(EngineError::told_by_cluster(&failed.error));
                }
                Some(job_status::Status::Queued(_) | job_status::Status::Running(_)) => {
                    was_seen = true;
                }
                // It was accepted a moment ago, and is not planned yet.
                None if !was_seen && submitted.elapsed() < UNSEEN => {}
                None => {
                    return Err(self.failed(format!(
                        "the scheduler at {} does not know the job any more: it was started again (what is done is kept; run the same command again to go on)",
                        self.address
                    )));
                }
            }
            tokio::time::sleep((submitted.elapsed() / 8).clamp(ASK_SOON, ASK)).await;
        }
    }

    /// Notes how far a job is.
    async fn look(&self, job: &str) {
        let (http, id) = (self.http.clone(), job.to_owned());
        if let Ok(detail) = blocking(move || http.job(&id)).await {
            lock(&self.read).look(job, detail);
        }
    }

    /// Notes how many slots there are.
    async fn count_slots(&self) {
        let http = self.http.clone();
        if let Ok(scaling) = blocking(move || http.scaling()).await {
            self.slots.store(scaling.slots, Ordering::Relaxed);
        }
    }

    async fn look_always(&self, job: &str) {
        loop {
            tokio::time::sleep(LOOK).await;
            self.look(job).await;
            self.count_slots().await;
        }
    }
}

/// Cancels a job that nobody waits for any more.
struct Cancelled {
    scheduler: SchedulerGrpcClient<Channel>,
    runtime: Handle,
    cancelling: Arc<Mutex<Vec<JoinHandle<()>>>>,
    job: Option<String>,
}

impl Drop for Cancelled {
    fn drop(&mut self) {
        let Some(job_id) = self.job.take() else {
            return;
        };
        let mut scheduler = self.scheduler.clone();
        let cancel = self.runtime.spawn(async move {
            // A scheduler that does not answer has nothing to cancel.
            let _ = scheduler.cancel_job(CancelJobParams { job_id }).await;
        });
        lock(&self.cancelling).push(cancel);
    }
}

#[async_trait]
impl Runner for ClusterRunner {
    async fn run(
        &self,
        name: &str,
        plan: Arc<dyn ExecutionPlan>,
        context: Arc<TaskContext>,
    ) -> Result<Vec<RecordBatch>, EngineError> {
        let mut encoded = Vec::new();
        PhysicalPlanNode::try_from_physical_plan(plan, self.codec.as_ref())?
            .try_encode(&mut encoded)?;
        let mut tries = 0;
        loop {
            // What is done already is not done again, nor counted as the same work.
            let called = match tries {
                0 => name.to_owned(),
                _ => format!("{name}, results again"),
            };
            let job = self
                .submit(&called, &encoded, context.session_config())
                .await?;
            {
                let mut read = lock(&self.read);
                read.order.push(job.clone());
                read.open.push(OpenJob {
                    id: job.clone(),
                    name: called,
                    detail: None,
                });
            }
            let mut cancelled = Cancelled {
                scheduler: self.scheduler.clone(),
                runtime: Handle::current(),
                cancelling: Arc::clone(&self.cancelling),
                job: Some(job.clone()),
            };
            let waited = tokio::select! {
                waited = self.wait(&job) => waited,
                () = self.look_always(&job) => continue,
            };
            cancelled.job = None;
            let locations = waited?;
            let (fetched, (), ()) = tokio::join!(
                fetch(locations, self.tls.as_ref()),
                self.look(&job),
                self.count_slots()
            );
            match fetched {
                Ok(rows) => return Ok(rows),
                Err(reason) if tries < AGAIN => {
                    tries += 1;
                    (self.tell)(&format!(
                        "the results of job {job} went with an executor ({reason}); what it wrote is there, and it is asked for again"
                    ));
                    // What was counted is counted again.
                    lock(&self.read).jobs.remove(&job);
                }
                Err(reason) => return Err(self.failed(reason)),
            }
        }
    }

    async fn settle(&self) {
        let cancelling = std::mem::take(&mut *lock(&self.cancelling));
        let all = futures::future::join_all(cancelling);
        // A scheduler that does not answer cancels nothing, and nobody need wait for it.
        let _ = tokio::time::timeout(Duration::from_secs(3), all).await;
    }

    fn is_remote(&self) -> bool {
        true
    }

    fn at_once(&self) -> usize {
        usize::try_from(self.slots.load(Ordering::Relaxed))
            .unwrap_or(usize::MAX)
            .max(1)
    }

    fn hour(&self) -> Option<CostReading> {
        self.hour.clone()
    }

    fn spent(&self) -> Option<CostReading> {
        lock(&self.read).spent()
    }

    fn reading(&self) -> Option<ExtractReading> {
        Some(lock(&self.read).sum())
    }

    async fn cluster(&self) -> Option<ClusterReading> {
        let began = Instant::now();
        loop {
            let open: Vec<String> = {
                let read = lock(&self.read);
                read.open.iter().map(|job| job.id.clone()).collect()
            };
            for job in &open {
                self.look(job).await;
                if began.elapsed() > LAST_LOOK {
                    break;
                }
            }
            if lock(&self.read).open.is_empty() || began.elapsed() > LAST_LOOK {
                break;
            }
            tokio::time::sleep(ASK).await;
        }
        Some(ClusterReading {
            scheduler: self.address.clone(),
            ..lock(&self.read).cluster()
        })
    }
}

/// How a session optimises and executes plans where that is not DataFusion's own way.
///
/// Ballista's scheduler optimises a physical plan once more: in its own way it would cut files into ranges, and the last
/// bits of sums depend on which rows are summed up together.
fn changed(session: &SessionConfig) -> Vec<(String, String)> {
    let usual: HashMap<String, Option<String>> = SessionConfig::new()
        .options()
        .entries()
        .into_iter()
        .map(|entry| (entry.key, entry.value))
        .collect();
    session
        .options()
        .entries()
        .into_iter()
        .filter(|entry| {
            entry.key.starts_with("datafusion.execution.")
                || entry.key.starts_with("datafusion.optimizer.")
        })
        .filter(|entry| usual.get(&entry.key) != Some(&entry.value))
        .filter_map(|entry| Some((entry.key, entry.value?)))
        .collect()
}

async fn blocking<T: Send + 'static>(
    ask: impl FnOnce() -> Result<T, ClusterError> + Send + 'static,
) -> Result<T, ClusterError> {
    match tokio::task::spawn_blocking(ask).await {
        Ok(answer) => answer,
        Err(error) => Err(ClusterError::NoAnswer {
            address: String::new(),
            reason: error.to_string(),
        }),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
