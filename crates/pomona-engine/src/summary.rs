//! Summaries that are merged from parts, as aggregate functions.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::function::{AccumulatorArgs, StateFieldsArgs};
use datafusion::logical_expr::{
    Accumulator, AggregateUDF, AggregateUDFImpl, Signature, Volatility,
};
use datafusion::scalar::ScalarValue;

use crate::codec::SentAggregate;
use crate::error::EngineError;

/// What rows are summed up to. Parts must merge to the same whole in any order.
pub(crate) trait Summary: Send + Sync + 'static {
    /// Sees the rows of some columns.
    ///
    /// # Errors
    /// When the columns are not of the kind that is summed up.
    fn update(&mut self, columns: &[ArrayRef]) -> std::result::Result<(), EngineError>;
    /// Sees the rows of another part, by its bytes.
    ///
    /// # Errors
    /// When the bytes are not those of such a summary.
    fn merge(&mut self, bytes: &[u8]) -> std::result::Result<(), EngineError>;
    /// The summary as bytes.
    fn bytes(&self) -> Vec<u8>;
    /// Bytes it takes.
    fn memory_bytes(&self) -> usize;
}

type Begun = std::result::Result<Box<dyn Summary>, EngineError>;
type Start = dyn Fn() -> Begun + Send + Sync;

/// An aggregate function of columns of these types that gives a summary's bytes; each part begins with what `start`
/// makes. `sent` stands for it in a plan that is sent.
pub(crate) fn summary_function(
    columns: Vec<DataType>,
    sent: SentAggregate,
    start: impl Fn() -> Begun + Send + Sync + 'static,
) -> AggregateUDF {
    AggregateUDF::new_from_impl(SummaryFunction {
        name: sent.name(),
        signature: Signature::exact(columns, Volatility::Immutable),
        sent,
        start: Arc::new(start),
    })
}

pub(crate) struct SummaryFunction {
    name: &'static str,
    signature: Signature,
    sent: SentAggregate,
    start: Arc<Start>,
}

impl SummaryFunction {
    pub(crate) fn sent(&self) -> &SentAggregate {
        &self.sent
    }
}

impl fmt::Debug for SummaryFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SummaryFunction")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl PartialEq for SummaryFunction {
    fn eq(&self, other: &Self) -> bool {
        self.sent == other.sent && Arc::ptr_eq(&self.start, &other.start)
    }
}

impl Eq for SummaryFunction {}

impl Hash for SummaryFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name.hash(state);
    }
}

impl AggregateUDFImpl for SummaryFunction {
    fn name(&self) -> &'static str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(DataType::LargeBinary)
    }

    fn state_fields(&self, arguments: StateFieldsArgs) -> Result<Vec<FieldRef>> {
        Ok(vec![Arc::new(Field::new(
            format!("{}[{}]", arguments.name, self.name),
            DataType::LargeBinary,
            true,
        ))])
    }

    fn accumulator(&self, _arguments: AccumulatorArgs) -> Result<Box<dyn Accumulator>> {
        let begun = (self.start)().map_err(EngineError::into_datafusion)?;
        Ok(Box::new(SummaryAccumulator(begun)))
    }
}

struct SummaryAccumulator(Box<dyn Summary>);

impl fmt::Debug for SummaryAccumulator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SummaryAccumulator").finish_non_exhaustive()
    }
}

impl Accumulator for SummaryAccumulator {
    fn update_batch(&mut self, columns: &[ArrayRef]) -> Result<()> {
        self.0.update(columns).map_err(EngineError::into_datafusion)
    }

    fn merge_batch(&mut self, states: &[ArrayRef]) -> Result<()> {
        let [states] = states else {
            return Err(DataFusionError::Internal(
                "a summary has one state column".to_owned(),
            ));
        };
        for bytes in states.as_binary::<i64>().iter().flatten() {
            self.0.merge(bytes).map_err(EngineError::into_datafusion)?;
        }
        Ok(())
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        Ok(vec![self.evaluate()?])
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        Ok(ScalarValue::LargeBinary(Some(self.0.bytes())))
    }

    fn size(&self) -> usize {
        size_of_val(self) + self.0.memory_bytes()
    }
}
