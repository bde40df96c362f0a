//! What executors might say that would put the scheduler or a job off.

use std::time::Duration;

use ballista_core::serde::protobuf::{
    ExecutorStoppedParams, PollWorkParams, RunningTask, ShuffleWritePartition, SuccessfulTask,
    TaskDefinition, TaskStatus, task_status,
};
use pomona_cluster::JobPhase;

use crate::plan::{Manner, shards};
use crate::support::{Puppet, Running, settings};

fn done(executor: &str, task: &TaskDefinition) -> TaskStatus {
    TaskStatus {
        task_id: task.task_id,
        job_id: task.job_id.clone(),
        stage_id: task.stage_id,
        stage_attempt_num: task.stage_attempt_num,
        launch_time: 1,
        start_exec_time: 1_000,
        end_exec_time: 3_000,
        metrics: Vec::new(),
        status: Some(task_status::Status::Successful(SuccessfulTask {
            executor_id: executor.to_owned(),
            partitions: vec![ShuffleWritePartition {
                partition_id: u64::from(task.global_output_partition_ids[0]),
                num_batches: 1,
                num_rows: 1,
                num_bytes: 1,
                file_id: None,
                is_sort_shuffle: false,
            }],
            ..SuccessfulTask::default()
        })),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_report_counts_once_and_only_from_whom_it_is() {
    use ballista_core::serde::protobuf::{GetJobStatusParams, job_status};

    let scheduler = Running::start(settings()).await;
    let id = scheduler.submit("", shards(2, 2, Manner::default())).await;
    let mut puppet = Puppet::new(&scheduler, "puppet").await;
    let mut other = Puppet::new(&scheduler, "other").await;
    let first = puppet.task().await;
    let second = puppet.task().await;
    assert_ne!(first.task_id, second.task_id);

    // Somebody else's, one that does not exist, one without an end, and an unknown job's.
    let mut beyond = done("puppet", &first);
    beyond.task_id = 4_000_000;
    let mut open = done("puppet", &first);
    open.status = Some(task_status::Status::Running(RunningTask {
        executor_id: "puppet".to_owned(),
    }));
    let mut nothing = done("puppet", &first);
    nothing.status = None;
    let mut unknown = done("puppet", &first);
    unknown.job_id = "unknown".to_owned();
    other.poll(0, vec![done("other", &first)]).await;
    puppet.poll(0, vec![beyond, open, nothing, unknown]).await;
    let job = scheduler.job(&id, |_| true).await;
    assert_eq!(job.summary.shards.done, 0);
    assert_eq!(job.summary.shards.running, 2);

    puppet.poll(0, vec![done("puppet", &first)]).await;
    puppet
        .poll(0, vec![done("puppet", &first), done("puppet", &second)])
        .await;
    puppet.poll(0, vec![done("puppet", &second)]).await;
    let job = scheduler.job(&id, |job| job.summary.state.is_over()).await;
    assert_eq!(job.summary.state, JobPhase::Finished);
    assert_eq!(job.executors[0].tasks_done, 2);
    assert_eq!(job.executors[0].busy_seconds, 4.0);
    let status = scheduler
        .grpc()
        .await
        .get_job_status(GetJobStatusParams { job_id: id })
        .await
        .unwrap();
    match status.into_inner().status.unwrap().status.unwrap() {
        job_status::Status::Successful(job) => assert_eq!(job.partition_location.len(), 2),
        other => panic!("{other:?}"),
    }
    scheduler.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_that_never_arrived_is_handed_out_again() {
    let scheduler = Running::start(settings()).await;
    let id = scheduler.submit("", shards(1, 2, Manner::default())).await;
    let mut puppet = Puppet::new(&scheduler, "puppet").await;
    let lost = puppet.task().await;
    // It asks for more as if it had nothing, until it is given the same shard.
    let again = puppet.task().await;
    assert_ne!(again.task_id, lost.task_id);
    assert_eq!(again.global_output_partition_ids, [0]);
    puppet.poll(0, vec![done("puppet", &again)]).await;
    let job = scheduler.job(&id, |job| job.summary.state.is_over()).await;
    assert_eq!(job.summary.state, JobPhase::Finished);
    assert_eq!(job.summary.shards.attempts_failed, 0, "nobody failed");
    scheduler.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shard_over_which_two_executors_were_lost_is_set_aside() {
    let mut quick = settings();
    quick.executor_timeout = Duration::from_secs(2);
    let scheduler = Running::start(quick).await;
    let id = scheduler.submit("", shards(2, 2, Manner::default())).await;
    for name in ["first", "second"] {
        let task = Puppet::new(&scheduler, name).await.task().await;
        assert_eq!(task.global_output_partition_ids, [0], "{name}");
        // It is silent from here on.
        let lost = format!("executor {name} at 127.0.0.1 is lost");
        for _ in 0..200 {
            if scheduler
                .told
                .lock()
                .unwrap()
                .iter()
                .any(|line| line.starts_with(&lost))
            {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        // Ballista looks every two seconds.
        tokio::time::sleep(Duration::from_millis(2_500)).await;
    }
    let mut third = Puppet::new(&scheduler, "third").await;
    let task = third.task().await;
    assert_eq!(
        task.global_output_partition_ids,
        [1],
        "the first shard is not tried again"
    );
    third.poll(0, vec![done("third", &task)]).await;
    let job = scheduler.job(&id, |job| job.summary.state.is_over()).await;
    assert_eq!(job.summary.state, JobPhase::Finished, "{job:?}");
    assert_eq!(job.summary.shards.set_aside, [0]);
    assert_eq!(job.summary.shards.attempts_failed, 2);
    scheduler.end().await;
}

async fn done_again_after_a_loss(outlive: bool) -> Vec<u32> {
    let mut quick = settings();
    quick.executor_timeout = Duration::from_secs(2);
    quick.shards_outlive_executors = outlive;
    let scheduler = Running::start(quick).await;
    let id = scheduler.submit("", shards(3, 2, Manner::default())).await;
    let mut lost = Puppet::new(&scheduler, "lost").await;
    let first = lost.task().await;
    lost.poll(0, vec![done("lost", &first)]).await;
    lost.task().await;
    // Silence, until Ballista has noticed.
    tokio::time::sleep(Duration::from_millis(5_500)).await;
    let mut other = Puppet::new(&scheduler, "other").await;
    let mut again = Vec::new();
    while !scheduler.job(&id, |_| true).await.summary.state.is_over() {
        if let Some(task) = other.poll(1, Vec::new()).await.tasks.pop() {
            again.extend(&task.global_output_partition_ids);
            other.poll(0, vec![done("other", &task)]).await;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let job = scheduler.job(&id, |_| true).await;
    assert_eq!(job.summary.state, JobPhase::Finished);
    assert_eq!(job.summary.shards.done, 3);
    scheduler.end().await;
    again.sort_unstable();
    again
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_executor_had_done_is_done_again() {
    assert_eq!(done_again_after_a_loss(false).await, [0, 1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn shards_may_outlive_their_executor() {
    assert_eq!(done_again_after_a_loss(true).await, [1, 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_leaves_is_not_counted_against_its_shard() {
    let scheduler = Running::start(settings()).await;
    let id = scheduler.submit("", shards(1, 2, Manner::default())).await;
    for name in ["first", "second", "third"] {
        let mut puppet = Puppet::new(&scheduler, name).await;
        assert_eq!(puppet.task().await.global_output_partition_ids, [0]);
        let stopped = ExecutorStoppedParams {
            executor_id: name.to_owned(),
            reason: "the machine is taken away".to_owned(),
        };
        scheduler
            .grpc()
            .await
            .executor_stopped(stopped)
            .await
            .unwrap();
        assert!(
            puppet.poll(1, Vec::new()).await.tasks.is_empty(),
            "it said that it goes"
        );
    }
    let mut last = Puppet::new(&scheduler, "last").await;
    let task = last.task().await;
    last.poll(0, vec![done("last", &task)]).await;
    let job = scheduler.job(&id, |job| job.summary.state.is_over()).await;
    assert_eq!(job.summary.state, JobPhase::Finished);
    assert_eq!(job.summary.shards.attempts_failed, 0);
    assert!(job.summary.shards.set_aside.is_empty());
    scheduler.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_leaves_things_out_is_refused() {
    let scheduler = Running::start(settings()).await;
    let mut puppet = Puppet::new(&scheduler, "puppet").await;
    let whole = puppet.registration();
    let mut all = vec![None];
    for leave_out in 0..5 {
        let mut part = whole.clone();
        match leave_out {
            0 => part.specification = None,
            1 => part.os_info = None,
            2 => part.id = String::new(),
            3 => part.host = Some("h".repeat(10_000)),
            _ => part.port = 70_000,
        }
        all.push(Some(part));
    }
    for metadata in all {
        let asked = PollWorkParams {
            metadata,
            num_free_vcores: 1,
            task_status: Vec::new(),
        };
        let refused = puppet.try_poll(asked).await.unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{refused}");
    }
    // It still serves those who are complete.
    puppet.poll(1, Vec::new()).await;
    scheduler.end().await;
}
