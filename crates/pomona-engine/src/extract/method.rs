//! What images become: the values of a network, or key points.

use std::sync::{Mutex, PoisonError};

use pomona_image::RgbImage;
use pomona_vision::Backbone;
use pomona_vision::orb::{Orb, OrbError, OrbSettings};

use super::keypoints::{FoundKeyPoint, found};
use crate::error::EngineError;

/// How pixels become features.
pub(super) enum Method {
    /// The values of a network, asked for by this name or file.
    Network {
        backbone: Box<Backbone>,
        reference: String,
    },
    /// Key points and their descriptors.
    Orb(Detectors),
}

/// One detector a thread: each keeps its buffers from image to image.
pub(super) struct Detectors {
    settings: OrbSettings,
    idle: Mutex<Vec<Orb>>,
}

impl Detectors {
    pub(super) fn new(settings: OrbSettings) -> Result<Self, OrbError> {
        let first = Orb::new(settings)?;
        Ok(Self {
            settings,
            idle: Mutex::new(vec![first]),
        })
    }

    pub(super) fn settings(&self) -> OrbSettings {
        self.settings
    }

    pub(super) fn detect(&self, image: &RgbImage) -> Result<Vec<FoundKeyPoint>, OrbError> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let mut orb = match taken {
            Some(orb) => orb,
            None => Orb::new(self.settings)?,
        };
        let keypoints = found(image, orb.detect(image));
        idle().push(orb);
        Ok(keypoints)
    }
}

/// What an image became.
#[derive(Default)]
pub(super) enum Product {
    /// Nothing.
    #[default]
    None,
    /// The image as it will be looked at.
    Input(RgbImage),
    /// The network's values.
    Features(Vec<f32>),
    /// The key points, the strongest of each level first.
    KeyPoints(Vec<FoundKeyPoint>),
}

impl Method {
    /// Values in each list of features; none where there are key points instead.
    pub(super) fn feature_count(&self) -> Option<usize> {
        match self {
            Self::Network { backbone, .. } => Some(backbone.feature_count()),
            Self::Orb(_) => None,
        }
    }

    /// Images that are worked on together.
    pub(super) fn batch_size(&self) -> usize {
        match self {
            Self::Network { backbone, .. } => backbone.batch_size().max(1),
            Self::Orb(_) => 1,
        }
    }

    /// The image as the method looks at it.
    pub(super) fn fitted(&self, prepared: RgbImage) -> RgbImage {
        match self {
            Self::Network { backbone, .. } => {
                let network = backbone.network();
                pomona_image::resize(
                    &prepared,
                    network.input().width,
                    network.input().height,
                    network.preprocessing().kernel,
                )
            }
            Self::Orb(_) => prepared,
        }
    }

    /// Makes images into what comes of them.
    pub(super) fn finish(&self, products: &mut [&mut Product]) -> Result<(), EngineError> {
        let inputs: Vec<RgbImage> = products
            .iter_mut()
            .filter_map(|product| match std::mem::take(*product) {
                Product::Input(image) => Some(image),
                _ => None,
            })
            .collect();
        if inputs.len() != products.len() || inputs.is_empty() {
            return Ok(());
        }
        match self {
            Self::Network { backbone, .. } => {
                let features = backbone.features(&inputs)?;
                let rows = features.chunks_exact(backbone.feature_count().max(1));
                for (product, own) in products.iter_mut().zip(rows) {
                    **product = Product::Features(own.to_vec());
                }
            }
            Self::Orb(detectors) => {
                for (product, image) in products.iter_mut().zip(&inputs) {
                    **product = Product::KeyPoints(detectors.detect(image)?);
                }
            }
        }
        Ok(())
    }
}
