//! What k-means refuses, and what of it stays the same for good.

mod common;

use common::descriptors::{keys_of, rows_of, seeded, settings, totals_of};
use pomona_learn::kmeans::{
    Codebook, Distance, KMeans, KMeansError, KMeansSettings, PassPlan, PassTotals, PathKey,
    SeedSample, row_key,
};
use proptest::prelude::*;

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

/// Model files hold these bytes: the layout as it is documented, written by hand.
#[test]
fn codebooks_of_version_1_are_read() {
    let mut values = [0.0; 64];
    (values[1], values[63]) = (1.5, 255.0);
    let mut bytes = b"POMONAC1\0\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0".to_vec();
    bytes.resize(24 + 128, 0);
    bytes[26..28].copy_from_slice(&[0x80, 0x01]);
    bytes[150..].copy_from_slice(&[0x00, 0xff]);
    let codebook = Codebook::from_euclidean(&values).unwrap();
    assert_eq!(Codebook::from_bytes(&bytes).unwrap(), codebook);
    assert_eq!(codebook.to_bytes(), bytes);

    let centre: Vec<u8> = (100..132).collect();
    let mut bytes = b"POMONAC1\x01\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
    bytes.extend_from_slice(&centre);
    let codebook = Codebook::from_hamming(&centre).unwrap();
    assert_eq!(Codebook::from_bytes(&bytes).unwrap(), codebook);
    assert_eq!(codebook.to_bytes(), bytes);
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

/// Summaries that say they counted 2⁴⁰ rows count none more.
#[test]
fn too_many_rows_are_refused() {
    let most = (1_u64 << 40).to_le_bytes();
    let mut sample = SeedSample::new(0, 1);
    sample.update(&[7; 32], &[0]).unwrap();
    let mut bytes = sample.to_bytes();
    bytes[16..24].copy_from_slice(&most);
    let mut full = SeedSample::from_bytes(&bytes, 0).unwrap();
    assert!(matches!(
        full.update(&[7; 32], &[0]),
        Err(KMeansError::TooManyRows)
    ));
    assert!(matches!(full.merge(&sample), Err(KMeansError::TooManyRows)));
    assert_eq!(full.rows(), 1 << 40);

    // All of them zeros, of the only word there is.
    let mut kmeans = KMeans::new(settings(1, Distance::Euclidean)).unwrap();
    kmeans
        .start(Codebook::from_euclidean(&[0.0; 32]).unwrap(), 1)
        .unwrap();
    let plan = kmeans.plan().unwrap();
    let one = totals_of(plan, &[0; 32], &[0]);
    let mut bytes = one.to_bytes();
    // Rows, and the word's count.
    bytes[32..40].copy_from_slice(&most);
    bytes[64..72].copy_from_slice(&most);
    let mut full = PassTotals::from_bytes(&bytes).unwrap();
    assert_eq!((full.rows(), full.counts()), (1 << 40, &[1 << 40][..]));
    assert!(matches!(
        full.update(plan, &[0; 32], &[0]),
        Err(KMeansError::TooManyRows)
    ));
    assert!(matches!(full.merge(&one), Err(KMeansError::TooManyRows)));
    bytes[32] += 1;
    bytes[64] += 1;
    assert!(PassTotals::from_bytes(&bytes).is_err());
}

/// A far row of a word that is not there, or that has no rows.
#[test]
fn far_rows_of_no_word_are_refused() {
    let (rows, keys) = (rows_of(9, 40, 9), keys_of(40));
    let kmeans = seeded(&settings(5, Distance::Euclidean), &rows, &keys);
    let bytes = totals_of(kmeans.plan().unwrap(), &rows, &keys).to_bytes();
    assert!(PassTotals::from_bytes(&bytes).is_ok());
    // The last far row's word stands before its 32 bytes.
    let at = bytes.len() - 40;
    let mut wrong = bytes.clone();
    wrong[at] = 5;
    assert!(PassTotals::from_bytes(&wrong).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

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
