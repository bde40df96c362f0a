//! EfficientNet-Lite0 with its ImageNet weights, made by `tools/efficientnet_lite0/convert.py`.

use crate::{Network, NetworkOptions, Preprocessing, VisionError};

/// The network's name.
const NAME: &str = "efficientnet_lite0";

static GRAPH: &[u8] = include_bytes!("../assets/efficientnet_lite0.onnx");

impl Network {
    /// EfficientNet-Lite0, ImageNet 75.1 % top-1: 224 × 224 pixels, 1,280 pooled features.
    ///
    /// # Errors
    ///
    /// None in a sound binary.
    pub fn builtin() -> Result<Self, VisionError> {
        Self::builtin_with(&NetworkOptions::default())
    }

    /// As [`Network::builtin`], at another layer or fed otherwise than it was trained.
    ///
    /// # Errors
    ///
    /// [`VisionError::UnknownLayer`] and the like.
    pub fn builtin_with(options: &NetworkOptions) -> Result<Self, VisionError> {
        let mut options = options.clone();
        // As the network was trained: (pixel − 127) / 128, bicubic.
        options
            .preprocessing
            .get_or_insert_with(|| Preprocessing::uniform(127.0, 128.0));
        Self::from_onnx(NAME, GRAPH, &options)
    }
}
