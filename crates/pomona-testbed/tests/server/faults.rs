//! What a client finds when something goes wrong on purpose.

use std::io::Read as _;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use pomona_testbed::{Bucket, FaultKind, Faults, Operation, Refusal};

use crate::common::{block_on, builder, client, retries, server, servers_root};

/// One object of ten bytes, and what a client without retries gets when it is asked for under a fault.
fn get_under(kind: FaultKind) -> (Result<String, String>, Duration) {
    let root = servers_root();
    let faults = Faults::of(&[kind], 1.0).hang(Duration::from_millis(300));
    let server = Bucket::builder(root.path()).faults(faults).start().unwrap();
    std::fs::write(
        server.bucket_dir("photos").unwrap().join("plum.jpg"),
        "0123456789",
    )
    .unwrap();
    let store = client(&server, "photos");
    let begun = Instant::now();
    let got: Result<_, Error> =
        block_on(async { store.get(&Path::from("plum.jpg")).await?.bytes().await });
    assert_eq!(server.counters().faults_of(kind), 1);
    assert_eq!(server.counters().faults_total(), 1);
    let got = got
        .map(|bytes| String::from_utf8(bytes.to_vec()).unwrap())
        .map_err(|error| format!("{error:?}"));
    (got, begun.elapsed())
}

#[test]
fn a_read_fails_in_each_way() {
    for (kind, status, code) in [
        (FaultKind::SlowDown, "503", "<Code>SlowDown</Code>"),
        (
            FaultKind::TooManyRequests,
            "429",
            "<Code>TooManyRequests</Code>",
        ),
        (
            FaultKind::InternalError,
            "500",
            "<Code>InternalError</Code>",
        ),
        (FaultKind::ExpiredToken, "400", "<Code>ExpiredToken</Code>"),
    ] {
        let error = get_under(kind).0.unwrap_err();
        assert!(
            error.contains(status) && error.contains(code),
            "{kind:?}: {error}"
        );
    }
    let (got, _) = get_under(FaultKind::Reset);
    assert!(got.unwrap_err().contains("ConnectionReset"));
    let (got, elapsed) = get_under(FaultKind::Timeout);
    got.unwrap_err();
    assert!(elapsed >= Duration::from_millis(300), "{elapsed:?}");
    let error = get_under(FaultKind::TruncatedBody).0.unwrap_err();
    assert!(
        error.contains("IncompleteMessage") || error.contains("UnexpectedEof"),
        "{error}"
    );
    // No error: only whoever knows the length can tell.
    assert_eq!(get_under(FaultKind::WrongLength).0.unwrap(), "01234");
}

#[test]
fn a_truncated_body_keeps_its_promise_in_the_headers_only() {
    let root = servers_root();
    let server = server(&root);
    let folder = server.bucket_dir("photos").unwrap();
    std::fs::write(folder.join("large.bin"), vec![7; 1_000_000]).unwrap();
    let store = client(&server, "photos");
    server.rules().fail_next(1, FaultKind::TruncatedBody);
    block_on(async {
        let got = store.get(&Path::from("large.bin")).await.unwrap();
        assert_eq!(got.meta.size, 1_000_000);
        let mut stream = got.into_stream();
        let mut size = 0;
        let end = loop {
            match stream.next().await {
                Some(Ok(bytes)) => size += bytes.len(),
                Some(Err(_)) => break true,
                None => break false,
            }
        };
        assert!(end);
        assert_eq!(size, 500_000);
    });
}

#[test]
fn a_write_fails_before_or_after_it_is_stored() {
    let root = servers_root();
    let server = server(&root);
    let folder = server.bucket_dir("runs").unwrap();
    let store = client(&server, "runs");
    let path = |name: &str| Path::from(name);
    block_on(async {
        server.rules().fail_next(1, FaultKind::Reset);
        store.put(&path("before"), "x".into()).await.unwrap_err();
        server.rules().fail_next(1, FaultKind::LostAnswer);
        store.put(&path("after"), "x".into()).await.unwrap_err();
        assert!(!folder.join("before").exists());
        assert!(folder.join("after").exists());

        // An upload whose completion was not heard of can be completed again.
        let store = builder(&server, "runs")
            .with_retry(retries(3))
            .build()
            .unwrap();
        let mut upload = store.put_multipart(&path("parts")).await.unwrap();
        upload.put_part("content".into()).await.unwrap();
        server.rules().fail_next(1, FaultKind::LostAnswer);
        let put = upload.complete().await.unwrap();
        assert_eq!(store.head(&path("parts")).await.unwrap().e_tag, put.e_tag);

        // A conditional write whose answer was lost finds itself in its way.
        server.rules().fail_next(1, FaultKind::LostAnswer);
        let options = PutOptions {
            mode: PutMode::Create,
            ..Default::default()
        };
        let _ = store.put_opts(&path("lock"), "mine".into(), options).await;
        assert_eq!(
            store
                .get(&path("lock"))
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap(),
            "mine"
        );
    });
    assert_eq!(server.counters().faults_of(FaultKind::LostAnswer), 3);
}

#[test]
fn a_share_of_a_mix_hits_every_kind_and_clients_get_through() {
    let root = servers_root();
    let faults = Faults::mix(0.3)
        .hang(Duration::from_millis(50))
        .with(FaultKind::ExpiredToken, 0.0);
    let server = Bucket::builder(root.path())
        .faults(faults)
        .seed(3)
        .start()
        .unwrap();
    let folder = server.bucket_dir("photos").unwrap();
    for at in 0..400 {
        std::fs::write(folder.join(at.to_string()), vec![7; 1000]).unwrap();
    }
    let store = builder(&server, "photos")
        .with_retry(retries(20))
        .build()
        .unwrap();
    let (mut whole, mut short, mut failed) = (0, 0, 0);
    block_on(async {
        let gets = (0..400).map(|at| {
            let store = &store;
            async move { store.get(&Path::from(at.to_string())).await?.bytes().await }
        });
        let mut gets = futures::stream::iter(gets).buffer_unordered(16);
        while let Some(got) = gets.next().await {
            match got {
                Ok(bytes) if bytes.len() == 1000 => whole += 1,
                // The client asks for the rest of a truncated body, and that answer may be short as well.
                Ok(_) => short += 1,
                Err(_) => failed += 1,
            }
        }
    });
    let counters = server.counters();
    assert_eq!(short, counters.faults_of(FaultKind::WrongLength));
    assert_eq!(whole + short + failed, 400);
    assert!(whole > 250, "{whole}");
    let applicable = FaultKind::ALL
        .iter()
        .filter(|kind| **kind != FaultKind::ExpiredToken && kind.applies_to(Operation::GetObject));
    for kind in applicable {
        assert!(
            counters.faults_of(*kind) > 5,
            "{kind:?}: {}",
            counters.faults_of(*kind)
        );
    }
    let share = counters.faults_total() as f64 / counters.requests_total() as f64;
    assert!((0.2..0.4).contains(&share), "{share}");
    assert!(
        (2..=16).contains(&counters.in_flight_max),
        "{}",
        counters.in_flight_max
    );
}

#[test]
fn each_request_waits_for_the_delay_and_not_for_others() {
    let root = servers_root();
    let server = Bucket::builder(root.path())
        .delay(Duration::from_millis(100))
        .start()
        .unwrap();
    let store = client(&server, "photos");
    std::fs::write(server.bucket_dir("photos").unwrap().join("x"), "x").unwrap();
    let begun = Instant::now();
    block_on(async {
        let gets = (0..20).map(|_| async {
            store
                .get(&Path::from("x"))
                .await
                .unwrap()
                .bytes()
                .await
                .unwrap()
        });
        futures::future::join_all(gets).await;
    });
    let elapsed = begun.elapsed();
    assert!(elapsed >= Duration::from_millis(100), "{elapsed:?}");
    assert!(
        elapsed < Duration::from_millis(1500),
        "twenty at once, not one by one: {elapsed:?}"
    );
    assert_eq!(server.counters().in_flight_max, 20);
}

#[test]
fn rules_hold_until_they_are_taken_back() {
    let root = servers_root();
    let server = server(&root);
    let folder = server.bucket_dir("runs").unwrap();
    let store = client(&server, "runs");
    let rules = server.rules();
    let put = |key: &str| {
        block_on(store.put(&Path::from(key), "x".into())).map_err(|error| format!("{error:?}"))
    };
    put("out/old").unwrap();

    rules.deny_writes("out/");
    assert!(
        put("out/new")
            .unwrap_err()
            .contains("<Code>AccessDenied</Code>")
    );
    put("elsewhere").unwrap();
    block_on(store.get(&Path::from("out/old"))).unwrap();
    let doomed = futures::stream::iter([Ok(Path::from("out/old"))]).boxed();
    let deleted = block_on(store.delete_stream(doomed).try_collect::<Vec<_>>());
    assert!(
        format!("{deleted:?}").contains("AccessDenied"),
        "{deleted:?}"
    );
    assert!(folder.join("out/old").exists());
    rules.allow_writes();
    put("out/new").unwrap();

    rules.expire_credentials_after(1);
    put("1").unwrap();
    assert!(put("2").unwrap_err().contains("<Code>ExpiredToken</Code>"));
    assert!(put("3").unwrap_err().contains("<Code>ExpiredToken</Code>"));
    rules.renew_credentials();
    put("4").unwrap();
    rules.expire_access_key(&server.environment()[0].1);
    assert!(put("5").unwrap_err().contains("<Code>ExpiredToken</Code>"));
    rules.renew_credentials();

    rules.fail_key("bad", FaultKind::InternalError);
    for _ in 0..2 {
        assert!(
            put("bad")
                .unwrap_err()
                .contains("<Code>InternalError</Code>")
        );
    }
    put("good").unwrap();
    rules.heal_key("bad");
    put("bad").unwrap();

    rules.throttle(1.0);
    let puts: Vec<_> = (0..3).map(|_| put("fast")).collect();
    assert!(puts[0].is_ok(), "{puts:?}");
    assert!(puts.iter().any(|put| {
        put.as_ref()
            .is_err_and(|error| error.contains("<Code>SlowDown</Code>"))
    }));
    rules.clear();
    put("fast").unwrap();

    let counters = server.counters();
    assert_eq!(counters.refusals_of(Refusal::WriteDenied), 1);
    assert_eq!(counters.refusals_of(Refusal::CredentialsExpired), 3);
    assert!(counters.refusals_of(Refusal::Throttled) >= 1);
    assert_eq!(counters.faults_of(FaultKind::InternalError), 2);
}

#[test]
fn dropping_a_server_frees_its_port() {
    let root = servers_root();
    let server = server(&root);
    let address = server.endpoint().replace("http://", "");
    let mut waiting = TcpStream::connect(&address).unwrap();
    drop(server);
    assert_eq!(waiting.read(&mut [0]).unwrap_or(0), 0);
    assert!(TcpStream::connect(&address).is_err());
}

#[test]
fn the_program_prints_what_a_shell_needs() {
    let root = servers_root();
    std::fs::create_dir(root.path().join("photos")).unwrap();
    std::fs::write(root.path().join("photos/x"), "content").unwrap();
    let mut program = Command::new(env!("CARGO_BIN_EXE_pomona-bucket"))
        .arg(root.path())
        .args([
            "--fault-share",
            "1",
            "--kinds",
            "wrong-length",
            "--region",
            "eu-central-1",
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = vec![0; 4096];
    let read = program.stdout.as_mut().unwrap().read(&mut lines).unwrap();
    let text = String::from_utf8(lines[..read].to_vec()).unwrap();
    let mut store = object_store::aws::AmazonS3Builder::new().with_bucket_name("photos");
    for line in text.lines().filter_map(|line| line.strip_prefix("export ")) {
        let (name, value) = line.split_once('=').unwrap();
        store = store.with_config(name.to_ascii_lowercase().parse().unwrap(), value);
    }
    let got = block_on(async {
        store
            .build()
            .unwrap()
            .get(&Path::from("x"))
            .await?
            .bytes()
            .await
    });
    program.kill().unwrap();
    program.wait().unwrap();
    assert!(text.contains("export AWS_REGION=eu-central-1\n"), "{text}");
    assert_eq!(got.unwrap(), "con");
}
