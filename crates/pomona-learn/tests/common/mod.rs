//! Rows and fits that the tests share.
#![allow(
    dead_code,
    clippy::unwrap_used,
    unreachable_pub,
    clippy::allow_attributes,
    reason = "each test file uses a part"
)]

pub mod descriptors;

use pomona_learn::{Components, FitSettings, Fitted, Moments, Reducer};

/// SplitMix64: seeded numbers that are the same everywhere.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// In [0, 1).
    pub fn unit(&mut self) -> f32 {
        (self.next() >> 40) as f32 / 16_777_216.0
    }
}

/// Correlated rows whose columns differ in mean and deviation; column 0 is constant.
pub fn skewed_rows(rows: usize, columns: usize, seed: u64) -> Vec<f32> {
    let mut random = Random(seed);
    let mut values = Vec::with_capacity(rows * columns);
    for _ in 0..rows {
        let common = random.unit();
        for column in 0..columns {
            let own = random.unit() - 0.3;
            let weight = 0.1 + (column % 7) as f32;
            values.push(match column {
                0 => 0.1,
                _ => (weight * (own + common * (column % 3) as f32)).max(0.0) + column as f32,
            });
        }
    }
    values
}

pub fn moments_of(rows: &[f32], columns: usize) -> Moments {
    let mut moments = Moments::new(columns);
    moments.update(rows).unwrap();
    moments
}

pub fn fit(moments: &Moments, components: Components, scale: bool) -> Fitted {
    Reducer::fit(moments, &FitSettings { components, scale }).unwrap()
}

pub fn reduce(reducer: &Reducer, rows: &[f32]) -> Vec<f32> {
    let mut out = Vec::new();
    reducer.transform(rows, &mut out).unwrap();
    out
}

/// The reference file's entry, made by `references/make_references.py`.
pub fn references(key: &str) -> serde_json::Value {
    let text = include_str!("../references/references.json");
    serde_json::from_str::<serde_json::Value>(text).unwrap()[key].take()
}

/// The entry of the reference file made by `references/make_drift_references.py`.
pub fn drift_references(key: &str) -> serde_json::Value {
    let text = include_str!("../references/drift_references.json");
    serde_json::from_str::<serde_json::Value>(text).unwrap()[key].take()
}

pub fn numbers(value: &serde_json::Value) -> Vec<f64> {
    serde_json::from_value(value.clone()).unwrap()
}

pub fn singles(value: &serde_json::Value) -> Vec<f32> {
    numbers(value)
        .into_iter()
        .map(|value| value as f32)
        .collect()
}

/// Every value within `atol + rtol · |expected|`.
#[track_caller]
pub fn assert_close(what: &str, got: &[f64], expected: &[f64], rtol: f64, atol: f64) {
    assert_eq!(got.len(), expected.len(), "{what}: length");
    for (at, (got, expected)) in got.iter().zip(expected).enumerate() {
        let apart = (got - expected).abs();
        assert!(
            apart <= atol + rtol * expected.abs(),
            "{what}, value {at}: {got} instead of {expected}, {apart:e} apart"
        );
    }
}

/// The full D×D co-matrix, read from the summary's bytes as their description says.
pub fn comatrix_of(moments: &Moments) -> Vec<f64> {
    let bytes = moments.to_bytes();
    let columns = moments.columns();
    let mut packed = bytes[24 + 16 * columns..]
        .chunks_exact(8)
        .map(|chunk| f64::from_le_bytes(chunk.try_into().unwrap()));
    let mut full = vec![0.0; columns * columns];
    for column in 0..columns {
        for row in column..columns {
            let value = packed.next().unwrap();
            full[column * columns + row] = value;
            full[row * columns + column] = value;
        }
    }
    full
}

/// Two summaries of the same rows agree to 1e-12, relative to the columns' own spread.
#[track_caller]
pub fn assert_agree(got: &Moments, expected: &Moments) {
    assert_eq!(got.count(), expected.count());
    let columns = expected.columns();
    let (got_comatrix, comatrix) = (comatrix_of(got), comatrix_of(expected));
    let spread: Vec<f64> = (0..columns)
        .map(|c| comatrix[c * columns + c].sqrt())
        .collect();
    for a in 0..columns {
        for b in 0..columns {
            let at = a * columns + b;
            let apart = (got_comatrix[at] - comatrix[at]).abs();
            assert!(
                apart <= 1e-12 * spread[a] * spread[b],
                "({a}, {b}): {apart:e} apart"
            );
        }
    }
    assert_close("mean", &got.mean(), &expected.mean(), 1e-12, 1e-300);
}
