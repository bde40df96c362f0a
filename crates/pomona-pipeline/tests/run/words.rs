//! Runs whose features are visual words.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use pomona_engine::ShardSize;
use pomona_image::RgbImage;
use pomona_learn::kmeans::{Distance, KMeansSettings};
use pomona_learn::words::{Norm, Weighting};
use pomona_pipeline::{
    Codebook, Extraction, ExtractorRequest, FeatureKind, FitFrom, PipelineError, ReduceRequest,
    RunOutcome, RunSettings, Steps, WordSettings, features_at, fit_from, reduce,
};
use serde_json::Value;

use crate::support::{Place, at, context, load, request, run_as, settings, sql};

const WORDS: usize = 30;
const PLAIN: &str = "plain/plain.png";

/// Demonstration photos, some of them damaged, and one without any corner.
fn place() -> Place {
    let place = Place::with_photos(2, 1, true);
    let plain = RgbImage::from_pixels(90, 70, vec![200; 90 * 70 * 3]).unwrap();
    let file = place.path("photos").join(PLAIN);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, pomona_image::encode_png(&plain).unwrap()).unwrap();
    place
}

fn orb() -> ExtractorRequest {
    ExtractorRequest {
        features: Some(FeatureKind::Orb),
        ..request()
    }
}

fn word_settings() -> WordSettings {
    WordSettings {
        kmeans: KMeansSettings {
            words: WORDS,
            seed: 7,
            max_passes: 20,
            ..KMeansSettings::default()
        },
        ..WordSettings::default()
    }
}

fn orb_settings() -> RunSettings {
    RunSettings {
        words: word_settings(),
        ..settings()
    }
}

fn run_orb(place: &Place, name: &str, workers: usize, settings: &RunSettings) -> RunOutcome {
    let (photos, out) = (place.path("photos"), place.path(name));
    run_as(&orb(), workers, &photos, &out, settings, Steps::All).unwrap()
}

fn numbers(row: &Value, column: &str) -> Vec<f64> {
    let list = row[column].as_array().unwrap();
    list.iter().map(|value| value.as_f64().unwrap()).collect()
}

/// From 64 hexadecimal digits.
fn descriptor(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn features_count_the_words_of_the_descriptors_in_the_run() {
    let place = place();
    let mut settings = orb_settings();
    settings.by_label = true;
    let outcome = run_orb(&place, "run", 2, &settings);
    let out = place.path("run");
    let record = outcome.record.words.unwrap();
    assert_eq!(record.words, WORDS);

    // One row a key point; the labels are those of the ledger.
    let keypoints = sql(
        &out,
        "SELECT d.path, encode(d.descriptor, 'hex') AS descriptor, d.size, d.angle_degrees, d.octave, i.width, d.x \
         FROM descriptors d JOIN images i ON d.path = i.path AND d.label = i.label",
    );
    let all = sql(&out, "SELECT count(*) AS rows FROM descriptors");
    assert_eq!(all[0]["rows"], keypoints.len());
    assert_eq!(record.keypoints, keypoints.len() as u64);
    assert!(keypoints.len() > 500, "{}", keypoints.len());
    for row in &keypoints {
        let octave = row["octave"].as_i64().unwrap() as i32;
        let size = row["size"].as_f64().unwrap();
        assert!((size / (31.0 * 1.2_f64.powi(octave)) - 1.0).abs() < 1e-5);
        assert!((0.0..=360.0).contains(&row["angle_degrees"].as_f64().unwrap()));
        assert!(row["x"].as_f64().unwrap() < row["width"].as_f64().unwrap());
    }

    // Every readable image has its vector, counted here with the model's codebook, one descriptor at a time.
    let model = load(&out.join("model.pomona")).unwrap();
    let codebook = &model.words.as_ref().unwrap().codebook;
    let mut counted: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in &keypoints {
        let mut word = [0];
        let bytes = descriptor(row["descriptor"].as_str().unwrap());
        codebook.assign(&bytes, &mut word).unwrap();
        let path = row["path"].as_str().unwrap().to_owned();
        counted.entry(path).or_insert_with(|| vec![0.0; WORDS])[word[0] as usize] += 1.0;
    }
    let features = sql(&out, "SELECT path, label, features FROM features");
    let ok = sql(
        &out,
        "SELECT path FROM images WHERE status = 'ok' ORDER BY path",
    );
    assert_eq!(features.len(), ok.len());
    let mut totals = vec![0.0; WORDS];
    let mut zeros = 0;
    for row in &features {
        let path = row["path"].as_str().unwrap();
        let values = numbers(row, "features");
        match counted.get(path) {
            Some(expected) => assert_eq!(&values, expected, "{path}"),
            None => {
                zeros += 1;
                assert_eq!(values, vec![0.0; WORDS], "{path}");
            }
        }
        for (total, value) in totals.iter_mut().zip(values) {
            *total += value;
        }
    }
    assert!(!counted.contains_key(PLAIN));
    assert_eq!(record.images_without_keypoints, zeros);
    let recorded: Vec<f64> = record.counts.iter().map(|count| *count as f64).collect();
    assert_eq!(totals, recorded);
    assert!(
        outcome
            .record
            .notes
            .iter()
            .any(|note| note.contains("no key points")),
        "{:?}",
        outcome.record.notes
    );

    // Words by label.
    let table = fs::read_to_string(out.join("words_by_label.csv")).unwrap();
    let mut lines = table.lines();
    assert!(
        lines
            .next()
            .unwrap()
            .starts_with("label,images,word_1,word_2,")
    );
    let mut of_labels = vec![0.0; WORDS];
    let mut images = 0;
    for line in lines {
        let fields: Vec<&str> = line.split(',').collect();
        images += fields[1].parse::<usize>().unwrap();
        for (sum, count) in of_labels.iter_mut().zip(&fields[2..]) {
            *sum += count.parse::<f64>().unwrap();
        }
    }
    assert_eq!((images, of_labels), (features.len(), totals));
    assert!(out.join("words_by_label.parquet").is_file());

    // Patches of some key points, with the descriptor they belong to.
    let patches = sql(
        &out,
        "SELECT count(*) AS rows, min(octet_length(encode(p.patch, 'hex'))) AS digits FROM patches p \
         JOIN descriptors d ON p.path = d.path AND p.x = d.x AND p.y = d.y AND p.descriptor = d.descriptor",
    );
    assert!(patches[0]["rows"].as_u64().unwrap() > 50);
    assert_eq!(patches[0]["digits"], 2048);

    // How the codebook was learned.
    assert!(record.passes.len() > 1);
    assert!(
        record
            .passes
            .is_sorted_by(|one, next| one.inertia >= next.inertia)
    );
    assert!(record.stop.is_some());
}

#[test]
fn the_codebook_does_not_depend_on_shards_or_workers() {
    let place = place();
    let mut settings = orb_settings();
    let sha256 = |outcome: RunOutcome| outcome.record.words.unwrap().codebook_sha256;
    let one = sha256(run_orb(&place, "one", 1, &settings));
    settings.extract.shard_size = ShardSize {
        images: 9,
        ..ShardSize::default()
    };
    let seven = sha256(run_orb(&place, "seven", 7, &settings));
    assert_eq!(one, seven);
    // Vectors too: they are whole numbers.
    let vectors = |name: &str| {
        sql(
            &place.path(name),
            "SELECT path, features FROM features ORDER BY path",
        )
    };
    assert_eq!(vectors("one"), vectors("seven"));
    // The same shards, the same bytes, whatever the workers.
    run_orb(&place, "again", 2, &settings);
    for file in [
        "features/features-00000.parquet",
        "model.pomona",
        "results.csv",
    ] {
        assert!(
            fs::read(place.path("seven").join(file)).unwrap()
                == fs::read(place.path("again").join(file)).unwrap(),
            "{file}"
        );
    }
    settings.words.kmeans.seed = 8;
    assert_ne!(one, sha256(run_orb(&place, "other", 2, &settings)));
}

#[test]
fn the_steps_alone_give_what_the_run_gives_and_the_model_serves_new_photos() {
    let place = place();
    let settings = orb_settings();
    run_orb(&place, "whole", 2, &settings);
    let whole = place.path("whole");
    let photos = place.path("photos");
    let steps = place.path("steps");
    run_as(&orb(), 2, &photos, &steps, &settings, Steps::Extract).unwrap();
    assert!(!steps.join("features").exists());

    let context = context(2);
    let model_file = place.path("models/model.pomona");
    let words = word_settings();
    let from = FitFrom {
        path: &at(&steps),
        settings: settings.fit,
        words: &words,
        by_label: false,
        seed: settings.seed,
    };
    let model = context
        .runtimes
        .block_on(fit_from(&context, &from, &at(&model_file)))
        .unwrap();
    assert!(fs::read(&model_file).unwrap() == fs::read(whole.join("model.pomona")).unwrap());
    // Nothing but the model stays beside it.
    let beside: Vec<PathBuf> = fs::read_dir(place.path("models"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    assert_eq!(beside, std::slice::from_ref(&model_file));
    // The test images have corners: the self-test is not of zeros.
    assert!(model.self_test.features.iter().any(|value| *value > 0.0));

    let reduced = |input: &Path, out: &Path| {
        context.runtimes.block_on(async {
            let (input, out) = (at(input), at(out));
            let codebook = Codebook::of(&model);
            let (input, _) = features_at(&context, &input, codebook, None, &out).await?;
            let request = ReduceRequest {
                input: &input,
                model: &model,
                out: &out,
                per_image_csv: None,
                keeps: false,
            };
            reduce(&context, &request).await
        })
    };
    let out = place.path("reduced");
    reduced(&steps, &out).unwrap();
    let results = |folder: &Path| fs::read_to_string(folder.join("results.csv")).unwrap();
    assert!(results(&out) == results(&whole));

    // A run with the model: no codebook is learned, and the same photos get the same rows.
    let mut with_model = settings.clone();
    with_model.model = Some(at(&model_file));
    let applied = place.path("applied");
    let outcome = run_as(&request(), 1, &photos, &applied, &with_model, Steps::All).unwrap();
    assert!(outcome.record.words.unwrap().passes.is_empty());
    assert!(results(&applied) == results(&whole));

    // What does not belong to the model is refused.
    let refused = |request: &ExtractorRequest| {
        let out = tempfile::tempdir().unwrap();
        run_as(request, 1, &photos, out.path(), &with_model, Steps::All)
    };
    for wrong in [
        ExtractorRequest {
            keypoints: Some(17),
            ..request()
        },
        ExtractorRequest {
            preparation: Some("clahe".parse().unwrap()),
            ..request()
        },
        ExtractorRequest {
            features: Some(FeatureKind::Network),
            ..request()
        },
    ] {
        let refused = refused(&wrong);
        assert!(
            matches!(refused, Err(PipelineError::Mismatch { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn bits_weights_and_batches_reach_the_model_and_the_features() {
    let place = place();
    let mut settings = orb_settings();
    settings.words.kmeans.distance = Distance::Hamming;
    settings.words.kmeans.batch_rows = Some(500);
    settings.words.weighting = Weighting::TfIdf;
    settings.words.norm = Norm::L2;
    run_orb(&place, "run", 2, &settings);
    let model = load(&place.path("run/model.pomona")).unwrap();
    let Some(Extraction::Words(words)) = &model.extraction else {
        panic!("{:?}", model.extraction);
    };
    assert_eq!(
        (words.distance, words.weighting, words.norm),
        (Distance::Hamming, Weighting::TfIdf, Norm::L2)
    );
    let inverse = model.words.as_ref().unwrap().weights.inverse().unwrap();
    assert!(inverse.iter().all(|weight| *weight >= 1.0));
    for row in sql(&place.path("run"), "SELECT path, features FROM features") {
        let norm: f64 = numbers(&row, "features")
            .iter()
            .map(|value| value * value)
            .sum();
        let expected = if norm == 0.0 { 0.0 } else { 1.0 };
        assert!((norm - expected).abs() < 1e-5, "{}: {norm}", row["path"]);
    }
}

#[test]
fn photos_without_any_key_point_are_told_not_fitted() {
    let place = place();
    let out = place.path("run");
    let photos = place.path("photos/plain");
    let refused = run_as(&orb(), 1, &photos, &out, &orb_settings(), Steps::All);
    let Err(PipelineError::NothingToDo { what }) = refused else {
        panic!("{refused:?}");
    };
    assert!(what.contains("no key points"), "{what}");
}
