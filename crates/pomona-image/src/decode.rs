//! Bytes to an upright image.

use crate::error::{Damage, DecodeError, Excess};
use crate::format::{Format, Kind, kind_of};
use crate::limits::Limits;
use crate::rgb::RgbImage;
use crate::{exif, jpeg, orientation, quiet, raster, tiff, webp};

/// A decoded photo.
#[derive(Debug, Clone)]
pub struct Decoded {
    /// The pixels, upright: the EXIF orientation is applied.
    pub image: RgbImage,
    /// The format, told by the content.
    pub format: Format,
    /// The EXIF orientation (1..=8) the file states; 1 where it states none or the EXIF block is broken.
    pub orientation: u8,
}

/// Decodes one photo to upright 8-bit RGB.
///
/// The format is told by the content. The file's length and the size in its header are checked against `limits`
/// before anything is allocated for pixels. No input makes this panic.
///
/// What is made of each kind:
/// - JPEG to the bit as libjpeg-turbo does by default (and Pillow with it): accurate integer inverse DCT, triangle
///   ("fancy") chroma upsampling. CMYK and YCCK are read as Adobe writes them (inverted) and become RGB by
///   `(255 − ink) · (255 − black) / 255`. A file that ends early is [`DecodeError::Corrupt`]; damage that the
///   decoder can step over (it warns and goes on, as in Pillow) is accepted.
/// - Transparent pixels are laid on white: `alpha · value + (255 − alpha) · 255`, divided by 255 and rounded.
/// - 16-bit values keep their high byte, as in Pillow; floating-point values are taken as 0..1, clamped and rounded.
/// - Grey values are copied to the three channels. Of an animation or a TIFF of several pages, the first is taken.
/// - Colour profiles are not applied, as in Pillow.
///
/// # Errors
/// See [`DecodeError`].
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Decoded, DecodeError> {
    if bytes.is_empty() {
        return Err(DecodeError::Empty);
    }
    limits.check_bytes(bytes)?;
    let format = match kind_of(bytes) {
        Kind::Decodable(format) => format,
        Kind::Image(format) => return Err(DecodeError::UnsupportedFormat { format }),
        Kind::Other(looks_like) => return Err(DecodeError::NotAnImage { looks_like }),
    };
    if let Some((width, height)) = stated_size(bytes, format) {
        check_size(format, width, height, limits)?;
    }
    let (image, orientation) = quiet::catch(|| match format {
        Format::Jpeg => jpeg::decode(bytes, limits),
        Format::Tiff => tiff::decode(bytes, limits),
        Format::WebP => webp::decode(bytes, limits),
        Format::Png | Format::Gif | Format::Bmp | Format::Qoi => {
            raster::decode(bytes, format, limits)
        }
    })
    .unwrap_or(Err(DecodeError::Corrupt {
        format,
        damage: Damage::DecoderFailed,
    }))?;
    let orientation = orientation.unwrap_or(exif::UPRIGHT);
    Ok(Decoded {
        image: orientation::upright(image, orientation),
        format,
        orientation,
    })
}

/// Width and height where they stand at a fixed place, so that an absurd size is told before a decoder is started.
/// Decoders are asked again once they have read the header.
fn stated_size(bytes: &[u8], format: Format) -> Option<(u32, u32)> {
    let four = |at: usize| bytes.get(at..)?.first_chunk::<4>().copied();
    let two = |at: usize| bytes.get(at..)?.first_chunk::<2>().copied();
    let sides =
        |width: [u8; 4], height: [u8; 4]| (u32::from_be_bytes(width), u32::from_be_bytes(height));
    match format {
        Format::Png => Some(sides(four(16)?, four(20)?)),
        Format::Qoi => Some(sides(four(4)?, four(8)?)),
        Format::Gif => Some((
            u16::from_le_bytes(two(6)?).into(),
            u16::from_le_bytes(two(8)?).into(),
        )),
        // The oldest header has 16-bit sides; a height below 0 means rows from top to bottom.
        Format::Bmp if bytes.get(14) != Some(&12) => {
            let side = |bytes| i32::from_le_bytes(bytes).unsigned_abs();
            Some((side(four(18)?), side(four(22)?)))
        }
        Format::Tiff => {
            let directory = exif::FirstDirectory::open(bytes)?;
            let side = |tag| u32::try_from(directory.value(tag)?).ok();
            Some((side(TAG_WIDTH)?, side(TAG_HEIGHT)?))
        }
        Format::Bmp | Format::Jpeg | Format::WebP => None,
    }
}

const TAG_WIDTH: u16 = 256;
const TAG_HEIGHT: u16 = 257;

/// Width and height as the header states them, checked: at least one pixel, and within the limits.
pub(crate) fn check_size(
    format: Format,
    width: u32,
    height: u32,
    limits: &Limits,
) -> Result<(), DecodeError> {
    if width == 0 || height == 0 {
        return Err(DecodeError::Corrupt {
            format,
            damage: Damage::NoPixels,
        });
    }
    limits.check_pixels(width, height)
}

/// A buffer of `values_per_pixel` values a pixel, or "too large" where this machine has no room for it.
pub(crate) fn pixel_buffer<T: Copy + Default>(
    width: u32,
    height: u32,
    values_per_pixel: usize,
) -> Result<Vec<T>, DecodeError> {
    let too_large = DecodeError::TooLarge {
        excess: Excess::Memory,
    };
    let Some(length) = (width as usize)
        .checked_mul(height as usize)
        .and_then(|pixels| pixels.checked_mul(values_per_pixel))
    else {
        return Err(too_large);
    };
    let mut buffer = Vec::new();
    if buffer.try_reserve_exact(length).is_err() {
        return Err(too_large);
    }
    buffer.resize(length, T::default());
    Ok(buffer)
}
