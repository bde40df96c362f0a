//! What stops a run, and what is then left.

use std::fs;
use std::path::Path;

use pomona_engine::{EngineError, ImageSource};
use pomona_image::Limits;
use pomona_pipeline::{FeatureInput, OnError, Overwrite, PipelineError, RunFolder, Steps};

use crate::support::{Place, at, context, files, load, request, run, run_as, settings, sql};

#[test]
fn an_interrupted_run_leaves_nothing_that_looks_finished() {
    let place = Place::with_photos(4, 0, false);
    let out = place.path("run");
    let context = context(1);
    let cancel = context.cancel.clone();
    let ledger = out.join("images");
    // Stopped when the first shard is done.
    let watcher = std::thread::spawn(move || {
        while fs::read_dir(&ledger).map_or(0, Iterator::count) == 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        cancel.cancel();
    });
    let stopped = context.runtimes.block_on(async {
        let source = ImageSource::folder(&place.path("photos")).await?;
        pomona_pipeline::run(
            &context,
            &source,
            &request(),
            &settings(),
            &at(&out),
            Steps::All,
        )
        .await
    });
    watcher.join().unwrap();
    assert!(
        matches!(stopped, Err(PipelineError::Interrupted)),
        "{stopped:?}"
    );
    let left = files(&out);
    assert!(
        left.iter().any(|file| file.starts_with("images/")),
        "{left:?}"
    );
    for whole in ["run.json", "model.pomona", "results.csv", "report.html"] {
        assert!(!left.iter().any(|file| file == whole), "{left:?}");
    }
    // Whatever is there is whole: every file under its own name can be read, and every shard of the ledger has features.
    for shard in left
        .iter()
        .filter_map(|file| file.strip_prefix("images/images-"))
    {
        assert!(
            left.contains(&format!("features/features-{shard}")),
            "{left:?}"
        );
    }
    sql(&out, "SELECT count(*) FROM images");
    // And nobody takes it for a run.
    let opened = context
        .runtimes
        .block_on(FeatureInput::open(&context, &at(&out)));
    assert!(
        matches!(opened, Err(PipelineError::Incomplete { .. })),
        "{opened:?}"
    );
    // The same command again goes on, and ends where an undisturbed run ends.
    let done = left
        .iter()
        .filter(|file| file.starts_with("images/"))
        .count();
    let photos = place.path("photos");
    let outcome = run(2, &photos, &out, &settings(), Steps::All).unwrap();
    let (before, new) = (outcome.extracted.done_before, outcome.extracted.new_images);
    assert!(before >= done as u64 && before < outcome.extracted.total());
    assert_eq!(before + new, outcome.extracted.total());
    let undisturbed = place.path("undisturbed");
    run(2, &photos, &undisturbed, &settings(), Steps::All).unwrap();
    assert_same(&out, &undisturbed);
}

/// Everything but times and the report, which shows them.
fn assert_same(one: &Path, other: &Path) {
    assert_eq!(files(one), files(other));
    for file in files(one) {
        if !["run.json", "report.html", "started.json"].contains(&file.as_str()) {
            assert!(
                fs::read(one.join(&file)).unwrap() == fs::read(other.join(&file)).unwrap(),
                "{file}"
            );
        }
    }
}

#[test]
fn a_run_goes_on_with_what_is_there_now() {
    let place = Place::with_photos(2, 0, false);
    let (photos, out) = (place.path("photos"), place.path("run"));
    let first = run(2, &photos, &out, &settings(), Steps::All).unwrap();
    assert_eq!(first.extracted.done_before, 0);

    // What a killed run was writing goes; others' files stay.
    for leftover in [
        "features/features-00009.parquet#1",
        ".pomona-manifest-x.tmp",
    ] {
        fs::write(out.join(leftover), "half").unwrap();
    }
    fs::write(out.join("features/mine.txt"), "mine").unwrap();

    // Nothing changed: nothing is worked out again.
    let ledgers = |folder: &Path| {
        files(&folder.join("images"))
            .iter()
            .map(|file| {
                fs::metadata(folder.join("images").join(file))
                    .unwrap()
                    .modified()
                    .unwrap()
            })
            .collect::<Vec<_>>()
    };
    let written = ledgers(&out);
    let again = run(2, &photos, &out, &settings(), Steps::All).unwrap();
    assert_eq!(again.extracted.done_before, again.extracted.total());
    assert_eq!((again.extracted.new_images, ledgers(&out)), (0, written));
    let left = files(&out);
    assert!(
        !left
            .iter()
            .any(|file| file.contains('#') || file.ends_with(".tmp"))
    );
    fs::remove_file(out.join("features/mine.txt")).unwrap();
}

#[test]
fn other_settings_are_refused_with_what_differs() {
    let place = Place::with_photos(1, 0, false);
    let (photos, out) = (place.path("photos"), place.path("run"));
    let mut with_glob = settings();
    with_glob.shown.insert("glob".into(), "*.jpg".into());
    run(2, &photos, &out, &with_glob, Steps::Extract).unwrap();
    let before = files(&out);
    let mut request = request();
    request.preparation = Some("clahe".parse().unwrap());
    let refused = run_as(&request, 2, &photos, &out, &settings(), Steps::Extract);
    let Err(PipelineError::OtherSettings { differences, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        differences,
        ["glob: *.jpg → none", "prepare: none → clahe=2.0:8"]
    );
    assert_eq!(files(&out), before);
    // Components do not decide the shards: they may change.
    with_glob.fit.components = pomona_learn::Components::Count(3);
    with_glob.shown.insert("components".into(), "3".into());
    let outcome = run(2, &photos, &out, &with_glob, Steps::All).unwrap();
    assert_eq!(outcome.extracted.new_images, 0);
    // But a model that is there stays, unless another one is asked for in so many words.
    with_glob.fit.components = pomona_learn::Components::Count(2);
    with_glob.shown.insert("components".into(), "2".into());
    let refused = run(2, &photos, &out, &with_glob, Steps::All);
    let Err(PipelineError::OtherFit { differences, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(differences, ["components: 3 → 2"]);
    with_glob.refit = true;
    run(2, &photos, &out, &with_glob, Steps::All).unwrap();
    let model = load(&out.join("model.pomona")).unwrap();
    assert_eq!(model.reducer.output_columns(), 2);
}

#[test]
fn a_taken_folder_is_refused_and_replacing_touches_nothing_else() {
    let place = Place::with_photos(1, 0, false);
    let out = place.path("run");
    run(2, &place.path("photos"), &out, &settings(), Steps::Extract).unwrap();
    // It does not say how it was begun.
    fs::remove_file(out.join("started.json")).unwrap();
    let again = run(2, &place.path("photos"), &out, &settings(), Steps::Extract);
    assert!(matches!(again, Err(PipelineError::FolderTaken { .. })));
    fs::write(out.join("notes.txt"), "mine").unwrap();
    fs::write(out.join("images/notes.txt"), "mine").unwrap();
    let context = context(1);
    context
        .runtimes
        .block_on(async {
            let folder = RunFolder::create(&context, &at(&out), Overwrite::Replace).await?;
            folder.release().await;
            Ok::<_, PipelineError>(())
        })
        .unwrap();
    assert_eq!(files(&out), ["images/notes.txt", "notes.txt"]);
}

#[test]
fn nothing_is_replaced_by_a_run_that_cannot_begin() {
    let place = Place::with_photos(1, 0, false);
    let (photos, out) = (place.path("photos"), place.path("run"));
    run(1, &photos, &out, &settings(), Steps::Extract).unwrap();
    let before = files(&out);
    let mut anew = settings();
    anew.overwrite = Overwrite::Replace;
    let mut request = request();
    request.backbone = Some("no such network".to_owned());
    let refused = run_as(&request, 1, &photos, &out, &anew, Steps::Extract);
    assert!(
        matches!(refused, Err(PipelineError::Asset(_))),
        "{refused:?}"
    );
    assert_eq!(files(&out), before);
}

#[test]
fn the_first_failure_stops_where_that_is_asked_for() {
    let place = Place::with_photos(1, 0, true);
    let mut settings = settings();
    settings.extract.on_error = OnError::Fail;
    match run(
        2,
        &place.path("photos"),
        &place.path("run"),
        &settings,
        Steps::All,
    ) {
        Err(PipelineError::Engine(EngineError::ImageFailed { path, .. })) => {
            assert!(path.starts_with("Troubles/Pear/"), "{path}");
        }
        other => panic!("{other:?}"),
    }
    assert!(!place.path("run").join("run.json").exists());
}

#[test]
fn nothing_to_read_and_nothing_readable_are_told_apart() {
    let place = Place::with_photos(1, 0, false);
    fs::create_dir_all(place.path("empty/.hidden")).unwrap();
    fs::write(place.path("empty/.hidden/a.jpg"), b"x").unwrap();
    let empty = run(
        1,
        &place.path("empty"),
        &place.path("run-1"),
        &settings(),
        Steps::All,
    );
    assert!(
        matches!(empty, Err(PipelineError::NothingToDo { .. })),
        "{empty:?}"
    );
    fs::create_dir_all(place.path("texts")).unwrap();
    fs::write(place.path("texts/a.jpg"), b"no image").unwrap();
    let out = place.path("run-2");
    let unreadable = run(1, &place.path("texts"), &out, &settings(), Steps::All);
    assert!(
        matches!(unreadable, Err(PipelineError::NothingToDo { .. })),
        "{unreadable:?}"
    );
    // The ledger says why.
    assert_eq!(
        sql(&out, "SELECT status FROM images")[0]["status"],
        "not_an_image"
    );
}

#[test]
fn limits_and_vanished_files_are_recorded() {
    let place = Place::with_photos(1, 0, false);
    let photos = place.path("photos");
    #[cfg(unix)]
    std::os::unix::fs::symlink("nowhere.jpg", photos.join("Training/Kiwi/dangling.jpg")).unwrap();
    let context = context(2);
    let mut request = request();
    request.limits = Limits {
        max_pixels: 9_999,
        max_bytes: 3_000,
    };
    let mut settings = settings();
    settings.extract.fetch.max_object_bytes = request.limits.max_bytes;
    let outcome = context
        .runtimes
        .block_on(async {
            let source = ImageSource::folder(&photos).await?;
            let run = at(&place.path("run"));
            pomona_pipeline::run(&context, &source, &request, &settings, &run, Steps::Extract).await
        })
        .unwrap();
    assert_eq!(outcome.extracted.counts["too_large"], 32);
    let reasons = sql(
        &place.path("run"),
        "SELECT size_bytes, error, content_sha256 FROM images WHERE status = 'too_large'",
    );
    for row in reasons {
        // Larger files are not even fetched.
        let is_fetched = row["size_bytes"].as_i64().unwrap() <= 3_000;
        assert_eq!(row["content_sha256"].is_string(), is_fetched, "{row}");
        assert!(
            row["error"]
                .as_str()
                .unwrap()
                .contains(if is_fetched { "pixels" } else { "bytes" }),
            "{row}"
        );
    }
    #[cfg(unix)]
    assert_eq!(outcome.extracted.counts["unreadable"], 1);
}
