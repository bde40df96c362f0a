//! A scheduler of Ballista's in this process, executors beside it, and jobs for them.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ballista_core::client::BallistaClient;
use ballista_core::config::TaskSchedulingPolicy;
use ballista_core::extension::{BallistaConfigGrpcEndpoint, SessionConfigExt};
use ballista_core::serde::BallistaPhysicalExtensionCodec;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::scheduler_grpc_server::SchedulerGrpcServer;
use ballista_core::serde::protobuf::{
    ExecuteQueryParams, GetJobStatusParams, KeyValuePair, PartitionLocation,
    execute_query_params::Query, execute_query_result, job_status,
};
use ballista_core::utils::{default_config_producer, default_session_builder};
use ballista_core::version::insert_version_header;
use ballista_scheduler::cluster::BallistaCluster;
use ballista_scheduler::config::SchedulerConfig;
use ballista_scheduler::scheduler_process::create_scheduler;
use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::datasource::MemTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::{LogicalPlanNode, PhysicalPlanNode};
use futures::TryStreamExt;
use pomona_cluster::{
    ClusterError, ExecutorEvent, ExecutorSettings, Tls, VersionInfo, bind, endpoint_override,
    make_certificates, run_executor, scheme, serve,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// Nothing here takes longer, unless it is broken.
const PATIENCE: Duration = Duration::from_secs(15);

pub(crate) fn version() -> VersionInfo {
    VersionInfo {
        pomona: "1.2.3".to_owned(),
        plan_format: 4,
    }
}

pub(crate) fn loopback() -> SocketAddr {
    ([127, 0, 0, 1], 0).into()
}

/// Identities of one authority for the hosts named, in `folder`.
pub(crate) fn identity(folder: &Path, host: &str) -> Tls {
    let made = make_certificates(folder, &[host.to_owned()], 2).unwrap();
    Tls::load(&made[0]).unwrap()
}

/// How a function that stands for work behaves: for `pause`, or until the gate is open.
#[derive(Clone, Default)]
pub(crate) struct Work {
    pub(crate) pause: Duration,
    pub(crate) closed: Arc<AtomicBool>,
}

impl Work {
    pub(crate) fn of(pause: Duration) -> Self {
        Self {
            pause,
            closed: Arc::default(),
        }
    }

    pub(crate) fn behind_a_gate() -> Self {
        Self {
            pause: Duration::ZERO,
            closed: Arc::new(AtomicBool::new(true)),
        }
    }

    pub(crate) fn open(&self) {
        self.closed.store(false, SeqCst);
    }

    /// `work(x)` is `x`, later.
    fn function(&self) -> ScalarUDF {
        let work = self.clone();
        create_udf(
            "work",
            vec![DataType::Int64],
            DataType::Int64,
            Volatility::Volatile,
            Arc::new(move |arguments: &[ColumnarValue]| {
                std::thread::sleep(work.pause);
                let began = Instant::now();
                while work.closed.load(SeqCst) && began.elapsed() < PATIENCE {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(arguments[0].clone())
            }),
        )
    }

    pub(crate) fn session(&self) -> SessionState {
        self.session_with(SessionConfig::new_with_ballista().with_target_partitions(4))
    }

    fn session_with(&self, config: SessionConfig) -> SessionState {
        let context = SessionContext::new_with_state(default_session_builder(config).unwrap());
        context.register_udf(self.function());
        context.state()
    }
}

pub(crate) struct TestScheduler {
    pub(crate) address: SocketAddr,
    tls: Option<Tls>,
    stop: CancellationToken,
    server: JoinHandle<()>,
}

impl TestScheduler {
    pub(crate) async fn start(tls: Option<Tls>) -> Self {
        Self::start_at(loopback(), version(), tls).await
    }

    pub(crate) async fn start_at(
        address: SocketAddr,
        version: VersionInfo,
        tls: Option<Tls>,
    ) -> Self {
        let config = SchedulerConfig::default()
            .with_scheduler_policy(TaskSchedulingPolicy::PullStaged)
            .with_finished_job_data_clean_up_interval_seconds(1)
            .with_override_create_grpc_client_endpoint(endpoint_override(tls.as_ref()));
        let sessions = |config| Ok(Work::default().session_with(config));
        let cluster = BallistaCluster::new_memory(
            "test",
            Arc::new(sessions),
            Arc::new(default_config_producer),
        );
        let scheduler =
            create_scheduler::<LogicalPlanNode, PhysicalPlanNode>(cluster, Arc::new(config))
                .await
                .unwrap();
        let said = serde_json::to_string(&version).unwrap();
        let router = tonic::service::Routes::new(SchedulerGrpcServer::new(scheduler))
            .into_axum_router()
            .route(
                "/pomona/version",
                axum::routing::get(|| async move { said }),
            );
        let listener = bind(address).await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let (server_tls, server_stop) = (tls.clone(), stop.clone());
        let server = tokio::spawn(async move {
            serve(listener, router, server_tls.as_ref(), server_stop).await;
        });
        Self {
            address,
            tls,
            stop,
            server,
        }
    }

    pub(crate) async fn stop(self) {
        self.stop.cancel();
        self.server.await.unwrap();
    }

    pub(crate) async fn client(&self) -> SchedulerGrpcClient<Channel> {
        let url = format!("{}://{}", scheme(self.tls.as_ref()), self.address);
        let endpoint = Endpoint::from_shared(url).unwrap();
        let endpoint = endpoint_override(self.tls.as_ref())(endpoint).unwrap();
        SchedulerGrpcClient::new(endpoint.connect().await.unwrap())
    }

    /// Submits `plan` and gives the job's name.
    pub(crate) async fn submit(&self, plan: Arc<dyn ExecutionPlan>) -> String {
        let node = PhysicalPlanNode::try_from_physical_plan(
            plan,
            &BallistaPhysicalExtensionCodec::default(),
        )
        .unwrap();
        let mut bytes = Vec::new();
        node.try_encode(&mut bytes).unwrap();
        let settings = [
            ("ballista.planner.adaptive.enabled", "false"),
            ("ballista.scheduler.max_partitions_per_task", "1"),
        ];
        let mut request = tonic::Request::new(ExecuteQueryParams {
            session_id: uuid::Uuid::new_v4().to_string(),
            settings: settings
                .iter()
                .map(|(key, value)| KeyValuePair {
                    key: (*key).to_owned(),
                    value: Some((*value).to_owned()),
                })
                .collect(),
            operation_id: uuid::Uuid::new_v4().to_string(),
            query: Some(Query::PhysicalPlan(bytes)),
        });
        insert_version_header(request.metadata_mut());
        let result = self
            .client()
            .await
            .execute_query(request)
            .await
            .unwrap()
            .into_inner()
            .result;
        match result.unwrap() {
            execute_query_result::Result::Success(success) => success.job_id,
            execute_query_result::Result::Failure(failure) => panic!("{failure:?}"),
        }
    }

    /// Waits for a job and gives the rows of its result.
    pub(crate) async fn result(&self, job_id: &str) -> Vec<RecordBatch> {
        let mut client = self.client().await;
        let began = Instant::now();
        let locations = loop {
            let params = GetJobStatusParams {
                job_id: job_id.to_owned(),
            };
            let status = client
                .get_job_status(params)
                .await
                .unwrap()
                .into_inner()
                .status;
            match status.and_then(|status| status.status) {
                Some(job_status::Status::Successful(job)) => break job.partition_location,
                Some(job_status::Status::Failed(job)) => panic!("the job failed: {}", job.error),
                _ => assert!(began.elapsed() < PATIENCE, "the job does not end"),
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        };
        let mut batches = Vec::new();
        for location in locations {
            batches.extend(fetch(location, self.tls.as_ref()).await);
        }
        batches
    }
}

async fn fetch(location: PartitionLocation, tls: Option<&Tls>) -> Vec<RecordBatch> {
    let layout = location.layout();
    let executor = location.executor_meta.clone().unwrap();
    let endpoint = Arc::new(BallistaConfigGrpcEndpoint::new(endpoint_override(tls)));
    let port = u16::try_from(executor.port).unwrap();
    let (size, secure) = (64 << 20, tls.is_some());
    BallistaClient::try_new(
        &executor.host,
        port,
        size,
        secure,
        Some(endpoint),
        1,
        10,
        0,
        0,
    )
    .await
    .unwrap()
    .fetch_partition(
        &executor.id,
        &location.partition_id.unwrap().into(),
        location.file_id,
        layout,
        false,
    )
    .await
    .unwrap()
    .try_collect()
    .await
    .unwrap()
}

/// `select sum(work(x)), count(*)` over 0, 1, 2, … in `partitions` partitions of ten rows.
pub(crate) async fn job(partitions: i64) -> Arc<dyn ExecutionPlan> {
    let schema = Arc::new(Schema::new(vec![Field::new("x", DataType::Int64, false)]));
    let parts = (0..partitions)
        .map(|part| {
            let rows: ArrayRef = Arc::new(Int64Array::from_iter_values(part * 10..(part + 1) * 10));
            vec![RecordBatch::try_new(schema.clone(), vec![rows]).unwrap()]
        })
        .collect();
    // As many partitions as the table has, so that nothing is put together before it is worked on.
    let mut state = Work::default().session();
    state.config_mut().options_mut().execution.target_partitions =
        usize::try_from(partitions).unwrap();
    let context = SessionContext::new_with_state(state);
    context
        .register_table("t", Arc::new(MemTable::try_new(schema, parts).unwrap()))
        .unwrap();
    let query = context
        .sql("select sum(work(x)), count(*) from t")
        .await
        .unwrap();
    query.create_physical_plan().await.unwrap()
}

/// What [`job`] must give.
pub(crate) fn assert_right(batches: &[RecordBatch], partitions: i64) {
    let number = |column: usize| {
        let batch = batches.iter().find(|batch| batch.num_rows() > 0).unwrap();
        batch
            .column(column)
            .as_any()
            .downcast_ref::<Int64Array>()
            .unwrap()
            .value(0)
    };
    let rows = partitions * 10;
    assert_eq!((number(0), number(1)), (rows * (rows - 1) / 2, rows));
}

/// An executor in this process.
pub(crate) struct TestExecutor {
    pub(crate) stop: CancellationToken,
    pub(crate) events: Arc<Mutex<Vec<ExecutorEvent>>>,
    outcome: JoinHandle<Result<(), ClusterError>>,
}

impl TestExecutor {
    pub(crate) fn settings(address: SocketAddr, work: &Work, tls: Option<Tls>) -> ExecutorSettings {
        let mut settings = ExecutorSettings::new(
            address.ip().to_string(),
            address.port(),
            version(),
            Arc::new(BallistaPhysicalExtensionCodec::default()),
            work.session(),
        );
        settings.tls = tls;
        settings.min_free_bytes = 0;
        settings.memory_bytes = Some(64 << 20);
        settings
    }

    pub(crate) fn start(mut settings: ExecutorSettings) -> Self {
        let events = Arc::new(Mutex::new(Vec::new()));
        let seen = events.clone();
        settings.observer = Some(Arc::new(move |event: &ExecutorEvent| {
            seen.lock().unwrap().push(event.clone());
        }));
        Self {
            stop: settings.stop.clone(),
            events,
            outcome: tokio::spawn(run_executor(settings)),
        }
    }

    pub(crate) fn count(&self, wanted: impl Fn(&ExecutorEvent) -> bool) -> usize {
        self.events
            .lock()
            .unwrap()
            .iter()
            .filter(|event| wanted(event))
            .count()
    }

    pub(crate) fn find<T>(&self, wanted: impl Fn(&ExecutorEvent) -> Option<T>) -> Option<T> {
        self.events.lock().unwrap().iter().find_map(wanted)
    }

    pub(crate) fn address(&self) -> Option<SocketAddr> {
        self.find(|event| match event {
            ExecutorEvent::Listening { address, .. } => Some(*address),
            _ => None,
        })
    }

    pub(crate) fn names(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        let name = |event: &ExecutorEvent| match event {
            ExecutorEvent::Registered { executor_id } => Some(executor_id.clone()),
            _ => None,
        };
        events.iter().filter_map(name).collect()
    }

    pub(crate) fn started(&self) -> usize {
        self.count(|event| matches!(event, ExecutorEvent::TaskStarted { .. }))
    }

    pub(crate) fn finished(&self) -> usize {
        self.count(|event| matches!(event, ExecutorEvent::TaskFinished { error: None, .. }))
    }

    pub(crate) async fn registered(&self, times: usize) {
        until("the executor is registered", || self.names().len() >= times).await;
    }

    pub(crate) async fn outcome(self) -> Result<(), ClusterError> {
        tokio::time::timeout(PATIENCE, self.outcome)
            .await
            .unwrap()
            .unwrap()
    }

    pub(crate) async fn leave(self) -> Result<(), ClusterError> {
        self.stop.cancel();
        self.outcome().await
    }
}

pub(crate) async fn until(what: &str, holds: impl Fn() -> bool) {
    let began = Instant::now();
    while !holds() {
        assert!(began.elapsed() < PATIENCE, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}
