//! Bags of words against scikit-learn (`references/make_kmeans_references.py`) and against themselves in parts.
#![expect(
    clippy::unwrap_used,
    reason = "what cannot be unwrapped is a failure of the test"
)]

use std::sync::LazyLock;

use pomona_learn::kmeans::Codebook;
use pomona_learn::words::{
    DocumentFrequencies, LabelWords, Norm, Weighting, WordWeights, WordsError, count_words,
};
use proptest::prelude::*;
use serde_json::Value;

static REFERENCES: LazyLock<Value> = LazyLock::new(|| {
    let all: Value =
        serde_json::from_str(include_str!("references/kmeans_references.json")).unwrap();
    all["words"].clone()
});

fn numbers(value: &Value) -> Vec<f64> {
    let values = value.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

/// Eight images of six words; image 3 has no key points, and no image has word 2.
fn images() -> Vec<Vec<u32>> {
    let counts = numbers(&REFERENCES["counts"]);
    let image = |counts: &[f64]| counts.iter().map(|count| *count as u32).collect();
    counts.chunks(6).map(image).collect()
}

fn seen(images: &[Vec<u32>]) -> DocumentFrequencies {
    let mut frequencies = DocumentFrequencies::new(6);
    for counts in images {
        frequencies.update(counts).unwrap();
    }
    frequencies
}

#[test]
fn vectors_match_scikit_learn() {
    let images = images();
    let frequencies = seen(&images);
    assert_eq!(frequencies.images(), 8);
    for (got, expected) in frequencies
        .inverse()
        .iter()
        .zip(numbers(&REFERENCES["inverse"]))
    {
        assert!((got - expected).abs() < 1e-14);
    }
    let mut compared = 0;
    for norm in Norm::ALL {
        for weighting in Weighting::ALL {
            let weights = match weighting {
                Weighting::TfIdf => WordWeights::tf_idf(&frequencies, norm),
                _ => WordWeights::counts(6, norm),
            };
            assert_eq!(weights.weighting(), weighting);
            let Some(expected) = REFERENCES["vectors"].get(format!("{weighting} {norm}")) else {
                continue;
            };
            for (counts, expected) in images.iter().zip(numbers(expected).chunks(6)) {
                let mut vector = vec![f32::NAN; 6];
                weights.apply(counts, &mut vector).unwrap();
                for (got, expected) in vector.iter().zip(expected) {
                    assert!((f64::from(*got) - expected).abs() <= expected * 6e-8);
                }
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 5 * 8);
}

#[test]
fn an_image_without_key_points_stays_zeros() {
    let codebook = Codebook::from_hamming(&[0x55; 64]).unwrap();
    let mut counts = vec![0; 2];
    count_words(&codebook, &[], &mut counts).unwrap();
    for norm in Norm::ALL {
        let mut vector = vec![f32::NAN; 2];
        WordWeights::counts(2, norm)
            .apply(&counts, &mut vector)
            .unwrap();
        assert_eq!(vector, [0.0, 0.0]);
        let none = DocumentFrequencies::new(2);
        WordWeights::tf_idf(&none, norm)
            .apply(&counts, &mut vector)
            .unwrap();
        assert_eq!(vector, [0.0, 0.0]);
    }
}

#[test]
fn words_are_counted_and_added() {
    let centres: Vec<f32> = [10.0, 200.0, 100.0]
        .iter()
        .flat_map(|value| [*value; 32])
        .collect();
    let codebook = Codebook::from_euclidean(&centres).unwrap();
    let rows: Vec<u8> = [0_u8, 255, 90, 12, 110, 105]
        .iter()
        .flat_map(|value| [*value; 32])
        .collect();
    let mut counts = vec![0, 0, u32::MAX];
    count_words(&codebook, &rows, &mut counts).unwrap();
    count_words(&codebook, &rows[..32], &mut counts).unwrap();
    assert_eq!(counts, [3, 1, u32::MAX]);
    let wrong = count_words(&codebook, &rows, &mut counts[1..]);
    assert!(matches!(
        wrong,
        Err(WordsError::Shape {
            expected: 3,
            got: 2,
            ..
        })
    ));
    let wrong = count_words(&codebook, &rows[1..], &mut counts);
    assert!(matches!(wrong, Err(WordsError::Descriptors(_))));
}

#[test]
fn weights_come_back_from_their_parts() {
    let weights = WordWeights::tf_idf(&seen(&images()), Norm::L2);
    let inverse = weights.inverse().unwrap().to_vec();
    assert_eq!(
        WordWeights::from_inverse(inverse, weights.norm()).unwrap(),
        weights
    );
    assert!(WordWeights::from_inverse(vec![f64::NAN], Norm::None).is_err());
    assert!(WordWeights::from_inverse(vec![-1.0], Norm::None).is_err());
    assert!(WordWeights::from_inverse(vec![1e7], Norm::None).is_err());
    // The largest there can be stay numbers, under any norm.
    for norm in Norm::ALL {
        let weights = WordWeights::from_inverse(vec![1e6; 2], norm).unwrap();
        let mut vector = [f32::NAN; 2];
        weights.apply(&[u64::MAX; 2], &mut vector).unwrap();
        assert!(vector.iter().all(|value| value.is_finite() && *value > 0.0));
    }
    for norm in Norm::ALL {
        assert_eq!(norm.to_string().parse(), Ok(norm));
    }
    for weighting in Weighting::ALL {
        assert_eq!(weighting.to_string().parse(), Ok(weighting));
    }
    let wrong = "l3".parse::<Norm>().unwrap_err();
    assert_eq!(wrong.to_string(), "no such norm; there are none, l1, l2");
}

#[test]
fn labels_sum_their_images() {
    let mut table = LabelWords::new(6);
    for (number, counts) in images().iter().enumerate() {
        table.update(["Kiwi", "Äpfel"][number % 2], counts).unwrap();
    }
    let labels: Vec<&str> = table.iter().map(|(label, _)| label).collect();
    assert_eq!(labels, ["Kiwi", "Äpfel"]);
    for (number, (_, row)) in table.iter().enumerate() {
        assert_eq!(row.images, 4);
        for word in 0..6 {
            let sum: u32 = images()
                .iter()
                .skip(number)
                .step_by(2)
                .map(|counts| counts[word])
                .sum();
            assert_eq!(row.counts[word], u64::from(sum));
        }
        WordWeights::counts(6, Norm::L1)
            .apply(&row.counts, &mut [0.0; 6])
            .unwrap();
    }
    assert!(table.update("Kiwi", &[1; 5]).is_err());
    assert!(table.merge(&LabelWords::new(5)).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn tables_merge_in_any_order_and_travel(
        images in prop::collection::vec((prop::sample::select(vec!["a", "b", "ü", ""]), prop::array::uniform4(0..3_u32)), 0..40),
        cut in any::<prop::sample::Index>(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
    ) {
        let tables = |images: &[(&str, [u32; 4])]| {
            let (mut labels, mut frequencies) = (LabelWords::new(4), DocumentFrequencies::new(4));
            for (label, counts) in images {
                labels.update(label, counts).unwrap();
                frequencies.update(counts).unwrap();
            }
            (labels, frequencies)
        };
        let whole = tables(&images);
        let (first, second) = images.split_at(cut.index(images.len() + 1));
        let (first, second) = (tables(first), tables(second));
        for (a, b) in [(&first, &second), (&second, &first)] {
            let mut merged = (
                LabelWords::from_bytes(&a.0.to_bytes()).unwrap(),
                DocumentFrequencies::from_bytes(&a.1.to_bytes()).unwrap(),
            );
            merged.0.merge(&b.0).unwrap();
            merged.1.merge(&b.1).unwrap();
            prop_assert_eq!(&merged, &whole);
        }
        for bytes in [whole.0.to_bytes(), whole.1.to_bytes()] {
            let mut flipped = bytes.clone();
            flipped[at.index(bytes.len())] ^= flip;
            if let Ok(mut table) = LabelWords::from_bytes(&flipped) {
                let other = table.clone();
                table.merge(&other).unwrap();
            }
            if let Ok(frequencies) = DocumentFrequencies::from_bytes(&flipped) {
                prop_assert!(frequencies.inverse().iter().all(|weight| *weight >= 1.0));
            }
            prop_assert!(LabelWords::from_bytes(&bytes[..at.index(bytes.len())]).is_err());
            prop_assert!(DocumentFrequencies::from_bytes(&bytes[..at.index(bytes.len())]).is_err());
        }
    }
}
