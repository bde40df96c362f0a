use std::collections::BinaryHeap;

use super::error::KMeansError;
use super::keys::{Draw, Lot};
use super::reader::Reader;
use super::{Descriptor, MAX_ROWS, descriptors_in, one_per_row};

const MARK: &[u8; 8] = b"POMONAS1";

/// Rows to choose the first centres from: those with the least hashes of seed and key, which is a uniform draw
/// without replacement.
///
/// Samples of parts merge into the sample of the whole, the same however the rows are grouped. Of all the rows
/// `capacity` are kept; with fewer rows, all.
#[derive(Debug, Clone)]
pub struct SeedSample {
    lot: Lot,
    capacity: usize,
    rows: u64,
    /// The largest lot on top.
    kept: BinaryHeap<(u64, Descriptor)>,
}

impl SeedSample {
    /// The sample of no rows, for partitions of one fit: they share seed and capacity.
    pub fn new(seed: u64, capacity: usize) -> Self {
        Self {
            lot: Lot::new(seed, Draw::Sample),
            capacity,
            rows: 0,
            kept: BinaryHeap::new(),
        }
    }

    /// Rows kept at most.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Rows seen.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows kept.
    pub fn kept(&self) -> usize {
        self.kept.len()
    }

    /// Sees n descriptors and their keys ([`PathKey`](super::PathKey)). On an error none of them is
    /// seen.
    pub fn update(&mut self, descriptors: &[u8], keys: &[u64]) -> Result<(), KMeansError> {
        let rows = descriptors_in("drawing a sample", descriptors)?;
        one_per_row("drawing a sample", rows.len(), keys.len())?;
        self.rows = counted(self.rows, rows.len() as u64)?;
        for (row, key) in rows.iter().zip(keys) {
            self.see((self.lot.of(*key), *row));
        }
        Ok(())
    }

    fn see(&mut self, entry: (u64, Descriptor)) {
        if self.kept.len() < self.capacity {
            self.kept.push(entry);
        } else if let Some(mut last) = self.kept.peek_mut()
            && entry < *last
        {
            *last = entry;
        }
    }

    /// Sees the rows of another sample of the same fit.
    pub fn merge(&mut self, other: &Self) -> Result<(), KMeansError> {
        if (other.lot, other.capacity) != (self.lot, self.capacity) {
            return Err(KMeansError::Mixed {
                operation: "merging samples",
            });
        }
        self.rows = counted(self.rows, other.rows)?;
        other.kept.iter().for_each(|entry| self.see(*entry));
        Ok(())
    }

    /// Whether it was drawn with this seed and capacity.
    pub(crate) fn is_of(&self, seed: u64, capacity: usize) -> bool {
        (self.lot, self.capacity) == (Lot::new(seed, Draw::Sample), capacity)
    }

    /// The rows kept, in an order that follows from the seed.
    pub(crate) fn into_rows(self) -> Vec<Descriptor> {
        self.kept
            .into_sorted_vec()
            .into_iter()
            .map(|(_, row)| row)
            .collect()
    }

    /// Bytes this sample takes now.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>() + self.kept.capacity() * size_of::<(u64, Descriptor)>()
    }

    /// The sample as bytes; the same rows give the same bytes. Little-endian: the eight bytes `POMONAS1`, u64 each
    /// of capacity, rows seen and rows kept, then for each kept row, the least lot first, its lot as u64 and
    /// its 32 bytes. The seed is not in them.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        for number in [self.capacity as u64, self.rows, self.kept.len() as u64] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        for (lot, row) in self.kept.clone().into_sorted_vec() {
            bytes.extend_from_slice(&lot.to_le_bytes());
            bytes.extend_from_slice(&row);
        }
        bytes
    }

    /// The sample that [`to_bytes`](Self::to_bytes) wrote, of a fit with this seed.
    pub fn from_bytes(bytes: &[u8], seed: u64) -> Result<Self, KMeansError> {
        let mut reader = Reader::new(bytes, MARK, "sample of descriptors")?;
        let capacity = usize::try_from(reader.number()?)
            .map_err(|_| reader.broken("a number in it is too large"))?;
        let rows = reader.number()?;
        let kept = reader.count(capacity, size_of::<u64>() + size_of::<Descriptor>())?;
        if rows > MAX_ROWS || kept as u64 != rows.min(capacity as u64) {
            return Err(reader.broken("its rows do not fit its capacity"));
        }
        let mut entries = Vec::with_capacity(kept);
        for _ in 0..kept {
            entries.push((reader.number()?, *reader.array()?));
        }
        if !entries.is_sorted() {
            return Err(reader.broken("its rows are out of order"));
        }
        reader.end()?;
        Ok(Self {
            lot: Lot::new(seed, Draw::Sample),
            capacity,
            rows,
            kept: entries.into(),
        })
    }
}

/// Rows counted so far and more of them.
pub(crate) fn counted(rows: u64, more: u64) -> Result<u64, KMeansError> {
    match rows.checked_add(more) {
        Some(rows) if rows <= MAX_ROWS => Ok(rows),
        _ => Err(KMeansError::TooManyRows),
    }
}
