//! Models: used again, and refused where they do not fit.

use std::fs;

use pomona_pipeline::{Extraction, PipelineError, Steps};

use crate::support::{Place, at, load, open, run, settings, sql, wait};

#[test]
fn a_model_fitted_on_training_photos_is_applied_to_test_photos() {
    let place = Place::with_photos(3, 2, false);
    let training = place.path("photos/Training");
    let test = place.path("photos/Test");
    run(2, &training, &place.path("fitted"), &settings(), Steps::All).unwrap();
    let model = place.path("fitted/model.pomona");
    let mut with_model = settings();
    with_model.model = Some(at(&model));
    run(2, &test, &place.path("applied"), &with_model, Steps::All).unwrap();
    // The very same model, and the training photos give the same components again.
    assert!(fs::read(&model).unwrap() == fs::read(place.path("applied/model.pomona")).unwrap());
    run(2, &training, &place.path("again"), &with_model, Steps::All).unwrap();
    assert!(
        fs::read(place.path("fitted/results.csv")).unwrap()
            == fs::read(place.path("again/results.csv")).unwrap()
    );
    // The nearest training photo of most test photos shows the same fruit.
    let rows = |run: &str| {
        let mut labels = Vec::new();
        let mut values = Vec::new();
        for row in sql(
            &place.path(run),
            "SELECT label, components FROM reduced ORDER BY path",
        ) {
            labels.push(row["label"].as_str().unwrap().to_owned());
            values.extend(
                row["components"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|value| value.as_f64().unwrap() as f32),
            );
        }
        (labels, values)
    };
    let ((train_labels, train), (test_labels, test)) = (rows("fitted"), rows("applied"));
    let texts = |labels: &[String]| {
        labels
            .iter()
            .map(|label| label.to_owned())
            .collect::<Vec<_>>()
    };
    let (train_labels, test_labels) = (texts(&train_labels), texts(&test_labels));
    let accuracy = pomona_learn::nearest_neighbour_accuracy(
        &train,
        &train_labels.iter().map(String::as_str).collect::<Vec<_>>(),
        &test,
        &test_labels.iter().map(String::as_str).collect::<Vec<_>>(),
        10,
    );
    assert!(accuracy > 0.8, "{accuracy}");
}

#[test]
fn a_model_is_refused_when_damaged_or_fitted_otherwise() {
    let place = Place::with_photos(1, 0, false);
    let photos = place.path("photos");
    run(2, &photos, &place.path("run"), &settings(), Steps::All).unwrap();
    let good = place.path("run/model.pomona");
    let bytes = fs::read(&good).unwrap();
    assert!(
        bytes.starts_with(b"POMONA MODEL 1\nheader_bytes "),
        "the header can be read"
    );

    let damaged = place.path("damaged.pomona");
    for position in [20, bytes.len() / 2, bytes.len() - 1] {
        let mut wrong = bytes.clone();
        wrong[position] ^= 1;
        fs::write(&damaged, wrong).unwrap();
        assert!(
            matches!(load(&damaged), Err(PipelineError::Model { .. })),
            "{position}"
        );
    }
    fs::write(&damaged, &bytes[..bytes.len() - 40]).unwrap();
    assert!(matches!(load(&damaged), Err(PipelineError::Model { .. })));

    // Sealed again with other numbers, the self-test finds it out.
    let mut model = load(&good).unwrap();
    model.reducer.mean[0] += 1.0;
    wait(model.save(&at(&damaged))).unwrap();
    let reloaded = load(&damaged);
    assert!(
        matches!(reloaded, Err(PipelineError::SelfTest { .. })),
        "{reloaded:?}"
    );

    // Images that this program would turn into other features.
    let mut model = load(&good).unwrap();
    for value in &mut model.self_test.features {
        *value *= 1.01;
    }
    let mut components = Vec::new();
    model
        .reducer
        .transform(&model.self_test.features, &mut components)
        .unwrap();
    model.self_test.components = components;
    wait(model.save(&at(&damaged))).unwrap();
    let mut with_model = settings();
    with_model.model = Some(at(&damaged));
    let refused = run(1, &photos, &place.path("refused"), &with_model, Steps::All);
    assert!(
        matches!(refused, Err(PipelineError::SelfTest { .. })),
        "{refused:?}"
    );

    // Another network.
    let mut model = load(&good).unwrap();
    let extraction = model.extraction.as_mut().unwrap();
    let Extraction::Network(network) = extraction else {
        panic!("{extraction:?}");
    };
    network.backbone_sha256 = "0".repeat(64);
    wait(model.save(&at(&damaged))).unwrap();
    let refused = run(
        1,
        &photos,
        &place.path("refused-2"),
        &with_model,
        Steps::All,
    );
    assert!(
        matches!(
            refused,
            Err(PipelineError::Mismatch { .. } | PipelineError::Asset(_))
        ),
        "{refused:?}"
    );
    assert!(open(&place.path("refused-2")).is_err());
}
