//! What is kept, what is said about it, and what applying it does.

mod common;

use common::{assert_close, comatrix_of, fit, moments_of, reduce, skewed_rows};
use pomona_learn::{Components, FitSettings, LearnError, Moments, Reducer, SealedFile, Section};
use proptest::prelude::*;

const COLUMNS: usize = 12;

fn fitted(scale: bool) -> Reducer {
    let moments = moments_of(&skewed_rows(80, COLUMNS, 5), COLUMNS);
    fit(&moments, Components::Count(5), scale).reducer
}

fn try_fit(moments: &Moments, components: Components) -> Result<Reducer, LearnError> {
    Reducer::fit(
        moments,
        &FitSettings {
            components,
            scale: true,
        },
    )
    .map(|fitted| fitted.reducer)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Reduced rows are centred and uncorrelated, with the variances the fit announced.
    #[test]
    fn reduced_rows_have_the_explained_variances(
        rows in 20_usize..300,
        kept in 1_usize..8,
        scale: bool,
        seed: u64,
    ) {
        let values = skewed_rows(rows, COLUMNS, seed);
        let reducer = fit(&moments_of(&values, COLUMNS), Components::Count(kept), scale).reducer;
        prop_assert_eq!(reducer.output_columns(), kept);
        let reduced = moments_of(&reduce(&reducer, &values), kept);
        let largest = reducer.explained_variance[0];
        assert_close("mean", &reduced.mean(), &vec![0.0; kept], 0.0, 1e-5 * largest.sqrt());
        let comatrix = comatrix_of(&reduced);
        for a in 0..kept {
            for b in 0..kept {
                let expected = if a == b { reducer.explained_variance[a] } else { 0.0 };
                let got = comatrix[a * kept + b] / (rows - 1) as f64;
                prop_assert!((got - expected).abs() <= 1e-5 * largest, "({a}, {b}): {got}, {expected}");
            }
        }
    }

    #[test]
    fn components_are_unit_vectors_with_their_largest_entry_positive(seed: u64, scale: bool) {
        let moments = moments_of(&skewed_rows(60, COLUMNS, seed), COLUMNS);
        let reducer = fit(&moments, Components::Share(1.0), scale).reducer;
        for (index, component) in reducer.components.chunks_exact(COLUMNS).enumerate() {
            let length: f64 = component.iter().map(|value| value * value).sum();
            prop_assert!((length - 1.0).abs() < 1e-12);
            let largest = component.iter().copied().fold(0.0, |a: f64, b| if b.abs() > a.abs() { b } else { a });
            prop_assert!(largest > 0.0, "component {index}");
        }
        prop_assert!(reducer.explained_variance.is_sorted_by(|a, b| a >= b));
        let sum: f64 = reducer.explained_variance_ratio.iter().sum();
        prop_assert!((sum - 1.0).abs() < 1e-12, "{sum}");
    }

    /// A photo's vector must not depend on which photos it came with.
    #[test]
    fn a_row_alone_gives_the_same_bits_as_among_others(
        rows in 1_usize..200,
        kept in 1_usize..30,
        seed: u64,
    ) {
        let columns = 41;
        let values = skewed_rows(rows.max(50), columns, seed);
        let reducer = fit(&moments_of(&values, columns), Components::Count(kept), true).reducer;
        let values = &values[..rows * columns];
        let together = reduce(&reducer, values);
        let alone: Vec<f32> = values.chunks(columns).flat_map(|row| reduce(&reducer, row)).collect();
        prop_assert!(together.iter().map(|v| v.to_bits()).eq(alone.iter().map(|v| v.to_bits())));
    }
}

#[test]
fn a_share_keeps_the_fewest_components_that_reach_it() {
    let moments = moments_of(&skewed_rows(200, COLUMNS, 9), COLUMNS);
    let all = fit(&moments, Components::Share(1.0), true);
    assert!(all.notes.is_empty());
    // Column 0 is constant: one direction fewer.
    assert_eq!(all.reducer.output_columns(), COLUMNS - 1);
    let ratios = all.reducer.explained_variance_ratio;
    let mut sum = 0.0;
    for (index, ratio) in ratios.iter().enumerate() {
        let kept = |share| {
            fit(&moments, Components::Share(share), true)
                .reducer
                .output_columns()
        };
        assert_eq!(kept((sum + ratio / 2.0).min(1.0)), index + 1);
        sum += ratio;
    }
}

#[test]
fn fewer_rows_than_components_keeps_what_exists_and_says_so() {
    let moments = moments_of(&skewed_rows(4, COLUMNS, 2), COLUMNS);
    let fitted = fit(&moments, Components::Count(10), true);
    assert_eq!(fitted.reducer.output_columns(), 3);
    assert_eq!(fitted.reducer.rank, 3);
    assert_eq!(
        fitted.notes,
        [
            "10 components were asked for, but 4 rows of 12 features vary in only 3 directions: \
             keeping 3"
        ]
    );
    assert!(fit(&moments, Components::Count(3), true).notes.is_empty());
    let shared = fit(&moments, Components::Share(1.0), true);
    assert_eq!(shared.reducer.output_columns(), 3);
}

#[test]
fn directions_without_variance_are_never_kept() {
    // Columns 1 and 2 repeat column 0, column 3 is constant.
    let rows: Vec<f32> = (0..30_u8)
        .flat_map(|i| [i, 2 * i, 100 - i, 7].map(f32::from))
        .collect();
    for scale in [true, false] {
        let fitted = fit(&moments_of(&rows, 4), Components::Count(4), scale);
        assert_eq!(fitted.reducer.rank, 1);
        assert_eq!(fitted.reducer.explained_variance_ratio.len(), 1);
        assert_eq!(fitted.notes.len(), 1);
    }
}

#[test]
fn one_column_and_two_rows_are_enough() {
    let moments = moments_of(&[1.0, 4.0], 1);
    let reducer = fit(&moments, Components::Share(0.95), true).reducer;
    assert_eq!(reducer.components, [1.0]);
    assert_eq!(reducer.explained_variance_ratio, [1.0]);
    let half = 0.5_f32.sqrt();
    assert_eq!(reduce(&reducer, &[1.0, 4.0]), [-half, half]);
}

#[test]
fn a_constant_column_adds_nothing_even_where_it_varies_later() {
    let reducer = fitted(true);
    let mut row = skewed_rows(1, COLUMNS, 6);
    let before = reduce(&reducer, &row);
    row[0] = 1_000.0;
    assert_eq!(reduce(&reducer, &row), before);
    assert_eq!(reducer.deviation.unwrap()[0], 0.0);
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let few = moments_of(&skewed_rows(1, COLUMNS, 1), COLUMNS);
    let error = try_fit(&few, Components::Count(1)).unwrap_err();
    assert_eq!(error.to_string(), "a fit needs at least 2 rows, got 1");
    let error = try_fit(&Moments::new(COLUMNS), Components::Count(1)).unwrap_err();
    assert!(
        matches!(error, LearnError::TooFewRows { rows: 0 }),
        "{error}"
    );
    let alike = moments_of(&[0.1; 7 * COLUMNS], COLUMNS);
    let error = try_fit(&alike, Components::Count(1)).unwrap_err();
    assert!(
        matches!(error, LearnError::NoVariance { rows: 7 }),
        "{error}"
    );
    let fine = moments_of(&skewed_rows(9, COLUMNS, 1), COLUMNS);
    for components in [
        Components::Count(0),
        Components::Share(0.0),
        Components::Share(1.5),
        Components::Share(f64::NAN),
    ] {
        let error = try_fit(&fine, components).unwrap_err();
        assert!(matches!(error, LearnError::Components(_)), "{error}");
    }
}

#[test]
fn rows_that_cannot_be_reduced_are_refused() {
    let reducer = fitted(true);
    let mut out = vec![1.0];
    let mut rows = skewed_rows(100, COLUMNS, 1);
    rows[70 * COLUMNS + 3] = f32::NAN;
    let error = reducer.transform(&rows, &mut out).unwrap_err();
    assert!(error.to_string().starts_with("row 70, column 3"), "{error}");
    assert!(out.is_empty());
    assert!(reducer.transform(&rows[1..], &mut out).is_err());
    reducer.transform(&[], &mut out).unwrap();
    assert!(out.is_empty());
    let mut changed = reducer;
    changed.mean.pop();
    assert!(changed.transform(&rows[..COLUMNS - 1], &mut out).is_err());
}

#[test]
fn a_model_file_gives_back_the_same_reducer() {
    for scale in [true, false] {
        let reducer = fitted(scale);
        let mut file = SealedFile::new(serde_json::json!({"backbone": "example"}));
        reducer.write_into(&mut file);
        let bytes = file.to_bytes().unwrap();
        let file = SealedFile::from_bytes(&bytes).unwrap();
        assert_eq!(file.header["backbone"], "example");
        assert_eq!(Reducer::read_from(&file).unwrap(), reducer);
    }
}

#[test]
fn a_model_file_without_a_whole_reducer_is_refused() {
    let error = Reducer::read_from(&SealedFile::new(serde_json::json!({}))).unwrap_err();
    assert!(
        error.to_string().contains("missing from the header"),
        "{error}"
    );
    let mut whole = SealedFile::new(serde_json::Value::Null);
    fitted(true).write_into(&mut whole);
    for name in whole.sections.keys() {
        let mut file = whole.clone();
        file.sections.remove(name);
        let error = Reducer::read_from(&file).unwrap_err().to_string();
        assert!(
            error.contains(name.as_str()) && error.contains("missing"),
            "{error}"
        );
        for broken in [vec![], vec![f64::NAN; whole.f64s(name).unwrap().len()]] {
            let mut file = whole.clone();
            file.sections.insert(name.clone(), Section::F64(broken));
            assert!(Reducer::read_from(&file).is_err(), "{name}");
        }
    }
    let mut huge = whole.clone();
    huge.header["reducer"]["input_columns"] = u64::MAX.into();
    assert!(Reducer::read_from(&huge).is_err());
}

#[test]
fn the_memory_a_fit_takes_is_known_before() {
    // Summary, covariance, vectors, and the decomposition's own copies.
    let square = 1_280_u64 * 1_280 * 8;
    let bytes = Reducer::memory_bytes_to_fit(1_280);
    assert!(bytes > 4 * square && bytes < 10 * square, "{bytes}");
    assert!(Reducer::memory_bytes_to_fit(62_720) > 100 << 30);
    assert_eq!(Reducer::memory_bytes_to_fit(usize::MAX), u64::MAX);
    assert_eq!(Reducer::memory_bytes_to_fit(0), 0);
}
