use std::cmp::Reverse;

use super::distance::Distance;
use super::error::KMeansError;
use super::farthest::{Far, Farthest};
use super::plan::PassPlan;
use super::sample::counted;
use super::{Descriptor, descriptors_in, one_per_row};

/// Rows assigned at a time.
const ROWS: usize = 960;

/// What one pass sums up: per centre the rows and their column sums, the sum of all squares, how many rows moved,
/// and the rows farthest from their centres.
///
/// Totals of parts merge into the totals of the whole, to the bit and however the rows are grouped: all of it is
/// whole numbers and sets. At most 2⁴⁰ rows are counted. Under [`Distance::Hamming`] the columns are the 256 bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassTotals {
    /// Of the plan these belong to.
    pub(crate) fingerprint: u64,
    pub(crate) distance: Distance,
    /// Rows per centre, k.
    pub(crate) counts: Vec<u64>,
    /// Sums per centre and column, k×width.
    pub(crate) sums: Vec<u64>,
    /// Σ|x|² over all rows.
    pub(crate) squares: u64,
    /// Rows counted: the sum of `counts`.
    pub(crate) rows: u64,
    /// Rows that were assigned with the previous codebook too, and those of them that had another word.
    pub(crate) compared: u64,
    pub(crate) moved: u64,
    pub(crate) farthest: Farthest,
}

impl PassTotals {
    /// The totals of no rows.
    pub fn new(plan: &PassPlan) -> Self {
        let distance = plan.codebook.distance();
        let words = plan.codebook.words();
        Self {
            fingerprint: plan.fingerprint,
            distance,
            counts: vec![0; words],
            sums: vec![0; words * distance.width()],
            squares: 0,
            rows: 0,
            compared: 0,
            moved: 0,
            farthest: Farthest::default(),
        }
    }

    /// Rows counted.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Rows per word, k.
    pub fn counts(&self) -> &[u64] {
        &self.counts
    }

    /// Bytes these totals take.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + (self.counts.capacity() + self.sums.capacity()) * size_of::<u64>()
            + self.farthest.iter().len() * size_of::<Far>()
    }

    /// Counts n descriptors and their keys ([`PathKey`](super::PathKey)); under a plan for a share of the rows,
    /// those drawn. The plan is the one these totals were made for. On an error none is counted.
    pub fn update(
        &mut self,
        plan: &PassPlan,
        descriptors: &[u8],
        keys: &[u64],
    ) -> Result<(), KMeansError> {
        let rows = descriptors_in("counting descriptors", descriptors)?;
        one_per_row("counting descriptors", rows.len(), keys.len())?;
        let words = plan.codebook.words();
        if plan.fingerprint != self.fingerprint || words != self.counts.len() {
            return Err(KMeansError::Mixed {
                operation: "counting descriptors",
            });
        }
        counted(self.rows, rows.len() as u64)?;
        let mut drawn = Vec::new();
        let mut drawn_keys = Vec::new();
        for (rows, keys) in rows.chunks(ROWS).zip(keys.chunks(ROWS)) {
            if plan.counts_all() {
                self.count(plan, rows, keys);
                continue;
            }
            drawn.clear();
            drawn_keys.clear();
            let lot = plan.batch_lot();
            for (row, key) in rows.iter().zip(keys) {
                if plan.counts(lot.of(*key)) {
                    drawn.push(*row);
                    drawn_keys.push(*key);
                }
            }
            self.count(plan, &drawn, &drawn_keys);
        }
        Ok(())
    }

    /// At most [`ROWS`] rows.
    fn count(&mut self, plan: &PassPlan, rows: &[Descriptor], keys: &[u64]) {
        let mut words = [0; ROWS];
        let words = &mut words[..rows.len()];
        plan.codebook.assign_rows(rows, words);
        for (row, word) in rows.iter().zip(words.iter()) {
            self.add(row, *word);
            let cost = plan.codebook.cost(row, *word);
            if self.farthest.may_take(cost) {
                self.farthest.take(Far {
                    cost: Reverse(cost),
                    row: *row,
                    word: *word,
                });
            }
        }
        self.rows += rows.len() as u64;
        self.compare(plan, rows, keys, words);
    }

    fn add(&mut self, row: &Descriptor, word: u32) {
        let word = word as usize;
        self.counts[word] += 1;
        let mut squares = 0_u32;
        match self.distance {
            Distance::Euclidean => {
                let (sums, _) = self.sums.as_chunks_mut::<32>();
                for (sum, value) in sums[word].iter_mut().zip(row) {
                    *sum = sum.wrapping_add(u64::from(*value));
                    squares = squares.wrapping_add(u32::from(*value).pow(2));
                }
            }
            Distance::Hamming => {
                let (sums, _) = self.sums.as_chunks_mut::<256>();
                let (sums, _) = sums[word].as_chunks_mut::<8>();
                for (sums, value) in sums.iter_mut().zip(row) {
                    for (bit, sum) in sums.iter_mut().enumerate() {
                        *sum = sum.wrapping_add(u64::from((value >> bit) & 1));
                    }
                    squares = squares.wrapping_add(value.count_ones());
                }
            }
        }
        self.squares += u64::from(squares);
    }

    /// Assigns the rows drawn for it with the previous codebook and counts those that had another word.
    fn compare(&mut self, plan: &PassPlan, rows: &[Descriptor], keys: &[u64], words: &[u32]) {
        let Some(previous) = &plan.previous else {
            return;
        };
        let lot = plan.compare_lot();
        let (drawn, now): (Vec<Descriptor>, Vec<u32>) = rows
            .iter()
            .zip(words)
            .zip(keys)
            .filter(|(_, key)| plan.compares(lot.of(**key)))
            .map(|((row, word), _)| (*row, *word))
            .unzip();
        let mut before = [0; ROWS];
        let before = &mut before[..drawn.len()];
        previous.assign_rows(&drawn, before);
        self.compared += drawn.len() as u64;
        self.moved += now
            .iter()
            .zip(&*before)
            .filter(|(now, before)| now != before)
            .count() as u64;
    }

    /// Counts the rows of other totals of the same pass. On an error none is counted.
    pub fn merge(&mut self, other: &Self) -> Result<(), KMeansError> {
        let shape = |totals: &Self| (totals.fingerprint, totals.distance, totals.counts.len());
        if shape(self) != shape(other) {
            return Err(KMeansError::Mixed {
                operation: "merging totals of a pass",
            });
        }
        self.add_sums(other)?;
        self.farthest.merge(&other.farthest);
        Ok(())
    }

    /// Counts the rows of a later pass of the same fit; the farthest rows become that pass's.
    pub(crate) fn add_pass(&mut self, later: Self) -> Result<(), KMeansError> {
        self.add_sums(&later)?;
        self.farthest = later.farthest;
        Ok(())
    }

    fn add_sums(&mut self, other: &Self) -> Result<(), KMeansError> {
        self.rows = counted(self.rows, other.rows)?;
        self.squares += other.squares;
        self.compared += other.compared;
        self.moved += other.moved;
        let add = |into: &mut [u64], from: &[u64]| {
            for (into, from) in into.iter_mut().zip(from) {
                *into = into.wrapping_add(*from);
            }
        };
        add(&mut self.counts, &other.counts);
        add(&mut self.sums, &other.sums);
        Ok(())
    }

    /// Variance of a column (÷ n), averaged over the columns; 0 without rows.
    pub(crate) fn mean_variance(&self) -> f64 {
        if self.rows == 0 {
            return 0.0;
        }
        let width = self.distance.width();
        let mut sums = vec![0_u128; width];
        for centre in self.sums.chunks_exact(width) {
            for (sum, value) in sums.iter_mut().zip(centre) {
                *sum += u128::from(*value);
            }
        }
        // n·Σx² − (Σx)² ≥ 0 in whole numbers: nothing cancels.
        let squared: u128 = sums.iter().map(|sum| sum * sum).sum();
        let spread = (u128::from(self.rows) * u128::from(self.squares)).saturating_sub(squared);
        spread as f64 / (self.rows as f64).powi(2) / width as f64
    }
}
