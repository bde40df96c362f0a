//! A network: an ONNX graph cut at the features, and how images are fed to it.

use std::fmt;
use std::sync::{Arc, OnceLock};

use sha2::{Digest, Sha256};

use crate::onnx::{Cut, Dimension, Graph, cut};
use crate::pure_rust::{self, Plan};
use crate::{Preprocessing, VisionError};

/// Height and width where neither the graph nor the normalisation says, pixels.
const USUAL_SIDE: u32 = 224;

/// What may be said about an ONNX file beside the file itself.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct NetworkOptions {
    /// The tensor or node whose output are the features; found by itself where absent.
    pub layer: Option<String>,
    /// How images are fed to the network. Where absent, `-1..1` for networks with the channels last (Keras) and
    /// `imagenet` for those with the channels first (PyTorch), and a warning says so.
    pub preprocessing: Option<Preprocessing>,
}

/// Where the channels are in the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Layout {
    /// n × 3 × height × width.
    Nchw,
    /// n × height × width × 3.
    Nhwc,
}

/// What a network takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InputSpec {
    /// Where the channels are.
    pub layout: Layout,
    /// Pixels.
    pub height: u32,
    /// Pixels.
    pub width: u32,
}

impl InputSpec {
    /// Values an image has.
    #[must_use]
    pub fn values(&self) -> usize {
        3 * self.height as usize * self.width as usize
    }

    /// The shape of a batch.
    #[must_use]
    pub fn shape(&self, images: usize) -> [usize; 4] {
        let (height, width) = (self.height as usize, self.width as usize);
        match self.layout {
            Layout::Nchw => [images, 3, height, width],
            Layout::Nhwc => [images, height, width, 3],
        }
    }
}

/// An ONNX graph cut at the features, and how images are fed to it.
#[derive(Clone)]
pub struct Network {
    name: String,
    hash: String,
    layer: String,
    feature_count: usize,
    input: InputSpec,
    /// Images a run takes, where the graph fixes it.
    batch: Option<usize>,
    preprocessing: Preprocessing,
    warnings: Vec<String>,
    /// The cut graph, an ONNX file.
    graph: Arc<[u8]>,
    /// Prepared once for all sessions of the pure-Rust engine.
    plan: Arc<OnceLock<Plan>>,
}

impl Network {
    /// Reads an ONNX file and cuts it at the features.
    ///
    /// These are the pooled tensor that feeds the last classifier layer (`Gemm`, `MatMul`, or a 1 × 1 `Conv` after
    /// pooling); the output itself where there is no such layer; the layer asked for where one is.
    ///
    /// # Errors
    ///
    /// Those of [`VisionError`] about files, inputs, layers and normalisations.
    pub fn from_onnx(
        name: &str,
        bytes: &[u8],
        options: &NetworkOptions,
    ) -> Result<Self, VisionError> {
        let graph = Graph::read(name, bytes)?;
        let mut warnings = Vec::new();
        let layout = layout(&graph);
        let preprocessing = match &options.preprocessing {
            Some(given) => given.clone(),
            None => assumed(layout, &mut warnings)?,
        };
        preprocessing.check()?;
        let input = input_spec(&graph, layout, &preprocessing);
        let batch = match graph.input().dimensions[0] {
            Dimension::Fixed(images) => Some(images as usize),
            Dimension::Open => None,
        };
        let found = Cut::find(name, &graph, options.layer.as_deref())?;
        let fed = |tensor: &str| match graph.channels_first_input(tensor) {
            Some(_) => InputSpec {
                layout: Layout::Nchw,
                ..input
            },
            None => input,
        };
        let one = |tensor: &str| {
            let images = Some(batch.unwrap_or(1));
            cut(&graph, tensor, shape(fed(tensor), images))
        };
        let bytes_to_features = cut(&graph, &found.tensor, shape(fed(&found.tensor), batch));
        let images = batch.unwrap_or(1);
        let values = |tensor: &str| -> Result<Vec<usize>, VisionError> {
            pure_rust::image_shape(&one(tensor), images).map_err(|source| {
                VisionError::UnknownFeatureCount {
                    network: name.to_owned(),
                    layer: tensor.to_owned(),
                    source,
                }
            })
        };
        let feature_count = match found.count {
            Some(count) => count,
            None => values(&found.tensor)?.iter().product(),
        };
        if found.scores {
            warnings.push(format!(
                "{} of {name} are the scores of classes, no layer before them was found; name one with --layer",
                found.tensor
            ));
        }
        // Where no engine can tell the shape, the count from the file stands and there is nothing to warn of.
        let flat = found.flat
            || values(&found.unshaped)
                .is_ok_and(|sides| sides.iter().filter(|side| **side > 1).count() <= 1);
        if !flat {
            warnings.push(unpooled_warning(feature_count, &found, &values));
        }
        let hash = hash(bytes, &found.tensor, &preprocessing);
        Ok(Self {
            name: name.to_owned(),
            hash,
            feature_count,
            input: fed(&found.tensor),
            layer: found.tensor,
            batch,
            preprocessing,
            warnings,
            graph: bytes_to_features.into(),
            plan: Arc::default(),
        })
    }

    /// The name it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 in hexadecimal of all that decides the features: the file, the layer and the normalisation.
    #[must_use]
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// The tensor that holds the features.
    #[must_use]
    pub fn layer(&self) -> &str {
        &self.layer
    }

    /// How many features an image has.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.feature_count
    }

    /// What a run takes.
    #[must_use]
    pub fn input(&self) -> InputSpec {
        self.input
    }

    /// How many images a run takes, where the graph fixes it.
    #[must_use]
    pub fn fixed_batch(&self) -> Option<usize> {
        self.batch
    }

    /// How images are fed.
    #[must_use]
    pub fn preprocessing(&self) -> &Preprocessing {
        &self.preprocessing
    }

    /// What a person should know before using the features; one line each.
    #[must_use]
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// The cut graph as an ONNX file: one input of [`Network::input`], one output.
    #[must_use]
    pub fn graph(&self) -> &[u8] {
        &self.graph
    }

    pub(crate) fn plan(&self) -> &OnceLock<Plan> {
        &self.plan
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Network")
            .field("name", &self.name)
            .field("hash", &self.hash)
            .field("layer", &self.layer)
            .field("feature_count", &self.feature_count)
            .field("input", &self.input)
            .finish_non_exhaustive()
    }
}

fn layout(graph: &Graph) -> Layout {
    let [_, second, _, last] = graph.input().dimensions;
    let colours = Dimension::Fixed(3);
    if second == colours && last != colours {
        Layout::Nchw
    } else if last == colours && second != colours || graph.moves_channels_first() {
        Layout::Nhwc
    } else {
        Layout::Nchw
    }
}

fn assumed(layout: Layout, warnings: &mut Vec<String>) -> Result<Preprocessing, VisionError> {
    let (preset, custom) = match layout {
        Layout::Nhwc => ("-1..1", "channels last"),
        Layout::Nchw => ("imagenet", "channels first"),
    };
    warnings.push(format!(
        "no normalisation was given: assuming {preset}, usual for networks with {custom}; name one of {}",
        Preprocessing::PRESETS.join(", ")
    ));
    preset.parse()
}

fn input_spec(graph: &Graph, layout: Layout, preprocessing: &Preprocessing) -> InputSpec {
    let [_, second, third, last] = graph.input().dimensions;
    let (height, width) = match layout {
        Layout::Nchw => (third, last),
        Layout::Nhwc => (second, third),
    };
    let [given_height, given_width] = preprocessing.input_px.unwrap_or([USUAL_SIDE; 2]);
    let side = |dimension, given| match dimension {
        Dimension::Fixed(side) => side,
        Dimension::Open => given,
    };
    InputSpec {
        layout,
        height: side(height, given_height),
        width: side(width, given_width),
    }
}

fn shape(input: InputSpec, batch: Option<usize>) -> [Option<u32>; 4] {
    let batch = batch.and_then(|images| u32::try_from(images).ok());
    match input.layout {
        Layout::Nchw => [batch, Some(3), Some(input.height), Some(input.width)],
        Layout::Nhwc => [batch, Some(input.height), Some(input.width), Some(3)],
    }
}

fn unpooled_warning(
    count: usize,
    found: &Cut,
    values: &dyn Fn(&str) -> Result<Vec<usize>, VisionError>,
) -> String {
    let count = thousands(count);
    let pooled = found.pooled.as_deref().and_then(|layer| {
        let pooled: usize = values(layer).ok()?.iter().product();
        Some((layer, pooled))
    });
    match pooled {
        Some((layer, pooled)) => format!(
            "layer {} gives {count} values an image, not pooled: did you mean the {} pooled ones? (--layer {layer})",
            found.tensor,
            thousands(pooled)
        ),
        None => format!(
            "layer {} gives {count} values an image, not pooled; fitting them takes memory for every pair",
            found.tensor
        ),
    }
}

/// 62,720 for 62720.
fn thousands(count: usize) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn hash(source: &[u8], layer: &str, preprocessing: &Preprocessing) -> String {
    let mut hasher = Sha256::new();
    // Parts of fixed length first, so that no two lists of parts give the same bytes.
    hasher.update(Sha256::digest(source));
    hasher.update(Sha256::digest(layer.as_bytes()));
    hasher.update(Sha256::digest(preprocessing.to_json().as_bytes()));
    hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}
