//! Executors leave without loss.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pomona_cluster::{ClusterError, ExecutorEvent, ScheduledTask};

use crate::support::{TestExecutor, TestScheduler, Work, assert_right, job, until};

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_what_runs_and_takes_nothing_new() {
    let scheduler = TestScheduler::start(None).await;
    let gate = Work::behind_a_gate();
    let leaver = TestExecutor::start(TestExecutor::settings(scheduler.address, &gate, None));
    let name = scheduler.submit(job(4).await).await;
    until("a task runs", || leaver.started() == 1).await;
    leaver.stop.cancel();
    let draining =
        |event: &ExecutorEvent| matches!(event, ExecutorEvent::Draining { running: 1, .. });
    until("it drains", || leaver.count(draining) == 1).await;
    gate.open();
    until("it has left", || {
        leaver.count(|event| matches!(event, ExecutorEvent::Left)) == 1
    })
    .await;
    assert_eq!((leaver.started(), leaver.finished()), (1, 1));
    assert_eq!(
        leaver.count(|event| matches!(event, ExecutorEvent::HandedBack { .. })),
        0
    );
    leaver.outcome().await.unwrap();

    let settings = TestExecutor::settings(scheduler.address, &Work::default(), None);
    let successor = TestExecutor::start(settings);
    assert_right(&scheduler.result(&name).await, 4);
    successor.leave().await.unwrap();
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_done_in_time_is_handed_back() {
    let scheduler = TestScheduler::start(None).await;
    let gate = Work::behind_a_gate();
    let mut settings = TestExecutor::settings(scheduler.address, &gate, None);
    settings.slots = 2;
    settings.drain = Duration::from_millis(300);
    let noted: Arc<Mutex<Vec<ScheduledTask>>> = Arc::default();
    let note = noted.clone();
    settings.hand_back = Some(Arc::new(move |tasks| {
        let note = note.clone();
        Box::pin(async move { note.lock().unwrap().extend(tasks) })
    }));
    let leaver = TestExecutor::start(settings);
    let name = scheduler.submit(job(3).await).await;
    until("two tasks run", || leaver.started() == 2).await;
    leaver.leave().await.unwrap();
    let mut partitions: Vec<_> = noted
        .lock()
        .unwrap()
        .iter()
        .flat_map(|task| task.partitions.clone())
        .collect();
    partitions.sort_unstable();
    assert_eq!(partitions, [0, 1]);
    assert!(
        noted
            .lock()
            .unwrap()
            .iter()
            .all(|task| task.job_id == name && task.stage_id == 1)
    );

    let settings = TestExecutor::settings(scheduler.address, &Work::default(), None);
    let successor = TestExecutor::start(settings);
    assert_right(&scheduler.result(&name).await, 3);
    assert_eq!(successor.finished(), 4);
    gate.open();
    successor.leave().await.unwrap();
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_without_room_leaves_and_says_so() {
    let scheduler = TestScheduler::start(None).await;
    let mut settings = TestExecutor::settings(scheduler.address, &Work::default(), None);
    settings.min_free_bytes = u64::MAX;
    let outcome = TestExecutor::start(settings).outcome().await;
    assert!(
        matches!(outcome, Err(ClusterError::DiskFull { .. })),
        "{outcome:?}"
    );
    scheduler.stop().await;
}
