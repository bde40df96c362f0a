//! [`Moments`] as bytes, the way they travel between processes.
//!
//! Little-endian: the eight bytes `POMONAM1`, D and n as u64, and, when n > 0, f64: D of an origin (one
//! of the rows), D of the mean's difference from it, and D·(D + 1)/2 of the co-matrix's lower triangle, column
//! by column.

use crate::error::LearnError;
use crate::moments::Moments;
use crate::totals::Totals;

const MAGIC: &[u8; 8] = b"POMONAM1";
const HEAD_BYTES: usize = 24;

impl Moments {
    /// The summary as bytes; the same rows in the same batches give the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let totals = self.settled();
        let columns = totals.columns;
        let mut bytes = Vec::with_capacity(HEAD_BYTES + 4 * columns * (columns + 5));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&(columns as u64).to_le_bytes());
        bytes.extend_from_slice(&totals.count.to_le_bytes());
        if totals.count == 0 {
            return bytes;
        }
        let mut push = |values: &[f64]| {
            for value in values {
                bytes.extend_from_slice(&value.to_le_bytes());
            }
        };
        push(&totals.origin);
        push(&totals.shift);
        for column in 0..columns {
            push(&totals.comatrix[column * columns + column..(column + 1) * columns]);
        }
        bytes
    }

    /// The summary that [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LearnError> {
        let broken = |reason| LearnError::BrokenSummary { reason };
        let (magic, rest) = bytes.split_first_chunk().ok_or(broken("too short"))?;
        if magic != MAGIC {
            return Err(broken("not one, or from another version"));
        }
        let (columns, rest) = rest.split_first_chunk().ok_or(broken("too short"))?;
        let (count, rest) = rest.split_first_chunk().ok_or(broken("too short"))?;
        let columns = u64::from_le_bytes(*columns);
        let count = u64::from_le_bytes(*count);
        let values = match count {
            0 => Some(0),
            _ => columns
                .checked_add(5)
                .and_then(|more| more.checked_mul(columns))
                .map(|doubled| doubled / 2),
        };
        if values.and_then(|values| values.checked_mul(8)) != Some(rest.len() as u64) {
            return Err(broken("its length does not fit its columns"));
        }
        // A summary of rows of no columns holds no rows.
        let columns = usize::try_from(columns).map_err(|_| broken("too many columns"))?;
        if columns == 0 && count > 0 {
            return Err(broken("rows without columns"));
        }
        let mut totals = Totals::new(columns);
        if count == 0 {
            return Ok(Self::of(totals));
        }
        totals.reserve()?;
        totals.count = count;
        let mut values = rest
            .as_chunks()
            .0
            .iter()
            .map(|chunk| f64::from_le_bytes(*chunk));
        let mut fill = |target: &mut [f64]| {
            let mut finite = true;
            for (cell, value) in target.iter_mut().zip(&mut values) {
                *cell = value;
                finite &= value.is_finite();
            }
            finite
        };
        let mut finite = fill(&mut totals.origin) & fill(&mut totals.shift);
        for column in 0..columns {
            let lower = column * columns + column..(column + 1) * columns;
            finite &= fill(&mut totals.comatrix[lower]);
        }
        if !finite {
            return Err(broken("it holds values that are no numbers"));
        }
        if totals.variance().iter().any(|variance| *variance < 0.0) {
            return Err(broken("a variance in it is negative"));
        }
        Ok(Self::of(totals))
    }
}
