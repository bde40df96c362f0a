use std::fmt;
use std::str::FromStr;

use super::DESCRIPTOR_BYTES;

/// What makes two descriptors alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Distance {
    /// The bytes are 32 numbers 0..=255, as when descriptors go into Spark's or scikit-learn's k-means; the
    /// cost is the squared Euclidean distance and a centre is a mean.
    #[default]
    Euclidean,
    /// The bytes are 256 bits; the cost is the number of bits that differ and each bit of a centre is the
    /// majority's (k-majority). A tie keeps the bit the centre had.
    Hamming,
}

impl Distance {
    /// Every distance.
    pub const ALL: [Self; 2] = [Self::Euclidean, Self::Hamming];

    /// The name people type.
    pub fn name(self) -> &'static str {
        match self {
            Self::Euclidean => "euclidean",
            Self::Hamming => "hamming",
        }
    }

    /// Sums kept per centre: 32 bytes' or 256 bits'.
    pub(crate) fn width(self) -> usize {
        match self {
            Self::Euclidean => DESCRIPTOR_BYTES,
            Self::Hamming => DESCRIPTOR_BYTES * 8,
        }
    }

    /// Largest value of one summed column.
    pub(crate) fn largest(self) -> u64 {
        match self {
            Self::Euclidean => 255,
            Self::Hamming => 1,
        }
    }

    pub(crate) fn code(self) -> u64 {
        match self {
            Self::Euclidean => 0,
            Self::Hamming => 1,
        }
    }

    pub(crate) fn of_code(code: u64) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|distance| distance.code() == code)
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// A distance that does not exist.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no such distance; there are euclidean and hamming")]
pub struct ParseDistanceError;

impl FromStr for Distance {
    type Err = ParseDistanceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|distance| distance.name() == text)
            .ok_or(ParseDistanceError)
    }
}
