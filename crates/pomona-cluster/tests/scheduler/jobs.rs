//! Cancelling, failing, and what is remembered after a restart.

use pomona_cluster::{ClusterError, JobPhase};

use crate::plan::{Manner, shards};
use crate::support::{Running, settings};

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_cancelled_once() {
    let mut scheduler = Running::start(settings()).await;
    scheduler.executor(1);
    let manner = Manner {
        pause_ms: 30_000,
        ..Manner::default()
    };
    let id = scheduler.submit("long", shards(3, 2, manner)).await;
    scheduler
        .job(&id, |job| job.summary.shards.running > 0)
        .await;
    let cancel = |id: String| {
        let client = scheduler.client();
        tokio::task::spawn_blocking(move || client.cancel(&id))
    };
    cancel(id.clone()).await.unwrap().unwrap();
    let job = scheduler.job(&id, |job| job.summary.state.is_over()).await;
    assert_eq!(job.summary.state, JobPhase::Cancelled);
    assert_eq!(job.summary.error, None);
    assert_eq!(
        job.summary.shards.attempts_failed, 0,
        "to be stopped is no failure"
    );
    assert!(job.summary.ended_ms.is_some());

    let again = cancel(id).await.unwrap().unwrap_err();
    assert!(
        matches!(&again, ClusterError::JobIsOver { state, .. } if state == "cancelled"),
        "{again}"
    );
    let other = cancel("nobody".to_owned()).await.unwrap().unwrap_err();
    assert!(matches!(other, ClusterError::NoSuchJob { .. }), "{other}");
    let path = cancel("../jobs".to_owned()).await.unwrap().unwrap_err();
    assert!(matches!(path, ClusterError::NoSuchJob { .. }), "{path}");
    // The executor's slot is free again.
    let next = scheduler
        .submit("next", shards(1, 2, Manner::default()))
        .await;
    let next = scheduler
        .job(&next, |job| job.summary.state.is_over())
        .await;
    assert_eq!(next.summary.state, JobPhase::Finished);
    scheduler.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn history_outlives_the_scheduler() {
    let folder = tempfile::tempdir().unwrap();
    let mut kept = settings();
    kept.history = Some(folder.path().join("history"));
    let mut scheduler = Running::start(kept.clone()).await;
    scheduler.executor(1);
    let mut before = Vec::new();
    for name in ["one", "two", "three"] {
        let id = scheduler
            .submit(name, shards(2, 5, Manner::default()))
            .await;
        before.push(scheduler.job(&id, |job| job.summary.state.is_over()).await);
    }
    scheduler.end().await;

    let history = folder.path().join("history");
    std::fs::write(history.join("000000000000001-broken.json"), "{").unwrap();
    std::fs::write(history.join("README.json"), "not ours").unwrap();
    kept.stop = tokio_util::sync::CancellationToken::new();
    let scheduler = Running::start(kept).await;
    let client = scheduler.client();
    let after = tokio::task::spawn_blocking(move || client.jobs())
        .await
        .unwrap()
        .unwrap();
    let names: Vec<_> = after.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["three", "two", "one"]);
    for job in before {
        let read = scheduler.job(&job.summary.id, |_| true).await;
        assert_eq!(read, job);
    }
    let (_, page) = scheduler.get("/").await;
    assert!(page.contains("three"));
    assert!(
        history.join("README.json").exists(),
        "what is not ours stays"
    );
    scheduler.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_that_cannot_be_read_is_refused() {
    use ballista_core::serde::protobuf::execute_query_params::Query;
    use ballista_core::serde::protobuf::{ExecuteQueryParams, execute_query_result};
    use ballista_core::version::insert_version_header;

    let scheduler = Running::start(settings()).await;
    let ask = |query| {
        let mut request = tonic::Request::new(ExecuteQueryParams {
            session_id: "session".to_owned(),
            settings: Vec::new(),
            operation_id: "operation".to_owned(),
            query: Some(query),
        });
        insert_version_header(request.metadata_mut());
        request
    };
    let mut grpc = scheduler.grpc().await;
    let answer = grpc
        .execute_query(ask(Query::PhysicalPlan(vec![0xff; 40])))
        .await
        .unwrap();
    let result = answer.into_inner().result.unwrap();
    assert!(matches!(result, execute_query_result::Result::Failure(_)));
    // A logical plan would be planned here, over files of the scheduler's machine.
    let refused = grpc
        .execute_query(ask(Query::LogicalPlan(Vec::new())))
        .await
        .unwrap_err();
    assert_eq!(refused.code(), tonic::Code::InvalidArgument);
    scheduler.end().await;
}
