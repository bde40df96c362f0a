//! A run grows, shrinks, and forgets.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pomona_pipeline::{ForgetRequest, PipelineError, RunSettings, Selection, Steps};
use pomona_store::StoreError;
use sha2::{Digest, Sha256};

use crate::support::{Place, at, context, files, load, open, run, settings, sql, wait};

/// Path and features of every image, as text, whichever shard they are in.
fn features(out: &Path) -> BTreeSet<String> {
    rows(out, "SELECT path, label, features FROM features")
}

fn rows(out: &Path, query: &str) -> BTreeSet<String> {
    let found = sql(out, query);
    let rows: BTreeSet<String> = found.iter().map(ToString::to_string).collect();
    assert_eq!(rows.len(), found.len(), "no row twice");
    rows
}

fn bytes(out: &Path, file: &str) -> Vec<u8> {
    fs::read(out.join(file)).unwrap()
}

/// A run of some photos, then one photo less, one changed, and some more.
struct Grown {
    place: Place,
    photos: PathBuf,
    out: PathBuf,
    model_before: Vec<u8>,
    shards_before: Vec<String>,
}

fn grown() -> Grown {
    let place = Place::with_photos(2, 0, false);
    let (photos, out) = (place.path("photos"), place.path("run"));
    run(2, &photos, &out, &settings(), Steps::All).unwrap();
    let shards_before = files(&out.join("images"));
    let model_before = bytes(&out, "model.pomona");

    let photo = |path: &str| photos.join("Training").join(path);
    let kiwis = files(&photo("Kiwi"));
    fs::remove_file(photo("Kiwi").join(&kiwis[0])).unwrap();
    fs::copy(photo("Kiwi").join(&kiwis[1]), photo("Pear/new.jpg")).unwrap();
    fs::write(photo("Kiwi").join(&kiwis[1]), b"no image any more").unwrap();
    Grown {
        place,
        photos,
        out,
        model_before,
        shards_before,
    }
}

#[test]
fn only_what_is_new_or_changed_is_worked_out_and_in_shards_of_its_own() {
    let Grown {
        place,
        photos,
        out,
        model_before,
        shards_before,
    } = grown();
    let outcome = run(1, &photos, &out, &settings(), Steps::All).unwrap();
    let generation = &outcome.extracted.generation;
    assert_eq!(
        (
            generation.number,
            generation.new,
            generation.changed,
            generation.vanished
        ),
        (1, 1, 1, 1)
    );
    assert_eq!(outcome.extracted.new_images, 1);
    assert_eq!(outcome.extracted.counts["not_an_image"], 1);
    assert_eq!(
        files(&out.join("images")).len(),
        shards_before.len() + 1,
        "one new shard"
    );
    // The model stays; what it gives for every image is there once.
    assert!(bytes(&out, "model.pomona") == model_before);
    let generations = &outcome.record.generations;
    assert_eq!(generations.len(), 2);
    assert_eq!(generations[1].drift.as_ref().unwrap().rows, 1);

    // As a run on these photos from the start.
    let anew = place.path("anew");
    run(2, &photos, &anew, &settings(), Steps::All).unwrap();
    assert_eq!(features(&out), features(&anew));
    let ledger = "SELECT path, label, size_bytes, content_sha256, status FROM images";
    assert_eq!(rows(&out, ledger), rows(&anew, ledger));
    let listed = sql(&out, "SELECT count(*) AS n FROM images")[0]["n"].clone();
    let csv = fs::read_to_string(out.join("results.csv")).unwrap();
    assert_eq!(
        csv.lines().count() as u64,
        listed.as_u64().unwrap(),
        "header, and all but one"
    );

    // The results are those that this model gives where nothing was before.
    let mut with_model = settings();
    with_model.model = Some(at(&out.join("model.pomona")));
    let applied = place.path("applied");
    run(2, &photos, &applied, &with_model, Steps::All).unwrap();
    assert!(bytes(&out, "results.csv") == bytes(&applied, "results.csv"));

    // The sums were kept up to date: a fit of them gives what a fit of everything gives.
    let mut refit = settings();
    refit.refit = true;
    run(2, &photos, &out, &refit, Steps::All).unwrap();
    let (kept, anew) = (
        load(&out.join("model.pomona")).unwrap(),
        load(&anew.join("model.pomona")).unwrap(),
    );
    assert_eq!(kept.data, anew.data);
    for (one, other) in kept.reducer.mean.iter().zip(&anew.reducer.mean) {
        assert!(
            (one - other).abs() <= 1e-9 * other.abs().max(1.0),
            "{one} {other}"
        );
    }
    let ratios =
        |model: &pomona_pipeline::ModelFile| model.reducer.explained_variance_ratio.clone();
    for (one, other) in ratios(&kept).iter().zip(ratios(&anew)) {
        assert!((one - other).abs() < 1e-9, "{one} {other}");
    }
}

#[test]
fn nothing_new_changes_nothing_and_an_empty_shard_goes() {
    let Grown {
        place: _place,
        photos,
        out,
        ..
    } = grown();
    run(2, &photos, &out, &settings(), Steps::All).unwrap();
    let stable = |out: &Path| -> Vec<(String, Vec<u8>)> {
        files(out)
            .into_iter()
            .filter(|file| !["run.json", "report.html"].contains(&file.as_str()))
            .map(|file| (file.clone(), bytes(out, &file)))
            .collect()
    };
    let before = stable(&out);
    let again = run(2, &photos, &out, &settings(), Steps::All).unwrap();
    assert_eq!(again.extracted.done_before, again.extracted.total());
    assert!(stable(&out) == before);

    // Most photos gone: the rows of the others stay, and what followed from all of them does not.
    for folder in fs::read_dir(photos.join("Training")).unwrap().skip(3) {
        fs::remove_dir_all(folder.unwrap().path()).unwrap();
    }
    let shrunk = run(2, &photos, &out, &settings(), Steps::Extract).unwrap();
    assert!(shrunk.extracted.generation.vanished > 20);
    assert_eq!(shrunk.extracted.new_images, 0);
    assert!(files(&out.join("images")).len() < before.len());
    assert_eq!(
        sql(&out, "SELECT count(*) AS n FROM images")[0]["n"],
        shrunk.extracted.total()
    );
    assert!(!out.join("results.csv").exists() && !out.join("report.html").exists());
    run(2, &photos, &out, &settings(), Steps::All).unwrap();
    assert!(out.join("results.csv").exists());
}

#[test]
fn a_growing_run_that_is_stopped_goes_on() {
    let Grown {
        place: _place,
        photos,
        out,
        ..
    } = grown();
    // The new shards are there, but not the end: as if it was killed before the manifest.
    let before = bytes(&out, "manifest.parquet");
    run(2, &photos, &out, &settings(), Steps::Extract).unwrap();
    let wanted = features(&out);
    fs::write(out.join("manifest.parquet"), before).unwrap();
    fs::remove_file(out.join("run.json")).unwrap();
    let (folder, looking) = (open(&out).unwrap(), context(1));
    let incomplete = wait(folder.check_complete(&looking));
    assert!(
        matches!(incomplete, Err(PipelineError::Incomplete { .. })),
        "{incomplete:?}"
    );
    let outcome = run(2, &photos, &out, &settings(), Steps::All).unwrap();
    assert_eq!(outcome.extracted.new_images, 0, "the new shard was done");
    assert_eq!(features(&out), wanted);
    assert!(out.join("report.html").exists());
}

#[test]
fn results_of_before_are_not_taken_for_those_of_a_run_that_was_stopped_before_it_wrote_them() {
    let Grown {
        place: _place,
        photos,
        out,
        ..
    } = grown();
    let old = bytes(&out, "results.csv");
    let old_reduced = files(&out.join("reduced"));
    run(2, &photos, &out, &settings(), Steps::All).unwrap();
    let wanted = bytes(&out, "results.csv");
    assert!(wanted != old);
    for extracts_first in [false, true] {
        // As if it was killed between the manifest and the components.
        fs::remove_file(out.join("run.json")).unwrap();
        fs::write(out.join("results.csv"), &old).unwrap();
        for file in files(&out.join("reduced")) {
            if !old_reduced.contains(&file) {
                fs::remove_file(out.join("reduced").join(file)).unwrap();
            }
        }
        if extracts_first {
            run(2, &photos, &out, &settings(), Steps::Extract).unwrap();
        }
        let outcome = run(2, &photos, &out, &settings(), Steps::All).unwrap();
        assert_eq!(outcome.extracted.new_images, 0);
        assert!(bytes(&out, "results.csv") == wanted, "{extracts_first}");
    }
}

#[cfg(unix)]
#[test]
fn what_could_not_be_fetched_is_tried_again_alone() {
    let place = Place::with_photos(1, 0, false);
    let (photos, out) = (place.path("photos"), place.path("run"));
    let photo = photos.join("Training/Kiwi/later.jpg");
    let some = files(&photos.join("Training/Kiwi"))[0].clone();
    std::os::unix::fs::symlink("not-yet.jpg", &photo).unwrap();
    let first = run(2, &photos, &out, &settings(), Steps::All).unwrap();
    assert_eq!(first.extracted.counts["unreadable"], 1);
    // It can be read now; others changed too, but nobody asked about those.
    fs::copy(
        photos.join("Training/Kiwi").join(some),
        photos.join("Training/Kiwi/not-yet.jpg"),
    )
    .unwrap();
    let retry = RunSettings {
        extract: pomona_pipeline::ExtractSettings {
            selection: Selection::Unreadable,
            ..settings().extract
        },
        ..settings()
    };
    let outcome = run(2, &photos, &out, &retry, Steps::All).unwrap();
    assert_eq!(outcome.extracted.new_images, 1);
    assert_eq!(outcome.extracted.counts["unreadable"], 0);
    assert_eq!(outcome.extracted.total(), first.extracted.total());
}

#[test]
fn a_forgotten_photo_is_gone_from_everything_and_does_not_come_back() {
    let place = Place::with_photos(2, 0, false);
    let (photos, out) = (place.path("photos"), place.path("run"));
    run(2, &photos, &out, &settings(), Steps::All).unwrap();
    let kiwi = files(&photos.join("Training/Kiwi"))[0].clone();
    let path = format!("Training/Kiwi/{kiwi}");
    let content = Sha256::digest(fs::read(photos.join(&path)).unwrap());
    let content: String = content.iter().map(|byte| format!("{byte:02x}")).collect();
    let features_before = sql(
        &out,
        &format!("SELECT features FROM features WHERE path = '{path}'"),
    );
    let values = features_before[0]["features"].as_array().unwrap();
    let value = values
        .iter()
        .map(ToString::to_string)
        .find(|text| text.len() > 9);
    let value = value.unwrap();
    let total = sql(&out, "SELECT count(*) AS n FROM images")[0]["n"]
        .as_u64()
        .unwrap();

    let forget = |request: ForgetRequest| {
        let context = context(2);
        context
            .runtimes
            .block_on(pomona_pipeline::forget(&context, &at(&out), &request))
    };
    let missing = forget(ForgetRequest {
        paths: vec!["no such.jpg".to_owned()],
        ..ForgetRequest::default()
    });
    assert!(
        matches!(missing, Err(PipelineError::NoSuchImage { .. })),
        "{missing:?}"
    );
    let done = forget(ForgetRequest {
        contents: vec![content.clone()],
        ..ForgetRequest::default()
    })
    .unwrap();
    assert_eq!(done.images, 1);

    for table in ["images", "features", "thumbnails", "reduced"] {
        let left = sql(
            &out,
            &format!("SELECT count(*) AS n FROM {table} WHERE path = '{path}'"),
        );
        assert_eq!(left[0]["n"], 0, "{table}");
    }
    // Its name is in no file that can be searched for it, and its features in none but what was summed up.
    for file in files(&out) {
        let bytes = bytes(&out, &file);
        let has = |text: &str| {
            bytes
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        };
        assert!(!has(&path), "{file}");
        assert!(
            file.ends_with(".parquet") || file.ends_with(".pomona") || !has(&value),
            "{file}"
        );
    }
    // The receipt names it by hashes, and can be checked.
    let mut receipt: serde_json::Value =
        serde_json::from_slice(&bytes(&out, "forgotten/forgotten-00000.json")).unwrap();
    assert_eq!(receipt["forgotten"][0]["content_sha256"], content.as_str());
    assert_eq!(receipt["moments"], "subtracted");
    assert_eq!(receipt["rows_removed"]["features"], 1);
    assert_eq!(receipt["receipt_sha256"].as_str().unwrap().len(), 64);
    receipt["receipt_sha256"] = "".into();

    // The same when it was interrupted: what was about to go is known, and goes by the next request.
    let other = files(&photos.join("Training/Pear"))[0].clone();
    let other = format!("Training/Pear/{other}");
    let row = sql(
        &out,
        &format!("SELECT content_sha256 AS content FROM images WHERE path = '{other}'"),
    );
    let (folder, looking) = (open(&out).unwrap(), context(1));
    let found = wait(pomona_pipeline::why(&looking, &folder, &other)).unwrap();
    let pending = serde_json::json!({
        "rows": [{"path": &other, "content": row[0]["content"], "shard": found.shard}],
        "rows_removed": {"features": 1},
        "record": null,
    });
    fs::write(out.join("forgotten/pending.json"), pending.to_string()).unwrap();
    let third = files(&photos.join("Training/Pear"))[1].clone();
    let done = forget(ForgetRequest {
        paths: vec![format!("Training/Pear/{third}")],
        ..ForgetRequest::default()
    });
    assert_eq!(done.unwrap().images, 2);
    assert!(!out.join("forgotten/pending.json").exists());
    let photos_left = total - 3;
    assert_eq!(
        sql(&out, "SELECT count(*) AS n FROM images")[0]["n"],
        photos_left
    );

    // They are still among the photos; the next run leaves them out.
    let again = run(2, &photos, &out, &settings(), Steps::All).unwrap();
    assert_eq!(again.extracted.total(), photos_left);
    assert_eq!(again.extracted.new_images, 0);
    // A fit of what is left is that of a run that never saw it.
    let mut refit = settings();
    refit.refit = true;
    run(2, &photos, &out, &refit, Steps::All).unwrap();
    for gone in [path, other, format!("Training/Pear/{third}")] {
        fs::remove_file(photos.join(gone)).unwrap();
    }
    let anew = place.path("anew");
    run(2, &photos, &anew, &settings(), Steps::All).unwrap();
    let (left, anew) = (
        load(&out.join("model.pomona")).unwrap(),
        load(&anew.join("model.pomona")).unwrap(),
    );
    assert_eq!(left.data, anew.data);
    for (one, other) in left.reducer.mean.iter().zip(&anew.reducer.mean) {
        assert!(
            (one - other).abs() <= 1e-9 * other.abs().max(1.0),
            "{one} {other}"
        );
    }
}

#[test]
fn photos_that_are_not_there_at_all_change_nothing() {
    let place = Place::with_photos(1, 0, false);
    let (photos, out) = (place.path("photos"), place.path("run"));
    run(2, &photos, &out, &settings(), Steps::All).unwrap();
    let before: Vec<_> = files(&out)
        .into_iter()
        .map(|file| (bytes(&out, &file), file))
        .collect();
    fs::rename(&photos, place.path("away")).unwrap();
    fs::create_dir(&photos).unwrap();
    let empty = run(2, &photos, &out, &settings(), Steps::All);
    assert!(
        matches!(empty, Err(PipelineError::NothingToDo { .. })),
        "{empty:?}"
    );
    let after: Vec<_> = files(&out)
        .into_iter()
        .map(|file| (bytes(&out, &file), file))
        .collect();
    assert!(before == after);
}

#[test]
fn two_at_once_are_one_too_many() {
    let place = Place::with_photos(1, 0, false);
    let (photos, out) = (place.path("photos"), place.path("run"));
    let context = context(1);
    let held = context
        .runtimes
        .block_on(pomona_pipeline::RunFolder::create(
            &context,
            &at(&out),
            pomona_pipeline::Overwrite::Continue,
        ))
        .unwrap();
    let second = run(1, &photos, &out, &settings(), Steps::Extract);
    let Err(PipelineError::Store(StoreError::Locked { holder, .. })) = &second else {
        panic!("{second:?}");
    };
    assert!(holder.contains(&std::process::id().to_string()), "{holder}");
    drop(held);
    run(1, &photos, &out, &settings(), Steps::Extract).unwrap();
    assert!(!files(&out).iter().any(|file| file.starts_with(".pomona")));
}

#[test]
fn a_pack_is_read_as_the_photos_it_was_made_of() {
    let place = Place::with_photos(2, 0, true);
    let (photos, packed) = (place.path("photos"), place.path("packed"));
    let context = context(2);
    let done = context
        .runtimes
        .block_on(async {
            let request = pomona_pipeline::PackRequest {
                source: pomona_engine::ImageSource::folder(&photos).await?,
                filter: pomona_engine::ListingFilter::default(),
                out: at(&packed),
                archive_bytes: 100_000,
            };
            pomona_pipeline::pack(&context, &request).await
        })
        .unwrap();
    assert!(done.archives > 1 && done.left_out.is_empty(), "{done:?}");
    let (loose, from_pack) = (place.path("loose"), place.path("from-pack"));
    run(2, &photos, &loose, &settings(), Steps::All).unwrap();
    run(2, &packed, &from_pack, &settings(), Steps::All).unwrap();
    assert_eq!(features(&loose), features(&from_pack));
    assert!(bytes(&loose, "results.csv") == bytes(&from_pack, "results.csv"));
    // One archive alone, given as the photos: members by their own names.
    let alone = place.path("alone");
    let outcome = run(
        2,
        &packed.join("pack-00000.tar"),
        &alone,
        &settings(),
        Steps::Extract,
    )
    .unwrap();
    assert!(outcome.extracted.ok() > 10);
    assert!(features(&alone).is_subset(&features(&loose)));
}
