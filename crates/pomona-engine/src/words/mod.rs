//! Descriptors to a codebook and to vectors of words, as functions.

mod codebook;
mod counts;

pub(crate) use codebook::pass_elsewhere;
pub use codebook::{pass_function, sample_function};
pub(crate) use counts::{WeighFunction, weigh_words_elsewhere, word_counts_elsewhere};
pub use counts::{
    document_frequencies_function, label_words_function, weigh_words_function, weights_bytes,
    word_counts_function,
};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, FixedSizeBinaryArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use pomona_learn::kmeans::KMeansError;
use pomona_learn::words::WordsError;

use crate::error::EngineError;
use crate::extract::DESCRIPTOR_BYTES;

impl From<KMeansError> for EngineError {
    fn from(error: KMeansError) -> Self {
        WordsError::from(error).into()
    }
}

fn descriptor_type() -> DataType {
    DataType::FixedSizeBinary(DESCRIPTOR_BYTES)
}

/// The bytes of a column of descriptors.
fn descriptor_bytes(column: &ArrayRef) -> Result<&[u8], EngineError> {
    let array: &FixedSizeBinaryArray = column.as_fixed_size_binary();
    let size = DESCRIPTOR_BYTES as usize;
    array
        .value_data()
        .get(..array.len() * size)
        .filter(|_| array.nulls().is_none_or(|nulls| nulls.null_count() == 0))
        .ok_or_else(|| column_error("a descriptor is missing"))
}

fn column_error(reason: &str) -> EngineError {
    EngineError::DataFusion(DataFusionError::Execution(reason.to_owned()))
}

/// Texts as plain strings, whichever string type they have.
fn plain_texts(column: &ArrayRef) -> Result<ArrayRef, EngineError> {
    cast(column, &DataType::Utf8).map_err(|error| EngineError::DataFusion(error.into()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn descriptors_are_read_from_slices_and_must_not_be_missing() {
        let rows: Vec<[u8; 32]> = (0..5).map(|row| [row; 32]).collect();
        let array = FixedSizeBinaryArray::try_from_iter(rows.iter()).unwrap();
        let sliced: ArrayRef = Arc::new(array.slice(2, 2));
        assert_eq!(
            descriptor_bytes(&sliced).unwrap(),
            [[2; 32], [3; 32]].concat()
        );
        let missing: ArrayRef = Arc::new(
            FixedSizeBinaryArray::try_from_sparse_iter_with_size(
                [Some([1; 32]), None].into_iter(),
                32,
            )
            .unwrap(),
        );
        assert!(descriptor_bytes(&missing).is_err());
        let empty: ArrayRef = Arc::new(array.slice(5, 0));
        assert!(descriptor_bytes(&empty).unwrap().is_empty());
    }
}
