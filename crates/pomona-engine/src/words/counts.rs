//! Words of an image, and what they weigh.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, FixedSizeListArray, Float32Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    AggregateUDF, ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use pomona_learn::kmeans::Codebook;
use pomona_learn::words::{DocumentFrequencies, LabelWords, WordWeights, count_words};

use super::{column_error, descriptor_bytes, descriptor_type, plain_texts};
use crate::error::EngineError;
use crate::extract::float_list_type;
use crate::summary::{Summary, summary_function};

/// The aggregate function `word_counts(descriptor)`: how often each of the k words occurs, as k little-endian u32.
#[must_use]
pub fn word_counts_function(codebook: Arc<Codebook>) -> AggregateUDF {
    summary_function("word_counts", vec![descriptor_type()], move || {
        Box::new(Counts {
            counts: vec![0; codebook.words()],
            codebook: Arc::clone(&codebook),
        })
    })
}

/// The aggregate function `document_frequencies(counts)` of what `word_counts` gives, null for an image without
/// any: the bytes of [`DocumentFrequencies`].
#[must_use]
pub fn document_frequencies_function(words: usize) -> AggregateUDF {
    summary_function(
        "document_frequencies",
        vec![DataType::LargeBinary],
        move || {
            Box::new(Frequencies {
                frequencies: DocumentFrequencies::new(words),
                counts: Vec::with_capacity(words),
                words,
            })
        },
    )
}

/// The aggregate function `label_words(label, counts)`: the bytes of [`LabelWords`]; a null label counts as the
/// empty one.
#[must_use]
pub fn label_words_function(words: usize) -> AggregateUDF {
    summary_function(
        "label_words",
        vec![DataType::Utf8, DataType::LargeBinary],
        move || {
            Box::new(Labels {
                labels: LabelWords::new(words),
                counts: Vec::with_capacity(words),
                words,
            })
        },
    )
}

struct Counts {
    codebook: Arc<Codebook>,
    counts: Vec<u32>,
}

impl Summary for Counts {
    fn update(&mut self, columns: &[ArrayRef]) -> std::result::Result<(), EngineError> {
        let [descriptors] = columns else {
            return Err(column_error("words are counted from one column"));
        };
        Ok(count_words(
            &self.codebook,
            descriptor_bytes(descriptors)?,
            &mut self.counts,
        )?)
    }

    fn merge(&mut self, bytes: &[u8]) -> std::result::Result<(), EngineError> {
        let mut others = Vec::with_capacity(self.counts.len());
        read_counts(Some(bytes), self.counts.len(), &mut others)?;
        for (count, other) in self.counts.iter_mut().zip(others) {
            *count = count.saturating_add(other);
        }
        Ok(())
    }

    fn bytes(&self) -> Vec<u8> {
        self.counts
            .iter()
            .flat_map(|count| count.to_le_bytes())
            .collect()
    }

    fn memory_bytes(&self) -> usize {
        self.counts.capacity() * size_of::<u32>()
    }
}

/// The k counts that `word_counts` gave; zeros for an image without key points.
fn read_counts(
    bytes: Option<&[u8]>,
    words: usize,
    counts: &mut Vec<u32>,
) -> std::result::Result<(), EngineError> {
    counts.clear();
    match bytes {
        None => counts.resize(words, 0),
        Some(bytes) => counts.extend(
            bytes
                .as_chunks()
                .0
                .iter()
                .map(|bytes| u32::from_le_bytes(*bytes)),
        ),
    }
    if counts.len() == words {
        Ok(())
    } else {
        Err(column_error("counts of words are of another codebook"))
    }
}

struct Frequencies {
    frequencies: DocumentFrequencies,
    counts: Vec<u32>,
    words: usize,
}

impl Summary for Frequencies {
    fn update(&mut self, columns: &[ArrayRef]) -> std::result::Result<(), EngineError> {
        let [counts] = columns else {
            return Err(column_error("images are counted from one column"));
        };
        for bytes in counts.as_binary::<i64>() {
            read_counts(bytes, self.words, &mut self.counts)?;
            self.frequencies.update(&self.counts)?;
        }
        Ok(())
    }

    fn merge(&mut self, bytes: &[u8]) -> std::result::Result<(), EngineError> {
        Ok(self
            .frequencies
            .merge(&DocumentFrequencies::from_bytes(bytes)?)?)
    }

    fn bytes(&self) -> Vec<u8> {
        self.frequencies.to_bytes()
    }

    fn memory_bytes(&self) -> usize {
        self.frequencies.memory_bytes()
    }
}

struct Labels {
    labels: LabelWords,
    counts: Vec<u32>,
    words: usize,
}

impl Summary for Labels {
    fn update(&mut self, columns: &[ArrayRef]) -> std::result::Result<(), EngineError> {
        let [labels, counts] = columns else {
            return Err(column_error("labels are summed from two columns"));
        };
        let labels = plain_texts(labels)?;
        let labels = labels.as_string::<i32>();
        for (row, bytes) in counts.as_binary::<i64>().iter().enumerate() {
            read_counts(bytes, self.words, &mut self.counts)?;
            let label = if labels.is_valid(row) {
                labels.value(row)
            } else {
                ""
            };
            self.labels.update(label, &self.counts)?;
        }
        Ok(())
    }

    fn merge(&mut self, bytes: &[u8]) -> std::result::Result<(), EngineError> {
        Ok(self.labels.merge(&LabelWords::from_bytes(bytes)?)?)
    }

    fn bytes(&self) -> Vec<u8> {
        self.labels.to_bytes()
    }

    fn memory_bytes(&self) -> usize {
        self.labels.memory_bytes()
    }
}

/// The scalar function `weigh_words(counts)` of what `word_counts` gives: an image's k features; null counts give
/// zeros.
#[must_use]
pub fn weigh_words_function(weights: Arc<WordWeights>) -> ScalarUDF {
    ScalarUDF::new_from_impl(WeighFunction {
        signature: Signature::exact(vec![DataType::LargeBinary], Volatility::Immutable),
        weights,
    })
}

#[derive(Debug)]
struct WeighFunction {
    signature: Signature,
    weights: Arc<WordWeights>,
}

impl PartialEq for WeighFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.weights, &other.weights)
    }
}

impl Eq for WeighFunction {}

impl Hash for WeighFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.weights).hash(state);
    }
}

impl ScalarUDFImpl for WeighFunction {
    fn name(&self) -> &'static str {
        "weigh_words"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(float_list_type(self.weights.words()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [counts] = columns.as_slice() else {
            return Err(DataFusionError::Internal(
                "weigh_words takes one column".to_owned(),
            ));
        };
        let words = self.weights.words();
        let mut values = vec![0.0; counts.len() * words];
        let mut own = Vec::with_capacity(words);
        for (bytes, vector) in counts
            .as_binary::<i64>()
            .iter()
            .zip(values.chunks_exact_mut(words.max(1)))
        {
            read_counts(bytes, words, &mut own).map_err(EngineError::into_datafusion)?;
            self.weights
                .apply(&own, vector)
                .map_err(|error| EngineError::from(error).into_datafusion())?;
        }
        let DataType::FixedSizeList(item, length) = float_list_type(words) else {
            return Err(DataFusionError::Internal("features are lists".to_owned()));
        };
        Ok(ColumnarValue::Array(Arc::new(FixedSizeListArray::try_new(
            item,
            length,
            Arc::new(Float32Array::from(values)),
            None,
        )?)))
    }
}
