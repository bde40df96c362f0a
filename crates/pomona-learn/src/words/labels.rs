use std::collections::BTreeMap;

use super::{WordsError, one_per_word};
use crate::kmeans::{MAX_WORDS, Reader};

const MARK: &[u8; 8] = b"POMONAL1";

/// Words of all images of each label. Tables of parts merge into the table of the whole, exactly and in any order.
/// Numbers stay at 2⁶⁴ − 1 once there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelWords {
    words: usize,
    labels: BTreeMap<String, LabelCounts>,
}

/// One label's row.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct LabelCounts {
    /// Images seen.
    pub images: u64,
    /// How often each word occurs in them, k.
    pub counts: Vec<u64>,
}

impl LabelCounts {
    fn new(words: usize) -> Self {
        Self {
            images: 0,
            counts: vec![0; words],
        }
    }

    fn add<T: Copy + Into<u64>>(&mut self, images: u64, counts: &[T]) {
        self.images = self.images.saturating_add(images);
        for (sum, count) in self.counts.iter_mut().zip(counts) {
            *sum = sum.saturating_add((*count).into());
        }
    }
}

impl LabelWords {
    /// The table of no images, for k words.
    pub fn new(words: usize) -> Self {
        Self {
            words,
            labels: BTreeMap::new(),
        }
    }

    /// How many words there are.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Labels and their rows, in the order of the labels' bytes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &LabelCounts)> {
        self.labels
            .iter()
            .map(|(label, counts)| (label.as_str(), counts))
    }

    /// Sees an image of a label, by its k counts.
    pub fn update(&mut self, label: &str, counts: &[u32]) -> Result<(), WordsError> {
        one_per_word("summing words by label", self.words, counts.len())?;
        self.row(label).add(1, counts);
        Ok(())
    }

    fn row(&mut self, label: &str) -> &mut LabelCounts {
        let words = self.words;
        self.labels
            .entry(label.to_owned())
            .or_insert_with(|| LabelCounts::new(words))
    }

    /// Sees the images of another table.
    pub fn merge(&mut self, other: &Self) -> Result<(), WordsError> {
        one_per_word("merging words by label", self.words, other.words)?;
        for (label, row) in &other.labels {
            self.row(label).add(row.images, &row.counts);
        }
        Ok(())
    }

    /// Bytes this table takes, about.
    pub fn memory_bytes(&self) -> usize {
        let row = size_of::<(String, LabelCounts)>() + self.words * size_of::<u64>();
        let labels: usize = self.labels.keys().map(|label| label.capacity() + row).sum();
        size_of::<Self>() + labels
    }

    /// The table as bytes. Little-endian: the eight bytes `POMONAL1`, k and the number of labels as u64, and for each
    /// label its length in bytes as u64, its UTF-8 bytes, and as u64 its images and k counts.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        let mut push = |number: u64, text: &str| {
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(text.as_bytes());
        };
        push(self.words as u64, "");
        push(self.labels.len() as u64, "");
        for (label, row) in &self.labels {
            push(label.len() as u64, label);
            push(row.images, "");
            row.counts.iter().for_each(|count| push(*count, ""));
        }
        bytes
    }

    /// The table that [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, WordsError> {
        let mut reader = Reader::new(bytes, MARK, "table of words by label")?;
        let words = usize::try_from(reader.number()?).unwrap_or(usize::MAX);
        if words > MAX_WORDS {
            return Err(reader.broken("a number in it is too large").into());
        }
        let rows = reader.count(usize::MAX, 8 * (2 + words))?;
        let mut labels: BTreeMap<String, LabelCounts> = BTreeMap::new();
        for _ in 0..rows {
            let length = reader.count(usize::MAX, 1)?;
            let Ok(label) = std::str::from_utf8(reader.bytes(length)?) else {
                return Err(reader.broken("a label in it is not text").into());
            };
            let images = reader.number()?;
            let counts = reader.numbers(words)?;
            if labels
                .last_key_value()
                .is_some_and(|(last, _)| last.as_str() >= label)
            {
                return Err(reader.broken("its labels are out of order").into());
            }
            labels.insert(label.to_owned(), LabelCounts { images, counts });
        }
        reader.end()?;
        Ok(Self { words, labels })
    }
}
