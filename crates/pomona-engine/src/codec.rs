//! Pomona's operators and functions as bytes, so that a plan can be run in another process.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use datafusion::error::{DataFusionError, Result};
use datafusion::execution::TaskContext;
use datafusion::logical_expr::{AggregateUDF, HigherOrderUDF, ScalarUDF, WindowUDF};
use datafusion::physical_expr_common::physical_expr::proto_decode::PhysicalExprDecodeCtx;
use datafusion::physical_expr_common::physical_expr::proto_encode::PhysicalExprEncodeCtx;
use datafusion::physical_plan::{ExecutionPlan, PhysicalExpr};
use datafusion_proto::physical_plan::{PhysicalExtensionCodec, PhysicalProtoConverterExtension};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::extract::{ExtractFunction, extract_elsewhere};
use crate::image_table::{FetchExec, Fetching};
use crate::moments::{MomentsFunction, moments_function};
use crate::reduce::{ReduceFunction, reduce_elsewhere};
use crate::services::{Asset, Services};
use crate::shard_write::{ShardTarget, ShardWriteExec};
use crate::summary::SummaryFunction;
use crate::words::{
    WeighFunction, document_frequencies_function, label_words_function, pass_elsewhere,
    sample_function, weigh_words_elsewhere, word_counts_elsewhere,
};

/// The form of the bytes. Processes of another form do not understand each other's plans.
pub const PLAN_FORMAT: u32 = 1;

/// What stands before Pomona's own; anything else is another codec's.
const MARK: &[u8] = b"pomona\x01";

/// An operator.
#[derive(Serialize, Deserialize)]
#[serde(tag = "operator", rename_all = "snake_case")]
enum SentOperator {
    Fetch(Fetching),
    ShardWrite(ShardTarget),
}

/// A scalar function.
#[derive(Serialize, Deserialize)]
#[serde(tag = "function", rename_all = "snake_case")]
enum SentScalar {
    Extract {
        description: String,
        feature_count: Option<usize>,
    },
    Reduce {
        reducer: Asset,
        columns: usize,
    },
    WeighWords {
        weights: Asset,
        words: usize,
    },
}

/// An aggregate function.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "function", rename_all = "snake_case")]
pub(crate) enum SentAggregate {
    Moments,
    DescriptorSample { seed: u64, capacity: usize },
    DescriptorPass { plan: Option<Asset> },
    WordCounts { codebook: Option<Asset> },
    DocumentFrequencies { words: usize },
    LabelWords { words: usize },
}

impl SentAggregate {
    /// The function's name in queries.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Moments => "moments",
            Self::DescriptorSample { .. } => "descriptor_sample",
            Self::DescriptorPass { .. } => "descriptor_pass",
            Self::WordCounts { .. } => "word_counts",
            Self::DocumentFrequencies { .. } => "document_frequencies",
            Self::LabelWords { .. } => "label_words",
        }
    }

    fn function(self, services: Option<Arc<Services>>) -> Result<AggregateUDF> {
        let there = |asset: Option<Asset>| {
            asset.ok_or_else(|| EngineError::codec("a function came without what it holds"))
        };
        let made = match self {
            Self::Moments => Ok(moments_function()),
            Self::DescriptorSample { seed, capacity } => Ok(sample_function(seed, capacity)),
            Self::DescriptorPass { plan } => there(plan).map(|plan| pass_elsewhere(plan, services)),
            Self::WordCounts { codebook } => {
                there(codebook).map(|codebook| word_counts_elsewhere(codebook, services))
            }
            Self::DocumentFrequencies { words } => Ok(document_frequencies_function(words)),
            Self::LabelWords { words } => Ok(label_words_function(words)),
        };
        made.map_err(EngineError::into_datafusion)
    }
}

/// Writes and reads Pomona's operators and functions, and leaves all others to another codec.
///
/// The process that makes a plan, the one that hands out its parts and those that work on them use it alike; only the last
/// have [`Services`], without which a plan can be looked at but not run.
#[derive(Debug)]
pub struct PlanCodec {
    others: Arc<dyn PhysicalExtensionCodec>,
    services: Option<Arc<Services>>,
}

impl PlanCodec {
    /// A codec around `others`.
    #[must_use]
    pub fn new(others: Arc<dyn PhysicalExtensionCodec>, services: Option<Arc<Services>>) -> Self {
        Self { others, services }
    }
}

fn write(value: &impl Serialize, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.extend_from_slice(MARK);
    serde_json::to_writer(buffer, value).map_err(broken)
}

/// What was written by [`write`]; none where it is another codec's.
fn read<T: DeserializeOwned>(buffer: &[u8]) -> Result<Option<T>> {
    match buffer.strip_prefix(MARK) {
        Some(own) => serde_json::from_slice(own).map(Some).map_err(broken),
        None => Ok(None),
    }
}

fn broken(error: serde_json::Error) -> DataFusionError {
    EngineError::codec(error).into_datafusion()
}

fn children<const N: usize>(
    inputs: &[Arc<dyn ExecutionPlan>],
) -> Result<[Arc<dyn ExecutionPlan>; N]> {
    <[_; N]>::try_from(inputs.to_vec()).map_err(|found| {
        let reason = format!("an operator has {} inputs in place of {N}", found.len());
        EngineError::codec(reason).into_datafusion()
    })
}

impl PhysicalExtensionCodec for PlanCodec {
    fn try_decode(
        &self,
        buffer: &[u8],
        inputs: &[Arc<dyn ExecutionPlan>],
        context: &TaskContext,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        Ok(match read(buffer)? {
            Some(SentOperator::Fetch(how)) => {
                let [listed] = children(inputs)?;
                Arc::new(FetchExec::over(listed, how))
            }
            Some(SentOperator::ShardWrite(target)) => {
                let [input, numbers] = children(inputs)?;
                Arc::new(ShardWriteExec::try_new(input, numbers, target)?)
            }
            None => return self.others.try_decode(buffer, inputs, context, converter),
        })
    }

    fn try_encode(
        &self,
        node: Arc<dyn ExecutionPlan>,
        buffer: &mut Vec<u8>,
        converter: &dyn PhysicalProtoConverterExtension,
    ) -> Result<()> {
        if let Some(fetch) = node.downcast_ref::<FetchExec>() {
            return write(&SentOperator::Fetch(fetch.how().clone()), buffer);
        }
        if let Some(shards) = node.downcast_ref::<ShardWriteExec>() {
            return write(&SentOperator::ShardWrite(shards.target().clone()), buffer);
        }
        self.others.try_encode(node, buffer, converter)
    }

    fn try_decode_udf(&self, name: &str, buffer: &[u8]) -> Result<Arc<ScalarUDF>> {
        let services = self.services.clone();
        Ok(Arc::new(match read(buffer)? {
            Some(SentScalar::Extract {
                description,
                feature_count,
            }) => extract_elsewhere(description, feature_count, services),
            Some(SentScalar::Reduce { reducer, columns }) => {
                reduce_elsewhere(reducer, columns, services)
            }
            Some(SentScalar::WeighWords { weights, words }) => {
                weigh_words_elsewhere(weights, words, services)
            }
            None => return self.others.try_decode_udf(name, buffer),
        }))
    }

    fn try_encode_udf(&self, function: &ScalarUDF, buffer: &mut Vec<u8>) -> Result<()> {
        let function_of = function.inner();
        let named = |named: std::result::Result<(Asset, usize), EngineError>| {
            named.map_err(EngineError::into_datafusion)
        };
        let sent = if let Some(extract) = function_of.downcast_ref::<ExtractFunction>() {
            let (description, feature_count) = extract.named();
            SentScalar::Extract {
                description: description.to_owned(),
                feature_count,
            }
        } else if let Some(reduce) = function_of.downcast_ref::<ReduceFunction>() {
            let (reducer, columns) = named(reduce.named())?;
            SentScalar::Reduce { reducer, columns }
        } else if let Some(weigh) = function_of.downcast_ref::<WeighFunction>() {
            let (weights, words) = named(weigh.named())?;
            SentScalar::WeighWords { weights, words }
        } else {
            return self.others.try_encode_udf(function, buffer);
        };
        write(&sent, buffer)
    }

    fn try_decode_udaf(&self, name: &str, buffer: &[u8]) -> Result<Arc<AggregateUDF>> {
        match read::<SentAggregate>(buffer)? {
            Some(sent) => Ok(Arc::new(sent.function(self.services.clone())?)),
            None => self.others.try_decode_udaf(name, buffer),
        }
    }

    fn try_encode_udaf(&self, function: &AggregateUDF, buffer: &mut Vec<u8>) -> Result<()> {
        let function_of = function.inner();
        if function_of.downcast_ref::<MomentsFunction>().is_some() {
            return write(&SentAggregate::Moments, buffer);
        }
        match function_of.downcast_ref::<SummaryFunction>() {
            Some(summary) => write(summary.sent(), buffer),
            None => self.others.try_encode_udaf(function, buffer),
        }
    }

    fn try_decode_higher_order_function(
        &self,
        name: &str,
        buffer: &[u8],
    ) -> Result<Arc<HigherOrderUDF>> {
        self.others.try_decode_higher_order_function(name, buffer)
    }

    fn try_encode_higher_order_function(
        &self,
        function: &HigherOrderUDF,
        buffer: &mut Vec<u8>,
    ) -> Result<()> {
        self.others
            .try_encode_higher_order_function(function, buffer)
    }

    fn try_decode_expr(
        &self,
        buffer: &[u8],
        inputs: &[Arc<dyn PhysicalExpr>],
        context: &PhysicalExprDecodeCtx<'_>,
    ) -> Result<Arc<dyn PhysicalExpr>> {
        self.others.try_decode_expr(buffer, inputs, context)
    }

    fn try_encode_expr(
        &self,
        expression: &Arc<dyn PhysicalExpr>,
        buffer: &mut Vec<u8>,
        context: &PhysicalExprEncodeCtx<'_>,
    ) -> Result<()> {
        self.others.try_encode_expr(expression, buffer, context)
    }

    fn try_decode_udwf(&self, name: &str, buffer: &[u8]) -> Result<Arc<WindowUDF>> {
        self.others.try_decode_udwf(name, buffer)
    }

    fn try_encode_udwf(&self, function: &WindowUDF, buffer: &mut Vec<u8>) -> Result<()> {
        self.others.try_encode_udwf(function, buffer)
    }
}
