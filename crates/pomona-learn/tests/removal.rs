//! Rows that were counted can be removed again.

mod common;

use common::{assert_close, comatrix_of, drift_references, fit, moments_of, numbers, skewed_rows};
use pomona_learn::{Components, LearnError, Moments, SealedFile};
use proptest::prelude::*;

const COLUMNS: usize = 6;

/// The spread of each column: the root of its sum of squares.
fn lengths(moments: &Moments) -> Vec<f64> {
    let columns = moments.columns();
    let comatrix = comatrix_of(moments);
    (0..columns)
        .map(|column| comatrix[column * columns + column].sqrt())
        .collect()
}

/// What is left agrees with the rest summed afresh, within `digits` of what was there before.
#[track_caller]
fn assert_left(got: &Moments, rest: &Moments, before: &Moments, digits: f64) {
    assert_eq!(got.count(), rest.count());
    let columns = rest.columns();
    let (spread, count) = (lengths(before), before.count() as f64);
    let (left, expected) = (comatrix_of(got), comatrix_of(rest));
    for a in 0..columns {
        for b in 0..columns {
            let at = a * columns + b;
            let apart = (left[at] - expected[at]).abs();
            let most = digits * spread[a] * spread[b];
            assert!(
                apart <= most,
                "({a}, {b}): {apart:e} apart, {most:e} allowed"
            );
        }
    }
    let rows = rest.count() as f64;
    for (column, (got, mean)) in got.mean().iter().zip(rest.mean()).enumerate() {
        let most = digits * (spread[column] * count.sqrt() / rows + mean.abs());
        assert!(
            (got - mean).abs() <= most,
            "mean {column}: {got} instead of {mean}"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn merging_and_removing_gives_back_what_was_there(
        rows in 2_usize..1_400,
        more in 1_usize..1_400,
        seed: u64,
    ) {
        let kept = moments_of(&skewed_rows(rows, COLUMNS, seed), COLUMNS);
        let other = moments_of(&skewed_rows(more, COLUMNS, seed ^ 1), COLUMNS);
        let mut both = kept.clone();
        both.merge(&other).unwrap();
        let mut left = both.clone();
        left.subtract(&other).unwrap();
        assert_left(&left, &kept, &both, 1e-13);
        prop_assert_eq!(left.variance()[0], 0.0, "the constant column");
        prop_assert_eq!(left.mean()[0], f64::from(0.1_f32));
    }

    #[test]
    fn rows_removed_block_by_block_leave_the_others_and_at_last_none(
        rows in 1_usize..900,
        size in 1_usize..300,
        seed: u64,
    ) {
        let values = skewed_rows(rows, COLUMNS, seed);
        let whole = moments_of(&values, COLUMNS);
        let mut left = whole.clone();
        let mut rest = values.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at((size * COLUMNS).min(rest.len()));
            left.subtract(&moments_of(now, COLUMNS)).unwrap();
            if !later.is_empty() {
                assert_left(&left, &moments_of(later, COLUMNS), &whole, 1e-12);
            }
            prop_assert!(left.variance().iter().all(|variance| *variance >= 0.0));
            // What is written is read again: no cell is more than its columns allow.
            Moments::from_bytes(&left.to_bytes()).unwrap();
            rest = later;
        }
        prop_assert_eq!(left.to_bytes(), Moments::new(COLUMNS).to_bytes());
    }

    /// Not a use of it, but it must not break: the rows were never counted.
    #[test]
    fn rows_never_counted_leave_finite_numbers_and_no_negative_variance(
        rows in 1_usize..60,
        other in 1_usize..60,
        offset in -1e9_f32..1e9,
        seed: u64,
    ) {
        let mut left = moments_of(&skewed_rows(rows + other, COLUMNS, seed), COLUMNS);
        let strangers: Vec<f32> = skewed_rows(other, COLUMNS, !seed)
            .into_iter()
            .map(|value| value * 10.0 + offset)
            .collect();
        left.subtract(&moments_of(&strangers, COLUMNS)).unwrap();
        prop_assert_eq!(left.count(), rows as u64);
        prop_assert!(left.mean().iter().all(|mean| mean.is_finite()));
        prop_assert!(left.variance().iter().all(|variance| (0.0..f64::INFINITY).contains(variance)));
        prop_assert!(comatrix_of(&left).iter().all(|cell| cell.is_finite()));
    }
}

#[test]
fn what_is_left_matches_rational_arithmetic() {
    for case in drift_references("removal").as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let columns = case["columns"].as_u64().unwrap() as usize;
        let of = |key: &str| {
            let mut moments = Moments::new(columns);
            moments.update_f64(&numbers(&case[key])).unwrap();
            moments
        };
        let (whole, removed) = (of("rows"), of("removed"));
        let mut left = whole.clone();
        left.subtract(&removed).unwrap();
        let rows = left.count() as f64;
        let (spread, mean) = (lengths(&whole), numbers(&case["mean"]));
        for (column, (got, expected)) in left.mean().iter().zip(&mean).enumerate() {
            let most = 1e-15 * (expected.abs() + spread[column] * 90.0 / rows);
            assert!((got - expected).abs() <= most, "{name}: {got}, {expected}");
        }
        for (at, expected) in numbers(&case["comatrix"]).iter().enumerate() {
            let most = 1e-14 * spread[at / columns] * spread[at % columns];
            let got = comatrix_of(&left)[at];
            assert!((got - expected).abs() <= most, "{name}: {got}, {expected}");
        }
        // Nothing but rounding is lost: the rows can come back, however far from zero they all lie.
        left.merge(&removed).unwrap();
        let back = comatrix_of(&left);
        for (at, (got, expected)) in back.iter().zip(comatrix_of(&whole)).enumerate() {
            let most = 1e-14 * spread[at / columns] * spread[at % columns];
            assert!(
                (got - expected).abs() <= most,
                "{name}, again: {got}, {expected}"
            );
        }
    }
}

/// A feature that only the forgotten photo had must not come back as rounding blown up to a deviation of 1.
#[test]
fn a_column_that_only_the_removed_rows_made_vary_is_constant_again() {
    for (constant, rows) in [0.0, 0.1, -7.3e-5, 3.0e6]
        .into_iter()
        .flat_map(|constant| (901..931).map(move |rows| (constant, rows)))
    {
        let mut values = skewed_rows(rows, COLUMNS, 4);
        for row in values.chunks_exact_mut(COLUMNS) {
            row[3] = constant;
        }
        values[700 * COLUMNS + 3] = constant + 0.37;
        values[900 * COLUMNS + 3] = constant + 41.9;
        let mut left = moments_of(&values, COLUMNS);
        for row in [700, 900] {
            let removed = &values[row * COLUMNS..(row + 1) * COLUMNS];
            left.subtract(&moments_of(removed, COLUMNS)).unwrap();
        }
        assert_eq!(left.variance()[3], 0.0, "{constant} in {rows} rows");
        assert_eq!(left.mean()[3], f64::from(constant), "{rows} rows");
        assert!(left.variance()[2] > 0.1);
        // It stays so when more rows with that value come.
        left.update(&values[..9 * COLUMNS]).unwrap();
        assert_eq!(left.variance()[3], 0.0, "{constant} in {rows} rows");
        let reducer = fit(&left, Components::Count(3), true).reducer;
        assert_eq!(reducer.deviation.unwrap()[3], 0.0);
    }
}

/// Forgetting a photo must not leave its features in the file.
#[test]
fn the_values_of_a_removed_row_are_in_no_byte_of_what_is_left() {
    let values = skewed_rows(40, COLUMNS, 8);
    let first = &values[..COLUMNS];
    let written = |moments: &Moments, value: f32| {
        let bytes = moments.to_bytes();
        let value = f64::from(value).to_le_bytes();
        bytes[24..].chunks_exact(8).any(|chunk| chunk == value)
    };
    let mut left = moments_of(&values, COLUMNS);
    assert!(first.iter().all(|value| written(&left, *value)));
    left.subtract(&moments_of(first, COLUMNS)).unwrap();
    // All rows have the same value in the constant column.
    assert!(!first[1..].iter().any(|value| written(&left, *value)));
}

#[test]
fn the_last_row_left_lies_at_its_mean() {
    let values = skewed_rows(30, COLUMNS, 5);
    let mut left = moments_of(&values, COLUMNS);
    left.subtract(&moments_of(&values[..29 * COLUMNS], COLUMNS))
        .unwrap();
    let last: Vec<f64> = values[29 * COLUMNS..]
        .iter()
        .map(|value| f64::from(*value))
        .collect();
    assert_eq!(left.count(), 1);
    assert_close("mean", &left.mean(), &last, 1e-12, 0.0);
    assert!(comatrix_of(&left).iter().all(|cell| *cell == 0.0));

    // Two rows so close to each other that what is left of the sums is coarse.
    for seed in 0..40 {
        let mut values = skewed_rows(1_000, COLUMNS, seed);
        let (near, last) = values[998 * COLUMNS..].split_at_mut(COLUMNS);
        for (near, last) in near.iter_mut().zip(last) {
            *near = *last * (1.0 + 3e-4);
        }
        let mut left = moments_of(&values, COLUMNS);
        for rows in [
            &values[..998 * COLUMNS],
            &values[998 * COLUMNS..999 * COLUMNS],
        ] {
            left.subtract(&moments_of(rows, COLUMNS)).unwrap();
        }
        assert!(
            comatrix_of(&left).iter().all(|cell| *cell == 0.0),
            "seed {seed}"
        );
    }
}

#[test]
fn what_cannot_be_removed_is_refused_and_changes_nothing() {
    let mut moments = moments_of(&skewed_rows(12, COLUMNS, 1), COLUMNS);
    let before = moments.to_bytes();
    let more = moments_of(&skewed_rows(13, COLUMNS, 1), COLUMNS);
    assert_eq!(
        moments.subtract(&more).unwrap_err().to_string(),
        "removing rows: expected at most the 12 rows counted, got 13 rows"
    );
    assert_eq!(
        moments.subtract(&Moments::new(5)).unwrap_err().to_string(),
        "removing rows: expected 6 columns, got 5 columns"
    );
    moments.subtract(&Moments::new(COLUMNS)).unwrap();
    assert_eq!(moments.to_bytes(), before);

    // Sums at the edge of what can be counted.
    let edge = |rows: u64, mean: f64| {
        let mut bytes = moments_of(&[0.5, 1.5], 1).to_bytes();
        bytes[16..24].copy_from_slice(&rows.to_le_bytes());
        bytes[24..32].copy_from_slice(&mean.to_le_bytes());
        Moments::from_bytes(&bytes).unwrap()
    };
    let mut moments = edge(1 << 53, 1e140);
    let before = moments.to_bytes();
    let error = moments.subtract(&edge((1 << 53) - 1, -1e140)).unwrap_err();
    assert!(matches!(error, LearnError::Overflow), "{error}");
    assert_eq!(moments.to_bytes(), before);
}

#[test]
fn a_summary_is_kept_in_a_sealed_file() {
    let moments = moments_of(&skewed_rows(70, COLUMNS, 9), COLUMNS);
    let mut file = SealedFile::new(serde_json::json!({ "run": "example" }));
    moments.write_into(&mut file);
    let bytes = file.to_bytes().unwrap();
    let read = SealedFile::from_bytes(&bytes).unwrap();
    assert_eq!(read.header["run"], "example");
    assert_eq!(
        read.header["moments"],
        serde_json::json!({ "rows": 70, "columns": 6 })
    );
    assert_eq!(
        Moments::read_from(&read).unwrap().to_bytes(),
        moments.to_bytes()
    );
    let empty = SealedFile::new(serde_json::json!({}));
    assert_eq!(
        Moments::read_from(&empty).unwrap_err().to_string(),
        "not a summary of rows: the file holds none"
    );
}
