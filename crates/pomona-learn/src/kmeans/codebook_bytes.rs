//! [`Codebook`] as bytes.
//!
//! Little-endian: the eight bytes `POMONAC1`, u64 distance (0 Euclidean, 1 Hamming), u64 k, then k·32 values: u16
//! in steps of 1/256, or bytes.

use super::codebook::{Centres, Codebook};
use super::distance::Distance;
use super::error::KMeansError;
use super::reader::Reader;
use super::{DESCRIPTOR_BYTES, MAX_WORDS};

const MARK: &[u8; 8] = b"POMONAC1";

impl Codebook {
    /// The codebook as bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = MARK.to_vec();
        bytes.extend_from_slice(&self.distance().code().to_le_bytes());
        bytes.extend_from_slice(&(self.words() as u64).to_le_bytes());
        match self.centres() {
            Centres::Euclidean(rows) => {
                for value in rows.as_flattened() {
                    bytes.extend_from_slice(&value.to_le_bytes());
                }
            }
            Centres::Hamming(rows) => bytes.extend_from_slice(rows.as_flattened()),
        }
        bytes
    }

    /// The codebook that [`to_bytes`](Self::to_bytes) wrote.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KMeansError> {
        let mut reader = Reader::new(bytes, MARK, "codebook")?;
        let Some(distance) = Distance::of_code(reader.number()?) else {
            return Err(reader.broken("its distance is unknown"));
        };
        let size = match distance {
            Distance::Euclidean => 2 * DESCRIPTOR_BYTES,
            Distance::Hamming => DESCRIPTOR_BYTES,
        };
        let words = reader.count(MAX_WORDS, size)?;
        let values = reader.bytes(words * size)?;
        reader.end()?;
        match distance {
            Distance::Hamming => Self::from_hamming(values),
            Distance::Euclidean => {
                let values: Vec<u16> = values
                    .as_chunks()
                    .0
                    .iter()
                    .map(|bytes| u16::from_le_bytes(*bytes))
                    .collect();
                Self::new(Centres::Euclidean(values.as_chunks().0.to_vec()))
            }
        }
    }
}
