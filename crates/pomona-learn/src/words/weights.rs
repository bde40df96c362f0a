use std::fmt;
use std::str::FromStr;

use super::frequencies::DocumentFrequencies;
use super::{WordsError, one_per_word};

/// What a word's entry in an image's vector is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Weighting {
    /// How often the word occurs.
    #[default]
    Counts,
    /// That, times the word's inverse document frequency ([`DocumentFrequencies::inverse`]).
    TfIdf,
}

/// What an image's vector is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Norm {
    /// Nothing.
    #[default]
    None,
    /// The sum of its entries.
    L1,
    /// The root of the sum of their squares.
    L2,
}

/// A name that is not among those there are.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such {what}; there are {names}")]
pub struct ParseNameError {
    what: &'static str,
    names: String,
}

/// Finds by name.
fn parse<T: Copy + fmt::Display>(
    what: &'static str,
    all: &[T],
    text: &str,
) -> Result<T, ParseNameError> {
    let names: Vec<String> = all.iter().map(T::to_string).collect();
    names
        .iter()
        .zip(all)
        .find(|(name, _)| *name == text)
        .map(|(_, one)| *one)
        .ok_or_else(|| ParseNameError {
            what,
            names: names.join(", "),
        })
}

impl Weighting {
    /// Every weighting.
    pub const ALL: [Self; 2] = [Self::Counts, Self::TfIdf];
}

impl Norm {
    /// Every norm.
    pub const ALL: [Self; 3] = [Self::None, Self::L1, Self::L2];
}

impl fmt::Display for Weighting {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Counts => "counts",
            Self::TfIdf => "tf-idf",
        })
    }
}

impl fmt::Display for Norm {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::None => "none",
            Self::L1 => "l1",
            Self::L2 => "l2",
        })
    }
}

impl FromStr for Weighting {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse("weighting", &Self::ALL, text)
    }
}

impl FromStr for Norm {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse("norm", &Self::ALL, text)
    }
}

/// Far above what tf-idf gives, at most 1 + 64·ln 2, and low enough that no entry becomes infinite.
const LARGEST: f64 = 1e6;

/// How counts of k words become a vector of k features.
#[derive(Debug, Clone, PartialEq)]
pub struct WordWeights {
    words: usize,
    /// One per word, under tf-idf.
    inverse: Option<Vec<f64>>,
    norm: Norm,
}

impl WordWeights {
    /// Counts as they are, for k words.
    pub fn counts(words: usize, norm: Norm) -> Self {
        Self {
            words,
            inverse: None,
            norm,
        }
    }

    /// tf-idf over the images seen.
    pub fn tf_idf(frequencies: &DocumentFrequencies, norm: Norm) -> Self {
        let inverse = frequencies.inverse();
        Self {
            words: inverse.len(),
            inverse: Some(inverse),
            norm,
        }
    }

    /// tf-idf with the inverse document frequencies that [`inverse`](Self::inverse) gave: 0 to
    /// 1,000,000.
    pub fn from_inverse(inverse: Vec<f64>, norm: Norm) -> Result<Self, WordsError> {
        if !inverse
            .iter()
            .all(|weight| (0.0..=LARGEST).contains(weight))
        {
            return Err(WordsError::Weights);
        }
        Ok(Self {
            words: inverse.len(),
            inverse: Some(inverse),
            norm,
        })
    }

    /// How many words there are.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Which weighting it is.
    pub fn weighting(&self) -> Weighting {
        match self.inverse {
            Some(_) => Weighting::TfIdf,
            None => Weighting::Counts,
        }
    }

    /// Inverse document frequencies, k, under tf-idf.
    pub fn inverse(&self) -> Option<&[f64]> {
        self.inverse.as_deref()
    }

    /// What vectors are divided by.
    pub fn norm(&self) -> Norm {
        self.norm
    }

    /// Writes the vector of an image (u32) or a label (u64) from its k counts. Computed in f64; no counts give
    /// zeros, under any norm.
    pub fn apply<T: Copy + Into<u64>>(
        &self,
        counts: &[T],
        vector: &mut [f32],
    ) -> Result<(), WordsError> {
        one_per_word("weighting words", self.words, counts.len())?;
        one_per_word("weighting words", self.words, vector.len())?;
        let weighted = |word: usize| {
            let count: u64 = counts[word].into();
            match &self.inverse {
                Some(inverse) => count as f64 * inverse[word],
                None => count as f64,
            }
        };
        let all = (0..self.words).map(weighted);
        let norm = match self.norm {
            Norm::None => 1.0,
            Norm::L1 => all.sum(),
            Norm::L2 => all.map(|value| value * value).sum::<f64>().sqrt(),
        };
        // Nothing but zeros stays zeros.
        let norm = if norm > 0.0 { norm } else { 1.0 };
        for (word, value) in vector.iter_mut().enumerate() {
            *value = (weighted(word) / norm) as f32;
        }
        Ok(())
    }
}
