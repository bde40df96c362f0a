//! Descriptors and fits that the tests of k-means share.

use std::sync::LazyLock;

use pomona_learn::kmeans::{
    Codebook, Distance, KMeans, KMeansSettings, PassPlan, PassTotals, row_key,
};
use serde_json::Value;

/// Written by `references/make_kmeans_references.py`.
pub static REFERENCES: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../references/kmeans_references.json")).unwrap()
});

/// The generator of `references/make_kmeans_references.py`.
struct Random(u32);

impl Random {
    fn next(&mut self) -> i32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 16) as i32
    }
}

/// Rows as `rows_of` makes them there.
pub fn rows_of(seed: u32, rows: usize, groups: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let middles: Vec<i32> = (0..groups * 32).map(|_| random.next() % 256).collect();
    (0..rows * 32)
        .map(|at| {
            let middle = middles[at / 32 % groups * 32 + at % 32];
            (middle + random.next() % 97 - 48).clamp(0, 255) as u8
        })
        .collect()
}

pub fn keys_of(rows: usize) -> Vec<u64> {
    (0..rows)
        .map(|row| row_key("photo.jpg", row as u32))
        .collect()
}

pub fn settings(words: usize, distance: Distance) -> KMeansSettings {
    KMeansSettings {
        words,
        distance,
        ..KMeansSettings::default()
    }
}

/// The cost of a row under each centre, from the public centres alone.
pub fn costs(codebook: &Codebook, row: &[u8]) -> Vec<f64> {
    match (codebook.euclidean_centres(), codebook.hamming_centres()) {
        (Some(centres), _) => centres
            .chunks(32)
            .map(|centre| {
                let apart = |(a, b): (&u8, &f32)| (f64::from(*a) - f64::from(*b)).powi(2);
                row.iter().zip(centre).map(apart).sum()
            })
            .collect(),
        (_, Some(centres)) => centres
            .chunks(32)
            .map(|centre| {
                let apart = |(a, b): (&u8, &u8)| f64::from((a ^ b).count_ones());
                row.iter().zip(centre).map(apart).sum()
            })
            .collect(),
        _ => unreachable!(),
    }
}

pub fn least(costs: &[f64]) -> f64 {
    costs.iter().copied().fold(f64::INFINITY, f64::min)
}

pub fn words_of(codebook: &Codebook, rows: &[u8]) -> Vec<u32> {
    let mut words = vec![u32::MAX; rows.len() / 32];
    codebook.assign(rows, &mut words).unwrap();
    words
}

pub fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

/// All rows in one go; the plan as it was sent.
pub fn totals_of(plan: &PassPlan, rows: &[u8], keys: &[u64]) -> PassTotals {
    let plan = PassPlan::from_bytes(&plan.to_bytes()).unwrap();
    let mut totals = PassTotals::new(&plan);
    totals.update(&plan, rows, keys).unwrap();
    totals
}

/// The descriptors as Euclidean centres.
pub fn centres_at(rows: &[u8]) -> Vec<f32> {
    rows.iter().map(|value| f32::from(*value)).collect()
}

/// A fit of all rows that has its first centres.
pub fn seeded(settings: &KMeansSettings, rows: &[u8], keys: &[u64]) -> KMeans {
    let mut kmeans = KMeans::new(settings.clone()).unwrap();
    let mut sample = kmeans.sample();
    sample.update(rows, keys).unwrap();
    kmeans.seed(sample).unwrap();
    kmeans
}
