//! From the output of a classifier back to the pooled features.

use super::graph::Graph;
use super::proto::Node;

/// What was found at the end of a graph.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Features {
    /// The tensor that holds them.
    pub(super) tensor: String,
    /// How many an image has, where the classifier's weights tell.
    pub(super) count: Option<usize>,
    /// Whether they come from a pooling layer.
    pub(super) pooled: bool,
    /// Whether a softmax follows and no classifier was found in between: then these are scores of classes.
    pub(super) scores: bool,
}

/// The pooled tensor that feeds the last classifier layer; the output itself where there is no such layer.
pub(super) fn features(graph: &Graph) -> Features {
    let mut tensor = graph.output.as_str();
    let mut scores = false;
    while let Some(node) = graph.producer(tensor) {
        if let Some(input) = classified(graph, node) {
            let pooled = pooled_source(graph, input);
            return Features {
                tensor: pooled.unwrap_or_else(|| undropped(graph, input)).to_owned(),
                count: classifier_inputs(graph, node)
                    .filter(|_| pooled.is_some() || node.kind() == "Gemm"),
                pooled: pooled.is_some(),
                scores: false,
            };
        }
        let mut inputs = graph.dynamic_inputs(node);
        let (Some(input), another) = (inputs.next(), inputs.next()) else {
            break;
        };
        let softmax = matches!(node.kind(), "Softmax" | "LogSoftmax");
        let tail = softmax
            || reshapes(node)
            || matches!(node.kind(), "Cast" | "Sigmoid")
            || matches!(node.kind(), "Add" | "Sub" | "Mul" | "Div") && another.is_none();
        if !tail {
            break;
        }
        scores |= softmax;
        tensor = input;
    }
    let tensor = if scores {
        tensor
    } else {
        graph.output.as_str()
    };
    Features {
        tensor: tensor.to_owned(),
        count: None,
        pooled: pooled_source(graph, tensor).is_some(),
        scores,
    }
}

/// The pooling layer's output that a tensor is a reshaping of.
pub(super) fn pooled_source<'a>(graph: &'a Graph, tensor: &'a str) -> Option<&'a str> {
    let mut tensor = tensor;
    loop {
        let node = graph.producer(tensor)?;
        if pools(node) {
            return Some(tensor);
        }
        if !reshapes(node) {
            return None;
        }
        tensor = graph.dynamic_inputs(node).next()?;
    }
}

/// Before any reshaping: the tensor whose shape tells whether it still has height and width.
pub(super) fn unshaped<'a>(graph: &'a Graph, tensor: &'a str) -> &'a str {
    let mut tensor = tensor;
    while let Some(node) = graph.producer(tensor).filter(|node| reshapes(node))
        && let Some(input) = graph.dynamic_inputs(node).next()
    {
        tensor = input;
    }
    tensor
}

/// What a classifier layer classifies; `None` for any other node.
fn classified<'a>(graph: &'a Graph, node: &'a Node) -> Option<&'a str> {
    let data = node.input.first().map(String::as_str)?;
    let weights = node.input.get(1).map(String::as_str)?;
    if !graph.dynamic.contains(data) || graph.dynamic.contains(weights) {
        return None;
    }
    match node.kind() {
        "Gemm" | "MatMul" => Some(data),
        "Conv" if pointwise(graph, node) && follows_pooling(graph, data) => Some(data),
        _ => None,
    }
}

/// How many values a classifier takes, from the shape of its weights.
fn classifier_inputs(graph: &Graph, node: &Node) -> Option<usize> {
    let shape = graph.constants.get(node.input.get(1)?)?;
    let axis = match node.kind() {
        "Gemm" if node.integer("transB", 0) != 0 => 1,
        "Conv" => 1,
        _ => 0,
    };
    usize::try_from(*shape.get(axis)?).ok()
}

/// Whether height and width are gone: a pooling layer lies before, with nothing but pointwise layers since.
fn follows_pooling(graph: &Graph, tensor: &str) -> bool {
    let mut tensor = tensor;
    while let Some(node) = graph.producer(tensor) {
        if pools(node) {
            return true;
        }
        let passes = reshapes(node)
            || matches!(
                node.kind(),
                "Relu"
                    | "LeakyRelu"
                    | "PRelu"
                    | "Clip"
                    | "HardSwish"
                    | "HardSigmoid"
                    | "Sigmoid"
                    | "Mul"
                    | "Add"
                    | "Div"
                    | "BatchNormalization"
                    | "Gelu"
                    | "Elu"
                    | "Selu"
            )
            || node.kind() == "Conv" && pointwise(graph, node);
        let Some(input) = graph.dynamic_inputs(node).next().filter(|_| passes) else {
            return false;
        };
        tensor = input;
    }
    false
}

/// Whether a convolution looks at one pixel only.
fn pointwise(graph: &Graph, node: &Node) -> bool {
    if let Some(kernel) = node.integers("kernel_shape") {
        return kernel.iter().all(|side| *side == 1);
    }
    node.input
        .get(1)
        .and_then(|weights| graph.constants.get(weights))
        .is_some_and(|shape| {
            shape
                .get(2..)
                .is_some_and(|kernel| kernel.iter().all(|side| *side == 1))
        })
}

/// Whether a node pools height and width away. Networks of before global pooling end in an average over 7 × 7;
/// the pooling layers along the way are 2 or 3 wide.
fn pools(node: &Node) -> bool {
    match node.kind() {
        "GlobalAveragePool" | "GlobalMaxPool" | "GlobalLpPool" | "ReduceMean" | "ReduceMax" => true,
        "AveragePool" | "MaxPool" => node
            .integers("kernel_shape")
            .is_some_and(|kernel| kernel.iter().all(|side| *side > 4)),
        _ => false,
    }
}

/// Whether a node leaves the values of its first input as they are.
fn reshapes(node: &Node) -> bool {
    matches!(
        node.kind(),
        "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" | "Dropout" | "Identity"
    )
}

fn undropped<'a>(graph: &'a Graph, tensor: &'a str) -> &'a str {
    let mut tensor = tensor;
    while let Some(node) = graph.producer(tensor)
        && matches!(node.kind(), "Dropout" | "Identity")
        && let Some(input) = node.input.first()
    {
        tensor = input;
    }
    tensor
}
