//! Pixels to files.

use std::io::Cursor;

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::jpeg;
use crate::rgb::RgbImage;

/// Why an image was not written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EncodeError {
    /// The JPEG encoder refused; JPEG takes at most 65,500 pixels a side.
    #[error("an image of {width} x {height} pixels cannot be written as JPEG: {reason}")]
    Jpeg {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The encoder's words.
        reason: String,
    },
    /// The PNG encoder refused.
    #[error("the image cannot be written as PNG")]
    Png(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// A baseline JPEG, chroma halved in both directions. `quality` is 1..=100 as libjpeg counts it (values outside are
/// taken to the nearest).
///
/// # Errors
/// [`EncodeError::Jpeg`] where a side is over 65,500 pixels.
pub fn encode_jpeg(image: &RgbImage, quality: u8) -> Result<Vec<u8>, EncodeError> {
    jpeg::encode(image, quality)
}

/// An RGB PNG, 8 bits a value.
///
/// # Errors
/// [`EncodeError::Png`] where the encoder refuses the image.
pub fn encode_png(image: &RgbImage) -> Result<Vec<u8>, EncodeError> {
    let mut bytes = Cursor::new(Vec::new());
    PngEncoder::new(&mut bytes)
        .write_image(
            image.pixels(),
            image.width(),
            image.height(),
            ExtendedColorType::Rgb8,
        )
        .map_err(|error| EncodeError::Png(Box::new(error)))?;
    Ok(bytes.into_inner())
}
