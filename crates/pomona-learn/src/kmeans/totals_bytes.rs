//! [`PassTotals`] as bytes, the way they travel between processes.
//!
//! Little-endian: the eight bytes `POMONAT1`, then as u64: fingerprint of the plan, distance (0 Euclidean, 1 Hamming),
//! k, rows, Σ of squares, rows compared, rows moved, k counts and k×width sums; the number of farthest rows,
//! and for each of them its cost and word as u64 and its 32 bytes, the farthest first.

use std::cmp::Reverse;

use super::distance::Distance;
use super::error::KMeansError;
use super::farthest::{Far, Farthest, MOST};
use super::reader::Reader;
use super::totals::PassTotals;
use super::{DESCRIPTOR_BYTES, MAX_ROWS, MAX_WORDS};

const MARK: &[u8; 8] = b"POMONAT1";
const WHAT: &str = "summary of a pass";

impl PassTotals {
    /// The totals as bytes; the same rows give the same bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(128 + 8 * (self.counts.len() + self.sums.len()));
        bytes.extend_from_slice(MARK);
        let mut push = |numbers: &[u64]| {
            for number in numbers {
                bytes.extend_from_slice(&number.to_le_bytes());
            }
        };
        push(&[
            self.fingerprint,
            self.distance.code(),
            self.counts.len() as u64,
            self.rows,
            self.squares,
            self.compared,
            self.moved,
        ]);
        push(&self.counts);
        push(&self.sums);
        push(&[self.farthest.iter().len() as u64]);
        for far in self.farthest.iter() {
            bytes.extend_from_slice(&far.cost.0.to_le_bytes());
            bytes.extend_from_slice(&u64::from(far.word).to_le_bytes());
            bytes.extend_from_slice(&far.row);
        }
        bytes
    }

    /// The totals that [`to_bytes`](Self::to_bytes) wrote. What could not have been counted is refused.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KMeansError> {
        let mut reader = Reader::new(bytes, MARK, WHAT)?;
        let fingerprint = reader.number()?;
        let Some(distance) = Distance::of_code(reader.number()?) else {
            return Err(reader.broken("its distance is unknown"));
        };
        let words = reader.count(MAX_WORDS, 8 * (1 + distance.width()))?;
        let [rows, squares, compared, moved] = [
            reader.number()?,
            reader.number()?,
            reader.number()?,
            reader.number()?,
        ];
        let counts = reader.numbers(words)?;
        let sums = reader.numbers(words * distance.width())?;
        let far = reader.count(MOST, 16 + DESCRIPTOR_BYTES)?;
        let mut farthest = Farthest::default();
        let mut last = None;
        for _ in 0..far {
            let cost = Reverse(reader.number()?);
            let word = u32::try_from(reader.number()?).unwrap_or(u32::MAX);
            let row = *reader.array()?;
            let far = Far { cost, row, word };
            let known = counts.get(word as usize).is_some_and(|count| *count > 0);
            if !known || cost.0 == 0 || last.is_some_and(|last| last >= far) {
                return Err(reader.broken("its farthest rows are not"));
            }
            last = Some(far);
            farthest.take(far);
        }
        let totals = Self {
            fingerprint,
            distance,
            counts,
            sums,
            squares,
            rows,
            compared,
            moved,
            farthest,
        };
        if !totals.is_possible() {
            return Err(reader.broken("its numbers contradict each other"));
        }
        reader.end()?;
        Ok(totals)
    }

    /// Whether rows exist that sum up to this, as far as overflows and negative variances are concerned.
    fn is_possible(&self) -> bool {
        let counted: u128 = self.counts.iter().map(|count| u128::from(*count)).sum();
        if self.rows > MAX_ROWS
            || counted != u128::from(self.rows)
            || self.compared > self.rows
            || self.moved > self.compared
        {
            return false;
        }
        let width = self.distance.width();
        let largest = self.distance.largest();
        let mut total = 0_u128;
        let mut squared = 0_u128;
        for (count, sums) in self.counts.iter().zip(self.sums.chunks_exact(width)) {
            // Below 2⁴⁰ · 255.
            if sums.iter().any(|sum| *sum > count * largest) {
                return false;
            }
            total += sums.iter().map(|sum| u128::from(*sum)).sum::<u128>();
            if *count > 0 {
                // Rounded down, as Σx² ≥ (Σx)²/n is a bound from below.
                squared += sums.iter().map(|sum| u128::from(*sum).pow(2)).sum::<u128>()
                    / u128::from(*count);
            }
        }
        // Values are whole and at most `largest`: x ≤ x² ≤ largest·x, and within each centre Σx² ≥ (Σx)²/n.
        let squares = u128::from(self.squares);
        total <= squares && squares <= total * u128::from(largest) && squared <= squares
    }
}
