//! Jobs run on executors, over TLS as in the clear, and strangers get nothing.

use std::time::Duration;

use ballista_core::serde::protobuf::CancelJobParams;
use pomona_cluster::{ClusterError, ExecutorEvent, Tls, http_agent, scheme};

use crate::support::{TestExecutor, TestScheduler, Work, assert_right, identity, job, until};

async fn two_executors_share_a_job(tls: Option<Tls>) {
    let scheduler = TestScheduler::start(tls.clone()).await;
    let work = Work::of(Duration::from_millis(30));
    let folder = tempfile::tempdir().unwrap();
    let start = || {
        let mut settings = TestExecutor::settings(scheduler.address, &work, tls.clone());
        settings.work_folder = Some(folder.path().to_owned());
        TestExecutor::start(settings)
    };
    let (one, other) = (start(), start());
    one.registered(1).await;
    other.registered(1).await;
    assert_ne!(one.address().unwrap(), other.address().unwrap());

    let name = scheduler.submit(job(12).await).await;
    assert_right(&scheduler.result(&name).await, 12);

    // Twelve tasks and the one that puts their results together.
    assert_eq!(one.finished() + other.finished(), 13);
    assert!(one.finished() > 2 && other.finished() > 2, "both worked");
    assert_eq!(folder.path().read_dir().unwrap().count(), 2);

    let metrics = format!(
        "{}://{}/metrics",
        scheme(tls.as_ref()),
        one.address().unwrap()
    );
    let (agent, done) = (
        http_agent(tls.as_ref(), Duration::from_secs(5)),
        one.finished(),
    );
    let text = tokio::task::spawn_blocking(move || {
        agent
            .get(metrics)
            .call()
            .unwrap()
            .body_mut()
            .read_to_string()
            .unwrap()
    })
    .await
    .unwrap();
    assert!(
        text.contains(&format!("\npomona_executor_tasks_finished_total {done}\n")),
        "{text}"
    );
    assert!(text.contains("\npomona_executor_slots 1\n"), "{text}");
    assert!(
        text.contains("\npomona_executor_scheduler_connected 1\n"),
        "{text}"
    );

    one.leave().await.unwrap();
    other.leave().await.unwrap();
    assert_eq!(
        folder.path().read_dir().unwrap().count(),
        0,
        "nothing remains"
    );
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_executors_share_a_job_in_the_clear() {
    two_executors_share_a_job(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_executors_share_a_job_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    two_executors_share_a_job(Some(identity(folder.path(), "here"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_shows_no_certificate_is_refused() {
    let (folder, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let tls = identity(folder.path(), "here");
    let stranger = identity(elsewhere.path(), "here");
    let scheduler = TestScheduler::start(Some(tls.clone())).await;
    let work = Work::default();
    for identity in [None, Some(stranger.clone())] {
        let settings = TestExecutor::settings(scheduler.address, &work, identity);
        let outcome = TestExecutor::start(settings).outcome().await;
        assert!(
            matches!(outcome, Err(ClusterError::Refused { .. })),
            "{outcome:?}"
        );
    }

    // Nor does an executor give anything to a stranger.
    let settings = TestExecutor::settings(scheduler.address, &work, Some(tls.clone()));
    let executor = TestExecutor::start(settings);
    executor.registered(1).await;
    let address = executor.address().unwrap();
    let ask = move |tls: Option<Tls>| {
        let url = format!("{}://{address}/healthz", scheme(tls.as_ref()));
        http_agent(tls.as_ref(), Duration::from_secs(5))
            .get(url)
            .call()
            .is_ok()
    };
    let heard = tokio::task::spawn_blocking(move || [None, Some(stranger), Some(tls)].map(ask));
    assert_eq!(heard.await.unwrap(), [false, false, true]);
    executor.leave().await.unwrap();

    // With a certificate where nobody wants one, the first words are not understood either.
    let clear = TestScheduler::start(None).await;
    let settings =
        TestExecutor::settings(clear.address, &work, Some(identity(folder.path(), "there")));
    let outcome = TestExecutor::start(settings).outcome().await;
    assert!(
        matches!(outcome, Err(ClusterError::Refused { .. })),
        "{outcome:?}"
    );
    clear.stop().await;
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_session_hook_sees_the_settings_of_the_job() {
    let scheduler = TestScheduler::start(None).await;
    let mut settings = TestExecutor::settings(scheduler.address, &Work::default(), None);
    let seen = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let noted = seen.clone();
    settings.session_hook = Some(std::sync::Arc::new(move |config| {
        use ballista_core::extension::SessionConfigExt;
        noted
            .lock()
            .unwrap()
            .push(config.ballista_config().max_partitions_per_task());
        config
    }));
    let executor = TestExecutor::start(settings);
    let name = scheduler.submit(job(2).await).await;
    assert_right(&scheduler.result(&name).await, 2);
    assert_eq!(*seen.lock().unwrap(), [1, 1, 1]);
    executor.leave().await.unwrap();
    scheduler.stop().await;
}

async fn a_cancelled_job_frees_its_slots(tls: Option<Tls>) {
    let scheduler = TestScheduler::start(tls.clone()).await;
    let gate = Work::behind_a_gate();
    let executor = TestExecutor::start(TestExecutor::settings(scheduler.address, &gate, tls));
    let name = scheduler.submit(job(5).await).await;
    until("a task runs", || executor.started() == 1).await;
    let params = CancelJobParams { job_id: name };
    scheduler.client().await.cancel_job(params).await.unwrap();
    // The function does not let go by itself, so that the task goes on for as long as it is in there.
    tokio::time::sleep(Duration::from_millis(300)).await;
    gate.open();
    let cancelled = |event: &ExecutorEvent| matches!(event, ExecutorEvent::TaskCancelled { .. });
    until("the task is cancelled", || executor.count(cancelled) == 1).await;
    assert_eq!((executor.started(), executor.finished()), (1, 0));

    let name = scheduler.submit(job(3).await).await;
    assert_right(&scheduler.result(&name).await, 3);
    executor.leave().await.unwrap();
    scheduler.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_frees_its_slots_in_the_clear() {
    a_cancelled_job_frees_its_slots(None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_job_frees_its_slots_over_tls() {
    let folder = tempfile::tempdir().unwrap();
    a_cancelled_job_frees_its_slots(Some(identity(folder.path(), "here"))).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_results_of_a_job_that_is_over_are_removed() {
    let scheduler = TestScheduler::start(None).await;
    let folder = tempfile::tempdir().unwrap();
    let mut settings = TestExecutor::settings(scheduler.address, &Work::default(), None);
    settings.work_folder = Some(folder.path().to_owned());
    let executor = TestExecutor::start(settings);
    let name = scheduler.submit(job(3).await).await;
    assert_right(&scheduler.result(&name).await, 3);
    let listening = |event: &ExecutorEvent| match event {
        ExecutorEvent::Listening { work_folder, .. } => Some(work_folder.clone()),
        _ => None,
    };
    let results = executor.find(listening).unwrap().join(&name);
    assert!(results.is_dir());
    until("the results are removed", || !results.exists()).await;
    executor.leave().await.unwrap();
    scheduler.stop().await;
}

#[tokio::test]
async fn settings_that_make_no_sense_are_refused() {
    let address = ([127, 0, 0, 1], 1).into();
    let settings = || TestExecutor::settings(address, &Work::default(), None);
    let (mut no_slot, mut no_memory) = (settings(), settings());
    no_slot.slots = 0;
    (no_memory.slots, no_memory.memory_bytes) = (4, Some(3));
    for (settings, name) in [(no_slot, "--slots"), (no_memory, "--memory-bytes")] {
        let outcome = TestExecutor::start(settings).outcome().await;
        let Err(ClusterError::Setting { name: told, .. }) = outcome else {
            panic!("{outcome:?}");
        };
        assert_eq!(told, name);
    }
}
