//! Ballista's scheduler with what our users need on top: TLS, a check of everything that comes in, photos and money
//! per job, a history, a page.

mod archive;
mod collector;
mod gate;
mod guard;
mod jobs;
mod routes;
mod summarise;
mod tally;
mod view;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::serde::protobuf::CancelJobParams;
use ballista_core::serde::protobuf::scheduler_grpc_server::{SchedulerGrpc, SchedulerGrpcServer};
use ballista_core::serde::{BallistaCodec, BallistaLogicalExtensionCodec};
use ballista_core::utils::default_session_builder;
use ballista_core::{ConfigProducer, extension::SessionConfigExt};
use ballista_scheduler::SessionBuilder;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::cluster::memory::{InMemoryClusterState, InMemoryJobState};
use ballista_scheduler::config::{SchedulerConfig, TaskDistributionPolicy};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::PhysicalExtensionCodec;
use pomona_engine::UnopenedStores;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::Request;

use self::archive::Archive;
use self::collector::Collector;
use self::gate::{Gate, Server};
use self::jobs::Jobs;
use self::tally::Tally;
use self::view::View;
use crate::error::{ClusterError, VersionInfo};
use crate::serve::{bind, serve};
use crate::summary::JobDetail;
use crate::tls::{Tls, endpoint_override, session_config};
use crate::trace::with_trace;

/// Says something to whoever started the process.
pub type Tell = Arc<dyn Fn(&str) + Send + Sync>;

/// Is told of a job that is over, and of the client's span that it belongs to. It must not block.
pub type JobHook = Arc<dyn Fn(&JobDetail, Option<&str>) + Send + Sync>;

/// Plans carry listings, and answers carry plans.
const MESSAGE_BYTES: u32 = 512 << 20;
/// How often silent executors are looked for.
const EXPIRY_INTERVAL_SECS: u64 = 2;
/// How long a finished job's rows lie on its executors for a client that does not fetch them.
const RESULTS_KEPT_SECS: u64 = 300;
/// When Ballista looks whether there is still something to forget about a job that is over.
const STATE_KEPT_SECS: u64 = 3_600;
/// Attempts at a task before its job fails.
const TASK_ATTEMPTS: usize = 4;
/// How long the way to an executor may take. Ballista tries it for each that is lost, one after the other, before it looks
/// for more that are.
const WAY_TO_EXECUTOR: Duration = Duration::from_secs(1);
/// A job whose tasks are all done and that has not ended for so long never ends.
const STALLED: Duration = Duration::from_secs(15);
/// How long samples for rates and costs are apart.
const TICK: Duration = Duration::from_secs(1);

/// What an executor costs.
#[derive(Debug, Clone, PartialEq)]
pub struct Price {
    /// For an hour of one executor, in whole units of the currency; finite and at least 0.
    pub per_executor_hour: f64,
    /// The currency, as people are to read it.
    pub currency: String,
}

/// How a scheduler is set up.
#[derive(Clone)]
pub struct SchedulerSettings {
    /// Where it listens for gRPC and HTTP; port 0 is any free one.
    pub bind: SocketAddr,
    /// Its identity. With it, nobody without a certificate of its authority is talked to.
    pub tls: Option<Tls>,
    /// Whether other machines may be served in the clear.
    pub plain_text: bool,
    /// Where figures and probes are served in the clear, besides `bind`: `/metrics`, `/pomona/scaling`, `/healthz` and
    /// `/readyz`, and nothing else.
    pub metrics_bind: Option<SocketAddr>,
    /// Tasks that an executor runs at a time, to tell how many executors are wanted while there is none to ask.
    pub executor_slots: u32,
    /// Which plan nodes and functions it can read.
    pub codec: Arc<dyn PhysicalExtensionCodec>,
    /// Makes the sessions in which plans are read. Ballista's own by default.
    pub session_builder: Option<SessionBuilder>,
    /// An executor that has been silent for this long is lost, in whole seconds.
    pub executor_timeout: Duration,
    /// When all executors are lost, jobs wait for this long for one to come, in whole seconds.
    pub no_executors_grace: Duration,
    /// After how many executors lost over it a shard is set aside; 0 is never.
    pub set_aside_after: u32,
    /// Whether a shard that was written stays done when the executor that wrote it is lost. Without this it is done
    /// again, as long as its job runs: the row that tells of it lay on that executor. With this there are no such rows,
    /// and clients read what was written instead. It is about jobs whose last stage writes shards.
    pub shards_outlive_executors: bool,
    /// Where jobs that are over are written.
    pub history: Option<PathBuf>,
    /// What an executor costs.
    pub price: Option<Price>,
    /// Who this is, for executors and clients.
    pub version: VersionInfo,
    /// Most bytes of a gRPC message.
    pub message_bytes: u32,
    /// Hears of executors that come and go and of jobs that end.
    pub tell: Tell,
    /// Called for jobs that ended, those that could not be planned excepted.
    pub job_hook: Option<JobHook>,
    /// Ends the scheduler when it is cancelled.
    pub stop: CancellationToken,
}

impl SchedulerSettings {
    /// A scheduler on 127.0.0.1:50050 in the clear, without history and prices, whose executors are lost after 20
    /// seconds of silence.
    pub fn new(codec: Arc<dyn PhysicalExtensionCodec>, version: VersionInfo) -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 50_050)),
            tls: None,
            plain_text: false,
            metrics_bind: None,
            executor_slots: 1,
            codec,
            session_builder: None,
            executor_timeout: Duration::from_secs(20),
            no_executors_grace: Duration::from_secs(300),
            set_aside_after: 2,
            shards_outlive_executors: false,
            history: None,
            price: None,
            version,
            message_bytes: MESSAGE_BYTES,
            tell: Arc::new(|_| {}),
            job_hook: None,
            stop: CancellationToken::new(),
        }
    }
}

impl fmt::Debug for SchedulerSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchedulerSettings")
            .field("bind", &self.bind)
            .field("tls", &self.tls)
            .field("version", &self.version)
            .finish_non_exhaustive()
    }
}

/// Whether others than this machine would be served at `address` in the clear though nobody asked for it.
///
/// # Errors
///
/// [`ClusterError::PlainText`] when so.
pub fn check_exposure(
    address: SocketAddr,
    has_tls: bool,
    plain_text: bool,
) -> Result<(), ClusterError> {
    if has_tls || plain_text || address.ip().is_loopback() {
        Ok(())
    } else {
        Err(ClusterError::PlainText { address })
    }
}

/// A scheduler that listens.
pub struct Scheduler {
    listener: TcpListener,
    address: SocketAddr,
    figures: Option<(TcpListener, SocketAddr)>,
    gate: Gate,
    jobs: Arc<Jobs>,
    view: Arc<View>,
    settings: SchedulerSettings,
}

impl fmt::Debug for Scheduler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scheduler")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl Scheduler {
    /// Listens, reads the history, and starts what works in the background.
    ///
    /// # Errors
    ///
    /// [`ClusterError::PlainText`], [`ClusterError::Bind`], [`ClusterError::History`], and
    /// [`ClusterError::Scheduler`] where Ballista refuses its settings.
    pub async fn start(settings: SchedulerSettings) -> Result<Self, ClusterError> {
        check_exposure(settings.bind, settings.tls.is_some(), settings.plain_text)?;
        let archive = Arc::new(Archive::open(settings.history.clone())?);
        let listener = bind(settings.bind).await?;
        let address = listener.local_addr().map_err(|source| ClusterError::Bind {
            address: settings.bind,
            source,
        })?;
        let figures = match settings.metrics_bind {
            Some(bind) => Some(figures_listener(bind).await?),
            None => None,
        };
        let tally = Arc::new(Tally::new(settings.executor_timeout));
        let session_builder = settings
            .session_builder
            .clone()
            .unwrap_or_else(session_builder);
        let config_producer = config_producer(settings.tls.clone())?;
        let config = Arc::new(config(&settings, address, &config_producer));
        let jobs = Arc::new(Jobs::new(
            InMemoryJobState::new(
                config.scheduler_id.clone(),
                session_builder,
                config_producer,
            ),
            tally.clone(),
            archive.clone(),
            settings.price.clone(),
            settings.tell.clone(),
            settings.job_hook.clone(),
        ));
        let cluster = BallistaCluster::new(Arc::new(InMemoryClusterState::default()), jobs.clone());
        let codec = BallistaCodec::new(
            Arc::new(BallistaLogicalExtensionCodec::default()),
            settings.codec.clone(),
        );
        let collector = Arc::new(Collector::new(tally.clone()).map_err(failed)?);
        let mut server = Server::new(
            config.scheduler_endpoint(),
            cluster,
            codec,
            config,
            collector.clone(),
        );
        server.init().await.map_err(failed)?;
        let server = Arc::new(server);
        let view = Arc::new(View::new(
            server.clone(),
            tally.clone(),
            archive,
            collector,
            settings.price.clone(),
            settings.version.clone(),
            settings.executor_slots,
        ));
        Ok(Self {
            listener,
            address,
            figures,
            gate: Gate {
                server,
                tally,
                set_aside_after: settings.set_aside_after,
                shards_outlive_executors: settings.shards_outlive_executors,
                tell: settings.tell.clone(),
            },
            jobs,
            view,
            settings,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where figures are served in the clear.
    pub fn metrics_address(&self) -> Option<SocketAddr> {
        self.figures.as_ref().map(|(_, address)| *address)
    }

    /// Serves until the settings' token is cancelled.
    pub async fn run(self) {
        let Self {
            listener,
            address,
            figures,
            gate,
            jobs,
            view,
            settings,
        } = self;
        let most = settings.message_bytes as usize;
        let grpc = SchedulerGrpcServer::new(gate.clone())
            .max_encoding_message_size(most)
            .max_decoding_message_size(most);
        let figures_router = routes::figures(view.clone());
        let router = routes::router(grpc, gate.server.clone(), view);
        let router = guard::guarded(router, address.ip(), settings.tls.is_some());
        let upkeep = tokio::spawn(upkeep(gate, jobs));
        let stop = settings.stop.clone();
        let figures = async move {
            if let Some((listener, address)) = figures {
                let router = guard::guarded(figures_router, address.ip(), false);
                serve(listener, router, None, stop).await;
            }
        };
        tokio::join!(
            serve(listener, router, settings.tls.as_ref(), settings.stop),
            figures
        );
        upkeep.abort();
    }
}

async fn figures_listener(bind_to: SocketAddr) -> Result<(TcpListener, SocketAddr), ClusterError> {
    let listener = bind(bind_to).await?;
    let address = listener.local_addr().map_err(|source| ClusterError::Bind {
        address: bind_to,
        source,
    })?;
    Ok((listener, address))
}

/// Runs a scheduler until its token is cancelled.
///
/// # Errors
///
/// As [`Scheduler::start`].
pub async fn run_scheduler(settings: SchedulerSettings) -> Result<(), ClusterError> {
    let tell = settings.tell.clone();
    let scheduler = Scheduler::start(settings).await?;
    tell(&format!("the scheduler listens at {}", scheduler.address()));
    if let Some(address) = scheduler.metrics_address() {
        tell(&format!("figures are at http://{address}/metrics"));
    }
    scheduler.run().await;
    Ok(())
}

async fn upkeep(gate: Gate, jobs: Arc<Jobs>) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut without_tasks = HashMap::new();
    loop {
        tick.tick().await;
        for job in stalled(&gate, &mut without_tasks).await {
            (gate.tell)(&format!(
                "job {job} is ended: it has no task left and does not go on, which is an error of Ballista's or of its plan"
            ));
            let _ = gate
                .cancel_job(Request::new(CancelJobParams { job_id: job }))
                .await;
        }
        for (id, host) in gate.tally.tick() {
            (gate.tell)(&format!(
                "executor {id} at {host} is lost: it does not ask for work any more; others redo what it had"
            ));
        }
        jobs.trim().await;
    }
}

/// Jobs that have had no task in work and none to hand out for too long.
///
/// Ballista forgets a job when it fails to prepare its next stage: its client would wait for ever.
async fn stalled(gate: &Gate, since: &mut HashMap<String, Instant>) -> Vec<String> {
    let mut without_tasks = HashMap::new();
    for (id, job) in gate
        .server
        .state
        .task_manager
        .get_running_job_cache()
        .iter()
    {
        let graph = job.execution_graph.read().await;
        if graph.available_tasks() == 0 && graph.running_tasks().is_empty() {
            let id = id.to_string();
            let first = since.get(&id).copied().unwrap_or_else(Instant::now);
            without_tasks.insert(id, first);
        }
    }
    let ended = without_tasks
        .extract_if(|_, first| first.elapsed() >= STALLED)
        .map(|(id, _)| id)
        .collect();
    *since = without_tasks;
    ended
}

fn config(
    settings: &SchedulerSettings,
    address: SocketAddr,
    config_producer: &ConfigProducer,
) -> SchedulerConfig {
    let session_builder = settings.session_builder.clone();
    let session_builder = session_builder.unwrap_or_else(self::session_builder);
    let secured = endpoint_override(settings.tls.as_ref());
    SchedulerConfig {
        bind_host: address.ip().to_string(),
        bind_port: address.port(),
        external_host: address.ip().to_string(),
        scheduling_policy: TaskSchedulingPolicy::PullStaged,
        task_distribution: TaskDistributionPolicy::RoundRobin,
        finished_job_data_clean_up_interval_seconds: RESULTS_KEPT_SECS,
        finished_job_state_clean_up_interval_seconds: STATE_KEPT_SECS,
        grpc_server_max_decoding_message_size: settings.message_bytes,
        grpc_server_max_encoding_message_size: settings.message_bytes,
        grpc_client_max_message_size: settings.message_bytes,
        executor_timeout_seconds: settings.executor_timeout.as_secs().max(1),
        expire_dead_executor_interval_seconds: EXPIRY_INTERVAL_SECS,
        no_executors_grace_period_seconds: settings.no_executors_grace.as_secs(),
        task_max_failures: TASK_ATTEMPTS,
        override_physical_codec: Some(settings.codec.clone()),
        override_session_builder: Some(session_builder),
        override_config_producer: Some(config_producer.clone()),
        override_create_grpc_client_endpoint: Some(Arc::new(move |endpoint| {
            Ok(secured(endpoint)?.connect_timeout(WAY_TO_EXECUTOR))
        })),
        use_tls: settings.tls.is_some(),
        // A way to a page on the internet; the guard lets nobody take it.
        web_tui_route: guard::CLOSED.to_owned(),
        ..SchedulerConfig::default()
    }
}

/// Sessions of Ballista's own kind, in which plans may name any place: those who run them open it.
fn session_builder() -> SessionBuilder {
    Arc::new(|config| {
        let state = default_session_builder(config)?;
        let runtime = RuntimeEnvBuilder::new()
            .with_object_store_registry(Arc::new(UnopenedStores))
            .build_arc()?;
        Ok(SessionStateBuilder::new_from_existing(state)
            .with_runtime_env(runtime)
            .build())
    })
}

/// Sessions in which plans are read: one partition is one task, and a plan is cut into stages as it is.
fn config_producer(tls: Option<Tls>) -> Result<ConfigProducer, ClusterError> {
    let mut config = SessionConfig::new_with_ballista();
    for (key, value) in [
        ("ballista.scheduler.max_partitions_per_task", "1"),
        ("ballista.planner.adaptive.enabled", "false"),
    ] {
        config
            .options_mut()
            .set(key, value)
            .map_err(|error| ClusterError::Scheduler(Box::new(error)))?;
    }
    let config = with_trace(session_config(config, tls.as_ref()));
    Ok(Arc::new(move || config.clone()))
}

fn failed(error: ballista_core::error::BallistaError) -> ClusterError {
    ClusterError::Scheduler(Box::new(error))
}
