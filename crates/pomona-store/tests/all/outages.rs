//! The storage does not answer at all.

use std::time::{Duration, Instant};

use crate::common::{bench, each, place, traffic};
use pomona_store::{Outage, Place, StoreError, find, is_fatal};
use pomona_testbed::{FaultKind, Faults};

async fn read_all(photos: &Place, names: &[String]) -> Result<usize, StoreError> {
    let read = each(names, |name| {
        let place = photos.join(name);
        async move { place.read().await }
    });
    Ok(read.await?.len())
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number}.jpg")).collect()
}

fn is_given_up(error: &StoreError) -> bool {
    let StoreError::Object { source, .. } = error else {
        return false;
    };
    let is_budget = matches!(find::<Outage>(source), Some(Outage::Budget { .. }));
    let hint = error.hint().unwrap_or_default();
    is_budget && is_fatal(source) && hint.contains("again when the storage answers")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_seconds_without_an_answer_are_survived_by_few_requests() {
    let bench = bench();
    let names = names(200);
    bench.fill(names.iter().map(String::as_str), b"plum");
    let (many, one) = (bench.stores(), bench.stores());
    let photos = place(&many, "").await.unwrap();
    let alone = place(&one, "0.jpg").await.unwrap();
    let rules = bench.server.rules().clone();
    rules.set_faults(Faults::of(
        &[FaultKind::InternalError, FaultKind::SlowDown],
        1.0,
    ));
    let began = Instant::now();
    let healed = tokio::spawn(async move {
        tokio::time::sleep(Duration::from_secs(10)).await;
        rules.clear();
    });
    // Whoever asks for one object only has no others to tell that the storage is at fault.
    let (all, alone) = tokio::join!(read_all(&photos, &names), alone.read());
    assert_eq!(all.unwrap(), 200);
    assert_eq!(alone.unwrap(), "plum");
    healed.await.unwrap();
    let took = began.elapsed();
    assert!((10..25).contains(&took.as_secs()), "{took:?}");
    let failed = traffic(&many).await.failed;
    assert!(failed < 400, "{failed} requests failed in ten seconds");
}

/// Gives up within a bounded multiple of the patience.
async fn gives_up(patience: Duration, break_it: impl FnOnce(crate::common::Bench)) {
    let bench = bench();
    let names = names(300);
    bench.fill(names.iter().map(String::as_str), b"plum");
    let stores = bench.stores().with_patience(patience);
    let photos = place(&stores, "").await.unwrap();
    break_it(bench);
    let began = Instant::now();
    let error = read_all(&photos, &names).await.unwrap_err();
    let took = began.elapsed();
    let failed = traffic(&stores).await.failed;
    assert!(is_given_up(&error), "{error:?}");
    assert!(
        took >= patience && took < patience * 2 + Duration::from_secs(5),
        "{took:?}"
    );
    assert!(failed < 500, "{failed} failed requests");
    // What comes afterwards does not wait as long again.
    let began = Instant::now();
    photos.join("0.jpg").read().await.unwrap_err();
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_only_fails_is_given_up() {
    let mut kept = None;
    gives_up(Duration::from_secs(4), |bench| {
        let faults = Faults::of(&[FaultKind::InternalError], 1.0);
        bench.server.rules().set_faults(faults);
        kept = Some(bench);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_is_not_there_any_more_is_given_up() {
    gives_up(Duration::from_secs(4), drop).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes more than a minute: the patience that programs have"]
async fn a_storage_that_fails_for_a_minute_is_given_up() {
    let mut kept = None;
    gives_up(Duration::from_secs(60), |bench| {
        let faults = Faults::of(&[FaultKind::SlowDown], 1.0);
        bench.server.rules().set_faults(faults);
        kept = Some(bench);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_object_that_always_fails_stops_nobody() {
    let bench = bench();
    let names = names(50);
    bench.fill(names.iter().map(String::as_str), b"plum");
    bench
        .server
        .rules()
        .fail_key("7.jpg", FaultKind::InternalError);
    let photos = bench.place("").await;
    let error = photos.join("7.jpg").read().await.unwrap_err();
    let StoreError::Object { source, .. } = &error else {
        panic!("{error:?}")
    };
    assert!(!is_fatal(source), "{error}");
    let others: Vec<String> = names.into_iter().filter(|name| name != "7.jpg").collect();
    assert_eq!(read_all(&photos, &others).await.unwrap(), 49);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_is_lost_costs_little_where_it_may_be_sent_twice() {
    let hang = Duration::from_secs(20);
    let bench = bench();
    let names = names(60);
    bench.fill(names.iter().map(String::as_str), b"plum");
    let photos = bench.place("").await;
    bench
        .server
        .rules()
        .set_faults(Faults::of(&[FaultKind::Timeout], 0.1).hang(hang));
    let began = Instant::now();
    // One after the other, as steps ask for what they need.
    for name in &names {
        assert_eq!(photos.join(name).read().await.unwrap(), "plum");
    }
    photos.files().await.unwrap();
    let took = began.elapsed();
    let lost = bench.server.counters().faults_of(FaultKind::Timeout);
    assert!(lost >= 2, "{lost} lost");
    assert!(took < hang, "{took:?} for {lost} lost requests");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_storage_that_does_not_answer_is_told_of_once() {
    let bench = bench();
    let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
    let listener = std::sync::Arc::clone(&told);
    let stores = bench
        .stores()
        .with_patience(Duration::from_secs(4))
        .telling(move |text| listener.lock().unwrap().push(text));
    let photos = place(&stores, "").await.unwrap();
    drop(bench);
    photos.files().await.unwrap_err();
    let told = told.lock().unwrap().clone();
    let [text] = told.as_slice() else {
        panic!("{told:?}")
    };
    assert!(
        text.starts_with("s3://photos does not answer (Connection refused"),
        "{text}"
    );
    assert!(text.ends_with("tried again for up to 4 seconds"), "{text}");
}
