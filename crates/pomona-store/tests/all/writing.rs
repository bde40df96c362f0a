//! Objects in a bucket appear whole or not at all.

use crate::common::{Bench, bench};
use bytes::Bytes;
use pomona_store::{StoreError, StoreSettings};
use pomona_testbed::{FaultKind, Faults, Operation};

fn large() -> Bytes {
    (0..30_000_000_u32)
        .map(|at| (at / 5) as u8)
        .collect::<Vec<u8>>()
        .into()
}

fn on_disk(bench: &Bench, key: &str) -> Option<Vec<u8>> {
    std::fs::read(bench.server.bucket_dir("photos").unwrap().join(key)).ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_object_is_whole_or_not_there() {
    let bench = bench();
    let bytes = large();
    let place = bench.place("run").await.join("large file #1.parquet");
    let mut writer = place.writer();
    for piece in bytes.chunks(1_234_567) {
        assert_eq!(on_disk(&bench, "run/large file #1.parquet"), None);
        writer.write(bytes.slice_ref(piece)).await.unwrap();
    }
    assert_eq!(on_disk(&bench, "run/large file #1.parquet"), None);
    assert_eq!(bench.server.unfinished_uploads().len(), 1);
    writer.finish().await.unwrap();
    assert!(on_disk(&bench, "run/large file #1.parquet").unwrap() == bytes);
    assert_eq!(bench.server.unfinished_uploads(), []);
    assert_eq!(
        bench.server.counters().requests_of(Operation::UploadPart),
        4
    );
    assert!(
        bench
            .place("run")
            .await
            .join("large file #1.parquet")
            .read()
            .await
            .unwrap()
            == bytes
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_given_up_leaves_nothing() {
    let bench = bench();
    let place = bench.place("large.parquet").await;
    let mut writer = place.writer();
    writer.write(large()).await.unwrap();
    assert_eq!(bench.server.unfinished_uploads().len(), 1);
    writer.abandon().await;
    assert_eq!(bench.server.unfinished_uploads(), []);

    // Dropped, as by an error somewhere else.
    let mut writer = place.writer();
    writer.write(large()).await.unwrap();
    drop(writer);
    for _ in 0..100 {
        if bench.server.unfinished_uploads().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert_eq!(bench.server.unfinished_uploads(), []);
    assert_eq!(on_disk(&bench, "large.parquet"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_that_is_refused_takes_all_back() {
    let bench = bench();
    let place = bench.place("large.parquet").await;
    let mut writer = place.writer();
    writer.write(large().slice(..9_000_000)).await.unwrap();
    bench.server.rules().deny_writes("large");
    let mut refused = None;
    for _ in 0..8 {
        if let Err(error) = writer.write(large().slice(..9_000_000)).await {
            refused = Some(error);
            break;
        }
    }
    let told = match refused {
        // It is not finished with what is left either.
        Some(error) => {
            writer.finish().await.unwrap_err();
            error
        }
        None => writer.finish().await.unwrap_err(),
    };
    assert!(told.to_string().contains("AccessDenied"), "{told}");
    assert_eq!(bench.server.unfinished_uploads(), []);
    assert_eq!(on_disk(&bench, "large.parquet"), None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_object_arrives_while_requests_fail() {
    let bytes = large();
    for kind in [
        FaultKind::LostAnswer,
        FaultKind::ExpiredToken,
        FaultKind::Reset,
    ] {
        let bench = bench();
        bench.server.rules().set_faults(Faults::of(&[kind], 0.4));
        let place = bench.place("large.parquet").await;
        place.write(bytes.clone()).await.unwrap();
        assert!(
            on_disk(&bench, "large.parquet").unwrap() == bytes,
            "{kind:?}"
        );
        assert!(bench.server.counters().faults_of(kind) > 0, "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_last_answer_may_be_lost() {
    let bench = bench();
    let place = bench.place("large.parquet").await;
    let mut writer = place.writer();
    writer.write(large().slice(..16 << 20)).await.unwrap();
    writer.write("end").await.unwrap();
    while bench.server.counters().requests_of(Operation::UploadPart) < 2
        || bench.server.counters().in_flight > 0
    {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // The last part and the completion: each is carried out and seems to have failed.
    bench
        .server
        .rules()
        .fail_first_of_each(1, FaultKind::LostAnswer);
    writer.finish().await.unwrap();
    assert!(bench.server.counters().faults_of(FaultKind::LostAnswer) >= 1);
    assert_eq!(
        on_disk(&bench, "large.parquet").unwrap().len(),
        (16 << 20) + 3
    );
    assert_eq!(bench.server.unfinished_uploads(), []);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_not_allowed_says_so() {
    let bench = bench();
    bench.server.rules().deny_writes("run/");
    let error = bench.place("run/x").await.write("plum").await.unwrap_err();
    let StoreError::Object { source, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(
        matches!(source, object_store::Error::PermissionDenied { .. }),
        "{source:?}"
    );
    assert!(
        error
            .to_string()
            .starts_with("s3://photos/run/x: AccessDenied"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("s3:PutObject"));
    assert!(
        !pomona_store::is_fatal(source),
        "another place may be allowed"
    );
    bench.place("other").await.write("plum").await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_for_is_encrypted() {
    let bench = bench();
    bench.server.keep_log();
    let settings = StoreSettings {
        encryption: pomona_store::Encryption::Aes256,
        ..StoreSettings::default()
    };
    let stores = bench.stores_with(settings);
    // The server may refuse to encrypt: what counts is what it was asked.
    let _ = crate::common::place(&stores, "x")
        .await
        .unwrap()
        .write("plum")
        .await;
    let put = bench
        .server
        .log()
        .into_iter()
        .find(|entry| entry.method == "PUT")
        .unwrap();
    let asked = (
        "x-amz-server-side-encryption".to_owned(),
        "AES256".to_owned(),
    );
    assert!(put.headers.contains(&asked), "{:?}", put.headers);
}
