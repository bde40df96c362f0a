//! Where data may lie is settled before a byte of it is read.

use std::path::Path;

use crate::common::{Bench, bench_with, listed, place, stores_in};
use pomona_store::{StoreError, StoreSettings};
use pomona_testbed::{FaultKind, Operation};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

fn allowing(patterns: &[&str]) -> StoreSettings {
    StoreSettings {
        allowed_regions: patterns
            .iter()
            .map(|pattern| (*pattern).to_owned())
            .collect(),
        ..StoreSettings::default()
    }
}

fn paris() -> Bench {
    let bench = bench_with(|builder| builder.region("eu-west-3"));
    bench.fill(["a/b.jpg"], b"plum");
    bench.server.keep_log();
    bench
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_region_that_is_allowed_is_worked_in() {
    let bench = paris();
    let stores = bench.stores_with(allowing(&["us-*", "EU-west-*"]));
    // Asking for the region may fail for a while.
    bench.server.rules().fail_next(3, FaultKind::SlowDown);
    let photos = place(&stores, "").await.unwrap();
    assert_eq!(listed(&photos).await.unwrap(), ["a/b.jpg"]);
    assert_eq!(photos.join("a/b.jpg").read().await.unwrap(), "plum");
    let log = bench.server.log();
    assert_eq!(log[0].operation, Operation::HeadBucket, "first of all");
    let heads = log
        .iter()
        .filter(|entry| entry.operation == Operation::HeadBucket);
    assert_eq!(heads.count(), 4, "once, and again where it failed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_region_is_refused_before_anything_is_read() {
    let bench = paris();
    let stores = bench.stores_with(allowing(&["eu-central-*", "us-east-1"]));
    let error = place(&stores, "a/b.jpg").await.unwrap_err();
    assert!(matches!(&error, StoreError::Region { region, .. } if region == "eu-west-3"));
    let told = error.to_string();
    assert!(
        told.contains("s3://photos lies in eu-west-3") && told.contains("us-east-1"),
        "{told}"
    );
    let log = bench.server.log();
    assert!(
        log.iter()
            .all(|entry| entry.operation == Operation::HeadBucket),
        "{log:?}"
    );
}

/// An environment in which every request gets this answer, which tells no region.
async fn answering(status: &'static str) -> Vec<(String, String)> {
    let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", server.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = server.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let answer =
                format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 0\r\n\r\n");
            let _ = stream.write_all(answer.as_bytes()).await;
        }
    });
    [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_ACCESS_KEY_ID", "key"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_not_there_is_told() {
    let stores = stores_in(allowing(&["eu-*"]), answering("404 Not Found").await);
    let error = place(&stores, "x").await.unwrap_err();
    assert!(error.to_string().contains("no such bucket"), "{error}");

    let bench = paris();
    let missing = bench
        .stores()
        .place(Path::new("s3://vegetables/x"))
        .await
        .unwrap();
    let error = missing.all_below().await.unwrap_err();
    assert!(error.to_string().contains("vegetables"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_place_that_does_not_tell_its_region_is_refused() {
    let stores = stores_in(allowing(&["eu-*"]), answering("403 Forbidden").await);
    for (url, reason) in [
        ("s3://photos", "did not say (403 Forbidden"),
        ("http://127.0.0.1:1/photos", "web server"),
        ("az://photos@account", "Azure"),
    ] {
        let error = stores.place(Path::new(url)).await.unwrap_err();
        assert!(
            matches!(&error, StoreError::RegionUnknown { .. }),
            "{error:?}"
        );
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.hint().unwrap().contains("--allowed-region"));
    }
    // This machine's region is not asked for.
    assert!(stores.place(Path::new("photos")).await.is_ok());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_region_is_found_out_where_nobody_says_it() {
    let bench = paris();
    let environment: Vec<(String, String)> = bench
        .server
        .environment()
        .into_iter()
        .filter(|(name, _)| name != "AWS_REGION")
        .collect();
    let stores = stores_in(StoreSettings::default(), environment);
    let place = place(&stores, "a/b.jpg").await.unwrap();
    assert_eq!(place.read().await.unwrap(), "plum");
}
