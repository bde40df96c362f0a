//! What other programs depend on.

use std::collections::BTreeMap;
use std::fs;

use pomona_engine::ShardSize;
use pomona_pipeline::Steps;

use crate::support::{Place, at, context, files, load, open, run, settings, sql, wait};

#[test]
fn a_run_leaves_what_the_contract_names() {
    let place = Place::with_photos(2, 1, true);
    let out = place.path("run");
    let mut settings = settings();
    settings.per_image_csv = Some(at(&place.path("csv")));
    let outcome = run(2, &place.path("photos"), &out, &settings, Steps::All).unwrap();

    // One row for each listed file, whatever it is.
    let listed = files(&place.path("photos"))
        .iter()
        .filter(|file| !file.contains(".pomona"))
        .count();
    assert_eq!(listed, 32 * 3 + 6);
    assert_eq!(outcome.extracted.total(), listed as u64);
    let rows = sql(
        &out,
        "SELECT count(*) AS rows, count(DISTINCT path) AS paths FROM images",
    );
    assert_eq!(rows[0]["rows"], listed);
    assert_eq!(rows[0]["paths"], listed);
    let failed = sql(
        &out,
        "SELECT path, status, error, content_sha256, width FROM images WHERE status <> 'ok' ORDER BY path",
    );
    let found: Vec<_> = failed
        .iter()
        .map(|row| {
            (
                row["path"].as_str().unwrap(),
                row["status"].as_str().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        found,
        [
            ("Troubles/Pear/empty.jpg", "empty"),
            ("Troubles/Pear/shopping list.jpg", "not_an_image"),
            ("Troubles/Pear/truncated.jpg", "corrupt"),
        ]
    );
    assert!(
        failed
            .iter()
            .all(|row| row["error"].is_string() && row["width"].is_null())
    );
    // A sideways photo is put upright.
    let sideways = sql(
        &out,
        "SELECT status, width, height, label FROM images WHERE path = 'Troubles/Banana/sideways.jpg'",
    );
    assert_eq!(sideways[0]["status"], "ok");
    assert_eq!(sideways[0]["label"], "Banana");

    // Features only of images that are ok, and components for the same.
    let counts = sql(
        &out,
        "SELECT (SELECT count(*) FROM features) AS features, (SELECT count(*) FROM reduced) AS reduced, \
         (SELECT count(*) FROM features JOIN images USING (path) WHERE status = 'ok') AS ok, \
         (SELECT arrow_typeof(features) FROM features LIMIT 1) AS features_type, \
         (SELECT arrow_typeof(components) FROM reduced LIMIT 1) AS components_type",
    );
    assert_eq!(counts[0]["features"], listed - 3);
    assert_eq!(counts[0]["reduced"], listed - 3);
    assert_eq!(counts[0]["ok"], listed - 3);
    assert_eq!(
        counts[0]["features_type"],
        "FixedSizeList(1280 x non-null Float32)"
    );
    assert_eq!(
        counts[0]["components_type"],
        "FixedSizeList(10 x non-null Float32)"
    );

    // One file of each kind a shard, and nothing temporary.
    let shards = listed.div_ceil(20);
    let names = files(&out);
    for kind in ["images", "features", "reduced", "thumbnails"] {
        for shard in 0..shards {
            assert!(
                names.contains(&format!("{kind}/{kind}-{shard:05}.parquet")),
                "{kind} {shard}"
            );
        }
    }
    let others: Vec<_> = names.iter().filter(|name| !name.contains('/')).collect();
    assert_eq!(
        others,
        [
            "manifest.parquet",
            "model.pomona",
            "moments.pomona",
            "report.html",
            "results.csv",
            "run.json",
            "started.json"
        ]
    );
    assert_eq!(names.len(), 4 * shards + 7);

    // results.csv is sorted by path and holds the components of reduced/.
    let csv = fs::read_to_string(out.join("results.csv")).unwrap();
    let mut lines = csv.lines();
    assert_eq!(
        lines.next().unwrap(),
        "path,label,pc_1,pc_2,pc_3,pc_4,pc_5,pc_6,pc_7,pc_8,pc_9,pc_10"
    );
    let paths: Vec<_> = lines
        .clone()
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert!(paths.is_sorted() && paths.len() == listed - 3);
    let first = lines.next().unwrap();
    let reduced = sql(
        &out,
        "SELECT components[1] AS pc_1 FROM reduced ORDER BY path LIMIT 1",
    );
    let written: f64 = first.split(',').nth(2).unwrap().parse().unwrap();
    assert!((written - reduced[0]["pc_1"].as_f64().unwrap()).abs() < 1e-5);

    // One CSV an image, in the layout of old.
    let per_image = files(&place.path("csv"));
    assert_eq!(per_image.len(), listed - 3);
    assert!(
        per_image
            .contains(&"Reduced Features/Training/Kiwi/000_100_reduced_features.csv".to_owned()),
        "{per_image:?}"
    );

    // run.json tells the truth.
    let record = wait(open(&out).unwrap().record()).unwrap();
    assert_eq!(record.counts["ok"] as usize, listed - 3);
    assert_eq!(record.counts.len(), 7);
    assert_eq!(record.explained_variance_ratio.len(), 10);
    let stages: Vec<_> = record
        .stages
        .iter()
        .map(|stage| stage.name.as_str())
        .collect();
    assert_eq!(
        stages,
        ["list", "extract", "fit", "reduce", "write", "report"]
    );
    assert!(record.images_per_second > 0.0);

    let report = fs::read_to_string(out.join("report.html")).unwrap();
    assert!(report.contains("shopping list.jpg") && report.contains("data:image/jpeg;base64,"));
}

#[test]
fn the_same_run_gives_the_same_numbers_with_any_number_of_workers() {
    let place = Place::with_photos(2, 0, false);
    let photos = place.path("photos");
    let outs = [("once", 1), ("again", 1), ("two", 2)].map(|(name, workers)| {
        let out = place.path(name);
        run(workers, &photos, &out, &settings(), Steps::All).unwrap();
        out
    });
    let [once, others @ ..] = &outs;
    for other in others {
        for file in files(once) {
            // These carry times; the model and what follows from it is compared below.
            if ["run.json", "started.json", "report.html", "results.csv"].contains(&file.as_str())
                || file.ends_with(".pomona")
                || file.starts_with("reduced")
            {
                continue;
            }
            assert!(
                fs::read(once.join(&file)).unwrap() == fs::read(other.join(&file)).unwrap(),
                "{file}"
            );
        }
        let [a, b] = [once, other].map(|out| load(&out.join("model.pomona")).unwrap());
        assert_eq!(a.data, b.data);
        let pairs = a
            .reducer
            .components
            .iter()
            .zip(&b.reducer.components)
            .chain(a.reducer.mean.iter().zip(&b.reducer.mean));
        for (a, b) in pairs {
            assert!((a - b).abs() <= 1e-9 * a.abs().max(1e-3), "{a} {b}");
        }
    }
    // The same machine and the same workers give the same file.
    assert!(
        fs::read(outs[0].join("model.pomona")).unwrap()
            == fs::read(outs[1].join("model.pomona")).unwrap()
    );
}

#[test]
fn shards_follow_from_the_sorted_paths() {
    let place = Place::with_photos(1, 0, false);
    let out = place.path("run");
    let mut settings = settings();
    settings.extract.shard_size = ShardSize {
        images: 7,
        ..ShardSize::default()
    };
    run(2, &place.path("photos"), &out, &settings, Steps::Extract).unwrap();
    let mut expected: Vec<String> = files(&place.path("photos"))
        .into_iter()
        .filter(|file| !file.contains(".pomona"))
        .collect();
    expected.sort();
    let expected: BTreeMap<String, usize> = expected
        .into_iter()
        .enumerate()
        .map(|(index, path)| (path, index / 7))
        .collect();
    for shard in 0..5 {
        let file = out.join(format!("images/images-{shard:05}.parquet"));
        let one = place.path(&format!("one-{shard}"));
        fs::create_dir_all(one.join("images")).unwrap();
        fs::copy(file, one.join("images/images-00000.parquet")).unwrap();
        for row in sql(&one, "SELECT path FROM images") {
            assert_eq!(expected[row["path"].as_str().unwrap()], shard);
        }
    }
}

#[test]
fn a_photo_is_explained_and_a_wrong_path_gets_near_ones() {
    let place = Place::with_photos(1, 0, true);
    let out = place.path("run");
    run(2, &place.path("photos"), &out, &settings(), Steps::All).unwrap();
    let context = context(1);
    let folder = open(&out).unwrap();
    let why = |path: &str| {
        context
            .runtimes
            .block_on(pomona_pipeline::why(&context, &folder, path))
    };
    let truncated = why("Troubles/Pear/truncated.jpg").unwrap();
    assert_eq!(truncated.status, "corrupt");
    assert!(truncated.error.unwrap().contains("ends early") && truncated.advice.is_some());
    assert!(truncated.components.is_empty());
    let kiwi = why("./Training/Kiwi/000_100.jpg").unwrap();
    assert_eq!(
        (
            kiwi.status.as_str(),
            kiwi.label.as_deref(),
            kiwi.components.len()
        ),
        ("ok", Some("Kiwi"), 10)
    );
    assert_eq!((kiwi.width_px, kiwi.height_px), (Some(100), Some(100)));
    assert!(kiwi.shard.is_some() && kiwi.content_sha256.unwrap().len() == 64);
    match why("TRUNCATED.jpg") {
        Err(pomona_pipeline::PipelineError::NoSuchImage { near, .. }) => {
            assert_eq!(near, ["Troubles/Pear/truncated.jpg"])
        }
        other => panic!("{other:?}"),
    }
}
