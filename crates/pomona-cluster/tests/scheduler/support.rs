//! Starting, asking, waiting.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::execute_query_result;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecuteQueryParams, ExecutorOperatingSystemSpecification, ExecutorRegistration, KeyValuePair,
    PollWorkParams, PollWorkResult, TaskStatus,
};
use ballista_core::serde::scheduler::ExecutorSpecification;
use ballista_core::version::insert_version_header;
use ballista_core::{BALLISTA_PROTOCOL_VERSION, utils::default_session_builder};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use pomona_cluster::{
    ClusterError, ExecutorSettings, JobDetail, Scheduler, SchedulerClient, SchedulerSettings,
    VersionInfo, http_agent, run_executor,
};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

use crate::plan::Codec;

/// Everything here ends sooner, unless the machine is very busy.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn version() -> VersionInfo {
    VersionInfo {
        pomona: "1.2.3".to_owned(),
        plan_format: 7,
    }
}

pub(crate) fn settings() -> SchedulerSettings {
    SchedulerSettings {
        bind: "127.0.0.1:0".parse().unwrap(),
        ..SchedulerSettings::new(Arc::new(Codec::default()), version())
    }
}

/// A scheduler in this process, and whatever was told.
pub(crate) struct Running {
    pub(crate) address: String,
    pub(crate) figures: Option<String>,
    pub(crate) told: Arc<Mutex<Vec<String>>>,
    stop: CancellationToken,
    task: JoinHandle<()>,
    executors: Vec<(CancellationToken, JoinHandle<Result<(), ClusterError>>)>,
    folder: tempfile::TempDir,
}

impl Running {
    pub(crate) async fn start(mut settings: SchedulerSettings) -> Self {
        let told = Arc::new(Mutex::new(Vec::new()));
        let lines = told.clone();
        settings.tell = Arc::new(move |line| lines.lock().unwrap().push(line.to_owned()));
        let stop = settings.stop.clone();
        let scheduler = Scheduler::start(settings).await.unwrap();
        Self {
            address: scheduler.address().to_string(),
            figures: scheduler
                .metrics_address()
                .map(|address| address.to_string()),
            told,
            stop,
            task: tokio::spawn(scheduler.run()),
            executors: Vec::new(),
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// An executor in this process; gives what has it leave when its tasks are done.
    pub(crate) fn executor(&mut self, slots: usize) -> CancellationToken {
        let (host, port) = self.address.rsplit_once(':').unwrap();
        let session = default_session_builder(SessionConfig::new()).unwrap();
        let mut settings = ExecutorSettings::new(
            host,
            port.parse().unwrap(),
            version(),
            Arc::new(Codec::default()),
            session,
        );
        settings.slots = slots;
        settings.work_folder = Some(self.folder.path().to_owned());
        settings.min_free_bytes = 0;
        let (stop, drain) = (settings.stop_now.clone(), settings.stop.clone());
        self.executors
            .push((stop, tokio::spawn(run_executor(settings))));
        drain
    }

    pub(crate) async fn end(self) {
        for (stop, executor) in self.executors {
            stop.cancel();
            executor.await.unwrap().unwrap();
        }
        self.stop.cancel();
        self.task.await.unwrap();
    }

    pub(crate) fn client(&self) -> SchedulerClient {
        SchedulerClient::new(&self.address, None)
    }

    pub(crate) async fn grpc(&self) -> SchedulerGrpcClient<Channel> {
        SchedulerGrpcClient::connect(format!("http://{}", self.address))
            .await
            .unwrap()
    }

    /// Submits a plan and gives the job's identifier.
    pub(crate) async fn submit(&self, name: &str, plan: Arc<dyn ExecutionPlan>) -> String {
        let mut bytes = Vec::new();
        PhysicalPlanNode::try_from_physical_plan(plan, &Codec::default())
            .unwrap()
            .try_encode(&mut bytes)
            .unwrap();
        let mut request = tonic::Request::new(ExecuteQueryParams {
            session_id: "session".to_owned(),
            settings: vec![KeyValuePair {
                key: "ballista.job.name".to_owned(),
                value: Some(name.to_owned()),
            }],
            operation_id: "operation".to_owned(),
            query: Some(Query::PhysicalPlan(bytes)),
        });
        insert_version_header(request.metadata_mut());
        let answer = self.grpc().await.execute_query(request).await.unwrap();
        match answer.into_inner().result.unwrap() {
            execute_query_result::Result::Success(success) => success.job_id,
            execute_query_result::Result::Failure(failure) => panic!("{failure:?}"),
        }
    }

    /// GET, as status and text.
    pub(crate) async fn get(&self, path: &str) -> (u16, String) {
        get_with(&self.address, path, &[]).await
    }

    /// A job, once `enough` of it is there.
    pub(crate) async fn job(
        &self,
        id: &str,
        enough: impl Fn(&JobDetail) -> bool + Send + Sync,
    ) -> JobDetail {
        let since = Instant::now();
        loop {
            let (client, id) = (self.client(), id.to_owned());
            let job = tokio::task::spawn_blocking(move || client.job(&id))
                .await
                .unwrap();
            // It is accepted a moment before it is known.
            if let Ok(job) = &job
                && enough(job)
            {
                return job.clone();
            }
            assert!(since.elapsed() < PATIENCE, "{job:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// GET with headers, as status and text.
pub(crate) async fn get_with(address: &str, path: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let url = format!("http://{address}{path}");
    let headers: Vec<_> = headers
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect();
    tokio::task::spawn_blocking(move || {
        let mut request = http_agent(None, PATIENCE).get(url);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut answer = request.call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        (answer.status().as_u16(), text)
    })
    .await
    .unwrap()
}

/// An executor that does what a test says.
pub(crate) struct Puppet {
    pub(crate) id: String,
    grpc: SchedulerGrpcClient<Channel>,
}

impl Puppet {
    pub(crate) async fn new(scheduler: &Running, id: &str) -> Self {
        Self {
            id: id.to_owned(),
            grpc: scheduler.grpc().await,
        }
    }

    pub(crate) fn registration(&self) -> ExecutorRegistration {
        ExecutorRegistration {
            id: self.id.clone(),
            host: Some("127.0.0.1".to_owned()),
            port: 1,
            grpc_port: 1,
            specification: Some(ExecutorSpecification::default().with_vcores(1).into()),
            os_info: Some(ExecutorOperatingSystemSpecification::default()),
            ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
        }
    }

    pub(crate) async fn poll(&mut self, free: u32, statuses: Vec<TaskStatus>) -> PollWorkResult {
        let asked = PollWorkParams {
            metadata: Some(self.registration()),
            num_free_vcores: free,
            task_status: statuses,
        };
        self.try_poll(asked).await.unwrap()
    }

    pub(crate) async fn try_poll(
        &mut self,
        asked: PollWorkParams,
    ) -> Result<PollWorkResult, tonic::Status> {
        Ok(self.grpc.poll_work(asked).await?.into_inner())
    }

    /// Asks until there is a task.
    pub(crate) async fn task(&mut self) -> ballista_core::serde::protobuf::TaskDefinition {
        let since = Instant::now();
        loop {
            if let Some(task) = self.poll(1, Vec::new()).await.tasks.pop() {
                return task;
            }
            assert!(since.elapsed() < PATIENCE, "no task came");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}
