//! Summaries of parts merge into the summary of the whole.

mod common;

use common::{assert_agree, moments_of, skewed_rows};
use pomona_learn::{LearnError, Moments};
use proptest::prelude::*;

const COLUMNS: usize = 6;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the sizes of the batches, blocks end at the same rows.
    #[test]
    fn the_batches_rows_come_in_do_not_matter_to_the_bit(
        rows in 0_usize..1_500,
        sizes in prop::collection::vec(0_usize..700, 1..20),
        seed: u64,
    ) {
        let values = skewed_rows(rows, COLUMNS, seed);
        let mut moments = Moments::new(COLUMNS);
        let mut rest = values.as_slice();
        for size in sizes.iter().copied().chain([rows]) {
            let (now, later) = rest.split_at((size * COLUMNS).min(rest.len()));
            moments.update(now).unwrap();
            rest = later;
        }
        prop_assert_eq!(moments.to_bytes(), moments_of(&values, COLUMNS).to_bytes());
    }

    /// Rows dealt to any number of summaries, merged pairwise in any order.
    #[test]
    fn the_grouping_of_merges_does_not_matter(
        rows in 1_usize..1_500,
        cuts in prop::collection::vec(0.0_f64..1.0, 0..12),
        picks in prop::collection::vec(any::<prop::sample::Index>(), 24),
        seed: u64,
    ) {
        let values = skewed_rows(rows, COLUMNS, seed);
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| (cut * rows as f64) as usize).collect();
        cuts.extend([0, rows]);
        cuts.sort_unstable();
        let mut parts: Vec<Moments> = cuts
            .windows(2)
            .map(|ends| moments_of(&values[ends[0] * COLUMNS..ends[1] * COLUMNS], COLUMNS))
            .collect();
        let mut picks = picks.iter();
        while parts.len() > 1 {
            let part = parts.swap_remove(picks.next().unwrap().index(parts.len()));
            let into = picks.next().unwrap().index(parts.len());
            parts[into].merge(&part).unwrap();
        }
        assert_agree(&parts[0], &moments_of(&values, COLUMNS));
        prop_assert_eq!(parts[0].variance()[0], 0.0, "the constant column");
    }

    #[test]
    fn bytes_come_back_to_the_same_summary(rows in 0_usize..600, seed: u64) {
        let moments = moments_of(&skewed_rows(rows, COLUMNS, seed), COLUMNS);
        let bytes = moments.to_bytes();
        let read = Moments::from_bytes(&bytes).unwrap();
        prop_assert_eq!(read.count(), rows as u64);
        prop_assert_eq!(read.mean(), moments.mean());
        prop_assert_eq!(read.to_bytes(), bytes);
    }

    #[test]
    fn damaged_bytes_are_refused_or_read_but_never_panic(
        at in any::<prop::sample::Index>(),
        byte: u8,
        length in any::<prop::sample::Index>(),
    ) {
        let mut bytes = moments_of(&skewed_rows(9, COLUMNS, 3), COLUMNS).to_bytes();
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(moments) = Moments::from_bytes(&bytes) {
            prop_assert_eq!(moments.variance().len(), moments.columns());
        }
        let length = length.index(bytes.len());
        prop_assert!(Moments::from_bytes(&bytes[..length]).is_err());
    }
}

#[test]
fn absurd_sizes_in_bytes_are_refused_before_memory_is_taken() {
    let mut bytes = Moments::new(3).to_bytes();
    assert_eq!(Moments::from_bytes(&bytes).unwrap().columns(), 3);
    for (columns, count) in [(u64::MAX, 1), (1 << 40, 1), (1 << 31, u64::MAX), (0, 5)] {
        bytes[8..16].copy_from_slice(&u64::to_le_bytes(columns));
        bytes[16..24].copy_from_slice(&u64::to_le_bytes(count));
        let error = Moments::from_bytes(&bytes).unwrap_err();
        assert!(matches!(error, LearnError::BrokenSummary { .. }), "{error}");
    }
}

#[test]
fn sums_that_no_rows_have_are_refused() {
    let empty = |columns: u64, count: u64| {
        let mut bytes = Moments::new(0).to_bytes();
        bytes[8..16].copy_from_slice(&columns.to_le_bytes());
        bytes[16..24].copy_from_slice(&count.to_le_bytes());
        bytes
    };
    for columns in [u64::MAX, 1 << 40, (1 << 20) + 1] {
        assert!(
            Moments::from_bytes(&empty(columns, 0)).is_err(),
            "{columns}"
        );
    }
    assert_eq!(Moments::from_bytes(&empty(1 << 20, 0)).unwrap().count(), 0);

    // Two columns: D, n, two of the origin, two of the shift, three cells.
    let whole = moments_of(&[0.0, 1.0, 2.0, 3.0, 5.0, 4.0], 2).to_bytes();
    let with = |at: usize, bits: [u8; 8]| {
        let mut bytes = whole.clone();
        bytes[at..at + 8].copy_from_slice(&bits);
        Moments::from_bytes(&bytes).map(|moments| moments.count())
    };
    for (at, value, reason) in [
        (24, 1e141, "a mean in it is larger than any feature"),
        (40, -1e150, "a mean in it is larger than any feature"),
        (56, -1e-9, "a variance in it is negative"),
        (
            56,
            1e300,
            "a variance in it is larger than features can have",
        ),
        (
            64,
            30.0,
            "two columns in it go together more closely than they can",
        ),
        (
            64,
            -30.0,
            "two columns in it go together more closely than they can",
        ),
    ] {
        let error = with(at, f64::to_le_bytes(value)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("not a summary of rows: {reason}")
        );
    }
    for (count, reason) in [
        (u64::MAX, "it claims more rows than can be counted"),
        ((1 << 53) + 1, "it claims more rows than can be counted"),
        (1, "its only row has a variance"),
    ] {
        let error = with(16, u64::to_le_bytes(count)).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("not a summary of rows: {reason}")
        );
    }
    assert_eq!(with(16, u64::to_le_bytes(1 << 53)).unwrap(), 1 << 53);
}

#[test]
fn values_that_are_no_numbers_in_bytes_are_refused() {
    let whole = moments_of(&skewed_rows(9, COLUMNS, 3), COLUMNS).to_bytes();
    for at in (24..whole.len()).step_by(8) {
        let mut bytes = whole.clone();
        bytes[at..at + 8].copy_from_slice(&f64::NAN.to_le_bytes());
        let error = Moments::from_bytes(&bytes).unwrap_err();
        assert!(matches!(error, LearnError::BrokenSummary { .. }), "{error}");
    }
}

#[test]
fn an_unusable_value_tells_its_row_and_nothing_is_counted() {
    let mut moments = moments_of(&skewed_rows(3, COLUMNS, 1), COLUMNS);
    let before = moments.to_bytes();
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut rows = skewed_rows(700, COLUMNS, 2);
        rows[600 * COLUMNS + 4] = bad;
        let error = moments.update(&rows).unwrap_err();
        let LearnError::UnusableValue { row, column, .. } = error else {
            panic!("{error}");
        };
        assert_eq!((row, column), (600, 4));
        assert!(
            error.to_string().starts_with("row 600, column 4"),
            "{error}"
        );
        assert_eq!(moments.to_bytes(), before);
    }
    assert!(
        moments.update_f64(&[1e200; COLUMNS]).is_err(),
        "its square is infinite"
    );
    moments.update(&[f32::MAX; COLUMNS]).unwrap();
    assert!(moments.variance()[1].is_finite());
}

#[test]
fn rows_and_summaries_of_another_width_are_refused() {
    let mut moments = Moments::new(COLUMNS);
    let error = moments.update(&[1.0; COLUMNS + 1]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "counting rows: expected whole rows of 6 values, got 7 values"
    );
    let error = moments.merge(&Moments::new(5)).unwrap_err();
    assert_eq!(
        error.to_string(),
        "merging summaries: expected 6 columns, got 5 columns"
    );
    assert!(Moments::new(0).update(&[1.0]).is_err());
    Moments::new(0).update(&[]).unwrap();
}

#[test]
fn memory_is_taken_with_the_first_row_and_stays_within_the_estimate() {
    let mut moments = Moments::new(300);
    assert!(moments.memory_bytes() < 1_000);
    assert_eq!(moments.mean(), vec![0.0; 300]);
    for batch in skewed_rows(1_100, 300, 1).chunks(70 * 300) {
        moments.update(batch).unwrap();
        let slack = size_of::<Moments>() as u64;
        assert!(moments.memory_bytes() as u64 <= Moments::bytes_for(300) + slack);
    }
    assert!(moments.memory_bytes() as u64 > Moments::bytes_for(300) / 2);
    assert_eq!(Moments::bytes_for(usize::MAX), u64::MAX);
}

#[test]
fn more_columns_than_memory_holds_is_an_error() {
    let columns = 1 << 27;
    let error = Moments::new(columns)
        .update(&vec![0.0; columns])
        .unwrap_err();
    assert!(matches!(error, LearnError::OutOfMemory { .. }), "{error}");
}
