//! How far new rows lie from those a reducer was fitted on.

mod common;

use common::{assert_close, drift_references, fit, moments_of, singles, skewed_rows};
use pomona_learn::{Components, Drift, LearnError, Moments, Reducer};
use proptest::prelude::*;

const COLUMNS: usize = 12;

fn fitted(rows: &[f32], kept: usize, scale: bool) -> Reducer {
    fit(&moments_of(rows, COLUMNS), Components::Count(kept), scale).reducer
}

#[expect(clippy::unwrap_used, reason = "a helper of tests reports by panicking")]
fn between(rows: &[f32], reducer: &Reducer) -> Drift {
    Drift::between(&moments_of(rows, COLUMNS), reducer).unwrap()
}

#[test]
fn measures_match_numpy() {
    for case in drift_references("drift").as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let columns = case["columns"].as_u64().unwrap() as usize;
        let kept = case["components"].as_u64().unwrap() as usize;
        let rows = moments_of(&singles(&case["fitted"]), columns);
        let scale = case["scale"].as_bool().unwrap();
        let reducer = fit(&rows, Components::Count(kept), scale).reducer;
        let new = moments_of(&singles(&case["new"]), columns);
        let drift = Drift::between(&new, &reducer).unwrap();
        assert_eq!((drift.rows, drift.rows_fitted), (new.count(), rows.count()));
        for (key, got) in [
            ("shift", drift.shift),
            ("sampling_shift", drift.sampling_shift),
            ("spread", drift.spread),
            ("explained", drift.explained),
            ("explained_fitted", drift.explained_fitted),
        ] {
            let expected = case[key].as_f64().unwrap();
            assert_close(&format!("{name}, {key}"), &[got], &[expected], 1e-11, 0.0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn the_fitted_rows_themselves_have_not_drifted(
        rows in 20_usize..900,
        kept in 1_usize..9,
        scale: bool,
        seed: u64,
    ) {
        let values = skewed_rows(rows, COLUMNS, seed);
        let reducer = fitted(&values, kept, scale);
        let drift = between(&values, &reducer);
        assert_close("shift", &[drift.shift], &[0.0], 0.0, 1e-14);
        assert_close("spread", &[drift.spread], &[1.0], 1e-12, 0.0);
        assert_close("explained", &[drift.explained], &[drift.explained_fitted], 1e-12, 0.0);
    }

    #[test]
    fn a_mean_moved_by_a_deviation_in_each_column_is_a_shift_of_1(
        rows in 20_usize..600,
        sign in prop::collection::vec(any::<bool>(), COLUMNS),
        seed: u64,
    ) {
        let values: Vec<f64> =
            skewed_rows(rows, COLUMNS, seed).into_iter().map(f64::from).collect();
        let mut moments = Moments::new(COLUMNS);
        moments.update_f64(&values).unwrap();
        let reducer = fit(&moments, Components::Count(4), true).reducer;
        let deviation = moments.deviation();
        let moved: Vec<f64> = values
            .iter()
            .enumerate()
            .map(|(at, value)| match sign[at % COLUMNS] {
                true => value + deviation[at % COLUMNS],
                false => value - deviation[at % COLUMNS],
            })
            .collect();
        let mut moments = Moments::new(COLUMNS);
        moments.update_f64(&moved).unwrap();
        let drift = Drift::between(&moments, &reducer).unwrap();
        assert_close("shift", &[drift.shift], &[1.0], 1e-12, 0.0);
        assert_close("spread", &[drift.spread], &[1.0], 1e-12, 0.0);
        prop_assert!((0.0..=1.0).contains(&drift.explained));
    }
}

/// The formula's promise, counted: rows drawn from one source lie as far apart as chance says, on average.
#[test]
fn rows_of_the_same_source_lie_as_far_apart_as_chance_says() {
    let (trials, mut square, mut expected) = (200, 0.0, 0.0);
    for trial in 0..trials {
        let reducer = fitted(&skewed_rows(90, COLUMNS, 2 * trial), 5, true);
        let drift = between(&skewed_rows(40, COLUMNS, 2 * trial + 1), &reducer);
        square += drift.shift * drift.shift;
        expected += drift.sampling_shift * drift.sampling_shift;
    }
    let ratio = (square / expected).sqrt();
    assert!((0.93..1.07).contains(&ratio), "{ratio}");
}

/// Two columns, by hand: fitted on (±1, 0) and (0, ±2), so variances 2/3 and 8/3 and total 10/3; the only component is
/// the second column.
#[test]
fn a_case_worked_out_by_hand() {
    let rows = [1.0, 0.0, -1.0, 0.0, 0.0, 2.0, 0.0, -2.0];
    let reducer = fit(&moments_of(&rows, 2), Components::Count(1), false).reducer;
    let new = moments_of(&[2.0, 0.0, 2.0, 2.0], 2);
    let drift = Drift::between(&new, &reducer).unwrap();
    // Means are (2, 1) and (0, 0); new variances 0 and 2; squares 4 + 4 along the first column, 4 along the second.
    assert_close(
        "shift",
        &[drift.shift],
        &[(5.0 * 0.3_f64).sqrt()],
        1e-14,
        0.0,
    );
    assert_close("spread", &[drift.spread], &[2.0 * 0.3], 1e-14, 0.0);
    assert_close("explained", &[drift.explained], &[4.0 / 12.0], 1e-14, 0.0);
    assert_close("fitted", &[drift.explained_fitted], &[0.8], 1e-14, 0.0);
    assert_close(
        "chance",
        &[drift.sampling_shift],
        &[0.75_f64.sqrt()],
        1e-14,
        0.0,
    );
    // A row alone has no spread, and at the fitted mean there is nothing to explain.
    let drift = Drift::between(&moments_of(&[0.0, 0.0], 2), &reducer).unwrap();
    assert_eq!(
        (drift.shift, drift.spread, drift.explained),
        (0.0, 0.0, 1.0)
    );
}

#[test]
fn what_was_measured_comes_back_from_json_to_the_bit() {
    let reducer = fitted(&skewed_rows(50, COLUMNS, 1), 3, true);
    let drift = between(&skewed_rows(31, COLUMNS, 2), &reducer);
    let text = serde_json::to_string(&drift).unwrap();
    assert_eq!(serde_json::from_str::<Drift>(&text).unwrap(), drift);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let reducer = fitted(&skewed_rows(50, COLUMNS, 1), 3, true);
    let new = moments_of(&skewed_rows(9, COLUMNS, 2), COLUMNS);
    let refused = |rows: &Moments, reducer: &Reducer| Drift::between(rows, reducer).unwrap_err();
    assert_eq!(
        refused(&Moments::new(3), &reducer).to_string(),
        "measuring drift: expected 12 columns, got 3 columns"
    );
    assert_eq!(
        refused(&Moments::new(COLUMNS), &reducer).to_string(),
        "measuring drift: expected at least 1 row, got none"
    );
    let mut changed = reducer.clone();
    changed.explained_variance.pop();
    assert!(matches!(refused(&new, &changed), LearnError::Shape { .. }));
    for variance in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let mut changed = reducer.clone();
        changed.total_variance = variance;
        let error = refused(&new, &changed);
        assert!(matches!(error, LearnError::BrokenReducer { .. }), "{error}");
    }
    let mut far = Moments::new(COLUMNS);
    far.update_f64(&[1e140; COLUMNS]).unwrap();
    assert!(Drift::between(&far, &reducer).is_ok());
    let mut tiny = reducer;
    tiny.deviation = Some(vec![1e-100; COLUMNS]);
    let error = refused(&far, &tiny);
    assert!(matches!(error, LearnError::Overflow), "{error}");
}
