//! Listings come in the byte order of paths, from their first page on.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::common::{bench, bench_with, listed, place};
use futures::StreamExt;
use pomona_testbed::{FaultKind, Faults, Operation};

/// What is listed below `below` is what was put there, in order; so it is while requests fail.
async fn is_listed_in_order(keys: &[String]) {
    let bench = bench();
    bench.fill(keys.iter().map(String::as_str), b"plum");
    let sorted: BTreeSet<&str> = keys.iter().map(String::as_str).collect();
    let all: Vec<&str> = sorted.iter().copied().collect();
    let whole = bench.place("").await;
    assert_eq!(listed(&whole).await.unwrap(), all);
    let tops: BTreeSet<&str> = sorted
        .iter()
        .filter_map(|key| key.split_once('/'))
        .map(|(top, _)| top)
        .collect();
    for top in tops.into_iter().take(8) {
        let below: Vec<&str> = sorted
            .iter()
            .filter_map(|key| key.strip_prefix(top)?.strip_prefix('/'))
            .collect();
        assert_eq!(listed(&whole.join(top)).await.unwrap(), below, "{top}");
    }
    let faults = Faults::mix(0.2).hang(Duration::from_millis(200));
    bench.server.rules().set_faults(faults);
    assert_eq!(listed(&bench.place("").await).await.unwrap(), all);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flat_bucket() {
    let keys: Vec<String> = (0..2500).map(|number| format!("{number}.jpg")).collect();
    is_listed_in_order(&keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn names_that_sort_around_the_slash() {
    let names = [
        "a-b",
        "a-b.jpg",
        "a.",
        "a.jpg",
        "a/-",
        "a/b.jpg",
        "a/b/c.jpg",
        "a/b-c.jpg",
        "a/b.d/e.jpg",
        "a0",
        "a b/c.jpg",
        "a!/c.jpg",
        "A/z.jpg",
        "ä/ö.jpg",
        "a#1/c.jpg",
        "a%20/c.jpg",
        "~/a.jpg",
        "a+b/c=d.jpg",
        "a/b/c d/e&f.jpg",
        "日本/梅.jpg",
    ];
    let keys = names.map(str::to_owned);
    is_listed_in_order(&keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_deep_chain() {
    let deep = "photos/2024/autumn/orchard/row-7/tree-3";
    let keys: Vec<String> = (0..1200)
        .map(|number| format!("{deep}/{number:04}.jpg"))
        .collect();
    is_listed_in_order(&keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_small_folders() {
    let keys: Vec<String> = (0..1500)
        .map(|number| format!("{}/{}.jpg", number % 1100, number))
        .collect();
    is_listed_in_order(&keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_of_all_sizes() {
    let mut keys: Vec<String> = (0..1300).map(|number| format!("b/{number}.jpg")).collect();
    keys.extend((0..40).map(|number| format!("c{number}/x/{number}.jpg")));
    keys.extend((0..1100).map(|number| format!("d{number}.jpg")));
    is_listed_in_order(&keys).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_first_photo_comes_long_before_the_last_page() {
    let bench = bench_with(|builder| builder.delay(Duration::from_millis(30)));
    let keys: Vec<String> = (0..8000)
        .map(|number| format!("{}/{number}.jpg", number / 4000))
        .collect();
    bench.fill(keys.iter().map(String::as_str), b"");
    let stores = bench.stores();
    let photos = place(&stores, "").await.unwrap();
    let mut listing = photos.list_ordered();
    let first = listing.next().await.unwrap().unwrap();
    let asked = || bench.server.counters().requests_of(Operation::ListObjects);
    assert_eq!(first.location.as_ref(), "0/0.jpg");
    let so_far = asked();
    assert!(so_far <= 7, "{so_far} requests before the first photo");
    let rest: Vec<_> = listing.collect().await;
    assert_eq!(rest.len(), 7999);
    // Eight pages, and two questions for folders on top of the first.
    assert!(asked() >= 11 && asked() <= 13, "{}", asked());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_stops_reading_stops_the_listing() {
    let bench = bench_with(|builder| builder.delay(Duration::from_millis(5)));
    let keys: Vec<String> = (0..12_000).map(|number| format!("{number:05}")).collect();
    bench.fill(keys.iter().map(String::as_str), b"");
    let mut listing = bench.place("").await.list_ordered();
    listing.next().await.unwrap().unwrap();
    drop(listing);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let asked = bench.server.counters().requests_of(Operation::ListObjects);
    assert!(asked < 12, "{asked} of 12 pages");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_keys_and_failures_that_last_are_told() {
    let bench = bench();
    bench.fill(["a/b.jpg", "c.jpg"], b"plum");
    bench.server.rules().expire_credentials_after(1);
    let error = listed(&bench.place("").await).await.unwrap_err();
    assert!(pomona_store::is_fatal(&error), "{error}");
    bench.server.rules().renew_credentials();
    let rules = bench.server.rules();
    rules.fail_next(2, FaultKind::ExpiredToken);
    assert_eq!(listed(&bench.place("").await).await.unwrap().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn folders_of_few_folders_are_listed_side_by_side() {
    let bench = bench_with(|builder| builder.delay(Duration::from_millis(100)));
    let keys: Vec<String> = (0..9000)
        .map(|number| format!("{}/{}/{number}.jpg", number / 8000, number / 400))
        .collect();
    bench.fill(keys.iter().map(String::as_str), b"");
    let photos = bench.place("").await;
    let listed = listed(&photos).await.unwrap();
    assert_eq!(listed.len(), 9000);
    assert!(listed.is_sorted());
    // Page by page, there would be one request for each of the two.
    let at_once = bench.server.counters().in_flight_max;
    assert!(at_once >= 8, "{at_once} at once");
}
