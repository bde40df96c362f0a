//! An executor that does nothing: it takes tasks and says at once that they are done.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use ballista_core::BALLISTA_PROTOCOL_VERSION;
use ballista_core::serde::protobuf::operator_metric::Metric;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecutorOperatingSystemSpecification, ExecutorRegistration, NamedCount, OperatorMetric,
    OperatorMetricsSet, PollWorkParams, ShuffleWritePartition, SuccessfulTask, TaskDefinition,
    TaskStatus, task_status,
};
use ballista_core::serde::scheduler::ExecutorSpecification;
use tokio::sync::RwLock;
use tonic::Status;
use tonic::transport::Channel;

/// How long it waits where there is nothing to do.
const PAUSE: Duration = Duration::from_millis(2);

/// What executors did, all of them together.
#[derive(Default)]
pub(crate) struct Done {
    pub(crate) tasks: AtomicU64,
    /// Bytes of the plans that came with the tasks.
    pub(crate) bytes: AtomicU64,
    pub(crate) stop: AtomicBool,
    /// Whoever holds it alone keeps them waiting.
    pub(crate) turn: RwLock<()>,
}

/// What one task reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Report {
    /// Operators of the plan that a task carries.
    pub(crate) operators: usize,
    /// Photos of a shard.
    pub(crate) images: u64,
}

/// Takes as many tasks as it has slots, time and again.
pub(crate) async fn run(
    mut scheduler: SchedulerGrpcClient<Channel>,
    id: String,
    slots: u32,
    report: Report,
    done: Arc<Done>,
) -> Result<(), Status> {
    let registration = ExecutorRegistration {
        id: id.clone(),
        host: Some("127.0.0.1".to_owned()),
        port: 1,
        grpc_port: 1,
        specification: Some(ExecutorSpecification::default().with_vcores(slots).into()),
        os_info: Some(ExecutorOperatingSystemSpecification::default()),
        ballista_protocol_version: BALLISTA_PROTOCOL_VERSION,
    };
    let mut reports = Vec::new();
    loop {
        let asked = PollWorkParams {
            metadata: Some(registration.clone()),
            num_free_vcores: slots,
            task_status: std::mem::take(&mut reports),
        };
        let turn = done.turn.read().await;
        let tasks = scheduler.poll_work(asked).await?.into_inner().tasks;
        drop(turn);
        if tasks.is_empty() {
            if done.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        for task in tasks {
            done.tasks.fetch_add(1, Ordering::Relaxed);
            done.bytes
                .fetch_add(task.plan.len() as u64, Ordering::Relaxed);
            reports.push(success(&id, &task, report));
        }
    }
}

/// What an executor says of a shard that it wrote.
fn success(id: &str, task: &TaskDefinition, report: Report) -> TaskStatus {
    let partition = task.global_output_partition_ids.first().copied();
    TaskStatus {
        task_id: task.task_id,
        job_id: task.job_id.clone(),
        stage_id: task.stage_id,
        stage_attempt_num: task.stage_attempt_num,
        launch_time: task.launch_time,
        start_exec_time: task.launch_time,
        end_exec_time: task.launch_time,
        metrics: metrics(report),
        status: Some(task_status::Status::Successful(SuccessfulTask {
            executor_id: id.to_owned(),
            partitions: vec![ShuffleWritePartition {
                partition_id: partition.unwrap_or_default().into(),
                num_batches: 1,
                num_rows: 1,
                num_bytes: 1_000,
                ..ShuffleWritePartition::default()
            }],
            ..SuccessfulTask::default()
        })),
    }
}

/// As many sets as the plan has operators; the second from above writes the shard.
fn metrics(report: Report) -> Vec<OperatorMetricsSet> {
    let metric = |metric| OperatorMetric {
        partition: Some(0),
        metric: Some(metric),
    };
    let count = |name: &str, value| {
        metric(Metric::Count(NamedCount {
            name: name.to_owned(),
            value,
        }))
    };
    let mut written = HashMap::from([(
        1,
        vec![
            count("images_done", report.images),
            count("images_failed", 0),
            count("bytes_read", report.images * 150_000),
        ],
    )]);
    (0..report.operators)
        .map(|operator| {
            let mut metrics = vec![
                metric(Metric::OutputRows(report.images)),
                metric(Metric::ElapseTime(1_000_000)),
            ];
            metrics.extend(written.remove(&operator).unwrap_or_default());
            OperatorMetricsSet { metrics }
        })
        .collect()
}
