//! ONNX files: the little of the format that cutting a graph needs.

mod cut;
mod graph;
mod near;
mod proto;
mod walk;

pub(crate) use cut::{Cut, cut};
pub(crate) use graph::{Dimension, Graph};
