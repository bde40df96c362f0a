//! Features to components, as a scalar function.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{FixedSizeListArray, Float32Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use pomona_learn::{Reducer, SealedFile};

use crate::error::EngineError;
use crate::extract::float_list_type;
use crate::floats::FloatRows;
use crate::held::Held;
use crate::services::{Asset, Services};

/// The scalar function `reduce(features)`: lists of as many f32 values as `reducer` has components. `asset` holds
/// [`reducer_bytes`] where the plan is sent to other processes.
#[must_use]
pub fn reduce_function(reducer: Arc<Reducer>, asset: Option<Asset>) -> ScalarUDF {
    let columns = reducer.output_columns();
    function(Held::here(reducer, asset, read_reducer), columns)
}

/// The function, from its asset.
pub(crate) fn reduce_elsewhere(
    asset: Asset,
    columns: usize,
    services: Option<Arc<Services>>,
) -> ScalarUDF {
    function(Held::elsewhere(asset, services, read_reducer), columns)
}

fn function(reducer: Held<Reducer>, columns: usize) -> ScalarUDF {
    ScalarUDF::new_from_impl(ReduceFunction {
        signature: Signature::any(1, Volatility::Immutable),
        reducer,
        columns,
    })
}

/// A reducer as bytes: a sealed file of nothing else.
///
/// # Errors
/// Those of the format.
pub fn reducer_bytes(reducer: &Reducer) -> std::result::Result<Vec<u8>, EngineError> {
    let mut file = SealedFile::new(serde_json::json!({}));
    reducer.write_into(&mut file);
    file.to_bytes().map_err(unreadable)
}

fn read_reducer(bytes: &[u8]) -> std::result::Result<Reducer, EngineError> {
    let file = SealedFile::from_bytes(bytes).map_err(unreadable)?;
    Ok(Reducer::read_from(&file)?)
}

fn unreadable(error: pomona_learn::SealedError) -> EngineError {
    EngineError::Codec {
        reason: error.to_string(),
    }
}

#[derive(Debug)]
pub(crate) struct ReduceFunction {
    signature: Signature,
    reducer: Held<Reducer>,
    columns: usize,
}

impl ReduceFunction {
    /// What names it in a plan that is sent: the reducer, and how many components it gives.
    pub(crate) fn named(&self) -> std::result::Result<(Asset, usize), EngineError> {
        Ok((self.reducer.asset()?.clone(), self.columns))
    }
}

impl PartialEq for ReduceFunction {
    fn eq(&self, other: &Self) -> bool {
        self.reducer.is(&other.reducer)
    }
}

impl Eq for ReduceFunction {}

impl Hash for ReduceFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.columns.hash(state);
    }
}

impl ScalarUDFImpl for ReduceFunction {
    fn name(&self) -> &'static str {
        "reduce"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(float_list_type(self.columns))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [lists] = columns.as_slice() else {
            return Err(DataFusionError::Internal(
                "reduce takes one column".to_owned(),
            ));
        };
        let reducer = self.reducer.get().map_err(EngineError::into_datafusion)?;
        let rows = FloatRows::read("reduce", lists, Some(reducer.input_columns()))
            .map_err(EngineError::into_datafusion)?;
        let mut components = Vec::with_capacity(rows.rows() * reducer.output_columns());
        reducer
            .transform(rows.values(), &mut components)
            .map_err(|error| EngineError::from(error).into_datafusion())?;
        let DataType::FixedSizeList(item, length) = float_list_type(reducer.output_columns())
        else {
            return Err(DataFusionError::Internal("components are lists".to_owned()));
        };
        Ok(ColumnarValue::Array(Arc::new(FixedSizeListArray::try_new(
            item,
            length,
            Arc::new(Float32Array::from(components)),
            None,
        )?)))
    }
}
