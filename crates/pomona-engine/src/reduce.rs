//! Features to components, as a scalar function.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{FixedSizeListArray, Float32Array};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use pomona_learn::Reducer;

use crate::error::EngineError;
use crate::extract::float_list_type;
use crate::floats::FloatRows;

/// The scalar function `reduce(features)`: lists of as many f32 values as `reducer` has components.
#[must_use]
pub fn reduce_function(reducer: Arc<Reducer>) -> ScalarUDF {
    ScalarUDF::new_from_impl(ReduceFunction {
        signature: Signature::any(1, Volatility::Immutable),
        reducer,
    })
}

#[derive(Debug)]
struct ReduceFunction {
    signature: Signature,
    reducer: Arc<Reducer>,
}

impl PartialEq for ReduceFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.reducer, &other.reducer)
    }
}

impl Eq for ReduceFunction {}

impl Hash for ReduceFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.reducer).hash(state);
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
        Ok(float_list_type(self.reducer.output_columns()))
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [lists] = columns.as_slice() else {
            return Err(DataFusionError::Internal(
                "reduce takes one column".to_owned(),
            ));
        };
        let rows = FloatRows::read("reduce", lists, Some(self.reducer.input_columns()))
            .map_err(EngineError::into_datafusion)?;
        let mut components = Vec::with_capacity(rows.rows() * self.reducer.output_columns());
        self.reducer
            .transform(rows.values(), &mut components)
            .map_err(|error| EngineError::from(error).into_datafusion())?;
        let DataType::FixedSizeList(item, length) = float_list_type(self.reducer.output_columns())
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
