//! Schedulers come, go, and are the wrong ones.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use pomona_cluster::{ClusterError, ExecutorEvent, VersionInfo, bind, serve};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;

use crate::support::{
    TestExecutor, TestScheduler, Work, assert_right, job, loopback, until, version,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_comes_back_finds_its_executors() {
    let scheduler = TestScheduler::start(None).await;
    let address = scheduler.address;
    let executor = TestExecutor::start(TestExecutor::settings(address, &Work::default(), None));
    executor.registered(1).await;
    scheduler.stop().await;
    let lost = |event: &ExecutorEvent| matches!(event, ExecutorEvent::LostScheduler { .. });
    until("the loss is noticed", || executor.count(lost) > 0).await;

    let scheduler = TestScheduler::start_at(address, version(), None).await;
    executor.registered(2).await;
    let name = scheduler.submit(job(3).await).await;
    assert_right(&scheduler.result(&name).await, 3);
    scheduler.stop().await;

    // Another version comes back: the executor would not understand its plans.
    let newer = VersionInfo {
        plan_format: 5,
        ..version()
    };
    let scheduler = TestScheduler::start_at(address, newer, None).await;
    let outcome = executor.outcome().await;
    let Err(error @ ClusterError::OtherVersion { .. }) = outcome else {
        panic!("{outcome:?}");
    };
    let text = error.to_string();
    assert!(
        text.contains("plan format 5") && text.contains("plan format 4"),
        "{text}"
    );
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_scheduler_is_told_apart_from_what_is_not_there() {
    // A server that knows nothing of pomona.
    let listener = bind(loopback()).await.unwrap();
    let address = listener.local_addr().unwrap();
    let stop = CancellationToken::new();
    let server = tokio::spawn({
        let stop = stop.clone();
        async move { serve(listener, axum::Router::new(), None, stop).await }
    });
    let work = Work::default();
    let outcome = TestExecutor::start(TestExecutor::settings(address, &work, None))
        .outcome()
        .await;
    assert!(
        matches!(outcome, Err(ClusterError::NotPomona { .. })),
        "{outcome:?}"
    );
    stop.cancel();
    server.await.unwrap();

    // And nothing at all, where it was.
    let mut settings = TestExecutor::settings(address, &work, None);
    settings.scheduler_wait = Duration::from_millis(100);
    let executor = TestExecutor::start(settings);
    let waiting =
        |event: &ExecutorEvent| matches!(event, ExecutorEvent::WaitingForScheduler { .. });
    until("it says that it waits", || executor.count(waiting) == 1).await;
    let outcome = executor.outcome().await;
    assert!(
        matches!(outcome, Err(ClusterError::NoScheduler { .. })),
        "{outcome:?}"
    );
}

/// Between an executor and its scheduler: lets requests through and swallows answers when told to.
struct Wire {
    address: SocketAddr,
    swallow: Arc<AtomicBool>,
    cut: Arc<tokio::sync::Notify>,
    _stop: tokio_util::sync::DropGuard,
}

impl Wire {
    async fn to(scheduler: SocketAddr) -> Self {
        let listener = bind(loopback()).await.unwrap();
        let address = listener.local_addr().unwrap();
        let swallow = Arc::new(AtomicBool::new(false));
        let cut = Arc::new(tokio::sync::Notify::new());
        let stop = CancellationToken::new();
        tokio::spawn({
            let (swallow, cut, stop) = (swallow.clone(), cut.clone(), stop.clone());
            async move {
                while let Some(Ok((near, _))) = stop.run_until_cancelled(listener.accept()).await {
                    let far = TcpStream::connect(scheduler).await.unwrap();
                    tokio::spawn(carry(near, far, swallow.clone(), cut.clone(), stop.clone()));
                }
            }
        });
        Self {
            address,
            swallow,
            cut,
            _stop: stop.drop_guard(),
        }
    }
}

async fn carry(
    near: TcpStream,
    far: TcpStream,
    swallow: Arc<AtomicBool>,
    cut: Arc<tokio::sync::Notify>,
    stop: CancellationToken,
) {
    let (mut near_read, mut near_write) = near.into_split();
    let (mut far_read, mut far_write) = far.into_split();
    let there = tokio::io::copy(&mut near_read, &mut far_write);
    let back = async {
        let mut buffer = vec![0; 1 << 16];
        while let Ok(bytes @ 1..) = far_read.read(&mut buffer).await {
            if !swallow.load(SeqCst) && near_write.write_all(&buffer[..bytes]).await.is_err() {
                break;
            }
        }
    };
    tokio::select! {
        _ = there => {}
        () = back => {}
        () = cut.notified() => {}
        () = stop.cancelled() => {}
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_lost_answer_nothing_is_counted_twice_and_nothing_is_missing() {
    let scheduler = TestScheduler::start(None).await;
    let wire = Wire::to(scheduler.address).await;
    let gate = Work::behind_a_gate();
    let executor = TestExecutor::start(TestExecutor::settings(wire.address, &gate, None));
    let name = scheduler.submit(job(4).await).await;
    until("a task runs", || executor.started() == 1).await;

    // The scheduler hears that the task is done and gives the next one, and neither is ever confirmed.
    wire.swallow.store(true, SeqCst);
    gate.open();
    until("the task is done", || executor.finished() == 1).await;
    tokio::time::sleep(Duration::from_millis(300)).await;
    wire.swallow.store(false, SeqCst);
    wire.cut.notify_waiters();

    assert_right(&scheduler.result(&name).await, 4);
    let names = executor.names();
    assert_eq!(names.len(), 2);
    assert_ne!(names[0], names[1], "it came back under another name");
    executor.leave().await.unwrap();
    scheduler.stop().await;
}
