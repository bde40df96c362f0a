//! What a model file holds of words.

use pomona_learn::kmeans::Codebook;
use pomona_learn::words::{
    DocumentFrequencies, Norm, Weighting, WordWeights, WordsError, count_words,
};
use pomona_learn::{SealedFile, Section};
use sha2::{Digest, Sha256};

const CODEBOOK: &str = "words.codebook";
const INVERSE: &str = "words.inverse_document_frequencies";

/// From descriptors to features.
#[derive(Debug, Clone, PartialEq)]
pub struct WordModel {
    /// The words.
    pub codebook: Codebook,
    /// What they weigh.
    pub weights: WordWeights,
}

impl WordModel {
    pub(super) fn new(
        codebook: &Codebook,
        frequencies: &DocumentFrequencies,
        weighting: Weighting,
        norm: Norm,
    ) -> Self {
        Self {
            codebook: codebook.clone(),
            weights: match weighting {
                Weighting::TfIdf => WordWeights::tf_idf(frequencies, norm),
                _ => WordWeights::counts(codebook.words(), norm),
            },
        }
    }

    /// SHA-256 of everything that decides the features; hex.
    #[must_use]
    pub fn sha256(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(self.codebook.to_bytes());
        hash.update(self.weights.norm().to_string());
        for weight in self.weights.inverse().unwrap_or_default() {
            hash.update(weight.to_le_bytes());
        }
        hash.finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    /// The features of images, by their descriptors: k values an image, row-major.
    ///
    /// # Errors
    /// [`WordsError`] where a block is not of whole descriptors.
    pub fn features(&self, images: &[Vec<u8>]) -> Result<Vec<f32>, WordsError> {
        let words = self.codebook.words();
        let mut features = vec![0.0; images.len() * words];
        for (descriptors, vector) in images.iter().zip(features.chunks_exact_mut(words.max(1))) {
            let mut counts = vec![0; words];
            count_words(&self.codebook, descriptors, &mut counts)?;
            self.weights.apply(&counts, vector)?;
        }
        Ok(features)
    }

    pub(crate) fn write_into(&self, sealed: &mut SealedFile) {
        sealed.sections.insert(
            CODEBOOK.to_owned(),
            Section::Bytes(self.codebook.to_bytes()),
        );
        if let Some(inverse) = self.weights.inverse() {
            sealed
                .sections
                .insert(INVERSE.to_owned(), Section::F64(inverse.to_vec()));
        }
    }

    pub(crate) fn read_from(
        sealed: &SealedFile,
        norm: Norm,
    ) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        let bytes = sealed
            .bytes(CODEBOOK)
            .ok_or_else(|| format!("the section {CODEBOOK} is missing"))?;
        let codebook = Codebook::from_bytes(bytes)?;
        let weights = match sealed.f64s(INVERSE) {
            Some(inverse) => WordWeights::from_inverse(inverse.to_vec(), norm)?,
            None => WordWeights::counts(codebook.words(), norm),
        };
        if weights.words() != codebook.words() {
            return Err("there are not as many weights as words".into());
        }
        Ok(Self { codebook, weights })
    }
}
