//! A graph cut at one tensor: what is not needed for it is left out.

use std::collections::HashSet;

use prost::Message;

use super::graph::{Graph, reads};
use super::near::near;
use super::proto::{Dim, FLOAT, RawGraph, Shape, SparseTensor, Tensor, TensorType, Type, Value};
use super::walk;
use crate::VisionError;

/// Where a graph is to be cut, and what is known of the values there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The tensor.
    pub(crate) tensor: String,
    /// How many values an image has there, where the file says.
    pub(crate) count: Option<usize>,
    /// Whether the values are known to have no height and width.
    pub(crate) flat: bool,
    /// The tensor whose shape tells whether there is a height and a width.
    pub(crate) unshaped: String,
    /// The pooled tensor there is instead, if this is another.
    pub(crate) pooled: Option<String>,
    /// Whether the values are likely the scores of classes.
    pub(crate) scores: bool,
}

impl Cut {
    /// At the named tensor or node; by itself where no name is given.
    pub(crate) fn find(
        network: &str,
        graph: &Graph,
        layer: Option<&str>,
    ) -> Result<Self, VisionError> {
        let features = walk::features(graph);
        let Some(layer) = layer else {
            let unshaped = walk::unshaped(graph, &features.tensor).to_owned();
            return Ok(Self {
                count: features
                    .count
                    .or_else(|| static_count(graph, &features.tensor)),
                flat: features.pooled,
                unshaped,
                pooled: None,
                scores: features.scores,
                tensor: features.tensor,
            });
        };
        let tensor = resolve(network, graph, layer)?;
        if !graph.dynamic.contains(&tensor) || tensor == graph.input.name {
            return Err(VisionError::ConstantLayer {
                network: network.to_owned(),
                layer: layer.to_owned(),
            });
        }
        let same = tensor == features.tensor;
        Ok(Self {
            count: features
                .count
                .filter(|_| same)
                .or_else(|| static_count(graph, &tensor)),
            flat: walk::pooled_source(graph, &tensor).is_some(),
            unshaped: walk::unshaped(graph, &tensor).to_owned(),
            pooled: (features.pooled && !same).then_some(features.tensor),
            scores: false,
            tensor,
        })
    }
}

/// The graph up to `tensor` as an ONNX file that takes `shape`; `None` is a batch of any size.
///
/// It takes the channels first where [`Graph::channels_first_input`] allows it, and `shape` says so.
pub(crate) fn cut(graph: &Graph, tensor: &str, shape: [Option<u32>; 4]) -> Vec<u8> {
    let input = graph
        .channels_first_input(tensor)
        .unwrap_or(&graph.input.name);
    let mut needed: HashSet<&str> = HashSet::from([tensor]);
    let mut kept = vec![false; graph.nodes.len()];
    for (index, node) in graph.nodes.iter().enumerate().rev() {
        let is_needed = |output: &String| output != input && needed.contains(output.as_str());
        if node.output.iter().any(is_needed) {
            kept[index] = true;
            needed.extend(reads(node));
        }
    }
    let initializer = graph
        .raw
        .initializer
        .iter()
        .filter(|bytes| {
            // Decoded once already when the graph was read.
            Tensor::decode(bytes.as_ref())
                .is_ok_and(|tensor| needed.contains(tensor.name.as_deref().unwrap_or_default()))
        })
        .cloned()
        .collect();
    let sparse_initializer = graph
        .raw
        .sparse_initializer
        .iter()
        .filter(|bytes| {
            SparseTensor::decode(bytes.as_ref()).is_ok_and(|sparse| {
                sparse.values.is_some_and(|tensor| {
                    needed.contains(tensor.name.as_deref().unwrap_or_default())
                })
            })
        })
        .cloned()
        .collect();
    let mut model = graph.model.clone();
    model.graph = Some(RawGraph {
        node: graph
            .raw
            .node
            .iter()
            .zip(kept)
            .filter(|(_, kept)| *kept)
            .map(|(bytes, _)| bytes.clone())
            .collect(),
        name: graph.raw.name.clone(),
        initializer,
        sparse_initializer,
        input: vec![tensor_value(input, Some(shape)).encode_to_vec().into()],
        output: vec![tensor_value(tensor, None).encode_to_vec().into()],
        // The shapes in the file may be those of another batch; engines infer their own.
        value_info: Vec::new(),
    });
    model.encode_to_vec()
}

fn tensor_value(name: &str, shape: Option<[Option<u32>; 4]>) -> Value {
    let shape = shape.map(|sides| Shape {
        dim: sides
            .iter()
            .map(|side| Dim {
                dim_value: side.map(i64::from),
                dim_param: side.is_none().then(|| "images".to_owned()),
            })
            .collect(),
    });
    Value {
        name: Some(name.to_owned()),
        r#type: Some(Type {
            tensor_type: Some(TensorType {
                elem_type: Some(FLOAT),
                shape,
            }),
        }),
    }
}

/// The tensor of that name, or the first output of the node of that name.
fn resolve(network: &str, graph: &Graph, layer: &str) -> Result<String, VisionError> {
    if graph.producers.contains_key(layer) {
        return Ok(layer.to_owned());
    }
    let by_name = graph
        .nodes
        .iter()
        .find(|node| node.name.as_deref() == Some(layer))
        .and_then(|node| node.output.first());
    if let Some(output) = by_name {
        return Ok(output.clone());
    }
    let names = graph.nodes.iter().flat_map(|node| {
        node.output
            .iter()
            .map(String::as_str)
            .filter(|output| graph.dynamic.contains(*output))
            .chain(node.name.as_deref())
    });
    Err(VisionError::UnknownLayer {
        network: network.to_owned(),
        layer: layer.to_owned(),
        near: near(layer, names, 5),
    })
}

/// Values an image, from a shape in the file that leaves nothing but the batch open.
fn static_count(graph: &Graph, tensor: &str) -> Option<usize> {
    let (_, sides) = graph.shapes.get(tensor)?.split_first()?;
    sides
        .iter()
        .try_fold(1_usize, |count, side| count.checked_mul((*side)? as usize))
}
