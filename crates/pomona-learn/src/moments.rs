use std::borrow::Cow;

use crate::error::{LearnError, all_usable, whole_rows};
use crate::totals::Totals;

/// Count, mean and co-matrix Σ(x − mean)(x − mean)ᵀ of rows of D columns, in f64.
///
/// Summaries of parts merge into the summary of the whole, and parts can be removed again. However the rows are grouped, results agree to
/// 1e-12 relative; the same calls in the same order give the same bytes, with any number of threads. Rows
/// are summed in blocks of [`BLOCK_ROWS`](Self::BLOCK_ROWS): each block is centred about its own mean and
/// merged (Chan, Golub and LeVeque), so a large common offset costs no digits and a constant column has a
/// variance of exactly 0.
#[derive(Debug, Clone)]
pub struct Moments {
    totals: Totals,
    /// Rows waiting for their block to fill up, row-major, fewer than `BLOCK_ROWS`.
    pending: Vec<f64>,
}

impl Moments {
    /// Rows summed at a time. Where a block ends depends only on the sequence of rows, never on the sizes
    /// of the batches they come in.
    pub const BLOCK_ROWS: usize = 512;

    /// The summary of no rows. It takes its memory when rows come.
    pub fn new(columns: usize) -> Self {
        Self::of(Totals::new(columns))
    }

    pub(crate) fn of(totals: Totals) -> Self {
        Self {
            totals,
            pending: Vec::new(),
        }
    }

    /// Rows counted.
    pub fn count(&self) -> u64 {
        self.totals.count.saturating_add(self.pending_rows() as u64)
    }

    /// Columns of a row, D.
    pub fn columns(&self) -> usize {
        self.totals.columns
    }

    /// Counts n×D row-major values. On an error none of them is counted.
    pub fn update(&mut self, rows: &[f32]) -> Result<(), LearnError> {
        self.take(rows)
    }

    /// Counts n×D row-major values. On an error none of them is counted.
    pub fn update_f64(&mut self, rows: &[f64]) -> Result<(), LearnError> {
        self.take(rows)
    }

    fn take<T: Copy + Into<f64>>(&mut self, rows: &[T]) -> Result<(), LearnError> {
        let columns = self.columns();
        whole_rows("counting rows", rows.len(), columns)?;
        all_usable(rows, columns)?;
        if rows.is_empty() {
            return Ok(());
        }
        self.totals.reserve()?;
        let block = Self::BLOCK_ROWS.saturating_mul(columns);
        let mut rest = rows;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(block - self.pending.len()));
            self.make_room(now.len(), block);
            self.pending
                .extend(now.iter().map(|&value| -> f64 { value.into() }));
            if self.pending.len() == block {
                self.settle();
            }
            rest = later;
        }
        Ok(())
    }

    /// Grows the waiting rows' memory by doubling, but never beyond one block.
    fn make_room(&mut self, values: usize, block: usize) {
        let needed = self.pending.len() + values;
        let capacity = self.pending.capacity();
        if needed > capacity {
            let grown = needed.max(capacity * 2).min(block);
            self.pending.reserve_exact(grown - self.pending.len());
        }
    }

    /// Sums the rows still waiting for their block to fill up. Every reading method counts them anyway;
    /// doing this first saves those a copy of the whole summary.
    pub fn settle(&mut self) {
        if !self.pending.is_empty() {
            self.totals.absorb(&mut self.pending);
            self.pending.clear();
        }
    }

    /// Counts the rows of another summary of as many columns.
    pub fn merge(&mut self, other: &Self) -> Result<(), LearnError> {
        if other.columns() != self.columns() {
            return Err(LearnError::Shape {
                operation: "merging summaries",
                expected: format!("{} columns", self.columns()),
                got: format!("{} columns", other.columns()),
            });
        }
        if other.count() > 0 {
            self.totals.merge(other.settled());
        }
        Ok(())
    }

    /// Mean of each column; 0 when nothing has been counted.
    pub fn mean(&self) -> Vec<f64> {
        self.settled().mean()
    }

    /// Unbiased variance (n − 1) of each column; 0 when fewer than two rows have been counted.
    pub fn variance(&self) -> Vec<f64> {
        self.settled().variance()
    }

    /// Unbiased deviation (n − 1) of each column, as Spark's StandardScaler; 0 for a constant column and
    /// when fewer than two rows have been counted.
    pub fn deviation(&self) -> Vec<f64> {
        self.variance().into_iter().map(f64::sqrt).collect()
    }

    /// Bytes that one summary of `columns` columns takes once rows have come: the co-matrix, the mean and a
    /// block of waiting rows.
    pub fn bytes_for(columns: usize) -> u64 {
        let waiting = (Self::BLOCK_ROWS as u64)
            .saturating_mul(columns as u64)
            .saturating_mul(8);
        Totals::bytes_for(columns).saturating_add(waiting)
    }

    /// Bytes this summary takes now.
    pub fn memory_bytes(&self) -> usize {
        size_of::<Self>()
            + size_of::<f64>()
                * (self.totals.origin.capacity()
                    + self.totals.shift.capacity()
                    + self.totals.comatrix.capacity()
                    + self.pending.capacity())
    }

    fn pending_rows(&self) -> usize {
        match self.columns() {
            0 => 0,
            columns => self.pending.len() / columns,
        }
    }

    /// The totals without the waiting rows.
    pub(crate) fn totals_mut(&mut self) -> &mut Totals {
        &mut self.totals
    }

    /// The totals with the waiting rows merged in.
    pub(crate) fn settled(&self) -> Cow<'_, Totals> {
        if self.pending.is_empty() {
            return Cow::Borrowed(&self.totals);
        }
        let mut totals = self.totals.clone();
        totals.absorb(&mut self.pending.clone());
        Cow::Owned(totals)
    }
}
