//! Bags of visual words: what an image's descriptors become under a [`Codebook`].
//!
//! [`count_words`] counts an image's k words; [`WordWeights`] makes the image's feature vector of them, for which
//! tf-idf needs the [`DocumentFrequencies`] of all images; [`LabelWords`] sums the counts by label.

mod frequencies;
mod labels;
mod weights;

pub use frequencies::DocumentFrequencies;
pub use labels::{LabelCounts, LabelWords};
pub use weights::{Norm, ParseNameError, Weighting, WordWeights};

use crate::kmeans::{Codebook, DESCRIPTOR_BYTES, KMeansError};

/// Why words could not be counted or weighted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WordsError {
    /// A vector has not one entry per word.
    #[error("{operation}: expected {expected} words, got {got}")]
    Shape {
        /// What was being done.
        operation: &'static str,
        /// Words of the codebook.
        expected: usize,
        /// Entries of the vector.
        got: usize,
    },
    /// Weights outside 0 to 1,000,000.
    #[error("the words' weights cannot be used: one of them is not a number from 0 to 1,000,000")]
    Weights,
    /// Descriptors or bytes that cannot be read.
    #[error(transparent)]
    Descriptors(#[from] KMeansError),
}

/// Refuses a vector that has not one entry per word.
fn one_per_word(operation: &'static str, expected: usize, got: usize) -> Result<(), WordsError> {
    if expected == got {
        return Ok(());
    }
    Err(WordsError::Shape {
        operation,
        expected,
        got,
    })
}

/// Adds the words of n descriptors to an image's k counts. An image without key points has no descriptors and
/// keeps its zeros. Counts stay at 2³² − 1 once there.
pub fn count_words(
    codebook: &Codebook,
    descriptors: &[u8],
    counts: &mut [u32],
) -> Result<(), WordsError> {
    one_per_word("counting words", codebook.words(), counts.len())?;
    let mut words = vec![0; descriptors.len() / DESCRIPTOR_BYTES];
    codebook.assign(descriptors, &mut words)?;
    for word in words {
        let count = &mut counts[word as usize];
        *count = count.saturating_add(1);
    }
    Ok(())
}
