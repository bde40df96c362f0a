//! What a scheduler tells of a job that real executors did.

use std::time::{Duration, Instant};

use pomona_cluster::{JobPhase, Price};
use serde_json::Value;

use crate::plan::{Manner, shards};
use crate::support::{PATIENCE, Running, get_with, settings, version};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_counted() {
    let mut settings = settings();
    settings.price = Some(Price {
        per_executor_hour: 3_600_000.0,
        currency: "EUR".to_owned(),
    });
    let mut scheduler = Running::start(settings).await;
    scheduler.executor(2);
    let manner = Manner {
        pause_ms: 100,
        ..Manner::default()
    };
    let id = scheduler.submit("apples", shards(12, 10, manner)).await;
    let job = scheduler.job(&id, |job| job.summary.state.is_over()).await;

    let summary = &job.summary;
    assert_eq!(summary.state, JobPhase::Finished, "{summary:?}");
    assert_eq!(summary.name, "apples");
    assert_eq!((summary.shards.total, summary.shards.done), (12, 12));
    assert_eq!(
        (summary.shards.running, summary.shards.attempts_failed),
        (0, 0)
    );
    assert_eq!((summary.images.done, summary.images.failed), (108, 12));
    assert_eq!(summary.bytes_read, 120_000);
    let (started, ended) = (summary.started_ms.unwrap(), summary.ended_ms.unwrap());
    assert!(summary.queued_ms <= started && started + 600 <= ended);
    let per_second = summary.images_per_second.unwrap();
    let expected = 120.0 / ((ended - started) as f64 / 1_000.0);
    assert!((per_second - expected).abs() < 1e-6, "{per_second}");
    // A thousand a second of the one executor.
    let cost = summary.cost.as_ref().unwrap();
    assert_eq!(cost.currency, "EUR");
    assert!((cost.amount - 1_000.0 * summary.executor_seconds).abs() < 1e-6);
    let spent = (ended - summary.queued_ms) as f64 / 1_000.0;
    assert!(
        (summary.executor_seconds - spent).abs() < 0.5,
        "{spent} {summary:?}"
    );

    assert_eq!(job.stages.len(), 1);
    let stage = &job.stages[0];
    assert_eq!(
        (stage.state.as_str(), stage.tasks, stage.done),
        ("finished", 12, 12)
    );
    assert!(
        stage.seconds >= 0.6 && stage.busy_seconds >= 1.2,
        "{stage:?}"
    );
    let writer = stage
        .operators
        .iter()
        .find(|operator| operator.name == "ShardWriteExec")
        .unwrap();
    assert_eq!(writer.metrics["images_done"], 108.0);
    assert_eq!(job.executors.len(), 1);
    let share = &job.executors[0];
    assert_eq!(
        (share.tasks_done, share.tasks_running, share.images),
        (12, 0, 120)
    );

    let (status, list) = scheduler.get("/pomona/jobs").await;
    let list: Value = serde_json::from_str(&list).unwrap();
    assert_eq!(status, 200);
    assert_eq!(list[0]["id"], id.as_str());
    assert_eq!(list[0]["state"], "finished");
    assert_eq!(list[0]["images"]["done"], 108);
    assert!(list[0].get("stages").is_none());
    let (_, metrics) = scheduler.get("/metrics").await;
    for line in [
        "pomona_images_done_total 108",
        "pomona_images_failed_total 12",
        "pomona_tasks_done_total 12",
        "pomona_executors_alive 1",
        "pomona_executor_slots 2",
        "pomona_jobs_running 0",
    ] {
        assert!(
            metrics.lines().any(|found| found == line),
            "{line}\n{metrics}"
        );
    }
    assert!(
        metrics.contains("job_completed_total"),
        "Ballista's own too"
    );
    scheduler.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn jobs_come_newest_first_and_scaling_adds_up() {
    let mut scheduler = Running::start(settings()).await;
    let manner = Manner {
        pause_ms: 400,
        ..Manner::default()
    };
    let first = scheduler.submit("first", shards(7, 2, manner)).await;
    scheduler
        .job(&first, |job| job.summary.state == JobPhase::Running)
        .await;
    // Names that sort by time are a millisecond apart.
    tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    let second = scheduler.submit("second", shards(3, 2, manner)).await;
    scheduler
        .job(&second, |job| job.summary.state == JobPhase::Running)
        .await;
    let scaling: Value = serde_json::from_str(&scheduler.get("/pomona/scaling").await.1).unwrap();
    assert_eq!(scaling["pending_tasks"], 10);
    assert_eq!(scaling["running_tasks"], 0);
    assert_eq!(scaling["slots"], 0);
    assert_eq!(scaling["wanted_executors"], 10);
    let list: Value = serde_json::from_str(&scheduler.get("/pomona/jobs").await.1).unwrap();
    assert_eq!(list[0]["name"], "second");
    assert_eq!(list[1]["name"], "first");
    assert_eq!(scheduler.get("/readyz").await.0, 503);

    scheduler.executor(4);
    let both_at_work = scheduler.job(&first, |job| {
        job.summary.shards.running + job.summary.shards.done > 0
    });
    both_at_work.await;
    assert_eq!(scheduler.get("/readyz").await.0, 200);
    let scaling: Value = serde_json::from_str(&scheduler.get("/pomona/scaling").await.1).unwrap();
    assert_eq!(scaling["slots"], 4);
    let open =
        scaling["pending_tasks"].as_u64().unwrap() + scaling["running_tasks"].as_u64().unwrap();
    assert_eq!(scaling["wanted_executors"], open.div_ceil(4));
    for id in [&first, &second] {
        scheduler
            .job(id, |job| job.summary.state == JobPhase::Finished)
            .await;
    }
    let executors: Value =
        serde_json::from_str(&scheduler.get("/pomona/executors").await.1).unwrap();
    assert_eq!(executors[0]["state"], "alive");
    assert_eq!(executors[0]["slots"], 4);
    assert_eq!(executors[0]["tasks_done"], 10);
    assert_eq!(executors[0]["draining"], false);
    scheduler.end().await;
}

/// What is told of executors, once the first is in this state.
async fn becomes(scheduler: &Running, state: &str) -> Value {
    let since = Instant::now();
    loop {
        let told: Value =
            serde_json::from_str(&scheduler.get("/pomona/executors").await.1).unwrap();
        if told[0]["state"] == state {
            return told;
        }
        assert!(since.elapsed() < PATIENCE, "never {state}: {told}");
        // Between two questions.
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_executor_that_is_about_to_leave_is_told_as_such() {
    let mut scheduler = Running::start(settings()).await;
    let drain = scheduler.executor(1);
    let manner = Manner {
        pause_ms: 2_000,
        ..Manner::default()
    };
    let id = scheduler.submit("slow", shards(2, 1, manner)).await;
    scheduler
        .job(&id, |job| job.summary.shards.running == 1)
        .await;
    drain.cancel();
    let told = becomes(&scheduler, "draining").await;
    // It has its task still.
    assert_eq!(told[0]["draining"], true);
    let scaling: Value = serde_json::from_str(&scheduler.get("/pomona/scaling").await.1).unwrap();
    assert_eq!(scaling["slots"], 0);
    assert_eq!(scaling["running_tasks"], 1);

    let told = becomes(&scheduler, "left").await;
    // It ended what it had, and took no more.
    assert_eq!(told[0]["tasks_done"], 1);

    // Its result went with it and is made again, which is nobody's failure.
    scheduler.executor(1);
    let job = scheduler
        .job(&id, |job| job.summary.state == JobPhase::Finished)
        .await;
    assert_eq!(job.summary.shards.attempts_failed, 0);
    let done: Vec<u64> = job.executors.iter().map(|at| at.tasks_done).collect();
    assert_eq!(done, [2]);
    let by_executor = &job.stages[0].busy_seconds_by_executor;
    assert_eq!(by_executor.len(), 1);
    assert!(by_executor.values().all(|&seconds| seconds >= 3.9));
    let lines = scheduler.told.lock().unwrap().clone();
    let drains = lines.iter().filter(|line| line.ends_with(" is draining"));
    assert_eq!(drains.count(), 1, "{lines:?}");
    scheduler.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_says_who_it_is_and_that_it_lives() {
    let scheduler = Running::start(settings()).await;
    let told: Value = serde_json::from_str(&scheduler.get("/pomona/version").await.1).unwrap();
    assert_eq!(told, serde_json::to_value(version()).unwrap());
    assert_eq!(scheduler.get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(scheduler.get("/pomona/jobs/nobody").await.0, 404);
    assert_eq!(scheduler.get("/jobs/nobody").await.0, 404);
    assert_eq!(scheduler.get("/api/jobs").await.0, 200);
    assert_eq!(scheduler.get("/nothing").await.0, 404);
    scheduler.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_shows_names_as_text_and_loads_nothing() {
    const NAME: &str = "<script>alert(1)</script> & \"apples\"";
    let mut scheduler = Running::start(settings()).await;
    scheduler.executor(1);
    let manner = Manner {
        fails: true,
        ..Manner::default()
    };
    let id = scheduler.submit(NAME, shards(2, 2, manner)).await;
    let job = scheduler.job(&id, |job| job.summary.state.is_over()).await;
    assert_eq!(job.summary.state, JobPhase::Failed);
    assert_eq!(job.summary.name, NAME);
    assert!(job.summary.error.unwrap().contains("<b>no such bucket</b>"));

    for path in ["/".to_owned(), format!("/jobs/{id}")] {
        let (status, page) = scheduler.get(&path).await;
        assert_eq!(status, 200);
        assert!(
            page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp;"),
            "{path}: {page}"
        );
        assert!(!page.contains("alert(1)</script>"), "{path}: {page}");
        assert!(!page.contains("<b>"), "{path}: {page}");
        assert!(!page.contains("://"), "{path} names an address: {page}");
        assert!(
            !page.contains(" style="),
            "{path}: the policy allows no such attribute"
        );
    }
    let (_, page) = scheduler.get(&format!("/jobs/{id}")).await;
    assert!(page.contains("&lt;b&gt;no such bucket"), "{page}");

    let policies = policies(&scheduler.address).await;
    assert_ne!(policies[0], policies[1], "a nonce is used once");
    assert!(
        policies[0].starts_with("default-src 'none'; style-src 'nonce-"),
        "{policies:?}"
    );
    assert!(!policies[0].contains("unsafe"), "{policies:?}");
    // Ballista would send people to the internet from here.
    assert_eq!(
        get_with(&scheduler.address, "/pomona/closed", &[]).await.0,
        404
    );
    scheduler.end().await;
}

async fn policies(address: &str) -> Vec<String> {
    let url = format!("http://{address}/");
    tokio::task::spawn_blocking(move || {
        let agent = pomona_cluster::http_agent(None, std::time::Duration::from_secs(10));
        (0..2)
            .map(|_| {
                let answer = agent.get(&url).call().unwrap();
                let policy = &answer.headers()["content-security-policy"];
                policy.to_str().unwrap().to_owned()
            })
            .collect()
    })
    .await
    .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_are_told_in_the_clear_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let made =
        pomona_cluster::make_certificates(folder.path(), &["localhost".to_owned()], 30).unwrap();
    let mut settings = settings();
    settings.tls = Some(pomona_cluster::Tls::load(&made[0]).unwrap());
    settings.metrics_bind = Some("127.0.0.1:0".parse().unwrap());
    let scheduler = Running::start(settings).await;
    let figures = scheduler.figures.clone().unwrap();
    let get = |path: &'static str| get_with(&figures, path, &[]);
    assert_eq!(get("/healthz").await, (200, "ok\n".to_owned()));
    assert_eq!(get("/readyz").await.0, 503);
    assert!(get("/metrics").await.1.contains("pomona_tasks_pending 0"));
    let scaling: Value = serde_json::from_str(&get("/pomona/scaling").await.1).unwrap();
    assert_eq!(scaling["wanted_executors"], 0);
    for path in [
        "/",
        "/pomona/jobs",
        "/pomona/executors",
        "/pomona/version",
        "/api/state",
        "/api/executors",
    ] {
        assert_eq!(get(path).await.0, 404, "{path}");
    }
    let told = scheduler.told.lock().unwrap().clone();
    assert!(told.is_empty(), "{told:?}");
    scheduler.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_executors_their_size_is_taken_from_the_settings() {
    let mut settings = settings();
    settings.executor_slots = 4;
    let mut scheduler = Running::start(settings).await;
    let manner = Manner {
        pause_ms: 200,
        ..Manner::default()
    };
    let id = scheduler.submit("plums", shards(7, 2, manner)).await;
    scheduler
        .job(&id, |job| job.summary.state == JobPhase::Running)
        .await;
    let wanted = |text: &str| -> Value {
        serde_json::from_str::<Value>(text).unwrap()["wanted_executors"].clone()
    };
    assert_eq!(wanted(&scheduler.get("/pomona/scaling").await.1), 2);
    // Whoever is there is believed.
    scheduler.executor(1);
    scheduler
        .job(&id, |job| job.summary.shards.running > 0)
        .await;
    let scaling: Value = serde_json::from_str(&scheduler.get("/pomona/scaling").await.1).unwrap();
    let open =
        scaling["pending_tasks"].as_u64().unwrap() + scaling["running_tasks"].as_u64().unwrap();
    assert_eq!(scaling["wanted_executors"], open);
    scheduler
        .job(&id, |job| job.summary.state == JobPhase::Finished)
        .await;
    scheduler.end().await;
}
