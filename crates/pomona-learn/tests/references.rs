//! Against numbers from other programs; `references/make_references.py` says which and how.

mod common;

use common::{assert_close, comatrix_of, fit, numbers, references, singles};
use pomona_learn::{Components, Moments, Reducer, SealedFile, Section};
use pomona_learn::{nearest_neighbour_accuracy, nearest_neighbours};

#[test]
fn moments_match_rational_arithmetic_at_any_offset() {
    for case in references("exact").as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let columns = case["columns"].as_u64().unwrap() as usize;
        let rows = numbers(&case["rows"]);
        // In one go, and merged from parts of 13 rows.
        let mut whole = Moments::new(columns);
        whole.update_f64(&rows).unwrap();
        let mut merged = Moments::new(columns);
        for part in rows.chunks(13 * columns) {
            let mut moments = Moments::new(columns);
            moments.update_f64(part).unwrap();
            merged.merge(&moments).unwrap();
        }
        let expected = numbers(&case["comatrix"]);
        let spread = |at: usize| {
            let (a, b) = (at / columns, at % columns);
            (expected[a * columns + a] * expected[b * columns + b]).sqrt()
        };
        for moments in [&whole, &merged] {
            assert_close(name, &moments.mean(), &numbers(&case["mean"]), 1e-15, 1e-15);
            for (at, got) in comatrix_of(moments).iter().enumerate() {
                let apart = (got - expected[at]).abs() / spread(at);
                assert!(apart <= 1e-13, "{name}, cell {at}: {apart:e} apart");
            }
        }
    }
}

#[test]
fn fits_match_scikit_learn() {
    for case in references("fits").as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let columns = case["columns"].as_u64().unwrap() as usize;
        let rows = singles(&case["rows"]);
        let variances = numbers(&case["explained_variance"]);
        let moments = common::moments_of(&rows, columns);
        let scale = case["scale"].as_bool().unwrap();
        let fitted = fit(&moments, Components::Count(variances.len()), scale);
        assert!(
            fitted.notes.is_empty(),
            "{name}: {}",
            fitted.notes.join("; ")
        );
        let reducer = fitted.reducer;
        assert_close(name, &reducer.mean, &numbers(&case["mean"]), 1e-12, 1e-15);
        assert_close(
            name,
            &moments.deviation(),
            &numbers(&case["deviation"]),
            1e-12,
            0.0,
        );
        assert_eq!(reducer.deviation.is_some(), scale);
        assert_close(name, &reducer.explained_variance, &variances, 1e-11, 0.0);
        let ratios = numbers(&case["explained_variance_ratio"]);
        assert_close(name, &reducer.explained_variance_ratio, &ratios, 1e-11, 0.0);
        assert_close(
            name,
            &reducer.components,
            &numbers(&case["components"]),
            0.0,
            1e-9,
        );
        let reduced: Vec<f64> = common::reduce(&reducer, &rows)
            .into_iter()
            .map(f64::from)
            .collect();
        assert_close(name, &reduced, &numbers(&case["reduced"]), 1e-6, 1e-5);
    }
}

#[test]
fn neighbours_match_scikit_learn() {
    let case = references("neighbours");
    let columns = case["columns"].as_u64().unwrap() as usize;
    let (train, test) = (singles(&case["train"]), singles(&case["test"]));
    let labels = |key: &str| -> Vec<String> { serde_json::from_value(case[key].clone()).unwrap() };
    let (train_labels, test_labels) = (labels("train_labels"), labels("test_labels"));
    let expected: Vec<usize> = serde_json::from_value(case["nearest"].clone()).unwrap();
    assert_eq!(
        nearest_neighbours(&train, &test, columns).unwrap(),
        expected
    );
    let accuracy = nearest_neighbour_accuracy(
        &train,
        &train_labels.iter().map(String::as_str).collect::<Vec<_>>(),
        &test,
        &test_labels.iter().map(String::as_str).collect::<Vec<_>>(),
        columns,
    );
    assert_eq!(accuracy, case["accuracy"].as_f64().unwrap());
}

/// This file must stay readable for ever.
#[test]
fn a_sealed_file_of_version_1_is_read() {
    let bytes = include_bytes!("references/sealed_version_1.pomona");
    let file = SealedFile::from_bytes(bytes).unwrap();
    assert_eq!(file.version, 1);
    assert_eq!(file.header["backbone"], "example");
    assert_eq!(file.bytes("note"), Some(b"hello".as_slice()));
    assert_eq!(file.f32s("pixels"), Some([0.5, -1.25, 3.0].as_slice()));
    assert_eq!(file.sections.len(), 7);
    assert!(matches!(file.sections["reducer.mean"], Section::F64(_)));

    let reducer = Reducer::read_from(&file).unwrap();
    assert_eq!((reducer.input_columns(), reducer.output_columns()), (3, 2));
    // ((3 − 1)/2, (3 + 1)/4, constant) · rows (0.6, 0.8, 0) and (0.8, −0.6, 0)
    let reduced = common::reduce(&reducer, &[3.0, 3.0, 9.0]);
    assert_close(
        "reduced",
        &[reduced[0].into(), reduced[1].into()],
        &[1.4, 0.2],
        1e-7,
        0.0,
    );
    // Written again it is the same file, but for how JSON orders keys.
    assert_eq!(
        SealedFile::from_bytes(&file.to_bytes().unwrap()).unwrap(),
        file
    );
}
