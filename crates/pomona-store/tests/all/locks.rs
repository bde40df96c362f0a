//! One process at a time, here and in a bucket.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::bench;
use pomona_store::{Place, RunLock, StoreError};
use pomona_testbed::{FaultKind, Operation};
use serde_json::Value;

async fn take(place: &Place) -> Result<RunLock, StoreError> {
    RunLock::take(place, |lost| panic!("{lost}")).await
}

/// Waits until something holds.
async fn until(holds: impl Fn() -> bool) {
    let since = std::time::Instant::now();
    while !holds() {
        assert!(since.elapsed() < Duration::from_secs(60), "it never holds");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn holder(refused: Result<RunLock, StoreError>) -> String {
    match refused {
        Err(StoreError::Locked { holder, .. }) => holder,
        Ok(_) => panic!("taken"),
        Err(error) => panic!("{error}"),
    }
}

/// The lock's text, changed.
async fn rewrite(place: &Place, change: impl FnOnce(&mut Value)) {
    let lock = place.join(".pomona/lock");
    let mut said: Value = serde_json::from_slice(&lock.read().await.unwrap()).unwrap();
    said["id"] = "another".into();
    change(&mut said);
    lock.write(said.to_string()).await.unwrap();
}

fn time(secs_from_now: i64) -> Value {
    let time = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(secs_from_now);
    time.to_string().into()
}

/// What holds for a folder and for a bucket.
async fn one_at_a_time(place: Place) {
    let this = format!("process {}", std::process::id());
    let first = take(&place).await.unwrap();
    let told = holder(take(&place).await);
    assert!(told.starts_with(&this), "{told}");
    let error = take(&place).await.unwrap_err();
    assert!(error.hint().unwrap().contains("wait"), "{error}");
    first.release().await;
    first.release().await;
    let second = take(&place).await.unwrap();
    // The first has no say any more.
    first.release().await;
    drop(first);
    holder(take(&place).await);
    second.release().await;

    // Of many at once, one wins.
    for _ in 0..10 {
        let takers = (0..8).map(|_| {
            let place = place.clone();
            tokio::spawn(async move { take(&place).await })
        });
        let mut won = Vec::new();
        for taker in takers.collect::<Vec<_>>() {
            match taker.await.unwrap() {
                Ok(lock) => won.push(lock),
                Err(StoreError::Locked { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert_eq!(won.len(), 1);
        won[0].release().await;
    }

    // Dropped, it is free too.
    drop(take(&place).await.unwrap());
    for tries in 0.. {
        match take(&place).await {
            Ok(lock) => {
                lock.release().await;
                break;
            }
            Err(_) if tries < 50 => tokio::time::sleep(Duration::from_millis(20)).await,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(place.all_below().await.unwrap(), [], "nothing stays");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_folder() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::of_path(&root.path().join("run")).unwrap();
    one_at_a_time(place.work_folder().unwrap()).await;
    assert!(!root.path().join("run/.pomona").exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn in_a_bucket() {
    let bench = bench();
    one_at_a_time(bench.place("run").await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_whose_holder_was_killed_is_free() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::of_path(root.path()).unwrap().work_folder().unwrap();
    let lock = root.path().join(".pomona/lock");
    std::fs::create_dir_all(lock.parent().unwrap()).unwrap();
    // The operating system freed it; the file stayed.
    std::fs::write(
        lock,
        r#"{"id":"x","process":1,"machine":"","since":"","until":""}"#,
    )
    .unwrap();
    take(&place).await.unwrap().release().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_was_confirmed_is_let_go_without_another_look() {
    let bench = bench();
    let place = bench.place("run").await;
    let looks = || bench.server.counters().requests_of(Operation::GetObject);
    let lock = take(&place).await.unwrap();
    lock.confirm().await;
    assert_eq!(looks(), 1);
    lock.release().await;
    assert_eq!(looks(), 1);
    assert_eq!(place.all_below().await.unwrap(), []);

    // Another's is not confirmed, and stays.
    let lock = take(&place).await.unwrap();
    rewrite(&place, |_| {}).await;
    lock.confirm().await;
    lock.release().await;
    assert!(place.join(".pomona/lock").read().await.is_ok());
}

/// No process has this number: Linux ends at 2²².
const NOBODY: u64 = (1 << 22) + 1;

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_that_died_on_this_machine_holds_nothing() {
    let bench = bench();
    let place = bench.place("run").await;
    let first = take(&place).await.unwrap();
    // A live one, here: it is waited for.
    rewrite(&place, |said| said["process"] = std::process::id().into()).await;
    holder(take(&place).await);
    // The same number in another container is somebody else.
    rewrite(&place, |said| {
        said["process"] = NOBODY.into();
        said["machine"] = format!("{} elsewhere", said["machine"].as_str().unwrap()).into();
    })
    .await;
    holder(take(&place).await);
    first.release().await;
    let told = holder(take(&place).await);
    assert!(
        told.contains(&NOBODY.to_string()),
        "another's lock stays: {told}"
    );

    place.join(".pomona/lock").delete().await.unwrap();
    let first = take(&place).await.unwrap();
    rewrite(&place, |said| said["process"] = NOBODY.into()).await;
    take(&place).await.unwrap().release().await;
    drop(first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_holder_on_another_machine_holds_it_until_it_expires() {
    let bench = bench();
    let place = bench.place("run").await;
    let first = take(&place).await.unwrap();
    for (until, is_held) in [(30, true), (-20, true), (-40, false)] {
        rewrite(&place, |said| {
            said["machine"] = "another".into();
            said["process"] = NOBODY.into();
            said["until"] = time(until);
        })
        .await;
        if is_held {
            let told = holder(take(&place).await);
            assert!(told.contains("given up after"), "{told}");
        } else {
            take(&place).await.unwrap().release().await;
        }
    }
    drop(first);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_that_says_nothing_expires_too() {
    let bench = bench();
    let place = bench.place("run").await;
    bench.fill(["run/.pomona/lock"], b"not what it should be");
    let told = holder(take(&place).await);
    assert!(told.contains("unknown"), "{told}");
    let file = bench
        .server
        .bucket_dir("photos")
        .unwrap()
        .join("run/.pomona/lock");
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_modified(std::time::SystemTime::now() - Duration::from_secs(100))
        .unwrap();
    take(&place).await.unwrap().release().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lock_whose_answer_was_lost_is_ours() {
    for kind in [
        FaultKind::LostAnswer,
        FaultKind::Timeout,
        FaultKind::TruncatedBody,
    ] {
        let bench = bench();
        let place = bench.place("run").await;
        bench.server.rules().fail_next(1, kind);
        let lock = take(&place).await.unwrap();
        holder(take(&place).await);
        lock.release().await;
        assert_eq!(place.all_below().await.unwrap(), [], "{kind:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_loses_a_lock_is_told_and_leaves_the_new_one() {
    let bench = bench();
    let place = bench.place("run").await;
    let lost = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&lost);
    // Fifteen times as often as a run does.
    let often = Duration::from_secs(1);
    let first = RunLock::take_for(&place, often, move |error| {
        assert!(error.to_string().contains("process 77"), "{error}");
        count.fetch_add(1, Ordering::Relaxed);
    })
    .await
    .unwrap();
    let other = bench.place("other").await;
    let kept = RunLock::take_for(&other, often, |lost| panic!("{lost}"))
        .await
        .unwrap();
    // A renewal whose answer is lost is none that was refused.
    bench
        .server
        .rules()
        .fail_first_of_each(1, FaultKind::LostAnswer);
    let renewed = || bench.server.counters().faults_of(FaultKind::LostAnswer);
    until(|| renewed() >= 2).await;
    tokio::time::sleep(2 * often).await;
    assert_eq!(lost.load(Ordering::Relaxed), 0);
    bench.server.rules().clear();
    rewrite(&place, |said| said["process"] = 77.into()).await;
    until(|| lost.load(Ordering::Relaxed) == 1).await;
    first.release().await;
    assert!(place.join(".pomona/lock").read().await.is_ok());
    kept.release().await;
    let puts = bench.server.counters().requests_of(Operation::PutObject);
    assert!(puts >= 5, "{puts}");
}
