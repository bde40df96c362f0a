//! The engine that is always there: tract.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use tract_onnx::prelude::{
    DatumExt, Framework, InferenceModelExt, IntoRunnable, Tensor, TypedSimplePlan, tvec,
};

use crate::engine::expect_length;
use crate::{Engine, EngineError, Network, Session, VisionError};

const NAME: &str = "tract";

/// A network prepared; its weights are shared by all sessions.
pub(crate) type Plan = Arc<TypedSimplePlan>;

/// Runs networks with nothing but this binary, one image after the other.
///
/// On the networks measured a batch of one is its fastest and takes the least memory.
#[derive(Debug, Clone, Copy, Default)]
pub struct PureRust;

impl Engine for PureRust {
    fn name(&self) -> String {
        format!("{NAME} 0.23")
    }

    fn session(&self, network: &Network) -> Result<Box<dyn Session>, VisionError> {
        let plan = match network.plan().get() {
            Some(plan) => Arc::clone(plan),
            None => {
                let plan = prepare(network).map_err(|source| VisionError::Prepare {
                    engine: self.name(),
                    network: network.name().to_owned(),
                    source,
                })?;
                Arc::clone(network.plan().get_or_init(|| plan))
            }
        };
        Ok(Box::new(TractSession {
            plan,
            batch: network.fixed_batch().unwrap_or(1),
            shape: network.input().shape(network.fixed_batch().unwrap_or(1)),
            features: network.feature_count(),
        }))
    }
}

struct TractSession {
    plan: Plan,
    batch: usize,
    shape: [usize; 4],
    features: usize,
}

impl Session for TractSession {
    fn run(
        &mut self,
        images: usize,
        tensor: &[f32],
        features: &mut [f32],
    ) -> Result<(), VisionError> {
        let values: usize = self.shape.iter().product();
        if !images.is_multiple_of(self.batch) {
            return Err(VisionError::Shape {
                operation: "images of a batch",
                expected: self.batch,
                got: images,
            });
        }
        let runs = images / self.batch;
        expect_length("input tensor", runs * values, tensor.len())?;
        expect_length("features", images * self.features, features.len())?;
        let outputs = features.chunks_exact_mut((self.batch * self.features).max(1));
        for (input, output) in tensor.chunks_exact(values).zip(outputs) {
            self.run_once(input, output)?;
        }
        Ok(())
    }
}

impl TractSession {
    fn run_once(&self, input: &[f32], output: &mut [f32]) -> Result<(), VisionError> {
        let found = contained(|| {
            let input = Tensor::from_shape(&self.shape, input)?;
            let outputs = self.plan.run(tvec!(input.into()))?;
            let found = outputs.first().ok_or("the graph has no output")?;
            Ok(found.view().as_slice::<f32>()?.to_vec())
        })
        .map_err(|source| VisionError::Run {
            engine: NAME,
            source,
        })?;
        expect_length("features", output.len(), found.len())?;
        output.copy_from_slice(&found);
        Ok(())
    }
}

fn prepare(network: &Network) -> Result<Plan, EngineError> {
    let shape = network.input().shape(network.fixed_batch().unwrap_or(1));
    contained(|| {
        Ok(tract_onnx::onnx()
            .model_for_read(&mut network.graph())?
            .with_input_fact(0, f32::fact(shape).into())?
            .into_optimized()?
            .into_runnable()?)
    })
}

/// The shape of one image's part of the output of a graph whose input shape is written in the file.
pub(crate) fn image_shape(graph: &[u8], images: usize) -> Result<Vec<usize>, EngineError> {
    let sides = contained(|| {
        let model = tract_onnx::onnx()
            .model_for_read(&mut &*graph)?
            .into_typed()?;
        let shape = &model.output_fact(0)?.shape;
        Ok(shape.as_concrete().ok_or("the shape stays open")?.to_vec())
    })?;
    match sides.split_first() {
        Some((first, rest)) if *first == images => Ok(rest.to_vec()),
        // The batch is not in front: what is there is shared out.
        _ => Ok(vec![sides.iter().product::<usize>() / images.max(1)]),
    }
}

/// Runs tract so that a graph it panics on is an error as any other: graphs come from users.
fn contained<T>(work: impl FnOnce() -> Result<T, EngineError>) -> Result<T, EngineError> {
    // What a panic leaves behind half done is dropped with it.
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err("the graph breaks the engine's rules".into()))
}
