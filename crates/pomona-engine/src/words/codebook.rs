//! The passes of k-means, as aggregate functions.

use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray};
use datafusion::arrow::datatypes::{DataType, Float32Type, Int32Type};
use datafusion::logical_expr::AggregateUDF;
use pomona_learn::kmeans::{PassPlan, PassTotals, PathKey, SeedSample};

use super::{column_error, descriptor_bytes, descriptor_type, plain_texts};
use crate::codec::SentAggregate;
use crate::error::EngineError;
use crate::held::Held;
use crate::services::{Asset, Services};
use crate::summary::{Summary, summary_function};

/// The aggregate function `descriptor_sample(path, x, y, octave, descriptor)`: the bytes of the
/// [`SeedSample`] of at most `capacity` rows.
#[must_use]
pub fn sample_function(seed: u64, capacity: usize) -> AggregateUDF {
    let sent = SentAggregate::DescriptorSample { seed, capacity };
    summary_function(columns(), sent, move || {
        Ok(Box::new(Sample {
            sample: SeedSample::new(seed, capacity),
            seed,
            keys: Vec::new(),
        }))
    })
}

/// The aggregate function `descriptor_pass(path, x, y, octave, descriptor)`: the bytes of the [`PassTotals`] of one
/// pass. `asset` holds the plan's bytes where the query is sent to other processes.
#[must_use]
pub fn pass_function(plan: Arc<PassPlan>, asset: Option<Asset>) -> AggregateUDF {
    of_pass(Held::here(plan, asset, read_plan))
}

/// The function, from its asset.
pub(crate) fn pass_elsewhere(asset: Asset, services: Option<Arc<Services>>) -> AggregateUDF {
    of_pass(Held::elsewhere(asset, services, read_plan))
}

fn read_plan(bytes: &[u8]) -> Result<PassPlan, EngineError> {
    Ok(PassPlan::from_bytes(bytes)?)
}

fn of_pass(plan: Held<PassPlan>) -> AggregateUDF {
    let sent = SentAggregate::DescriptorPass {
        plan: plan.asset().ok().cloned(),
    };
    summary_function(columns(), sent, move || {
        let plan = plan.get()?;
        Ok(Box::new(Pass {
            totals: PassTotals::new(&plan),
            plan,
            keys: Vec::new(),
        }))
    })
}

fn columns() -> Vec<DataType> {
    vec![
        DataType::Utf8,
        DataType::Float32,
        DataType::Float32,
        DataType::Int32,
        descriptor_type(),
    ]
}

struct Sample {
    sample: SeedSample,
    seed: u64,
    keys: Vec<u64>,
}

impl Summary for Sample {
    fn update(&mut self, columns: &[ArrayRef]) -> Result<(), EngineError> {
        let descriptors = read(columns, &mut self.keys)?;
        Ok(self.sample.update(descriptors, &self.keys)?)
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        let other = SeedSample::from_bytes(bytes, self.seed)?;
        Ok(self.sample.merge(&other)?)
    }

    fn bytes(&self) -> Vec<u8> {
        self.sample.to_bytes()
    }

    fn memory_bytes(&self) -> usize {
        self.sample.memory_bytes()
    }
}

struct Pass {
    plan: Arc<PassPlan>,
    totals: PassTotals,
    keys: Vec<u64>,
}

impl Summary for Pass {
    fn update(&mut self, columns: &[ArrayRef]) -> Result<(), EngineError> {
        let descriptors = read(columns, &mut self.keys)?;
        Ok(self.totals.update(&self.plan, descriptors, &self.keys)?)
    }

    fn merge(&mut self, bytes: &[u8]) -> Result<(), EngineError> {
        Ok(self.totals.merge(&PassTotals::from_bytes(bytes)?)?)
    }

    fn bytes(&self) -> Vec<u8> {
        self.totals.to_bytes()
    }

    fn memory_bytes(&self) -> usize {
        self.totals.memory_bytes()
    }
}

/// The descriptors of a batch, and the keys of its rows.
fn read<'a>(columns: &'a [ArrayRef], keys: &mut Vec<u64>) -> Result<&'a [u8], EngineError> {
    let [paths, x, y, octaves, descriptors] = columns else {
        return Err(column_error("descriptors are read from five columns"));
    };
    let paths = plain_texts(paths)?;
    let paths = paths.as_string::<i32>();
    let (x, y) = (
        x.as_primitive::<Float32Type>(),
        y.as_primitive::<Float32Type>(),
    );
    let octaves = octaves.as_primitive::<Int32Type>();
    keys.clear();
    // Neighbouring rows are of the same photo.
    let mut last: Option<(&str, PathKey)> = None;
    for row in 0..paths.len() {
        let path = paths.value(row);
        let key = match last {
            Some((known, key)) if known == path => key,
            _ => PathKey::new(path),
        };
        last = Some((path, key));
        let octave = u8::try_from(octaves.value(row)).unwrap_or(u8::MAX);
        keys.push(key.at(x.value(row), y.value(row), octave));
    }
    descriptor_bytes(descriptors)
}
