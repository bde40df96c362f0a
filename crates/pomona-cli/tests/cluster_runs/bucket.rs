//! Photos and runs in a bucket: everybody comes with rights of their own, and the scheduler without any.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use pomona_testbed::{Bucket, FaultKind, Faults, LogEntry, Operation, Server};

use crate::support::{Cluster, Place, Process, assert_same, files, said, wait_for};

/// Access key and secret of the client.
const CLIENT: [&str; 2] = ["CLIENTACCESSKEY", "client/secret"];
/// Those of executors.
const EXECUTORS: [[&str; 2]; 2] = [
    ["FIRSTEXECUTORKEY", "first/secret"],
    ["SECONDEXECUTORKEY", "second/secret"],
];
/// Keys that the server does not know.
const STRANGER: [&str; 2] = ["STRANGERACCESSKEY", "stranger/secret"];

/// A place whose photos are in `s3://photos`, with an empty bucket `runs` beside it; its client has keys for both.
struct Buckets {
    place: Place,
    server: Server,
}

impl Buckets {
    fn new(per_label: usize) -> Self {
        let mut place = Place::with_photos(per_label, false);
        let root = place.path("buckets");
        std::fs::create_dir_all(root.join("runs")).unwrap();
        std::fs::rename(place.path("photos/Training"), root.join("photos")).unwrap();
        let server = [CLIENT, EXECUTORS[0], EXECUTORS[1]]
            .iter()
            .fold(Bucket::builder(&root), |builder, [access_key, secret]| {
                builder.credentials(access_key, secret)
            })
            .faults(Faults::none().hang(Duration::from_secs(600)))
            .start()
            .unwrap();
        place.variables = server.environment();
        Self { place, server }
    }

    /// The server's address with other keys.
    fn variables(&self, [access_key, secret]: [&str; 2]) -> Vec<(String, String)> {
        let mut variables = self.server.environment();
        for (name, value) in &mut variables {
            match name.as_str() {
                "AWS_ACCESS_KEY_ID" => access_key.clone_into(value),
                "AWS_SECRET_ACCESS_KEY" => secret.clone_into(value),
                _ => {}
            }
        }
        variables
    }

    fn path(&self, key: &str) -> PathBuf {
        self.place.path("buckets").join(key)
    }

    /// Requests for photos so far.
    fn fetched(&self) -> Vec<LogEntry> {
        let mut log = self.server.log();
        log.retain(|entry| entry.bucket == "photos" && entry.operation == Operation::GetObject);
        log
    }
}

fn keys_of<'a>(log: impl IntoIterator<Item = &'a LogEntry>) -> BTreeSet<&'a str> {
    log.into_iter()
        .map(|entry| entry.access_key.as_deref().unwrap())
        .collect()
}

/// The arguments of a run on visual words, in shards of so many photos.
fn run<'a>(out: &'a str, shard_images: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let words = ["--words", "16", "--max-passes", "2", "--components", "3"];
    let mut all = extract(out, shard_images, &words);
    all[0] = "run";
    all.extend(more);
    all
}

/// Those of its first step.
fn extract<'a>(out: &'a str, shard_images: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let extract = ["extract", "s3://photos", "--out", out, "--features", "orb"];
    [&extract[..], &["--shard-images", shard_images], more].concat()
}

#[test]
fn everybody_uses_their_own_rights() {
    let buckets = Buckets::new(1);
    let place = &buckets.place;
    let mut cluster = Cluster::start(place, 0);
    cluster.join_with(&buckets.variables(STRANGER));
    let flag = cluster.flag.clone();
    for (out, refused) in [
        ("s3://runs/there", "s3://runs/there/images/images-"),
        ("there", "s3://photos/: "),
    ] {
        let output = place.pomona(&run(out, "6", &[&flag]));
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        assert!(
            told.contains(refused)
                && told.contains("hint: on the executors: the keys were refused"),
            "{told}"
        );
        assert!(!told.contains("pomona>>"), "{told}");
    }

    cluster.executors.pop().unwrap().kill();
    for keys in EXECUTORS {
        cluster.join_with(&buckets.variables(keys));
    }
    buckets.server.keep_log();
    place.done(&run("s3://runs/there", "6", &[&flag]));
    let executors = EXECUTORS.map(|[access_key, _]| access_key).into();
    assert_eq!(keys_of(&buckets.fetched()), executors);
    let log = buckets.server.log();
    let descriptors = log.iter().filter(|entry| {
        entry.key.starts_with("there/descriptors/") && entry.operation == Operation::PutObject
    });
    assert_eq!(keys_of(descriptors), executors);

    place.done(&run("s3://runs/here", "6", &[]));
    assert_same(&buckets.path("runs/here"), &buckets.path("runs/there"));
    assert!(files(&buckets.path("runs/there/.pomona")).is_empty());
    assert_eq!(buckets.server.unfinished_uploads(), []);
    cluster.leave();
}

#[test]
fn a_run_is_faster_with_another_executor() {
    let buckets = Buckets::new(2);
    let place = &buckets.place;
    place.done(&extract("here", "1", &[]));
    // A shard is little more than one request, which takes as long on a busy machine.
    buckets.server.rules().set_delay(Duration::from_millis(300));
    buckets.server.keep_log();
    let mut cluster = Cluster::start(place, 0);
    cluster.join_with(&buckets.variables(EXECUTORS[0]));
    let flag = cluster.flag.clone();
    let mut client = Process::start(place.command(&extract("there", "1", &[&flag])));
    let photos = || {
        let log = buckets.fetched();
        let keys: BTreeSet<_> = log.iter().map(|entry| &entry.key).collect();
        keys.len()
    };
    // Shards a second from now on.
    let rate = |shards: usize| {
        let (before, since) = (photos(), Instant::now());
        wait_for("photos are fetched", || {
            (photos() >= before + shards).then_some(())
        });
        shards as f64 / since.elapsed().as_secs_f64()
    };
    wait_for("it begins", || {
        (!buckets.fetched().is_empty()).then_some(())
    });
    let alone = rate(6);
    cluster.join_with(&buckets.variables(EXECUTORS[1]));
    wait_for("the other begins", || {
        (keys_of(&buckets.fetched()).len() == 2).then_some(())
    });
    let together = rate(12);
    // What is left need not take so long.
    buckets.server.rules().set_delay(Duration::ZERO);
    assert!(client.end().success(), "{}", client.said());
    assert!(
        together > 1.4 * alone,
        "{alone} and {together} shards a second"
    );
    let record = place.record("there");
    let images: Vec<u64> = record["cluster"]["executors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|executor| executor["images"].as_u64().unwrap())
        .collect();
    assert_eq!(images.len(), 2);
    assert!(images.iter().all(|&images| images > 6), "{images:?}");
    assert_eq!(images.iter().sum::<u64>(), place.counts("here")["ok"]);
    assert_same(&place.path("here"), &place.path("there"));
    cluster.leave();
}

#[test]
fn a_shard_that_ends_two_executors_is_set_aside_and_can_be_tried_again() {
    let buckets = Buckets::new(1);
    let place = &buckets.place;
    place.done(&run("here", "3", &[]));
    // One photo never comes: whoever asks for it is at work on its shard until it is killed.
    let deadly = "Kiwi/000_100.jpg";
    let rules = buckets.server.rules();
    rules.fail_key(deadly, FaultKind::Timeout);
    buckets.server.keep_log();
    let mut cluster = Cluster::start(place, 0);
    for keys in EXECUTORS {
        cluster.join_with(&buckets.variables(keys));
    }
    let flag = cluster.flag.clone();
    let mut client = Process::start(place.command(&run("there", "3", &[&flag])));
    for dead in 1..=EXECUTORS.len() {
        let asked = wait_for("another one asks for it", || {
            let mut log = buckets.fetched();
            log.retain(|entry| entry.key == deadly);
            let newest = log.last()?.access_key.clone()?;
            (keys_of(&log).len() == dead).then_some(newest)
        });
        // All that it has in work may be to blame for its end.
        wait_for("nothing else is in work", || {
            let shards = cluster.jobs("extract").swap_remove(0).shards;
            (shards.running == 1 && shards.done + 1 == shards.total).then_some(())
        });
        let at = EXECUTORS
            .iter()
            .position(|[access_key, _]| **access_key == *asked);
        cluster.executors[at.unwrap()].kill();
    }
    cluster.executors.clear();
    cluster.join_with(&buckets.variables(EXECUTORS[0]));
    assert!(client.end().success(), "{}", client.said());
    let told = client.said();
    assert!(
        told.contains("set aside") && told.contains("pomona retry"),
        "{told}"
    );
    let unreadable = place.sql(
        "there",
        "SELECT path, error FROM images WHERE status = 'unreadable' ORDER BY path",
    );
    assert_eq!(unreadable.len(), 3);
    assert!(unreadable.iter().any(|row| row["path"] == deadly));
    for row in &unreadable {
        assert!(
            row["error"].as_str().unwrap().contains("set aside"),
            "{row}"
        );
    }
    let (whole, lacking) = (place.counts("here"), place.counts("there"));
    assert_eq!(lacking["unreadable"], 3);
    assert_eq!(lacking["ok"] + 3, whole["ok"]);

    // When it can be read, it is a photo like others.
    rules.heal_key(deadly);
    place.done(&["retry", "there"]);
    assert_eq!(place.counts("there"), whole);
    cluster.leave();
}
