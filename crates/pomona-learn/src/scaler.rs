use serde::{Deserialize, Serialize};

use crate::error::LearnError;
use crate::moments::Moments;

/// What brings every column to mean 0 and deviation 1, as Spark's `StandardScaler(withMean, withStd)`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StandardScaler {
    /// Mean of each column.
    pub mean: Vec<f64>,
    /// Unbiased deviation (n − 1) of each column; 0 where a column is constant.
    pub deviation: Vec<f64>,
}

impl StandardScaler {
    /// The scaler of the rows summed in `moments`; needs two rows.
    pub fn fit(moments: &Moments) -> Result<Self, LearnError> {
        if moments.count() < 2 {
            return Err(LearnError::TooFewRows {
                rows: moments.count(),
            });
        }
        Ok(Self {
            mean: moments.mean(),
            deviation: moments.deviation(),
        })
    }

    /// What column `column`'s difference from the mean is multiplied by: 1 / deviation, and 0 for a
    /// constant column, which therefore scales to 0 in every row, seen in the fit or not.
    pub fn factor(&self, column: usize) -> f64 {
        match self.deviation.get(column) {
            Some(&deviation) if deviation > 0.0 => 1.0 / deviation,
            _ => 0.0,
        }
    }
}
