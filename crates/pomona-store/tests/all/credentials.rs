//! Keys come from where each cloud's own tools look for them, are renewed, and are told to nobody.

use std::path::Path;

use crate::common::{Bench, bench_with, each, place, stores_in};
use pomona_store::{Address, Outage, StoreError, StoreSettings, Stores, find, is_fatal};

const SECRET: &str = "hush/very+secret";
const TOKEN: &str = "hush-token-of-a-session";

fn two_keys() -> Bench {
    bench_with(|builder| {
        builder
            .credentials("FIRSTKEY", SECRET)
            .credentials("SECONDKEY", SECRET)
    })
}

/// The server's environment without keys, and these in place of them.
fn environment(bench: &Bench, more: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut variables: Vec<(String, String)> = bench
        .server
        .environment()
        .into_iter()
        .filter(|(name, _)| name == "AWS_ENDPOINT_URL" || name == "AWS_REGION")
        .collect();
    // Who finds no keys asks the machine that it runs on for some: here nobody answers.
    let nobody = [("AWS_METADATA_ENDPOINT", "http://127.0.0.1:9")];
    for (name, value) in nobody.iter().chain(more) {
        variables.push(((*name).to_owned(), (*value).to_owned()));
    }
    variables
}

fn source(error: &StoreError) -> &object_store::Error {
    match error {
        StoreError::Object { source, .. } | StoreError::Open { source, .. } => source,
        other => panic!("{other:?}"),
    }
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_gives_fresh_keys_when_the_old_ones_expire() {
    let bench = two_keys();
    let folder = tempfile::tempdir().unwrap();
    let (key, asked) = (folder.path().join("key"), folder.path().join("asked"));
    std::fs::write(&key, "FIRSTKEY").unwrap();
    let config = folder.path().join("config");
    let process = format!(
        "echo >> '{}'; printf '{{\"Version\": 1, \"AccessKeyId\": \"%s\", \"SecretAccessKey\": \"{SECRET}\"}}' \"$(cat '{}')\"",
        asked.display(),
        key.display(),
    );
    std::fs::write(
        &config,
        format!("[profile orchard]\ncredential_process = {process}\n"),
    )
    .unwrap();
    let variables = [
        ("AWS_PROFILE", "orchard"),
        ("AWS_CONFIG_FILE", config.to_str().unwrap()),
    ];
    let stores = stores_in(StoreSettings::default(), environment(&bench, &variables));
    let run = place(&stores, "run").await.unwrap();
    let write_all = |round: usize| {
        let run = run.clone();
        each(0..100, move |number| {
            let place = run.join(&format!("{round}-{number}"));
            async move { place.write("plum").await }
        })
    };
    write_all(0).await.unwrap();
    bench.server.rules().expire_access_key("FIRSTKEY");
    std::fs::write(&key, "SECONDKEY").unwrap();
    write_all(1).await.unwrap();
    assert_eq!(run.all_below().await.unwrap().len(), 200);
    // A hundred requests at once do not start a hundred processes.
    let asked = std::fs::read_to_string(asked).unwrap().lines().count();
    assert!((2..=6).contains(&asked), "{asked}");

    // None to be had any more.
    bench.server.rules().expire_access_key("SECONDKEY");
    std::fs::write(
        &config,
        "[profile orchard]\ncredential_process = echo no network >&2; exit 3\n",
    )
    .unwrap();
    let error = run.all_below().await.unwrap_err();
    assert!(error.to_string().contains("no network"), "{error}");
    assert!(is_fatal(source(&error)));
    assert!(error.hint().unwrap().contains("profile"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_expire_for_good_stop_the_work() {
    let bench = two_keys();
    let run = bench.place("run").await;
    run.join("x").write("plum").await.unwrap();
    bench.server.rules().expire_credentials();
    let reader = bench.place("run/x").await;
    let y = run.join("y");
    let (put, get, head, list, delete) = tokio::join!(
        y.write("plum"),
        reader.read(),
        // The answer to this one has no body that could say why.
        reader.meta(),
        run.all_below(),
        reader.delete(),
    );
    for error in [
        put.unwrap_err(),
        get.unwrap_err(),
        head.unwrap_err(),
        list.unwrap_err(),
        delete.unwrap_err(),
    ] {
        assert_eq!(
            find::<Outage>(source(&error)),
            Some(&Outage::Expired),
            "{error}"
        );
        assert!(is_fatal(source(&error)));
        assert!(error.to_string().contains("expired"), "{error}");
        assert!(
            error.hint().unwrap().contains("renew the credentials"),
            "{error}"
        );
    }
    bench.server.rules().renew_credentials();
    assert_eq!(reader.read().await.unwrap(), "plum");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn profiles_are_found_where_they_lie() {
    let bench = two_keys();
    bench.fill(["x"], b"plum");
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let credentials = format!(
        "[default]\naws_access_key_id = FIRSTKEY\naws_secret_access_key = {SECRET}\n[broken]\naws_access_key_id = FIRSTKEY\naws_secret_access_key = wrong\n"
    );
    std::fs::write(home.path().join(".aws/credentials"), credentials).unwrap();
    let home = ("HOME", home.path().to_str().unwrap());
    let read = |more: Vec<(&'static str, String)>| {
        let more: Vec<(&str, &str)> = more
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .chain([home])
            .collect();
        let stores = stores_in(StoreSettings::default(), environment(&bench, &more));
        async move { place(&stores, "x").await?.read().await }
    };
    assert_eq!(read(vec![]).await.unwrap(), "plum");
    let error = read(vec![("AWS_PROFILE", "none".into())])
        .await
        .unwrap_err();
    assert!(error.to_string().contains("profile `none`"), "{error}");
    let error = read(vec![("AWS_PROFILE", "broken".into())])
        .await
        .unwrap_err();
    assert!(
        error.to_string().contains("SignatureDoesNotMatch"),
        "{error}"
    );
    // Keys of the environment come first.
    let keys = vec![
        ("AWS_PROFILE", "broken".into()),
        ("AWS_ACCESS_KEY_ID", "SECONDKEY".into()),
        ("AWS_SECRET_ACCESS_KEY", SECRET.into()),
    ];
    assert_eq!(read(keys).await.unwrap(), "plum");
}

/// Everything that can be shown, in every way that it can be.
fn shown(error: &StoreError) -> String {
    let mut shown = format!("{error} {error:?} {error:#?} {:?}", error.hint());
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        shown.push_str(&format!(" {inner} {inner:?}"));
        cause = inner.source();
    }
    shown
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_are_never_shown() {
    let bench = two_keys();
    bench.fill(["x"], b"plum");
    let mut all = String::new();
    for (key, secret, token) in [
        ("FIRSTKEY", SECRET, ""),
        ("FIRSTKEY", "hush/but-wrong", ""),
        ("NOKEY", SECRET, ""),
        ("FIRSTKEY", SECRET, TOKEN),
        ("FIRSTKEY", "hush/but-wrong", TOKEN),
    ] {
        let variables = [
            ("AWS_ACCESS_KEY_ID", key),
            ("AWS_SECRET_ACCESS_KEY", secret),
            ("AWS_SESSION_TOKEN", token),
        ];
        let variables = environment(&bench, &variables[..if token.is_empty() { 2 } else { 3 }]);
        let stores = stores_in(StoreSettings::default(), variables);
        let place = place(&stores, "x").await.unwrap();
        all.push_str(&format!(
            "{stores:?} {place:?} {place} {:?} {}",
            place.store(),
            place.store()
        ));
        all.push_str(&format!(
            " {:?} {:?}",
            place.writer(),
            stores.traffic().await
        ));
        for told in [
            place.read().await.map(|_| ()),
            place.join("y").write("z").await,
            place.meta().await.map(|_| ()),
            place.files().await.map(|_| ()),
        ] {
            if let Err(error) = told {
                let is_about_keys = is_fatal(source(&error))
                    || secret == SECRET
                    || !error.to_string().contains("Signature");
                assert!(is_about_keys, "{error}");
                all.push_str(&shown(&error));
            }
        }
        let lock = pomona_store::RunLock::take(&place.join("run"), |_| {}).await;
        all.push_str(&format!("{lock:?}"));
    }
    for address in [
        "s3://FIRSTKEY:hush/very+secret@photos/x",
        "https://host/x?X-Amz-Security-Token=hush-token",
        "az://photos/x?sig=hush",
    ] {
        let error = Address::parse(Path::new(address)).unwrap_err();
        all.push_str(&shown(&error));
    }
    assert!(
        all.contains("SignatureDoesNotMatch"),
        "something went wrong at all"
    );
    assert!(!all.contains("hush"), "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wrong_keys_are_everybodys_trouble() {
    let bench = two_keys();
    bench.fill(["x"], b"plum");
    let variables = [
        ("AWS_ACCESS_KEY_ID", "FIRSTKEY"),
        ("AWS_SECRET_ACCESS_KEY", "wrong"),
    ];
    let stores: Stores = stores_in(StoreSettings::default(), environment(&bench, &variables));
    let error = place(&stores, "x").await.unwrap().read().await.unwrap_err();
    assert!(is_fatal(source(&error)), "{error:?}");
    assert!(
        error.hint().unwrap().contains("keys were refused"),
        "{error}"
    );
}
