//! A share of requests fails, in every way that a bucket knows: what comes out is what it would be without.

use std::time::Duration;

use crate::common::{bench_with, each, listed, place, traffic};
use pomona_store::Place;
use pomona_testbed::{FaultKind, Faults};

const OBJECTS: usize = 200;

/// Bytes of an object, none of them too.
fn bytes(number: usize) -> Vec<u8> {
    (0..number * 13).map(|at| (at * 7 + number) as u8).collect()
}

fn name(number: usize) -> String {
    format!("shard-{}/plum {number:03}.jpg", number % 7)
}

/// Writes, reads, lists and removes objects while a share of requests fails in one way.
async fn works_under(faults: Faults, kinds: &[FaultKind]) {
    let bench = bench_with(|builder| {
        builder
            .faults(faults.hang(Duration::from_millis(300)))
            .seed(11)
    });
    let writer = bench.stores();
    let run = place(&writer, "run").await.unwrap();
    each(0..OBJECTS, |number| {
        let place = run.join(&name(number));
        async move { place.write(bytes(number)).await }
    })
    .await
    .unwrap();

    // Another client, which remembers nothing of what was written.
    let reader = bench.stores();
    let run = place(&reader, "run").await.unwrap();
    let read = each(0..OBJECTS, |number| {
        let place = run.join(&name(number));
        async move { place.read().await }
    })
    .await
    .unwrap();
    for (number, read) in read.iter().enumerate() {
        assert_eq!(read, &bytes(number), "object {number}");
    }
    let mut names: Vec<String> = (0..OBJECTS).map(name).collect();
    names.sort();
    assert_eq!(listed(&run).await.unwrap(), names);

    let places: Vec<Place> = names.iter().map(|name| run.join(name)).collect();
    Place::delete_all(&places).await.unwrap();
    assert_eq!(run.all_below().await.unwrap(), []);

    let counters = bench.server.counters();
    let injected: u64 = kinds.iter().map(|kind| counters.faults_of(*kind)).sum();
    assert!(injected > 20, "only {injected} requests failed");
    let (wrote, read) = (traffic(&writer).await, traffic(&reader).await);
    let throttles = [FaultKind::SlowDown, FaultKind::TooManyRequests];
    let throttled: u64 = throttles.iter().map(|kind| counters.faults_of(*kind)).sum();
    assert_eq!(wrote.throttled + read.throttled, throttled);
    // A complete answer of the wrong length is no failed request: the store asks again.
    let failed = injected - counters.faults_of(FaultKind::WrongLength);
    assert_eq!(wrote.failed + read.failed, failed);
    assert_eq!(wrote.requests + read.requests, counters.requests_total());
}

macro_rules! works_under {
    ($($name:ident: $kind:ident $share:literal,)*) => {$(
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            let kind = FaultKind::$kind;
            works_under(Faults::none().with(kind, $share), &[kind]).await;
        }
    )*};
}

works_under! {
    slow_down: SlowDown 0.2,
    too_many_requests: TooManyRequests 0.2,
    internal_error: InternalError 0.25,
    timeout: Timeout 0.2,
    reset: Reset 0.25,
    lost_answer: LostAnswer 0.25,
    truncated_body: TruncatedBody 0.3,
    wrong_length: WrongLength 0.3,
    expired_token: ExpiredToken 0.2,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_of_them() {
    works_under(Faults::mix(0.3), &FaultKind::ALL).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_answer_that_breaks_off_goes_on_where_it_did() {
    let bench = bench_with(|builder| builder);
    let large: Vec<u8> = (0..9_000_000_u32).map(|at| (at >> 3) as u8).collect();
    bench.fill(["large.tar"], &large);
    for kind in [
        FaultKind::TruncatedBody,
        FaultKind::WrongLength,
        FaultKind::Reset,
    ] {
        let large_place = bench.place("large.tar").await;
        bench.server.rules().fail_next(3, kind);
        assert!(large_place.read().await.unwrap() == large, "{kind:?}");
        assert_eq!(bench.server.counters().faults_of(kind), 3);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_must_be_new_is_ours_also_where_the_answer_was_lost() {
    let bench = bench_with(|builder| builder);
    let place = bench.place("run.json").await;
    bench.server.rules().fail_next(1, FaultKind::LostAnswer);
    assert!(place.write_new("ours").await.unwrap());
    assert!(!place.write_new("ours").await.unwrap(), "it is there now");
    assert!(
        !bench
            .place("run.json")
            .await
            .write_new("other")
            .await
            .unwrap()
    );
    assert_eq!(place.read().await.unwrap(), "ours");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_limit_falls_while_the_storage_throttles_and_rises_again() {
    let bench = bench_with(|builder| builder.delay(Duration::from_millis(10)));
    let names: Vec<String> = (0..600).map(|number| format!("{number}.jpg")).collect();
    bench.fill(names.iter().map(String::as_str), b"plum");
    let stores = bench.stores();
    let photos = place(&stores, "").await.unwrap();
    let read_all = || {
        each(&names, |name| {
            let place = photos.join(name);
            async move { place.read().await }
        })
    };
    bench.server.rules().throttle(150.0);
    assert_eq!(read_all().await.unwrap().len(), 600);
    let throttled = traffic(&stores).await;
    let lowest = throttled.limits.iter().map(|at| at.limit).min().unwrap();
    assert!(lowest <= 8, "{lowest}");
    assert!(throttled.throttled > 0);
    // So many requests in vain that the storage would have served more without them are too many.
    assert!(throttled.requests < 3 * 600, "{}", throttled.requests);

    bench.server.rules().stop_throttling();
    assert_eq!(read_all().await.unwrap().len(), 600);
    let limits = traffic(&stores).await.limits;
    assert!(limits.last().unwrap().limit > lowest, "{limits:?}");
}
