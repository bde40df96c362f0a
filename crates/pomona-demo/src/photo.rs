//! One photo: from a label and a scene to a JPEG file.

use crate::error::DemoError;
use crate::paint::Subject;
use crate::pictures::PICTURES;
use pomona_image::{RgbImage, encode_jpeg};

/// Quality of the JPEG files, of 100.
const QUALITY: u8 = 90;

/// Encodes `side` × `side` pixels of red, green and blue as a JPEG.
pub(crate) fn encode(
    label: &'static str,
    side: usize,
    pixels: Vec<u8>,
) -> Result<Vec<u8>, DemoError> {
    let image = RgbImage::from_pixels(side as u32, side as u32, pixels)
        .map_err(|source| DemoError::Shape { label, source })?;
    encode_jpeg(&image, QUALITY).map_err(|source| DemoError::Encode { label, source })
}

/// The index of a label and its picture.
pub(crate) fn subject_of(label: &str) -> Result<(usize, Subject), DemoError> {
    let index = PICTURES
        .iter()
        .position(|picture| picture.label == label)
        .unwrap_or(0);
    Ok((index, Subject::decode(&PICTURES[index])?))
}
