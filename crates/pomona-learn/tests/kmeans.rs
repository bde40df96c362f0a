//! k-means against its definition, and against itself when the rows are grouped in other ways.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped is a failure of the test"
)]

mod common;

use common::descriptors::{
    centres_at, costs, keys_of, least, rows_of, seeded, settings, totals_of, words_of,
};
use pomona_learn::kmeans::{
    Clustering, Codebook, Distance, KMeans, KMeansError, KMeansSettings, Note, PassKind,
    PassReport, PassTotals, SeedSample, Stop, fit,
};
use proptest::prelude::*;

/// The centres' values or bits.
fn numbers_of(codebook: &Codebook) -> Vec<f64> {
    match (codebook.euclidean_centres(), codebook.hamming_centres()) {
        (Some(centres), _) => centres.into_iter().map(f64::from).collect(),
        (_, Some(centres)) => centres
            .iter()
            .flat_map(|byte| (0..8).map(move |bit| f64::from(byte >> bit & 1)))
            .collect(),
        _ => unreachable!(),
    }
}

/// Every report against a count by hand.
#[test]
fn reports_say_what_happened() {
    for distance in Distance::ALL {
        let rows = rows_of(7, 700, 60);
        let keys = keys_of(700);
        let mut kmeans = seeded(&settings(40, distance), &rows, &keys);
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
            let now = numbers_of(&codebook);
            let next = kmeans
                .plan()
                .map_or(now.clone(), |plan| numbers_of(plan.codebook()));
            let shift: f64 = now.iter().zip(&next).map(|(a, b)| (a - b).powi(2)).sum();
            assert!((report.centre_shift - shift.sqrt()).abs() < 1e-9);
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
    // The second cluster's two rows disagree about bit 7, which its centre has, and about bit 4, which it has not.
    rows[128..].fill(0b1010_0000);
    let first: Vec<u8> = [0b0000_0111_u8, 0b1010_0000]
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
    let mut kmeans = seeded(&settings(50, Distance::Euclidean), &rows, &keys);
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
fn about_as_many_rows_of_a_large_batch_are_compared() {
    let rows = rows_of(12, 60_000, 400);
    let keys = keys_of(60_000);
    let settings = KMeansSettings {
        batch_rows: Some(40_000),
        ..settings(20, Distance::Euclidean)
    };
    let mut kmeans = seeded(&settings, &rows, &keys);
    for pass in 0..3 {
        let totals = totals_of(kmeans.plan().unwrap(), &rows, &keys);
        let report = kmeans.finish_pass(totals).unwrap();
        let expected = if pass == 0 { 0 } else { 16_384 };
        assert!(report.compared_rows.abs_diff(expected) < 700 * pass.min(1) + 1);
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
    let settings = KMeansSettings {
        batch_rows: Some(200),
        ..settings(300, Distance::Euclidean)
    };
    let mut kmeans = seeded(&settings, &rows, &keys);
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

/// Once the batches have drawn as many rows as there are, what they have not hit is given something to do.
#[test]
fn batches_reseed_what_they_never_hit() {
    let (rows, keys) = (rows_of(15, 400, 20), keys_of(400));
    let mut kmeans = KMeans::new(KMeansSettings {
        batch_rows: Some(100),
        tolerance: 0.0,
        max_passes: 12,
        ..settings(20, Distance::Euclidean)
    })
    .unwrap();
    // Of equal centres the first is hit.
    let first = centres_at(&rows[..32].repeat(20));
    kmeans
        .start(Codebook::from_euclidean(&first).unwrap(), 400)
        .unwrap();
    while let Some(plan) = kmeans.plan() {
        let totals = totals_of(plan, &rows, &keys);
        kmeans.finish_pass(totals).unwrap();
    }
    let done = kmeans.finish().unwrap();
    assert_eq!(done.passes[0].empty_clusters, 19);
    let (last, before) = done.passes.split_last().unwrap();
    assert_eq!(before.last().unwrap().empty_clusters, 0);
    let per_row = |pass: &PassReport| pass.inertia / pass.rows as f64;
    assert!(per_row(last) < per_row(&done.passes[0]) / 3.0);
}

#[test]
fn as_many_passes_as_allowed_move_the_centres() {
    let (rows, keys) = (rows_of(16, 2_000, 2_000), keys_of(2_000));
    for (batch_rows, kind) in [(None, PassKind::Full), (Some(500), PassKind::Batch)] {
        for max_passes in [1, 4] {
            let settings = KMeansSettings {
                max_passes,
                batch_rows,
                ..settings(30, Distance::Euclidean)
            };
            let done = fit(&rows, &keys, &settings, 2).unwrap();
            assert_eq!(done.stop, Stop::MaxPasses);
            let (last, passes) = done.passes.split_last().unwrap();
            assert_eq!(passes.len(), max_passes as usize);
            assert!(passes.iter().all(|pass| pass.kind == kind));
            assert!(passes.iter().all(|pass| pass.centre_shift > 0.0));
            assert_eq!((last.kind, last.centre_shift), (PassKind::Closing, 0.0));
            for (number, pass) in done.passes.iter().enumerate() {
                assert_eq!(pass.pass as usize, number + 1);
            }
        }
    }
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
}
