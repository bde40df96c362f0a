//! Moments of a column of float lists, as an aggregate function.

use std::fmt;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;
use pomona_learn::Moments;

use crate::error::EngineError;
use crate::floats::{FloatRows, is_list_of_floats};

/// The aggregate function `moments(features)`: the bytes of [`Moments`] of all lists, which must be equally long.
///
/// Null over no rows. Partial results are merged in an order that follows from their content, so the same
/// partitions give the same bytes in whichever order they finish.
#[must_use]
pub fn moments_function() -> AggregateUDF {
    AggregateUDF::new_from_impl(MomentsFunction {
        signature: Signature::any(1, Volatility::Immutable),
    })
}

#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct MomentsFunction {
    signature: Signature,
}

impl AggregateUDFImpl for MomentsFunction {
    fn name(&self) -> &'static str {
        "moments"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, arguments: &[DataType]) -> Result<DataType> {
        match arguments {
            [lists] if is_list_of_floats(lists) => Ok(DataType::LargeBinary),
            [other] => Err(EngineError::NotAListOfFloats {
                operation: "moments",
                got: other.to_string(),
            }
            .into_datafusion()),
            _ => Err(DataFusionError::Plan("moments takes one column".to_owned())),
        }
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![std::sync::Arc::new(Field::new(
            format!("{}[moments]", arguments.name),
            DataType::LargeBinary,
            true,
        ))])
    }

    fn accumulator(&self, _arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        Ok(Box::new(MomentsAccumulator::default()))
    }
}

#[derive(Default)]
struct MomentsAccumulator {
    own: Option<Moments>,
    partial: Vec<Vec<u8>>,
}

impl fmt::Debug for MomentsAccumulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MomentsAccumulator").finish_non_exhaustive()
    }
}

impl MomentsAccumulator {
    fn merged(&mut self) -> std::result::Result<Option<Vec<u8>>, EngineError> {
        let mut merged = self.own.take();
        let mut partial = std::mem::take(&mut self.partial);
        partial.sort_unstable();
        for bytes in partial {
            let other = Moments::from_bytes(&bytes)?;
            match &mut merged {
                Some(moments) => moments.merge(&other)?,
                None => merged = Some(other),
            }
        }
        Ok(merged.map(|mut moments| {
            // Else the whole summary is copied to count the waiting rows.
            moments.settle();
            moments.to_bytes()
        }))
    }
}

impl Accumulator for MomentsAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        let [lists] = columns else {
            return Err(DataFusionError::Internal(
                "moments takes one column".to_owned(),
            ));
        };
        if lists.is_empty() {
            return Ok(());
        }
        let columns = self.own.as_ref().map(Moments::columns);
        let rows =
            FloatRows::read("moments", lists, columns).map_err(EngineError::into_datafusion)?;
        self.own
            .get_or_insert_with(|| Moments::new(rows.columns()))
            .update(rows.values())
            .map_err(|error| EngineError::from(error).into_datafusion())
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [states] = states else {
            return Err(DataFusionError::Internal(
                "moments has one state column".to_owned(),
            ));
        };
        let states = states.as_binary::<i64>();
        self.partial
            .extend(states.iter().flatten().map(<[u8]>::to_vec));
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        let bytes = self.merged().map_err(EngineError::into_datafusion)?;
        Ok(ScalarValue::LargeBinary(bytes))
    }

    fn size(&self) -> usize {
        std::mem::size_of_val(self)
            + self.own.as_ref().map_or(0, Moments::memory_bytes)
            + self.partial.iter().map(Vec::capacity).sum::<usize>()
    }
}
