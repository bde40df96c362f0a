//! [`Moments`] as bytes, the way they travel between processes, and as a section of a sealed file, the way they are
//! kept.
//!
//! Little-endian: the eight bytes `POMONAM1`, D and n as u64, and, when n > 0, f64: D of an origin (one
//! of the rows, or the mean of those left after others were removed), D of the mean's difference from it, and
//! D·(D + 1)/2 of the co-matrix's lower triangle, column by column.

use crate::error::{LARGEST, LearnError};
use crate::moments::Moments;
use crate::sealed::{SealedFile, Section};
use crate::totals::Totals;

const MAGIC: &[u8; 8] = b"POMONAM1";
const HEAD_BYTES: usize = 24;
/// More columns would make a co-matrix of 8 TiB.
const MOST_COLUMNS: u64 = 1 << 20;
/// A double counts no further one by one.
const MOST_ROWS: u64 = 1 << 53;
/// By how much, relative, rounding may carry a cell beyond what its columns' variances allow.
const ROUNDING: f64 = 1e-6;
/// Below this, squares have lost digits to underflow.
const TINY: f64 = 1e-290;
/// The section of a sealed file, and the key of its header.
const SECTION: &str = "moments";

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

    /// Puts the summary into a sealed file: the section `moments`, of bytes, as [`to_bytes`](Self::to_bytes) writes
    /// them, and for whoever reads the header its key `moments` with `rows` and `columns` (the header must be a JSON
    /// object; anything else is replaced by one).
    pub fn write_into(&self, file: &mut SealedFile) {
        if !file.header.is_object() {
            file.header = serde_json::json!({});
        }
        file.header[SECTION] =
            serde_json::json!({ "rows": self.count(), "columns": self.columns() });
        file.sections
            .insert(SECTION.to_owned(), Section::Bytes(self.to_bytes()));
    }

    /// The summary that [`write_into`](Self::write_into) put there, to the bit.
    pub fn read_from(file: &SealedFile) -> Result<Self, LearnError> {
        let bytes = file.bytes(SECTION).ok_or(LearnError::BrokenSummary {
            reason: "the file holds none",
        })?;
        Self::from_bytes(bytes)
    }

    /// The summary that [`to_bytes`](Self::to_bytes) wrote.
    ///
    /// The bytes may come from anywhere: what cannot be a summary is refused, memory is taken in proportion to their
    /// length, and whatever is read can be merged, removed from and fitted without a number overflowing unseen.
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
        if columns > MOST_COLUMNS {
            return Err(broken("it claims more columns than there can be"));
        }
        if count > MOST_ROWS {
            return Err(broken("it claims more rows than can be counted"));
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
        check(&totals).map_err(broken)?;
        Ok(Self::of(totals))
    }
}

/// Refuses sums that no rows have. All values are finite, and there is at least one row.
fn check(totals: &Totals) -> Result<(), &'static str> {
    let beyond = |values: &[f64], most: f64| values.iter().any(|value| value.abs() > most);
    if beyond(&totals.origin, LARGEST) || beyond(&totals.shift, 2.0 * LARGEST) {
        return Err("a mean in it is larger than any feature");
    }
    let columns = totals.columns;
    let sums: Vec<f64> = totals.diagonal().collect();
    if sums.iter().any(|sum| *sum < 0.0) {
        return Err("a variance in it is negative");
    }
    if beyond(&sums, 4.0 * LARGEST * LARGEST * totals.count as f64) {
        return Err("a variance in it is larger than features can have");
    }
    if totals.count == 1 && sums.iter().any(|sum| *sum > 0.0) {
        return Err("its only row has a variance");
    }
    let lengths: Vec<f64> = sums.iter().map(|sum| sum.sqrt()).collect();
    for (column, length) in lengths.iter().enumerate() {
        let below = &totals.comatrix[column * columns + column..(column + 1) * columns];
        let possible = below.iter().zip(&lengths[column..]).all(|(cell, other)| {
            // Cauchy and Schwarz.
            cell.abs() <= length * other * (1.0 + ROUNDING) + TINY
        });
        if !possible {
            return Err("two columns in it go together more closely than they can");
        }
    }
    Ok(())
}
