//! Who is not served.

use std::net::SocketAddr;
use std::time::Duration;

use pomona_cluster::{
    ClusterError, Scheduler, SchedulerClient, Tls, check_exposure, make_certificates,
};

use crate::support::{Running, get_with, settings};

#[tokio::test(flavor = "multi_thread")]
async fn others_are_not_served_in_the_clear_unless_told() {
    let mut open = settings();
    open.bind = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Scheduler::start(open.clone()).await.unwrap_err();
    assert!(
        matches!(refused, ClusterError::PlainText { .. }),
        "{refused}"
    );
    assert!(refused.to_string().contains("--plain-text"), "{refused}");
    open.plain_text = true;
    let scheduler = Running::start(open).await;
    scheduler.end().await;
    for address in ["127.0.0.1:1", "[::1]:1", "127.9.9.9:1"] {
        check_exposure(address.parse().unwrap(), false, false).unwrap();
    }
    for address in ["10.0.0.1:1", "[::]:1", "0.0.0.0:1"] {
        let address = address.parse().unwrap();
        check_exposure(address, false, false).unwrap_err();
        check_exposure(address, true, false).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_nobody_without_a_certificate_gets_an_answer() {
    let folder = tempfile::tempdir().unwrap();
    let made = make_certificates(folder.path(), &["localhost".to_owned()], 1).unwrap();
    let tls = Tls::load(&made[0]).unwrap();
    let mut closed = settings();
    closed.tls = Some(tls.clone());
    let scheduler = Running::start(closed).await;
    let address = scheduler.address.clone();

    let asked = tokio::task::spawn_blocking(move || {
        let known = SchedulerClient::new(&address, Some(&tls));
        known.jobs().unwrap();
        SchedulerClient::new(&address, None).jobs().unwrap_err();
        let elsewhere = tempfile::tempdir().unwrap();
        let made = make_certificates(elsewhere.path(), &["localhost".to_owned()], 1).unwrap();
        let stranger = Tls::load(&made[0]).unwrap();
        SchedulerClient::new(&address, Some(&stranger))
            .jobs()
            .unwrap_err();
        // Somebody who trusts the scheduler but has nothing to show.
        let curious = pomona_cluster::http_agent(None, Duration::from_secs(5));
        for path in ["/", "/pomona/version", "/api/jobs", "/healthz", "/metrics"] {
            curious
                .get(format!("https://{address}{path}"))
                .call()
                .unwrap_err();
        }
    });
    asked.await.unwrap();
    scheduler.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_others_are_not_served() {
    let scheduler = Running::start(settings()).await;
    let address = &scheduler.address;
    for (headers, status) in [
        (vec![("origin", "https://example.org")], 403),
        (vec![("origin", "null")], 403),
        // Ballista would let this one read its answers.
        (vec![("origin", "http://localhost:8080")], 403),
        // A name that its owner may point at this machine.
        (vec![("host", "example.org")], 403),
        (vec![("host", "localhost:1")], 200),
        (vec![], 200),
    ] {
        let got = get_with(address, "/api/jobs", &headers).await;
        assert_eq!(got.0, status, "{headers:?}: {}", got.1);
    }
    let own = format!("http://{address}");
    assert_eq!(
        get_with(address, "/pomona/jobs", &[("origin", &own)])
            .await
            .0,
        200
    );
    scheduler.end().await;
}
