use std::borrow::Cow;

use crate::error::LearnError;
use crate::product::add_outer_products;

/// Count, mean and co-matrix of rows, without any waiting to be summed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Totals {
    pub(crate) columns: usize,
    pub(crate) count: u64,
    /// D values: one of the rows, or the mean of those that remained when others were removed. Means are kept as
    /// differences from it, so that a large common offset costs them no digits. Empty, as what follows, while nothing has been counted, so that an empty summary
    /// costs none of its memory.
    pub(crate) origin: Vec<f64>,
    /// D values: mean − origin.
    pub(crate) shift: Vec<f64>,
    /// Lower triangle, column-major, of the D×D matrix Σ(x − mean)(x − mean)ᵀ; what lies above the
    /// diagonal means nothing.
    pub(crate) comatrix: Vec<f64>,
}

impl Totals {
    pub(crate) fn new(columns: usize) -> Self {
        Self {
            columns,
            count: 0,
            origin: Vec::new(),
            shift: Vec::new(),
            comatrix: Vec::new(),
        }
    }

    /// Bytes of the filled arrays.
    pub(crate) fn bytes_for(columns: usize) -> u64 {
        let columns = columns as u64;
        columns
            .saturating_mul(columns)
            .saturating_add(columns.saturating_mul(2))
            .saturating_mul(8)
    }

    /// Takes the memory of the arrays, before the first row.
    pub(crate) fn reserve(&mut self) -> Result<(), LearnError> {
        let cells = self.columns.saturating_mul(self.columns);
        if self.comatrix.len() == cells {
            return Ok(());
        }
        let mut comatrix = Vec::new();
        comatrix
            .try_reserve_exact(cells)
            .map_err(|_| LearnError::OutOfMemory {
                columns: self.columns,
                bytes: Self::bytes_for(self.columns),
            })?;
        comatrix.resize(cells, 0.0);
        self.comatrix = comatrix;
        self.origin = vec![0.0; self.columns];
        self.shift = vec![0.0; self.columns];
        Ok(())
    }

    /// Merges whole rows (n×D, row-major, at least one), leaving them centred about their own mean.
    /// The memory must have been reserved.
    pub(crate) fn absorb(&mut self, rows: &mut [f64]) {
        if self.count == 0 {
            self.origin.copy_from_slice(&rows[..self.columns]);
        }
        let shift = centre(rows, &self.origin);
        let apart = shift
            .iter()
            .zip(&self.shift)
            .map(|(other, own)| other - own)
            .collect();
        self.shift_to_common_mean((rows.len() / self.columns) as u64, apart);
        add_outer_products(&mut self.comatrix, rows, self.columns);
    }

    /// Merges another summary of the same number of columns.
    pub(crate) fn merge(&mut self, other: Cow<'_, Self>) {
        if other.count == 0 {
            return;
        }
        if self.count == 0 {
            *self = other.into_owned();
            return;
        }
        let apart = other.difference_from(self);
        self.shift_to_common_mean(other.count, apart);
        for (sum, more) in self.comatrix.iter_mut().zip(&other.comatrix) {
            *sum += more;
        }
    }

    /// The mean less another summary's, both of at least one row, without passing through the offset they share.
    pub(crate) fn difference_from(&self, other: &Self) -> Vec<f64> {
        let origins = self.origin.iter().zip(&other.origin);
        let shifts = self.shift.iter().zip(&other.shift);
        origins
            .zip(shifts)
            .map(|((own_origin, origin), (own_shift, shift))| {
                (own_origin - origin) + (own_shift - shift)
            })
            .collect()
    }

    /// Mean of each column; 0 when nothing has been counted.
    pub(crate) fn mean(&self) -> Vec<f64> {
        if self.count == 0 {
            return vec![0.0; self.columns];
        }
        let both = self.origin.iter().zip(&self.shift);
        both.map(|(origin, shift)| origin + shift).collect()
    }

    /// The sum of squares of each column about its mean.
    pub(crate) fn diagonal(&self) -> impl Iterator<Item = f64> {
        self.comatrix.iter().copied().step_by(self.columns + 1)
    }

    /// Unbiased variance (n − 1) of each column; 0 for fewer than two rows.
    pub(crate) fn variance(&self) -> Vec<f64> {
        if self.count < 2 {
            return vec![0.0; self.columns];
        }
        let degrees = (self.count - 1) as f64;
        self.diagonal().map(|sum| sum / degrees).collect()
    }

    /// Takes in the count and mean of other rows, and the part of the common co-matrix that comes from
    /// the two means being `apart` = δ (Chan, Golub and LeVeque 1979): δδᵀ · n_a·n_b / (n_a + n_b).
    fn shift_to_common_mean(&mut self, count: u64, mut apart: Vec<f64>) {
        let total = self.count.saturating_add(count);
        let weight = count as f64 / total as f64;
        let spread = (self.count as f64 * weight).sqrt();
        for (shift, apart) in self.shift.iter_mut().zip(&mut apart) {
            *shift += *apart * weight;
            *apart *= spread;
        }
        if self.count > 0 {
            add_outer_products(&mut self.comatrix, &apart, self.columns);
        }
        self.count = total;
    }
}

/// Subtracts from each row the mean of the rows, and returns that mean's difference from `origin`.
///
/// Sums run over differences from the origin, which is itself a row: a constant column comes out exactly
/// constant.
fn centre(rows: &mut [f64], origin: &[f64]) -> Vec<f64> {
    let mut shift = vec![0.0; origin.len()];
    for row in rows.chunks_exact_mut(origin.len()) {
        for ((value, origin), sum) in row.iter_mut().zip(origin).zip(&mut shift) {
            *value -= origin;
            *sum += *value;
        }
    }
    let count = (rows.len() / origin.len()) as f64;
    for sum in &mut shift {
        *sum /= count;
    }
    for row in rows.chunks_exact_mut(origin.len()) {
        for (value, shift) in row.iter_mut().zip(&shift) {
            *value -= shift;
        }
    }
    shift
}
