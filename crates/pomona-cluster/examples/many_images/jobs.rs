//! Plans of shards, as a run makes them, and their jobs.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ballista_core::config::{
    BALLISTA_ADAPTIVE_PLANNER_ENABLED, BALLISTA_JOB_NAME,
    BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK,
};
use ballista_core::serde::protobuf::execute_query_params::Query;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecuteQueryParams, GetJobStatusParams, KeyValuePair, execute_query_result, job_status,
};
use ballista_core::version::insert_version_header;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionContext, col};
use datafusion_proto::physical_plan::AsExecutionPlan;
use datafusion_proto::protobuf::PhysicalPlanNode;
use pomona_cluster::plan_codec;
use pomona_engine::{
    Extractor, FetchSettings, ImageTable, PlanFolder, Shard, ShardFiles, ShardWrite,
    extract_function,
};
use tonic::Request;
use tonic::transport::Channel;

pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// Between two questions whether a job is planned; what is measured is too long by half of it.
const LOOK: Duration = Duration::from_millis(1);
/// Between two questions whether a job has ended, as a run asks.
const ASK: Duration = Duration::from_millis(40);

/// Everything that a plan needs beside its shards.
pub(crate) struct Planner {
    pub(crate) session: SessionContext,
    pub(crate) folder: PlanFolder,
    pub(crate) extractor: Arc<Extractor>,
}

impl Planner {
    /// The plan that a run makes of some shards.
    pub(crate) async fn plan(&self, shards: Vec<Shard>) -> Result<Arc<dyn ExecutionPlan>, Failure> {
        let indices = shards.iter().map(|shard| shard.index).collect();
        let fetch = FetchSettings::default().over_a_network();
        let table = ImageTable::new(shards, self.folder.clone(), fetch);
        // It is never called, so what it is described as need not be understood.
        let extracted = extract_function(Arc::clone(&self.extractor), "none".to_owned())
            .call(vec![col("content"), col("size_bytes"), col("read_error")])
            .alias("extracted");
        let rows = self.session.read_table(Arc::new(table))?.select(vec![
            col("path"),
            col("label"),
            col("size_bytes"),
            col("last_modified"),
            extracted,
        ])?;
        let files = ShardFiles::Extraction {
            feature_count: None,
            metadata: BTreeMap::new(),
            stop_at_failure: false,
        };
        let plan = ShardWrite::plan_once(
            rows.into_unoptimized_plan(),
            self.folder.clone(),
            indices,
            files,
        )?;
        let query = self.session.execute_logical_plan(plan).await?;
        Ok(query.create_physical_plan().await?)
    }
}

/// The plan as it is sent.
pub(crate) fn encoded(plan: Arc<dyn ExecutionPlan>) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    PhysicalPlanNode::try_from_physical_plan(plan, plan_codec(None).as_ref())?
        .try_encode(&mut bytes)?;
    Ok(bytes)
}

/// Operators of a plan.
pub(crate) fn operators(plan: &dyn ExecutionPlan) -> usize {
    let below = plan.children().into_iter();
    1 + below.map(|child| operators(child.as_ref())).sum::<usize>()
}

/// A job that the scheduler has planned, and how long that took.
pub(crate) struct Planned {
    pub(crate) job: String,
    /// From the first byte of the request to the answer.
    pub(crate) submitting: Duration,
    /// From there until tasks could be handed out.
    pub(crate) waiting: Duration,
}

/// Submits a plan and waits until its tasks can be handed out.
pub(crate) async fn submit(
    mut scheduler: SchedulerGrpcClient<Channel>,
    plan: Vec<u8>,
) -> Result<Planned, Failure> {
    let setting = |key: &str, value: &str| KeyValuePair {
        key: key.to_owned(),
        value: Some(value.to_owned()),
    };
    let mut request = Request::new(ExecuteQueryParams {
        query: Some(Query::PhysicalPlan(plan)),
        settings: vec![
            setting(BALLISTA_JOB_NAME, "extract"),
            setting(BALLISTA_ADAPTIVE_PLANNER_ENABLED, "false"),
            setting(BALLISTA_SCHEDULER_MAX_PARTITIONS_PER_TASK, "1"),
        ],
        session_id: "many-images".to_owned(),
        operation_id: uuid::Uuid::new_v4().to_string(),
    });
    insert_version_header(request.metadata_mut());
    let began = Instant::now();
    let answer = scheduler.execute_query(request).await?.into_inner();
    let submitting = began.elapsed();
    let job = match answer.result {
        Some(execute_query_result::Result::Success(accepted)) => accepted.job_id,
        other => return Err(format!("the job was refused: {other:?}").into()),
    };
    let began = Instant::now();
    while !matches!(
        state(&mut scheduler, &job).await?,
        Some(job_status::Status::Running(_) | job_status::Status::Successful(_))
    ) {
        tokio::time::sleep(LOOK).await;
    }
    Ok(Planned {
        job,
        submitting,
        waiting: began.elapsed(),
    })
}

/// Waits for a job's end.
pub(crate) async fn ended(
    mut scheduler: SchedulerGrpcClient<Channel>,
    job: String,
) -> Result<(), Failure> {
    while !matches!(
        state(&mut scheduler, &job).await?,
        Some(job_status::Status::Successful(_))
    ) {
        tokio::time::sleep(ASK).await;
    }
    Ok(())
}

async fn state(
    scheduler: &mut SchedulerGrpcClient<Channel>,
    job: &str,
) -> Result<Option<job_status::Status>, Failure> {
    let asked = GetJobStatusParams {
        job_id: job.to_owned(),
    };
    let answer = scheduler.get_job_status(asked).await?.into_inner();
    match answer.status.and_then(|status| status.status) {
        Some(job_status::Status::Failed(failed)) => Err(failed.error.into()),
        state => Ok(state),
    }
}
