use super::distance::Distance;
use super::error::KMeansError;
use super::{MAX_ROWS, MAX_WORDS};

/// What a codebook is learned with.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct KMeansSettings {
    /// Words wanted, k: 1..=[`MAX_WORDS`](super::MAX_WORDS).
    pub words: usize,
    /// What makes descriptors alike.
    pub distance: Distance,
    /// What every draw follows from.
    pub seed: u64,
    /// Most passes that move the centres, at least 1. A closing pass may follow.
    pub max_passes: u32,
    /// The centres have settled when the sum of their squared shifts is at most this share of the columns' mean
    /// variance, as scikit-learn's `tol`; not negative.
    pub tolerance: f64,
    /// Rows that the first centres are chosen from, at least k; 65,536 or 16·k, whichever is more, if absent. All
    /// rows, if there are no more. On ORB descriptors of photos, 16 rows per word cost 0.1 % of inertia and
    /// 4 rows per word 1 %.
    pub sample_rows: Option<usize>,
    /// Rows per pass, drawn anew for each pass, for more rows than can be read so often (Sculley 2010); all if
    /// absent, or if there are no more.
    pub batch_rows: Option<u64>,
}

impl Default for KMeansSettings {
    /// 1,000 words, Euclidean, seed 0, at most 100 passes over all rows, tolerance 1e-4.
    fn default() -> Self {
        Self {
            words: 1_000,
            distance: Distance::Euclidean,
            seed: 0,
            max_passes: 100,
            tolerance: 1e-4,
            sample_rows: None,
            batch_rows: None,
        }
    }
}

fn default_sample_rows(words: usize) -> usize {
    words.saturating_mul(16).max(65_536)
}

impl KMeansSettings {
    /// Rows that the first centres are chosen from.
    pub fn sample_capacity(&self) -> usize {
        self.sample_rows
            .unwrap_or_else(|| default_sample_rows(self.words))
            .max(self.words)
    }

    pub(crate) fn check(&self) -> Result<(), KMeansError> {
        let wrong = |setting, reason| Err(KMeansError::Setting { setting, reason });
        if self.words == 0 || self.words > MAX_WORDS {
            return wrong("words", "must be 1 to 1,048,576");
        }
        if self.max_passes == 0 {
            return wrong("max_passes", "must be at least 1");
        }
        // False for NaN too.
        if !(self.tolerance >= 0.0 && self.tolerance.is_finite()) {
            return wrong("tolerance", "must be a number that is not negative");
        }
        if self.sample_rows.is_some_and(|rows| rows as u64 > MAX_ROWS) {
            return wrong("sample_rows", "must be at most 2^40");
        }
        if self.batch_rows == Some(0) {
            return wrong("batch_rows", "must be at least 1");
        }
        Ok(())
    }
}
