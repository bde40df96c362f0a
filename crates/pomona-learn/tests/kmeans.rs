//! k-means against its definition, against scikit-learn (`references/make_kmeans_references.py`), and against
//! itself when the rows are grouped in other ways.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped is a failure of the test"
)]

use std::sync::LazyLock;

use pomona_learn::kmeans::{
    Clustering, Codebook, Distance, KMeans, KMeansError, KMeansSettings, Note, PassKind, PassPlan,
    PassTotals, PathKey, SeedSample, Stop, fit, row_key,
};
use proptest::prelude::*;
use serde_json::Value;

static REFERENCES: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("references/kmeans_references.json")).unwrap()
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
fn rows_of(seed: u32, rows: usize, groups: usize) -> Vec<u8> {
    let mut random = Random(seed);
    let middles: Vec<i32> = (0..groups * 32).map(|_| random.next() % 256).collect();
    (0..rows * 32)
        .map(|at| {
            let middle = middles[at / 32 % groups * 32 + at % 32];
            (middle + random.next() % 97 - 48).clamp(0, 255) as u8
        })
        .collect()
}

fn keys_of(rows: usize) -> Vec<u64> {
    (0..rows)
        .map(|row| row_key("photo.jpg", row as u32))
        .collect()
}

fn settings(words: usize, distance: Distance) -> KMeansSettings {
    KMeansSettings {
        words,
        distance,
        ..KMeansSettings::default()
    }
}

/// The cost of a row under each centre, from the public centres alone.
fn costs(codebook: &Codebook, row: &[u8]) -> Vec<f64> {
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

fn least(costs: &[f64]) -> f64 {
    costs.iter().copied().fold(f64::INFINITY, f64::min)
}

fn words_of(codebook: &Codebook, rows: &[u8]) -> Vec<u32> {
    let mut words = vec![u32::MAX; rows.len() / 32];
    codebook.assign(rows, &mut words).unwrap();
    words
}

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

/// All rows in one go; the plan as it was sent.
fn totals_of(plan: &PassPlan, rows: &[u8], keys: &[u64]) -> PassTotals {
    let plan = PassPlan::from_bytes(&plan.to_bytes()).unwrap();
    let mut totals = PassTotals::new(&plan);
    totals.update(&plan, rows, keys).unwrap();
    totals
}

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
        let first: Vec<f32> = rows[..number("first") * 32]
            .iter()
            .map(|v| f32::from(*v))
            .collect();
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

/// Every report against a count by hand.
#[test]
fn reports_say_what_happened() {
    for distance in Distance::ALL {
        let rows = rows_of(7, 700, 60);
        let keys = keys_of(700);
        let mut kmeans = KMeans::new(settings(40, distance)).unwrap();
        let mut sample = kmeans.sample();
        sample.update(&rows, &keys).unwrap();
        kmeans.seed(sample).unwrap();
        let mut before: Option<(Vec<u32>, f64)> = None;
        while let Some(plan) = kmeans.plan() {
            let codebook = plan.codebook().clone();
            let words = words_of(&codebook, &rows);
            let inertia: f64 = rows
                .chunks(32)
                .zip(&words)
                .map(|(row, word)| costs(&codebook, row)[*word as usize])
                .sum();
            let hit = |word: u32| words.contains(&word);
            let empty = (0..40).filter(|word| !hit(*word)).count();
            let totals = totals_of(plan, &rows, &keys);
            let report = kmeans.finish_pass(totals).unwrap().clone();
            assert!((report.inertia / inertia - 1.0).abs() < 1e-12);
            assert_eq!(report.empty_clusters, empty as u64);
            assert_eq!(report.rows, 700);
            let moved = before.as_ref().map(|(before, _)| {
                let moved = before.iter().zip(&words).filter(|(a, b)| a != b);
                moved.count() as f64 / 700.0
            });
            assert_eq!(report.moved_share, moved);
            if let Some((_, last)) = before {
                // Lloyd's passes never cost more, but for the rounding of centres.
                assert!(inertia <= last * (1.0 + 1e-6), "{inertia} after {last}");
            }
            before = Some((words, inertia));
        }
        let done = kmeans.finish().unwrap();
        let (words, inertia) = before.unwrap();
        assert!((done.inertia / inertia - 1.0).abs() < 1e-12);
        for (word, count) in done.counts.iter().enumerate() {
            let expected = words.iter().filter(|other| **other == word as u32).count();
            assert_eq!(*count, expected as u64);
        }
    }
}

/// Each bit of a centre is its rows' majority; a tie keeps the bit.
#[test]
fn hamming_centres_are_majorities() {
    let mut rows = vec![0_u8; 5 * 32];
    rows[..32].fill(0b0000_0011);
    rows[32..64].fill(0b0000_0101);
    rows[64..96].fill(0b0000_0110);
    rows[96..128].fill(0b0011_0000);
    // The second cluster's two rows disagree about bit 7 and about bit 4 of every byte.
    rows[128..].fill(0b1010_0000);
    let first: Vec<u8> = [0b0000_0111_u8, 0b1011_0000]
        .iter()
        .flat_map(|byte| [*byte; 32])
        .collect();
    let mut kmeans = KMeans::new(settings(2, Distance::Hamming)).unwrap();
    kmeans
        .start(Codebook::from_hamming(&first).unwrap(), 5)
        .unwrap();
    let totals = totals_of(kmeans.plan().unwrap(), &rows, &keys_of(5));
    let report = kmeans.finish_pass(totals).unwrap();
    assert_eq!(report.inertia, 5.0 * 32.0);
    assert_eq!(report.centre_shift, 0.0);
    let done = kmeans.finish().unwrap();
    assert_eq!(done.codebook.hamming_centres().unwrap(), first);
}

/// A fit over partitions that are sampled, counted and sent as bytes, in a given order.
fn fit_in_partitions(parts: &[(Vec<u8>, Vec<u64>)], settings: &KMeansSettings) -> Clustering {
    let mut kmeans = KMeans::new(settings.clone()).unwrap();
    let mut sample = kmeans.sample();
    for (rows, keys) in parts {
        let mut part = kmeans.sample();
        part.update(rows, keys).unwrap();
        let sent = SeedSample::from_bytes(&part.to_bytes(), settings.seed).unwrap();
        assert_eq!(sent.to_bytes(), part.to_bytes());
        sample.merge(&sent).unwrap();
    }
    kmeans.seed(sample).unwrap();
    while let Some(plan) = kmeans.plan() {
        let mut totals = PassTotals::new(plan);
        for (rows, keys) in parts {
            let part = totals_of(plan, rows, keys);
            let sent = PassTotals::from_bytes(&part.to_bytes()).unwrap();
            assert_eq!(sent, part);
            totals.merge(&sent).unwrap();
        }
        kmeans.finish_pass(totals).unwrap();
    }
    kmeans.finish().unwrap()
}

/// Deals rows out to so many partitions, last rows first.
fn dealt(rows: &[u8], keys: &[u64], parts: usize) -> Vec<(Vec<u8>, Vec<u64>)> {
    let mut dealt = vec![(Vec::new(), Vec::new()); parts];
    for (number, (row, key)) in rows.chunks(32).zip(keys).enumerate().rev() {
        let part = &mut dealt[number * number % parts];
        part.0.extend_from_slice(row);
        part.1.push(*key);
    }
    dealt
}

#[test]
fn partitions_order_and_threads_do_not_matter() {
    // More rows than are compared for the moved share, and than the sample keeps.
    let rows = rows_of(11, 20_000, 500);
    let keys = keys_of(20_000);
    for distance in Distance::ALL {
        for batch_rows in [None, Some(3_000)] {
            let settings = KMeansSettings {
                seed: 5,
                max_passes: 6,
                sample_rows: Some(2_000),
                batch_rows,
                ..settings(64, distance)
            };
            let one = fit(&rows, &keys, &settings, 1).unwrap();
            assert_eq!(one, fit(&rows, &keys, &settings, 3).unwrap());
            assert_eq!(one, fit_in_partitions(&dealt(&rows, &keys, 1), &settings));
            assert_eq!(one, fit_in_partitions(&dealt(&rows, &keys, 7), &settings));
            let other = KMeansSettings {
                seed: 6,
                ..settings
            };
            assert_ne!(one.codebook, fit(&rows, &keys, &other, 2).unwrap().codebook);
        }
    }
}

#[test]
fn the_moved_share_of_many_rows_is_estimated_well() {
    let rows = rows_of(12, 60_000, 400);
    let keys = keys_of(60_000);
    let mut kmeans = KMeans::new(settings(50, Distance::Euclidean)).unwrap();
    let mut sample = kmeans.sample();
    sample.update(&rows, &keys).unwrap();
    kmeans.seed(sample).unwrap();
    let mut before = None;
    for _ in 0..4 {
        let plan = kmeans.plan().unwrap();
        let words = words_of(plan.codebook(), &rows);
        let totals = totals_of(plan, &rows, &keys);
        let report = kmeans.finish_pass(totals).unwrap();
        if let Some(before) = before {
            let moved = words
                .iter()
                .zip::<&Vec<u32>>(&before)
                .filter(|(a, b)| a != b);
            let share = moved.count() as f64 / 60_000.0;
            // Five standard errors.
            assert!((report.moved_share.unwrap() - share).abs() < 0.02);
            assert!(report.compared_rows.abs_diff(16_384) < 700);
        }
        before = Some(words);
    }
}

#[test]
fn mini_batches_come_close() {
    let rows = rows_of(13, 12_000, 300);
    let keys = keys_of(12_000);
    let full = fit(&rows, &keys, &settings(100, Distance::Euclidean), 2).unwrap();
    let batches = KMeansSettings {
        batch_rows: Some(1_500),
        max_passes: 40,
        ..settings(100, Distance::Euclidean)
    };
    let batches = fit(&rows, &keys, &batches, 2).unwrap();
    let (last, passes) = batches.passes.split_last().unwrap();
    assert_eq!((last.kind, last.rows), (PassKind::Closing, 12_000));
    assert_eq!(batches.counts.iter().sum::<u64>(), 12_000);
    for pass in passes {
        assert_eq!(pass.kind, PassKind::Batch);
        assert!(pass.rows.abs_diff(1_500) < 250, "{}", pass.rows);
    }
    let ratio = batches.inertia / full.inertia;
    assert!(ratio < 1.05, "{ratio}");
}

#[test]
fn fewer_different_rows_than_words_are_told() {
    for distance in Distance::ALL {
        // Three different rows, many times each.
        let rows: Vec<u8> = (0..90).flat_map(|row| [(row % 3) as u8 * 85; 32]).collect();
        let done = fit(&rows, &keys_of(90), &settings(10, distance), 2).unwrap();
        assert_eq!(done.codebook.words(), 3);
        assert_eq!(done.counts, [30, 30, 30]);
        assert_eq!(done.inertia, 0.0);
        let (wanted, kept) = (10, 3);
        assert_eq!(done.notes, [Note::FewerDescriptors { wanted, kept }]);
        // One row.
        let done = fit(&rows[..32], &[1], &settings(10, distance), 2).unwrap();
        assert_eq!((done.codebook.words(), done.inertia), (1, 0.0));
        // None.
        let none = fit(&[], &[], &settings(10, distance), 2);
        assert!(matches!(none, Err(KMeansError::NoDescriptors)));
    }
}

/// More centres without rows than far rows to give them, and clusters of one row that must not lose it.
#[test]
fn many_empty_clusters_fill_up() {
    for distance in Distance::ALL {
        let rows = rows_of(21, 30, 30);
        let first: Vec<u8> = rows[..32].repeat(30);
        let codebook = match distance {
            Distance::Hamming => Codebook::from_hamming(&first),
            _ => Codebook::from_euclidean(&first.iter().map(|v| f32::from(*v)).collect::<Vec<_>>()),
        };
        let mut kmeans = KMeans::new(settings(30, distance)).unwrap();
        kmeans.start(codebook.unwrap(), 30).unwrap();
        while let Some(plan) = kmeans.plan() {
            let totals = totals_of(plan, &rows, &keys_of(30));
            kmeans.finish_pass(totals).unwrap();
        }
        let done = kmeans.finish().unwrap();
        assert_eq!(done.passes[0].empty_clusters, 29);
        assert_eq!(done.inertia, 0.0);
        assert!(done.counts.iter().all(|count| *count == 1));
    }
}

/// Row 0 is the farthest from its centre, but alone there: the empty cluster gets row 1 or 2 instead.
#[test]
fn a_cluster_of_one_row_keeps_it() {
    let rows: Vec<u8> = [40_u8, 90, 110].iter().flat_map(|v| [*v; 32]).collect();
    let first: Vec<f32> = [0.0, 100.0, 255.0].iter().flat_map(|v| [*v; 32]).collect();
    let mut kmeans = KMeans::new(settings(3, Distance::Euclidean)).unwrap();
    let codebook = Codebook::from_euclidean(&first).unwrap();
    kmeans.start(codebook, 3).unwrap();
    let totals = totals_of(kmeans.plan().unwrap(), &rows, &keys_of(3));
    kmeans.finish_pass(totals).unwrap();
    let centres = kmeans.plan().unwrap().codebook().euclidean_centres();
    // Both are equally far; the lesser bytes go.
    let expected: Vec<f32> = [40.0, 110.0, 90.0].iter().flat_map(|v| [*v; 32]).collect();
    assert_eq!(centres.unwrap(), expected);
}

/// A small batch hits few centres; that says nothing against the others.
#[test]
fn batches_leave_alone_what_they_have_not_hit() {
    let (rows, keys) = (rows_of(14, 5_000, 400), keys_of(5_000));
    let mut kmeans = KMeans::new(KMeansSettings {
        batch_rows: Some(200),
        ..settings(300, Distance::Euclidean)
    })
    .unwrap();
    let mut sample = kmeans.sample();
    sample.update(&rows, &keys).unwrap();
    kmeans.seed(sample).unwrap();
    let seeds = kmeans.plan().unwrap().codebook().euclidean_centres();
    let totals = totals_of(kmeans.plan().unwrap(), &rows, &keys);
    let counts = totals.counts().to_vec();
    let report = kmeans.finish_pass(totals).unwrap();
    assert!(report.empty_clusters > 100);
    let next = kmeans.plan().unwrap().codebook().euclidean_centres();
    let (seeds, next) = (seeds.unwrap(), next.unwrap());
    for (word, (seed, next)) in seeds.chunks(32).zip(next.chunks(32)).enumerate() {
        assert!(counts[word] > 0 || seed == next, "word {word} moved");
    }
}

#[test]
fn settings_and_steps_out_of_turn_are_refused() {
    let good = settings(3, Distance::Euclidean);
    for wrong in [
        KMeansSettings {
            words: 0,
            ..good.clone()
        },
        KMeansSettings {
            words: usize::MAX,
            ..good.clone()
        },
        KMeansSettings {
            max_passes: 0,
            ..good.clone()
        },
        KMeansSettings {
            tolerance: f64::NAN,
            ..good.clone()
        },
        KMeansSettings {
            tolerance: -1.0,
            ..good.clone()
        },
        KMeansSettings {
            batch_rows: Some(0),
            ..good.clone()
        },
        KMeansSettings {
            sample_rows: Some(usize::MAX),
            ..good.clone()
        },
    ] {
        let refused = KMeans::new(wrong.clone());
        assert!(
            matches!(refused, Err(KMeansError::Setting { .. })),
            "{wrong:?}"
        );
    }
    let (rows, keys) = (rows_of(1, 20, 4), keys_of(20));
    let mut kmeans = KMeans::new(good.clone()).unwrap();
    assert!(kmeans.plan().is_none());
    let mut sample = SeedSample::new(1, good.sample_capacity());
    sample.update(&rows, &keys).unwrap();
    // Another seed's.
    assert!(matches!(
        kmeans.seed(sample.clone()),
        Err(KMeansError::Mixed { .. })
    ));
    assert!(kmeans.sample().merge(&sample).is_err());
    let mut sample = kmeans.sample();
    assert!(sample.update(&rows[1..], &keys).is_err());
    assert!(sample.update(&rows, &keys[1..]).is_err());
    sample.update(&rows, &keys).unwrap();
    kmeans.seed(sample.clone()).unwrap();
    assert!(matches!(
        kmeans.seed(sample),
        Err(KMeansError::OutOfTurn { .. })
    ));
    let plan = kmeans.plan().unwrap().clone();
    let totals = totals_of(&plan, &rows, &keys);
    // Not all rows, then another pass's.
    let some = totals_of(&plan, &rows[32..], &keys[1..]);
    assert!(matches!(
        kmeans.finish_pass(some),
        Err(KMeansError::Mixed { .. })
    ));
    kmeans.finish_pass(totals.clone()).unwrap();
    let next = kmeans.plan().unwrap();
    assert!(PassTotals::new(next).merge(&totals).is_err());
    assert!(PassTotals::new(next).update(&plan, &rows, &keys).is_err());
    assert!(matches!(
        kmeans.finish_pass(totals),
        Err(KMeansError::Mixed { .. })
    ));
    assert!(matches!(
        kmeans.finish(),
        Err(KMeansError::OutOfTurn { .. })
    ));
}

#[test]
fn codebooks_that_cannot_be_are_refused() {
    for values in [
        vec![],
        vec![f32::NAN; 32],
        vec![255.1; 32],
        vec![-0.1; 32],
        vec![1.0; 33],
    ] {
        assert!(Codebook::from_euclidean(&values).is_err());
    }
    assert!(Codebook::from_hamming(&[]).is_err());
    assert!(Codebook::from_hamming(&[0; 31]).is_err());
    let codebook = Codebook::from_hamming(&[0; 32]).unwrap();
    assert!(codebook.assign(&[0; 64], &mut [0]).is_err());
    assert!(codebook.assign(&[0; 63], &mut [0]).is_err());
}

/// Fixed for good: samples and batches of old runs follow from it.
#[test]
fn row_keys_stay_what_they_are() {
    assert_ne!(row_key("a", 0), row_key("a", 1));
    assert_ne!(row_key("a", 0), row_key("b", 0));
    let expected = [1_406_753_039_277_257_607, 1_603_763_734_297_532_983];
    assert_eq!([row_key("Kiwi/1_100.jpg", 0), row_key("", 7)], expected);
}

/// Fixed for good, as above. Counted once by a script that shares no code with this crate.
#[test]
fn keys_of_places_stay_what_they_are() {
    let kiwi = PathKey::new("Kiwi/1_100.jpg");
    let expected = [3_881_505_076_799_173_888, 5_116_535_232_612_292_142];
    let got = [kiwi.at(31.0, 68.4, 0), PathKey::new("").at(57.6, 44.64, 7)];
    assert_eq!(got, expected);
}

/// Of one photo, all the places that ORB's pyramid can give in 40×40 pixels and 8 octaves; of others, the same.
#[test]
fn different_places_have_different_keys() {
    let mut keys: Vec<u64> = ["a", "b", "b/a"]
        .into_iter()
        .map(PathKey::new)
        .flat_map(|path| {
            (0..40 * 40 * 8_u16).map(move |place| {
                let (x, y, octave) = (place % 40, place / 40 % 40, (place / 1_600) as u8);
                let scale = 1.2_f32.powi(i32::from(octave));
                path.at(f32::from(x) * scale, f32::from(y) * scale, octave)
            })
        })
        .collect();
    // Evenly spread too, as draws need it: within five standard errors of a half are below the middle.
    let low = keys.iter().filter(|key| **key < 1 << 63).count();
    assert!(low.abs_diff(keys.len() / 2) < 500, "{low}");
    let all = keys.len();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), all);
    let path = PathKey::new("a");
    assert_ne!(path.at(1.0, 2.0, 0), path.at(2.0, 1.0, 0));
    assert_ne!(path.at(1.0, 2.0, 0), path.at(1.0, 2.0, 1));
}

fn any_codebook() -> impl Strategy<Value = Codebook> {
    let hamming = prop::collection::vec(any::<[u8; 32]>(), 1..70)
        .prop_map(|rows| Codebook::from_hamming(rows.as_flattened()).unwrap());
    let euclidean = prop::collection::vec(prop::array::uniform32(0.0_f32..=255.0), 1..70)
        .prop_map(|rows| Codebook::from_euclidean(rows.as_flattened()).unwrap());
    // Few values: many ties.
    let ties = prop::collection::vec(
        prop::array::uniform32(prop::sample::select(vec![0_u8, 255])),
        1..70,
    )
    .prop_map(|rows| {
        let values: Vec<f32> = rows.as_flattened().iter().map(|v| f32::from(*v)).collect();
        Codebook::from_euclidean(&values).unwrap()
    });
    prop_oneof![hamming, euclidean, ties]
}

fn any_rows(most: usize) -> impl Strategy<Value = Vec<u8>> {
    let row = prop_oneof![
        any::<[u8; 32]>(),
        prop::array::uniform32(prop::sample::select(vec![0_u8, 255])),
    ];
    prop::collection::vec(row, 0..most).prop_map(|rows| rows.as_flattened().to_vec())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn words_are_the_nearest(codebook in any_codebook(), rows in any_rows(200)) {
        let mut words = vec![0; rows.len() / 32];
        let mut got = vec![0.0; words.len()];
        codebook.assign_with_costs(&rows, &mut words, &mut got).unwrap();
        prop_assert_eq!(&words, &words_of(&codebook, &rows));
        let whole = codebook
            .euclidean_centres()
            .is_none_or(|values| values.iter().all(|value| value.fract() == 0.0));
        for ((row, word), got) in rows.chunks(32).zip(&words).zip(&got) {
            let costs = costs(&codebook, row);
            let cost = costs[*word as usize];
            prop_assert_eq!(cost, *got);
            if whole {
                let first = costs.iter().position(|other| *other == least(&costs));
                prop_assert_eq!(first, Some(*word as usize));
            } else {
                prop_assert!(cost <= least(&costs) + 1.0 / 1024.0);
            }
            // The neighbours do not matter.
            prop_assert_eq!(words_of(&codebook, row), [*word]);
        }
        let again = Codebook::from_bytes(&codebook.to_bytes()).unwrap();
        prop_assert_eq!(&again, &codebook);
        if let Some(centres) = codebook.euclidean_centres() {
            prop_assert_eq!(Codebook::from_euclidean(&centres).unwrap(), codebook);
        }
    }

    #[test]
    fn totals_merge_in_any_order(
        first in any_codebook(),
        rows in any_rows(300),
        cuts in prop::collection::vec(0..300_usize, 3),
    ) {
        let keys = keys_of(rows.len() / 32);
        let mut kmeans = KMeans::new(settings(1, first.distance())).unwrap();
        prop_assume!(!keys.is_empty());
        kmeans.start(first, keys.len() as u64).unwrap();
        // The second pass compares with the first.
        kmeans.finish_pass(totals_of(kmeans.plan().unwrap(), &rows, &keys)).unwrap();
        let Some(plan) = kmeans.plan() else { return Ok(()) };
        let mut at: Vec<usize> = cuts.iter().map(|cut| cut % (keys.len() + 1)).collect();
        at.extend([0, keys.len()]);
        at.sort_unstable();
        let parts: Vec<PassTotals> = at
            .windows(2)
            .map(|cut| totals_of(plan, &rows[cut[0] * 32..cut[1] * 32], &keys[cut[0]..cut[1]]))
            .collect();
        let merged = |a: &PassTotals, b: &PassTotals| {
            let mut merged = a.clone();
            merged.merge(b).unwrap();
            merged
        };
        let [a, b, c, d] = [&parts[0], &parts[1], &parts[2], &parts[3]];
        let whole = totals_of(plan, &rows, &keys);
        prop_assert_eq!(&merged(&merged(&merged(a, b), c), d), &whole);
        prop_assert_eq!(&merged(&merged(d, b), &merged(c, a)), &whole);
        prop_assert_eq!(merged(&merged(b, d), &merged(a, c)).to_bytes(), whole.to_bytes());
        prop_assert_eq!(&merged(&PassTotals::new(plan), &whole), &whole);
    }

    /// Broken bytes are refused, or are totals that nothing afterwards stumbles over.
    #[test]
    fn broken_bytes_do_no_harm(
        distance in prop::sample::select(Distance::ALL.to_vec()),
        flips in prop::collection::vec((any::<prop::sample::Index>(), 1..=255_u8), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let (rows, keys) = (rows_of(9, 40, 9), keys_of(40));
        let mut kmeans = KMeans::new(settings(5, distance)).unwrap();
        let mut sample = kmeans.sample();
        sample.update(&rows, &keys).unwrap();
        let sample_bytes = sample.to_bytes();
        kmeans.seed(sample).unwrap();
        kmeans.finish_pass(totals_of(kmeans.plan().unwrap(), &rows, &keys)).unwrap();
        let Some(plan) = kmeans.plan().cloned() else { return Ok(()) };
        let good = totals_of(&plan, &rows, &keys);
        let flipped = |bytes: &[u8]| {
            let mut bytes = bytes.to_vec();
            for (at, flip) in &flips {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
            }
            bytes
        };
        if let Ok(broken) = PassTotals::from_bytes(&flipped(&good.to_bytes())) {
            let mut merged = good.clone();
            let _ = merged.merge(&broken);
            let _ = kmeans.finish_pass(broken);
        }
        if let Ok(broken) = PassPlan::from_bytes(&flipped(&plan.to_bytes())) {
            let mut totals = PassTotals::new(&broken);
            totals.update(&broken, &rows, &keys).unwrap();
        }
        let _ = SeedSample::from_bytes(&flipped(&sample_bytes), 0);
        let _ = Codebook::from_bytes(&flipped(&plan.codebook().to_bytes()));
        fn part<'a>(bytes: &'a [u8], cut: &prop::sample::Index) -> &'a [u8] {
            &bytes[..cut.index(bytes.len())]
        }
        prop_assert!(PassTotals::from_bytes(part(&good.to_bytes(), &cut)).is_err());
        prop_assert!(PassPlan::from_bytes(part(&plan.to_bytes(), &cut)).is_err());
        prop_assert!(SeedSample::from_bytes(part(&sample_bytes, &cut), 0).is_err());
        prop_assert!(Codebook::from_bytes(part(&plan.codebook().to_bytes(), &cut)).is_err());
    }
}
