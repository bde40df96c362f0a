//! The scalar function that images go through.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use datafusion::arrow::array::{
    ArrayRef, AsArray, BinaryBuilder, FixedSizeListArray, Float32Array, Int32Builder,
    StringBuilder, StructArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::keypoints::{FoundKeyPoint, keypoint_lists, keypoints_type};
use super::method::Product;
use super::status::Status;
use super::{Extractor, Row};
use crate::error::EngineError;
use crate::services::Services;

/// Fields of what the function `extract` returns.
///
/// status, error (null when ok), content_sha256 (lower-case hex; null when not fetched), width and height (of the
/// upright image, null when not decoded), thumbnail (JPEG; null when not decoded), and then either features (a list
/// of `feature_count` values, null when not ok) or, without a count, keypoints (a list of structs, empty when not
/// ok).
#[must_use]
pub fn extracted_fields(feature_count: Option<usize>) -> Fields {
    Fields::from(vec![
        Field::new("status", DataType::Utf8, false),
        Field::new("error", DataType::Utf8, true),
        Field::new("content_sha256", DataType::Utf8, true),
        Field::new("width", DataType::Int32, true),
        Field::new("height", DataType::Int32, true),
        Field::new("thumbnail", DataType::Binary, true),
        match feature_count {
            Some(count) => Field::new("features", float_list_type(count), true),
            None => Field::new("keypoints", keypoints_type(), false),
        },
    ])
}

/// A list of `length` f32 values, none of them null.
#[must_use]
pub fn float_list_type(length: usize) -> DataType {
    DataType::FixedSizeList(
        Arc::new(Field::new("item", DataType::Float32, false)),
        i32::try_from(length).unwrap_or(i32::MAX),
    )
}

/// The scalar function `extract(content, size_bytes, read_error)`: one step takes bytes and returns the feature row.
///
/// It is marked volatile, so that no optimiser ever runs it twice. `description` says how the extractor is made again
/// in another process, in words that only the maker of its [`Services`] understands.
#[must_use]
pub fn extract_function(extractor: Arc<Extractor>, description: String) -> ScalarUDF {
    let feature_count = extractor.method.feature_count();
    function(description, feature_count, OnceLock::from(extractor), None)
}

/// The function, from its description.
pub(crate) fn extract_elsewhere(
    description: String,
    feature_count: Option<usize>,
    services: Option<Arc<Services>>,
) -> ScalarUDF {
    function(description, feature_count, OnceLock::new(), services)
}

fn function(
    description: String,
    feature_count: Option<usize>,
    extractor: OnceLock<Arc<Extractor>>,
    services: Option<Arc<Services>>,
) -> ScalarUDF {
    ScalarUDF::new_from_impl(ExtractFunction {
        signature: Signature::exact(
            vec![DataType::LargeBinary, DataType::Int64, DataType::Utf8],
            Volatility::Volatile,
        ),
        return_type: DataType::Struct(extracted_fields(feature_count)),
        description,
        feature_count,
        extractor,
        services,
    })
}

#[derive(Debug)]
pub(crate) struct ExtractFunction {
    signature: Signature,
    return_type: DataType,
    description: String,
    feature_count: Option<usize>,
    extractor: OnceLock<Arc<Extractor>>,
    services: Option<Arc<Services>>,
}

impl ExtractFunction {
    /// What names it in a plan that is sent: its description, and how many features it gives.
    pub(crate) fn named(&self) -> (&str, Option<usize>) {
        (&self.description, self.feature_count)
    }

    fn extractor(&self) -> std::result::Result<Arc<Extractor>, EngineError> {
        if let Some(extractor) = self.extractor.get() {
            return Ok(Arc::clone(extractor));
        }
        let services = self.services.as_ref().ok_or(EngineError::NoServices)?;
        let made = services.extractor(&self.description)?;
        if made.method.feature_count() != self.feature_count {
            return Err(EngineError::Codec {
                reason: "the extractor made here gives other features".to_owned(),
            });
        }
        Ok(Arc::clone(self.extractor.get_or_init(|| made)))
    }
}

impl PartialEq for ExtractFunction {
    fn eq(&self, other: &Self) -> bool {
        match (self.extractor.get(), other.extractor.get()) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => self.named() == other.named(),
        }
    }
}

impl Eq for ExtractFunction {}

impl Hash for ExtractFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.feature_count.hash(state);
    }
}

impl ScalarUDFImpl for ExtractFunction {
    fn name(&self) -> &'static str {
        "extract"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.return_type.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [contents, sizes, read_errors] = columns.as_slice() else {
            return Err(DataFusionError::Internal(
                "extract takes three columns".to_owned(),
            ));
        };
        let contents = contents.as_binary::<i64>();
        let sizes = sizes.as_primitive::<Int64Type>();
        let read_errors: Vec<Option<&str>> = read_errors.as_string::<i32>().iter().collect();
        let rows = self
            .extractor()
            .and_then(|extractor| extractor.rows(contents, sizes.values(), &read_errors))
            .map_err(EngineError::into_datafusion)?;
        let columns = assemble(&rows, self.feature_count)?;
        let DataType::Struct(fields) = &self.return_type else {
            return Err(DataFusionError::Internal(
                "extract returns a struct".to_owned(),
            ));
        };
        Ok(ColumnarValue::Array(Arc::new(StructArray::try_new(
            fields.clone(),
            columns,
            None,
        )?)))
    }
}

/// Columns in the order of [`extracted_fields`].
fn assemble(rows: &[Row], feature_count: Option<usize>) -> Result<Vec<ArrayRef>> {
    let mut statuses = StringBuilder::new();
    let mut errors = StringBuilder::new();
    let mut hashes = StringBuilder::new();
    let mut widths = Int32Builder::new();
    let mut heights = Int32Builder::new();
    let mut thumbnails = BinaryBuilder::new();
    for row in rows {
        hashes.append_option(row.content_sha256.as_deref());
        match &row.outcome {
            Ok(pixels) => {
                statuses.append_value(Status::Ok.name());
                errors.append_null();
                widths.append_option(i32::try_from(pixels.width_px).ok());
                heights.append_option(i32::try_from(pixels.height_px).ok());
                thumbnails.append_value(&pixels.thumbnail);
            }
            Err((status, reason)) => {
                statuses.append_value(status.name());
                errors.append_value(reason);
                widths.append_null();
                heights.append_null();
                thumbnails.append_null();
            }
        }
    }
    Ok(vec![
        Arc::new(statuses.finish()),
        Arc::new(errors.finish()),
        Arc::new(hashes.finish()),
        Arc::new(widths.finish()),
        Arc::new(heights.finish()),
        Arc::new(thumbnails.finish()),
        match feature_count {
            Some(count) => feature_lists(rows, count)?,
            None => keypoint_lists(&rows.iter().map(keypoints).collect::<Vec<_>>())?,
        },
    ])
}

fn feature_lists(rows: &[Row], feature_count: usize) -> Result<ArrayRef> {
    let mut features = Vec::with_capacity(rows.len() * feature_count);
    for (number, row) in rows.iter().enumerate() {
        if let Ok(pixels) = &row.outcome
            && let Product::Features(own) = &pixels.product
        {
            features.extend_from_slice(own);
        }
        features.resize((number + 1) * feature_count, 0.0);
    }
    let DataType::FixedSizeList(item, length) = float_list_type(feature_count) else {
        return Err(DataFusionError::Internal("features are lists".to_owned()));
    };
    let is_ok = NullBuffer::from_iter(rows.iter().map(|row| row.outcome.is_ok()));
    Ok(Arc::new(FixedSizeListArray::try_new(
        item,
        length,
        Arc::new(Float32Array::from(features)),
        Some(is_ok),
    )?))
}

fn keypoints(row: &Row) -> &[FoundKeyPoint] {
    match &row.outcome {
        Ok(pixels) => match &pixels.product {
            Product::KeyPoints(keypoints) => keypoints,
            _ => &[],
        },
        Err(_) => &[],
    }
}
