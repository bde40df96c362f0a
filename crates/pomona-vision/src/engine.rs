//! What an inference engine is.

use crate::{Network, VisionError};

/// A program that runs networks.
pub trait Engine: Send + Sync {
    /// Its name and version, as in `onnxruntime 1.31.1`.
    fn name(&self) -> String;

    /// Prepares a network to be run by one thread.
    ///
    /// # Errors
    ///
    /// [`VisionError::Prepare`] where the engine cannot run it.
    fn session(&self, network: &Network) -> Result<Box<dyn Session>, VisionError>;
}

/// A network prepared for one thread.
pub trait Session: Send {
    /// Runs the network on `images` images.
    ///
    /// `tensor` holds the images one after the other in the layout of [`Network::input`]; `features` takes
    /// `images × feature_count` values, row-major. An image's values do not depend on those beside it.
    ///
    /// # Errors
    ///
    /// [`VisionError::Shape`] where a length does not fit, [`VisionError::Run`] where the engine fails.
    fn run(
        &mut self,
        images: usize,
        tensor: &[f32],
        features: &mut [f32],
    ) -> Result<(), VisionError>;
}

/// Checks a length.
pub(crate) fn expect_length(
    operation: &'static str,
    expected: usize,
    got: usize,
) -> Result<(), VisionError> {
    if expected == got {
        Ok(())
    } else {
        Err(VisionError::Shape {
            operation,
            expected,
            got,
        })
    }
}
