//! k-means over ORB descriptors, one pass at a time.
//!
//! A descriptor is [`DESCRIPTOR_BYTES`] bytes; n of them are n·32 bytes, row-major. Whoever holds the rows runs
//! the passes:
//!
//! 1. [`KMeans::new`] checks the settings.
//! 2. Every partition fills a [`SeedSample`] ([`KMeans::sample`]); the merged one goes to [`KMeans::seed`].
//! 3. While [`KMeans::plan`] gives a [`PassPlan`], every partition fills a [`PassTotals`] with it; the merged
//!    ones go to [`KMeans::finish_pass`], which tells how the pass went.
//! 4. [`KMeans::finish`] gives the [`Clustering`].
//!
//! What is drawn follows from the seed and the rows' keys ([`PathKey`]), never from where or when a row is read.
//! Sums, costs and choices are integers from end to end, and centres lie on a grid ([`Codebook`]). So the same
//! rows, keys and settings give the same codebook to the bit: with any number of partitions, in any order, with
//! any number of threads, and on any processor. [`fit`] does all of it in memory.

mod codebook;
mod codebook_bytes;
mod distance;
mod driver;
mod error;
mod farthest;
mod fit;
mod hamming;
mod kernel;
mod keys;
mod plan;
mod potentials;
mod reader;
mod sample;
mod seeding;
mod settings;
mod totals;
mod totals_bytes;
mod update;

pub use codebook::Codebook;
pub use distance::{Distance, ParseDistanceError};
pub use driver::{Clustering, KMeans, Note, PassReport, Stop};
pub use error::KMeansError;
pub use fit::fit;
pub use keys::{PathKey, row_key};
pub use plan::{PassKind, PassPlan};
pub use sample::SeedSample;
pub use settings::KMeansSettings;
pub use totals::PassTotals;

pub(crate) use reader::Reader;

/// Bytes of a descriptor: ORB's 256 bits.
pub const DESCRIPTOR_BYTES: usize = 32;

/// Most words a codebook may have.
pub const MAX_WORDS: usize = 1 << 20;

/// Most rows that one summary counts, about 10¹²: no sum in it can overflow.
pub(crate) const MAX_ROWS: u64 = 1 << 40;

/// One descriptor.
pub(crate) type Descriptor = [u8; DESCRIPTOR_BYTES];

/// The descriptors in a block of bytes, or why it is not whole ones.
pub(crate) fn descriptors_in<'a>(
    operation: &'static str,
    bytes: &'a [u8],
) -> Result<&'a [Descriptor], KMeansError> {
    match bytes.as_chunks() {
        (descriptors, []) => Ok(descriptors),
        _ => Err(KMeansError::Shape {
            operation,
            expected: format!("whole descriptors of {DESCRIPTOR_BYTES} bytes"),
            got: format!("{} bytes", bytes.len()),
        }),
    }
}

/// Refuses a slice that has not one entry per row.
pub(crate) fn one_per_row(
    operation: &'static str,
    rows: usize,
    entries: usize,
) -> Result<(), KMeansError> {
    if rows == entries {
        return Ok(());
    }
    Err(KMeansError::Shape {
        operation,
        expected: format!("one entry for each of {rows} descriptors"),
        got: format!("{entries} entries"),
    })
}
