//! What happens to executors, the scheduler and the client while a run is at work.

use pomona_cluster::JobPhase;

use crate::support::{Cluster, Place, Process, assert_same, said, wait_for};

/// A run that takes some seconds: the network inside the program, in shards of one photo.
const RUN: [&str; 10] = [
    "run",
    "photos",
    "--engine",
    "pure-rust",
    "--shard-images",
    "1",
    "--components",
    "3",
    "--workers",
    "2",
];

fn run<'a>(out: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&RUN[..], &["--out", out], more].concat()
}

fn start(place: &Place, arguments: &[&str]) -> Process {
    Process::start(place.command(arguments))
}

#[test]
fn an_executor_is_killed() {
    let place = Place::with_photos(1, false);
    place.done(&run("here", &[]));
    let mut cluster = Cluster::start(&place, 2);
    let flag = cluster.flag.clone();
    let mut client = start(&place, &run("there", &[&flag]));
    cluster.wait_for_shards(3);
    cluster.executors.pop().unwrap().kill();
    assert!(client.end().success(), "{}", client.said());
    // What it was writing.
    place.done(&["clean", "there"]);
    assert_same(&place.path("here"), &place.path("there"));
    assert_eq!(place.counts("here"), place.counts("there"));
    // Another executor removes what the killed one left.
    cluster.join();
    cluster.leave();
}

#[test]
fn the_scheduler_is_killed_and_comes_back() {
    let place = Place::with_photos(1, false);
    place.done(&run("here", &[]));
    let mut cluster = Cluster::start(&place, 1);
    let flag = cluster.flag.clone();
    let arguments = run("there", &[&flag]);
    let mut client = start(&place, &arguments);
    cluster.wait_for_shards(3);
    cluster.restart();
    let status = client.end();
    let told = client.said();
    assert!(!status.success(), "{told}");
    assert!(
        told.contains("started again") && told.contains("same command"),
        "{told}"
    );
    // Its executor finds the new one by itself, and what is done stays done.
    let again = place.pomona(&arguments);
    assert!(again.status.success(), "{}", said(&again));
    assert!(
        said(&again).contains("were done by an earlier run"),
        "{}",
        said(&again)
    );
    assert_same(&place.path("here"), &place.path("there"));
    cluster.leave();
}

#[test]
fn the_client_is_interrupted() {
    let place = Place::with_photos(1, false);
    let cluster = Cluster::start(&place, 1);
    let arguments = run("there", &[&cluster.flag]);
    let mut client = start(&place, &arguments);
    cluster.wait_for_shards(2);
    client.signal("-INT");
    let status = client.end();
    assert!(!status.success(), "{}", client.said());
    wait_for("the job is cancelled", || {
        (cluster.jobs("extract").first()?.state == JobPhase::Cancelled).then_some(())
    });
    // The folder is free, and what is done stays done.
    let again = place.pomona(&arguments);
    assert!(again.status.success(), "{}", said(&again));
    assert!(
        said(&again).contains("were done by an earlier run"),
        "{}",
        said(&again)
    );
    cluster.leave();
}
