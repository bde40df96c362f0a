//! What a run on a cluster may cost.

use crate::support::{Cluster, Place, assert_same, said};

/// A run that takes some seconds: the network inside the program, in shards of one photo.
const RUN: [&str; 8] = [
    "run",
    "photos",
    "--engine",
    "pure-rust",
    "--shard-images",
    "1",
    "--components",
    "3",
];

#[test]
fn euros_are_counted_by_the_scheduler() {
    let place = Place::with_photos(1, false);
    let run = |more: &[&str]| place.pomona(&[&RUN[..], more].concat());
    assert!(run(&["--out", "here"]).status.success());
    // Some 280 euros a second: the bound is reached at the first look.
    let price = ["--price-per-hour", "1000000", "--currency", "EUR"];
    let cluster = Cluster::start_with(&place, 1, &price);
    let flag = cluster.flag.as_str();
    let bounded = run(&["--out", "there", flag, "--max-eur", "1"]);
    assert_eq!(bounded.status.code(), Some(1), "{}", said(&bounded));
    let text = said(&bounded);
    assert!(
        text.contains("--max-eur 1") && text.contains("left") && text.contains("goes on"),
        "{text}"
    );
    assert!(!place.path("there/run.json").exists());

    // Without a bound the same command goes on to the end.
    let whole = run(&["--out", "there", flag]);
    assert!(whole.status.success(), "{}", said(&whole));
    assert_same(&place.path("here"), &place.path("there"));
    let spent = &place.record("there")["spent"];
    assert_eq!(spent["currency"], "EUR");
    assert!(spent["amount"].as_f64().unwrap() > 1.0);
    cluster.leave();
}

#[test]
fn a_bound_that_could_not_be_kept_is_refused() {
    let place = Place::with_photos(0, false);
    let refused = |options: &[&str], told: &str| {
        let cluster = Cluster::start_with(&place, 0, options);
        let bound = ["--out", "there", &cluster.flag, "--max-eur", "1"];
        let output = place.pomona(&[&RUN[..], &bound[..]].concat());
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        let text = said(&output);
        assert!(
            text.contains(told) && text.contains("--currency EUR"),
            "{text}"
        );
        assert!(!place.path("there").exists(), "nothing was begun");
    };
    refused(&[], "was not told");
    refused(&["--price-per-hour", "0.2", "--currency", "USD"], "USD");
}
