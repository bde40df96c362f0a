//! JPEG through libjpeg (mozjpeg's decoder is libjpeg-turbo's), the one decoder whose output people compare with.
//!
//! Pure Rust decoders round the inverse DCT or the chroma upsampling differently, and networks see that.

mod decompress;
mod encode;
mod session;

pub(crate) use encode::encode;

use crate::error::DecodeError;
use crate::exif;
use crate::limits::Limits;
use crate::rgb::RgbImage;

/// Stored pixels as RGB, and the EXIF orientation where the file states one.
pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<(RgbImage, Option<u8>), DecodeError> {
    let image = decompress::decompress(bytes, limits)?;
    Ok((image, orientation(bytes)))
}

/// The orientation in the first APP1 segment that holds an EXIF block with one; segments before the first scan only.
fn orientation(bytes: &[u8]) -> Option<u8> {
    const APP1: u8 = 0xe1;
    const START_OF_SCAN: u8 = 0xda;
    const END_OF_IMAGE: u8 = 0xd9;
    let mut rest = bytes.get(2..)?;
    loop {
        // Fill bytes and stray bytes between segments are legal or harmless.
        let start = rest.iter().position(|&byte| byte == 0xff)?;
        rest = rest.get(start..)?;
        let code = rest.iter().position(|&byte| byte != 0xff)?;
        let marker = *rest.get(code)?;
        rest = rest.get(code + 1..)?;
        match marker {
            START_OF_SCAN | END_OF_IMAGE => return None,
            // Markers without a segment.
            0x00 | 0x01 | 0xd0..=0xd8 => continue,
            _ => {}
        }
        let (length, _) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length)).max(2);
        let segment = rest.get(2..length)?;
        if marker == APP1
            && segment.starts_with(b"Exif\0")
            && let Some(orientation) = exif::orientation(segment)
        {
            return Some(orientation);
        }
        rest = rest.get(length..)?;
    }
}
