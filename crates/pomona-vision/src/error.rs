//! What can go wrong between an ONNX file and its features.

use std::path::PathBuf;

/// The error of an inference engine, in its own words.
pub type EngineError = Box<dyn std::error::Error + Send + Sync>;

/// Why a network could not be read, cut or run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VisionError {
    /// The bytes are not an ONNX model.
    #[error("{network} is not an ONNX file")]
    NotOnnx {
        /// The network's name.
        network: String,
        /// Where decoding stopped; absent where it decoded to nothing.
        source: Option<prost::DecodeError>,
    },
    /// The weights are in a second file, which cannot be followed from bytes.
    #[error(
        "the weights of {network} are in a second file ({file}); save the network as one file \
         (in Python: onnx.save(onnx.load(FILE), OTHER))"
    )]
    ExternalData {
        /// The network's name.
        network: String,
        /// The file named by the first such tensor.
        file: String,
    },
    /// The network does not take one batch of RGB images of floats.
    #[error(
        "{network} does not take images: {found}; expected one float input n × 3 × height × width or n × height × width × 3"
    )]
    NotAnImageNetwork {
        /// The network's name.
        network: String,
        /// What its input is instead.
        found: String,
    },
    /// No tensor or node has the name asked for.
    #[error("{network} has no layer {layer}{}", near_names(.near))]
    UnknownLayer {
        /// The network's name.
        network: String,
        /// The name asked for.
        layer: String,
        /// Names that look like it, the nearest first.
        near: Vec<String>,
    },
    /// The layer does not depend on the image.
    #[error("layer {layer} of {network} does not depend on the image")]
    ConstantLayer {
        /// The network's name.
        network: String,
        /// The layer.
        layer: String,
    },
    /// No engine could say how many values the layer has.
    #[error("cannot tell how many values an image has at layer {layer} of {network}")]
    UnknownFeatureCount {
        /// The network's name.
        network: String,
        /// The layer.
        layer: String,
        /// What the pure-Rust engine said.
        source: EngineError,
    },
    /// A normalisation that is none of the presets.
    #[error("unknown normalisation {name}; known are {}", crate::Preprocessing::PRESETS.join(", "))]
    UnknownPreset {
        /// The name asked for.
        name: String,
    },
    /// The file beside a network does not describe a normalisation.
    #[error("the description of the normalisation cannot be read")]
    Sidecar(#[source] serde_json::Error),
    /// A normalisation that would not give numbers.
    #[error("the normalisation is not usable: {0}")]
    Preprocessing(&'static str),
    /// The ONNX Runtime library could not be loaded.
    #[error("cannot load ONNX Runtime from {}", .path.display())]
    Library {
        /// The library file.
        path: PathBuf,
        /// What the loader said.
        source: EngineError,
    },
    /// One process holds one ONNX Runtime, and it holds another.
    #[error("ONNX Runtime is already loaded from {}", .loaded.display())]
    OtherLibrary {
        /// Where it was loaded from.
        loaded: PathBuf,
    },
    /// The engine refused the network.
    #[error("{engine} cannot prepare {network}")]
    Prepare {
        /// The engine's name.
        engine: String,
        /// The network's name.
        network: String,
        /// What the engine said.
        source: EngineError,
    },
    /// The engine failed on a batch.
    #[error("{engine} failed")]
    Run {
        /// The engine's name.
        engine: &'static str,
        /// What the engine said.
        source: EngineError,
    },
    /// A tensor has not as many values as it must.
    #[error("{operation}: expected {expected} values, got {got}")]
    Shape {
        /// What was being done.
        operation: &'static str,
        /// How many values were expected.
        expected: usize,
        /// How many came.
        got: usize,
    },
}

fn near_names(near: &[String]) -> String {
    match near {
        [] => String::new(),
        near => format!("; did you mean {}?", near.join(", ")),
    }
}
