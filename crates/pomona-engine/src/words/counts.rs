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
use pomona_learn::words::{DocumentFrequencies, LabelWords, Norm, WordWeights, count_words};
use serde::{Deserialize, Serialize};

use super::{column_error, descriptor_bytes, descriptor_type, plain_texts};
use crate::codec::SentAggregate;
use crate::error::EngineError;
use crate::extract::float_list_type;
use crate::held::Held;
use crate::services::{Asset, Services};
use crate::summary::{Summary, summary_function};

/// The aggregate function `word_counts(descriptor)`: how often each of the k words occurs, as k little-endian u32.
/// `asset` holds the codebook's bytes where the query is sent to other processes.
#[must_use]
pub fn word_counts_function(codebook: Arc<Codebook>, asset: Option<Asset>) -> AggregateUDF {
    of_codebook(Held::here(codebook, asset, read_codebook))
}

/// The function, from its asset.
pub(crate) fn word_counts_elsewhere(asset: Asset, services: Option<Arc<Services>>) -> AggregateUDF {
    of_codebook(Held::elsewhere(asset, services, read_codebook))
}

fn read_codebook(bytes: &[u8]) -> std::result::Result<Codebook, EngineError> {
    Ok(Codebook::from_bytes(bytes)?)
}

fn of_codebook(codebook: Held<Codebook>) -> AggregateUDF {
    let sent = SentAggregate::WordCounts {
        codebook: codebook.asset().ok().cloned(),
    };
    summary_function(vec![descriptor_type()], sent, move || {
        let codebook = codebook.get()?;
        Ok(Box::new(Counts {
            counts: vec![0; codebook.words()],
            codebook,
        }))
    })
}

/// The aggregate function `document_frequencies(counts)` of what `word_counts` gives, null for an image without
/// any: the bytes of [`DocumentFrequencies`].
#[must_use]
pub fn document_frequencies_function(words: usize) -> AggregateUDF {
    let sent = SentAggregate::DocumentFrequencies { words };
    summary_function(vec![DataType::LargeBinary], sent, move || {
        Ok(Box::new(Frequencies {
            frequencies: DocumentFrequencies::new(words),
            counts: Vec::with_capacity(words),
            words,
        }))
    })
}

/// The aggregate function `label_words(label, counts)`: the bytes of [`LabelWords`]; a null label counts as the
/// empty one.
#[must_use]
pub fn label_words_function(words: usize) -> AggregateUDF {
    let columns = vec![DataType::Utf8, DataType::LargeBinary];
    summary_function(columns, SentAggregate::LabelWords { words }, move || {
        Ok(Box::new(Labels {
            labels: LabelWords::new(words),
            counts: Vec::with_capacity(words),
            words,
        }))
    })
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
/// zeros. `asset` holds [`weights_bytes`] where the query is sent to other processes.
#[must_use]
pub fn weigh_words_function(weights: Arc<WordWeights>, asset: Option<Asset>) -> ScalarUDF {
    let words = weights.words();
    of_weights(Held::here(weights, asset, read_weights), words)
}

/// The function, from its asset.
pub(crate) fn weigh_words_elsewhere(
    asset: Asset,
    words: usize,
    services: Option<Arc<Services>>,
) -> ScalarUDF {
    of_weights(Held::elsewhere(asset, services, read_weights), words)
}

fn of_weights(weights: Held<WordWeights>, words: usize) -> ScalarUDF {
    ScalarUDF::new_from_impl(WeighFunction {
        signature: Signature::exact(vec![DataType::LargeBinary], Volatility::Immutable),
        weights,
        words,
    })
}

/// Weights as bytes: JSON.
#[derive(Serialize, Deserialize)]
struct WeightsJson {
    words: usize,
    inverse: Option<Vec<f64>>,
    norm: Norm,
}

/// The weights of words as bytes.
///
/// # Errors
/// [`EngineError::Codec`], which would be a defect.
pub fn weights_bytes(weights: &WordWeights) -> std::result::Result<Vec<u8>, EngineError> {
    let json = WeightsJson {
        words: weights.words(),
        inverse: weights.inverse().map(<[f64]>::to_vec),
        norm: weights.norm(),
    };
    serde_json::to_vec(&json).map_err(EngineError::codec)
}

fn read_weights(bytes: &[u8]) -> std::result::Result<WordWeights, EngineError> {
    let json: WeightsJson = serde_json::from_slice(bytes).map_err(EngineError::codec)?;
    Ok(match json.inverse {
        Some(inverse) => WordWeights::from_inverse(inverse, json.norm)?,
        None => WordWeights::counts(json.words, json.norm),
    })
}

#[derive(Debug)]
pub(crate) struct WeighFunction {
    signature: Signature,
    weights: Held<WordWeights>,
    words: usize,
}

impl WeighFunction {
    /// What names it in a plan that is sent: the weights, and how many words they are of.
    pub(crate) fn named(&self) -> std::result::Result<(Asset, usize), EngineError> {
        Ok((self.weights.asset()?.clone(), self.words))
    }
}

impl PartialEq for WeighFunction {
    fn eq(&self, other: &Self) -> bool {
        self.weights.is(&other.weights)
    }
}

impl Eq for WeighFunction {}

impl Hash for WeighFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.words.hash(state);
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
        Ok(float_list_type(self.words))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [counts] = columns.as_slice() else {
            return Err(DataFusionError::Internal(
                "weigh_words takes one column".to_owned(),
            ));
        };
        let weights = self.weights.get().map_err(EngineError::into_datafusion)?;
        let words = self.words;
        let mut values = vec![0.0; counts.len() * words];
        let mut own = Vec::with_capacity(words);
        for (bytes, vector) in counts
            .as_binary::<i64>()
            .iter()
            .zip(values.chunks_exact_mut(words.max(1)))
        {
            read_counts(bytes, words, &mut own).map_err(EngineError::into_datafusion)?;
            weights
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
