//! k-means against scikit-learn (`references/make_kmeans_references.py`).
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped is a failure of the test"
)]

mod common;

use common::descriptors::{
    REFERENCES, centres_at, keys_of, numbers, rows_of, seeded, settings, totals_of, words_of,
};
use pomona_learn::kmeans::{Codebook, Distance, KMeans, KMeansSettings, Stop, fit};
use serde_json::Value;

/// Runs the passes after a start from given centres against scikit-learn's numbers.
fn follows(case: &Value, rows: &[u8], first: &[f32]) -> KMeans {
    let keys = keys_of(rows.len() / 32);
    let mut kmeans = KMeans::new(KMeansSettings {
        tolerance: 0.0,
        ..settings(first.len() / 32, Distance::Euclidean)
    })
    .unwrap();
    kmeans
        .start(Codebook::from_euclidean(first).unwrap(), keys.len() as u64)
        .unwrap();
    let plan = kmeans.plan().unwrap();
    kmeans.finish_pass(totals_of(plan, rows, &keys)).unwrap();
    for step in case["steps"].as_array().unwrap() {
        let Some(plan) = kmeans.plan() else { break };
        let labels: Vec<f64> = words_of(plan.codebook(), rows)
            .into_iter()
            .map(f64::from)
            .collect();
        assert_eq!(labels, numbers(&step["labels"]));
        let report = kmeans.finish_pass(totals_of(plan, rows, &keys)).unwrap();
        let expected = step["inertia"].as_f64().unwrap();
        // Centres are rounded to 1/256, which tells as long as rows move.
        let apart = (report.inertia - expected).abs() / expected;
        let most = if report.moved_share == Some(0.0) {
            1e-8
        } else {
            1e-5
        };
        assert!(apart < most, "pass {}: {apart:e} apart", report.pass);
    }
    kmeans
}

#[test]
fn passes_match_scikit_learn() {
    for case in REFERENCES["passes"].as_array().unwrap() {
        let number = |key: &str| case[key].as_u64().unwrap() as usize;
        let rows = rows_of(number("seed") as u32, number("rows"), number("groups"));
        let first = centres_at(&rows[..number("first") * 32]);
        let kmeans = follows(case, &rows, &first);
        if let Ok(done) = kmeans.finish() {
            assert_eq!(done.stop, Stop::Settled);
            let centres = done.codebook.euclidean_centres().unwrap();
            for (got, expected) in centres.iter().zip(numbers(&case["centres"])) {
                assert!((f64::from(*got) - expected).abs() <= 0.5 / 256.0 + 1e-5);
            }
        }
    }
}

#[test]
fn an_empty_cluster_is_reseeded_as_in_scikit_learn() {
    let case = &REFERENCES["empty"];
    let rows = rows_of(3, 80, 5);
    let first: Vec<f32> = numbers(&case["first"])
        .into_iter()
        .map(|v| v as f32)
        .collect();
    let kmeans = follows(case, &rows, &first);
    let done = kmeans.finish().unwrap();
    assert_eq!(done.passes[0].empty_clusters, 1);
    assert_eq!(done.passes[1].empty_clusters, 0);
}

/// Over 20 seeds, so that luck evens out.
#[test]
fn the_inertia_is_as_low_as_scikit_learns() {
    let case = &REFERENCES["quality"];
    let rows = rows_of(4, 1500, 300);
    let keys = keys_of(1500);
    let sum: f64 = (0..20)
        .map(|seed| {
            let settings = KMeansSettings {
                seed,
                ..settings(100, Distance::Euclidean)
            };
            fit(&rows, &keys, &settings, 2).unwrap().inertia
        })
        .sum();
    let ratio = sum / 20.0 / case["inertia_mean"].as_f64().unwrap();
    assert!(ratio < 1.01, "{ratio}");
}

/// The costs that the first centres leave are as scikit-learn's, over so many seeds that one trial fewer would tell.
#[test]
fn seeding_is_as_good_as_scikit_learns() {
    const SEEDS: u64 = 100;
    let case = &REFERENCES["quality"];
    let rows = rows_of(4, 1500, 300);
    let keys = keys_of(1500);
    let mut sum = 0.0;
    for seed in 0..SEEDS {
        let settings = KMeansSettings {
            seed,
            ..settings(100, Distance::Euclidean)
        };
        let mut kmeans = seeded(&settings, &rows, &keys);
        let totals = totals_of(kmeans.plan().unwrap(), &rows, &keys);
        sum += kmeans.finish_pass(totals).unwrap().inertia;
    }
    let number = |key: &str| case[key].as_f64().unwrap();
    let apart = sum / SEEDS as f64 - number("seeding_mean");
    let error = number("seeding_deviation") / (SEEDS as f64).sqrt();
    assert!(
        apart.abs() < 5.0 * error,
        "{} standard errors",
        apart / error
    );
}

/// Centres that settle slowly are left alone after as many passes, from the same first centres.
#[test]
fn the_tolerance_ends_a_fit_as_in_scikit_learn() {
    let case = &REFERENCES["tolerance"];
    let number = |key: &str| case[key].as_u64().unwrap() as usize;
    let rows = rows_of(number("seed") as u32, number("rows"), number("rows"));
    let keys = keys_of(number("rows"));
    let first = centres_at(&rows[..number("first") * 32]);
    for pair in case["passes"].as_array().unwrap() {
        let [tolerance, passes] = numbers(pair)[..] else {
            unreachable!()
        };
        let mut kmeans = KMeans::new(KMeansSettings {
            tolerance,
            ..settings(number("first"), Distance::Euclidean)
        })
        .unwrap();
        let codebook = Codebook::from_euclidean(&first).unwrap();
        kmeans.start(codebook, keys.len() as u64).unwrap();
        while let Some(plan) = kmeans.plan() {
            let totals = totals_of(plan, &rows, &keys);
            kmeans.finish_pass(totals).unwrap();
        }
        let done = kmeans.finish().unwrap();
        assert_eq!(done.stop, Stop::Tolerance);
        // And the closing one, which scikit-learn makes too but does not count.
        assert_eq!(
            done.passes.len(),
            passes as usize + 1,
            "tolerance {tolerance}"
        );
    }
}
