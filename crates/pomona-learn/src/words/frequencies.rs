use super::{WordsError, one_per_word};
use crate::kmeans::{MAX_WORDS, Reader};

const MARK: &[u8; 8] = b"POMONAF1";

/// In how many images each word occurs. Those of parts merge into those of the whole, exactly and in any order.
/// Numbers stay at 2⁶⁴ − 1 once there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DocumentFrequencies {
    images: u64,
    images_with: Vec<u64>,
}

impl DocumentFrequencies {
    /// Those of no images, for k words.
    pub fn new(words: usize) -> Self {
        Self {
            images: 0,
            images_with: vec![0; words],
        }
    }

    /// Images seen, those without any word among them.
    pub fn images(&self) -> u64 {
        self.images
    }

    /// Images with each word, k.
    pub fn images_with(&self) -> &[u64] {
        &self.images_with
    }

    /// Sees an image's k counts.
    pub fn update(&mut self, counts: &[u32]) -> Result<(), WordsError> {
        one_per_word("counting images", self.images_with.len(), counts.len())?;
        self.images = self.images.saturating_add(1);
        for (images, count) in self.images_with.iter_mut().zip(counts) {
            *images = images.saturating_add(u64::from(*count > 0));
        }
        Ok(())
    }

    /// Sees the images of others.
    pub fn merge(&mut self, other: &Self) -> Result<(), WordsError> {
        let words = self.images_with.len();
        one_per_word("merging counts of images", words, other.images_with.len())?;
        self.images = self.images.saturating_add(other.images);
        for (images, more) in self.images_with.iter_mut().zip(&other.images_with) {
            *images = images.saturating_add(*more);
        }
        Ok(())
    }

    /// Smoothed inverse document frequencies, k: ln((1 + images) ÷ (1 + images with the word)) + 1, as
    /// scikit-learn's `TfidfTransformer` by default. At least 1, so no word vanishes.
    pub fn inverse(&self) -> Vec<f64> {
        let images = 1.0 + self.images as f64;
        self.images_with
            .iter()
            .map(|with| (images / (1.0 + *with as f64)).ln() + 1.0)
            .collect()
    }

    /// Bytes these take.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.images_with.capacity() * size_of::<u64>()
    }

    /// These as bytes. Little-endian: the eight bytes `POMONAF1`, then u64: images, k, and images with each word.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        let head = [self.images, self.images_with.len() as u64];
        for number in head.iter().chain(&self.images_with) {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes
    }

    /// Those that [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WordsError> {
        let mut reader = Reader::new(bytes, MARK, "count of images by word")?;
        let images = reader.number()?;
        let words = reader.count(MAX_WORDS, 8)?;
        let images_with = reader.numbers(words)?;
        if images_with.iter().any(|with| *with > images) {
            return Err(reader
                .broken("a word is in more images than there are")
                .into());
        }
        reader.end()?;
        Ok(Self {
            images,
            images_with,
        })
    }
}
