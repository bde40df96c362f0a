//! The scalar function that images go through.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

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
/// It is marked volatile, so that no optimiser ever runs it twice.
#[must_use]
pub fn extract_function(extractor: Arc<Extractor>) -> ScalarUDF {
    ScalarUDF::new_from_impl(ExtractFunction {
        signature: Signature::exact(
            vec![DataType::LargeBinary, DataType::Int64, DataType::Utf8],
            Volatility::Volatile,
        ),
        return_type: DataType::Struct(extracted_fields(extractor.method.feature_count())),
        extractor,
    })
}

#[derive(Debug)]
struct ExtractFunction {
    signature: Signature,
    return_type: DataType,
    extractor: Arc<Extractor>,
}

impl PartialEq for ExtractFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.extractor, &other.extractor)
    }
}

impl Eq for ExtractFunction {}

impl Hash for ExtractFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.extractor).hash(state);
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
            .extractor
            .rows(contents, sizes.values(), &read_errors)
            .map_err(EngineError::into_datafusion)?;
        let columns = assemble(&rows, self.extractor.method.feature_count())?;
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
