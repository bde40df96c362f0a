//! A graph read from an ONNX file: its nodes, what produces which tensor, what depends on the image.

use std::collections::{HashMap, HashSet};

use prost::Message;

use super::proto::{FLOAT, Model, Node, RawGraph, SparseTensor, SubGraph, Tensor, Value};
use crate::VisionError;

/// One side of the input, or the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dimension {
    /// So many.
    Fixed(u32),
    /// The graph leaves it open.
    Open,
}

/// The one tensor a network takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Input {
    pub(crate) name: String,
    /// Batch first; four of them.
    pub(crate) dimensions: [Dimension; 4],
}

/// An ONNX graph and its indices.
pub(crate) struct Graph {
    pub(super) model: Model,
    pub(super) raw: RawGraph,
    /// Decoded, in the order of `raw.node`, which is topological.
    pub(super) nodes: Vec<Node>,
    /// The shape of each initialiser, by name.
    pub(super) constants: HashMap<String, Vec<i64>>,
    /// For each tensor the index of the node that makes it.
    pub(super) producers: HashMap<String, usize>,
    /// Shapes written in the file, open dimensions as `None`.
    pub(super) shapes: HashMap<String, Vec<Option<u32>>>,
    /// Tensors that follow from the image.
    pub(super) dynamic: HashSet<String>,
    pub(super) output: String,
    pub(super) input: Input,
}

impl Graph {
    /// Reads a graph that takes one batch of images.
    pub(crate) fn read(network: &str, bytes: &[u8]) -> Result<Self, VisionError> {
        let not_onnx = |source| VisionError::NotOnnx {
            network: network.to_owned(),
            source,
        };
        let decode = |error| not_onnx(Some(error));
        let mut model = Model::decode(bytes).map_err(decode)?;
        let raw = model.graph.take().ok_or_else(|| not_onnx(None))?;
        if raw.node.is_empty() {
            return Err(not_onnx(None));
        }
        let nodes = decode_all::<Node>(&raw.node).map_err(decode)?;
        let constants = constants(network, &raw, &nodes)?;
        let inputs: Vec<Value> = decode_all::<Value>(&raw.input)
            .map_err(decode)?
            .into_iter()
            // Before IR version 4 the weights were listed among the inputs.
            .filter(|value| !constants.contains_key(value.name()))
            .collect();
        let outputs = decode_all::<Value>(&raw.output).map_err(decode)?;
        let output = outputs
            .first()
            .ok_or_else(|| not_onnx(None))?
            .name()
            .to_owned();
        let input = image_input(network, &inputs, &nodes)?;
        let mut shapes = HashMap::new();
        for value in decode_all::<Value>(&raw.value_info)
            .map_err(decode)?
            .iter()
            .chain(&outputs)
        {
            if let Some(shape) = value.shape() {
                shapes.insert(value.name().to_owned(), shape);
            }
        }
        let mut producers = HashMap::new();
        let mut dynamic = HashSet::from([input.name.clone()]);
        for (index, node) in nodes.iter().enumerate() {
            let live = reads(node).any(|name| dynamic.contains(name));
            for output in node.output.iter().filter(|name| !name.is_empty()) {
                producers.insert(output.clone(), index);
                if live {
                    dynamic.insert(output.clone());
                }
            }
        }
        Ok(Self {
            model,
            raw,
            nodes,
            constants,
            producers,
            shapes,
            dynamic,
            output,
            input,
        })
    }

    pub(crate) fn input(&self) -> &Input {
        &self.input
    }

    /// The node that makes a tensor; none for inputs and weights.
    pub(super) fn producer(&self, tensor: &str) -> Option<&Node> {
        self.nodes.get(*self.producers.get(tensor)?)
    }

    /// Whether the first thing done to the input is to move its channels from last to second.
    pub(crate) fn moves_channels_first(&self) -> bool {
        self.nodes
            .iter()
            .find(|node| node.input.contains(&self.input.name))
            .is_some_and(|node| {
                node.kind() == "Transpose" && node.integers("perm") == Some(&[0, 3, 1, 2])
            })
    }

    /// The tensor with the channels second that the input becomes before anything else, where that is all that the
    /// input is for and `tensor` is another: fed with it, a graph needs not turn every image.
    pub(crate) fn channels_first_input(&self, tensor: &str) -> Option<&str> {
        let mut readers = self
            .nodes
            .iter()
            .filter(|node| reads(node).any(|name| name == self.input.name));
        let (first, None) = (readers.next()?, readers.next()) else {
            return None;
        };
        match first.output.as_slice() {
            [turned] if self.moves_channels_first() && turned != tensor => Some(turned),
            _ => None,
        }
    }

    /// The inputs of a node that follow from the image.
    pub(super) fn dynamic_inputs<'a>(&'a self, node: &'a Node) -> impl Iterator<Item = &'a str> {
        node.input
            .iter()
            .map(String::as_str)
            .filter(|name| self.dynamic.contains(*name))
    }
}

impl Value {
    pub(super) fn shape(&self) -> Option<Vec<Option<u32>>> {
        let dimensions = &self
            .r#type
            .as_ref()?
            .tensor_type
            .as_ref()?
            .shape
            .as_ref()?
            .dim;
        Some(
            dimensions
                .iter()
                .map(|dim| {
                    dim.dim_value
                        .and_then(|value| u32::try_from(value).ok())
                        .filter(|value| *value > 0)
                })
                .collect(),
        )
    }

    fn element_type(&self) -> Option<i32> {
        self.r#type.as_ref()?.tensor_type.as_ref()?.elem_type
    }
}

fn decode_all<M: Message + Default>(
    parts: &[prost::bytes::Bytes],
) -> Result<Vec<M>, prost::DecodeError> {
    parts.iter().map(|part| M::decode(part.as_ref())).collect()
}

/// Every tensor a node reads, those that its branches and loop bodies take from around them too.
pub(super) fn reads(node: &Node) -> Box<dyn Iterator<Item = &str> + '_> {
    let bodies = node
        .attribute
        .iter()
        .flat_map(|attribute| attribute.g.iter().chain(&attribute.graphs));
    Box::new(
        node.input
            .iter()
            .map(String::as_str)
            .filter(|name| !name.is_empty())
            .chain(bodies.flat_map(|body: &SubGraph| body.node.iter().flat_map(reads))),
    )
}

fn constants(
    network: &str,
    raw: &RawGraph,
    nodes: &[Node],
) -> Result<HashMap<String, Vec<i64>>, VisionError> {
    let not_onnx = |source| VisionError::NotOnnx {
        network: network.to_owned(),
        source: Some(source),
    };
    let external = |file: &str| VisionError::ExternalData {
        network: network.to_owned(),
        file: file.to_owned(),
    };
    let mut constants = HashMap::new();
    let sparse = decode_all::<SparseTensor>(&raw.sparse_initializer).map_err(not_onnx)?;
    for tensor in decode_all::<Tensor>(&raw.initializer)
        .map_err(not_onnx)?
        .into_iter()
        .chain(sparse.into_iter().filter_map(|sparse| sparse.values))
    {
        if let Some(file) = tensor.external_file() {
            return Err(external(file));
        }
        constants.insert(tensor.name.unwrap_or_default(), tensor.dims);
    }
    for node in nodes {
        let values = node
            .attribute
            .iter()
            .filter_map(|attribute| attribute.t.as_ref());
        for tensor in values {
            if let Some(file) = tensor.external_file() {
                return Err(external(file));
            }
            if node.kind() == "Constant"
                && let Some(output) = node.output.first()
            {
                constants.insert(output.clone(), tensor.dims.clone());
            }
        }
    }
    Ok(constants)
}

/// The one input, if it can be a batch of images.
fn image_input(network: &str, inputs: &[Value], nodes: &[Node]) -> Result<Input, VisionError> {
    let unsuitable = |found: String| VisionError::NotAnImageNetwork {
        network: network.to_owned(),
        found,
    };
    let used: Vec<&Value> = inputs
        .iter()
        .filter(|value| {
            nodes
                .iter()
                .any(|node| reads(node).any(|name| name == value.name()))
        })
        .collect();
    let [value] = used.as_slice() else {
        return Err(unsuitable(format!("it has {} inputs", used.len())));
    };
    let name = value.name().to_owned();
    if value.element_type() != Some(FLOAT) {
        return Err(unsuitable(format!(
            "its input {name} does not hold 32-bit floats"
        )));
    }
    let shape = value
        .shape()
        .ok_or_else(|| unsuitable(format!("its input {name} has no shape")))?;
    let dimensions: [Option<u32>; 4] = shape.as_slice().try_into().map_err(|_| {
        unsuitable(format!(
            "its input {name} has {} dimensions ({})",
            shape.len(),
            shape_text(&shape)
        ))
    })?;
    if dimensions[1] != Some(3)
        && dimensions[3] != Some(3)
        && dimensions[1].is_some()
        && dimensions[3].is_some()
    {
        return Err(unsuitable(format!(
            "its input {name} is {}",
            shape_text(&shape)
        )));
    }
    Ok(Input {
        name,
        dimensions: dimensions.map(|dimension| dimension.map_or(Dimension::Open, Dimension::Fixed)),
    })
}

fn shape_text(shape: &[Option<u32>]) -> String {
    shape
        .iter()
        .map(|side| side.map_or_else(|| "n".to_owned(), |side| side.to_string()))
        .collect::<Vec<_>>()
        .join(" × ")
}
