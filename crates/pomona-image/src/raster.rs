//! PNG, GIF, BMP and QOI through the `image` crate.

use std::io::Cursor;

use image::codecs::bmp::BmpDecoder;
use image::codecs::gif::GifDecoder;
use image::codecs::png::PngDecoder;
use image::codecs::qoi::QoiDecoder;
use image::{ColorType, ImageDecoder, ImageError};

use crate::decode::{check_size, pixel_buffer};
use crate::error::{DecodeError, Excess};
use crate::exif;
use crate::flatten::{Layout, flatten, from_unit};
use crate::format::Format;
use crate::limits::{DECODER_OVERHEAD_BYTES, Limits};
use crate::rgb::RgbImage;

/// Stored pixels as RGB, and the EXIF orientation where the file states one.
pub(crate) fn decode(
    bytes: &[u8],
    format: Format,
    limits: &Limits,
) -> Result<(RgbImage, Option<u8>), DecodeError> {
    let explain = |error| explain(format, error);
    let source = Cursor::new(bytes);
    match format {
        Format::Png => {
            // The size stands at a fixed place; the metadata that the decoder collects is bounded.
            let mut bounds = image::Limits::no_limits();
            bounds.max_alloc = Some(DECODER_OVERHEAD_BYTES);
            let mut decoder = PngDecoder::with_limits(source, bounds).map_err(explain)?;
            let block = decoder.exif_metadata().ok().flatten();
            let orientation = block.as_deref().and_then(exif::orientation);
            Ok((read(decoder, format, limits)?, orientation))
        }
        Format::Gif => Ok((
            read(GifDecoder::new(source).map_err(explain)?, format, limits)?,
            None,
        )),
        Format::Bmp => Ok((
            read(BmpDecoder::new(source).map_err(explain)?, format, limits)?,
            None,
        )),
        Format::Qoi => Ok((
            read(QoiDecoder::new(source).map_err(explain)?, format, limits)?,
            None,
        )),
        Format::Jpeg | Format::WebP | Format::Tiff => Err(DecodeError::UnsupportedFormat {
            format: format.unsupported_variant(),
        }),
    }
}

/// Reads all pixels of a decoder that has read its header.
pub(crate) fn read(
    mut decoder: impl ImageDecoder,
    format: Format,
    limits: &Limits,
) -> Result<RgbImage, DecodeError> {
    let (width, height) = decoder.dimensions();
    check_size(format, width, height, limits)?;
    let color = decoder.color_type();
    let mut bounds = image::Limits::no_limits();
    bounds.max_alloc = Some(
        u64::from(width) * u64::from(height) * u64::from(color.bytes_per_pixel())
            + DECODER_OVERHEAD_BYTES,
    );
    decoder
        .set_limits(bounds)
        .map_err(|error| explain(format, error))?;

    let mut values = pixel_buffer::<u8>(width, height, usize::from(color.bytes_per_pixel()))?;
    decoder
        .read_image(&mut values)
        .map_err(|error| explain(format, error))?;
    if color == ColorType::Rgb8 {
        return Ok(RgbImage::from_parts(width, height, values));
    }
    let layout = match color {
        ColorType::L8 | ColorType::L16 => Layout::Grey,
        ColorType::La8 | ColorType::La16 => Layout::GreyAlpha,
        ColorType::Rgb16 | ColorType::Rgb32F => Layout::Rgb,
        ColorType::Rgba8 | ColorType::Rgba16 | ColorType::Rgba32F => Layout::Rgba,
        _ => {
            return Err(DecodeError::UnsupportedFormat {
                format: format.unsupported_variant(),
            });
        }
    };
    let mut rgb = pixel_buffer::<u8>(width, height, 3)?;
    // `image` gives wider values in the byte order of the machine.
    match usize::from(color.bytes_per_pixel()) / layout.channels() {
        1 => flatten(&values, layout, 0, |value| value, &mut rgb),
        2 => {
            let high = |value: [u8; 2]| (u16::from_ne_bytes(value) >> 8) as u8;
            flatten(values.as_chunks::<2>().0, layout, 0, high, &mut rgb);
        }
        _ => {
            let unit = |value: [u8; 4]| from_unit(f32::from_ne_bytes(value));
            flatten(values.as_chunks::<4>().0, layout, 0, unit, &mut rgb);
        }
    }
    Ok(RgbImage::from_parts(width, height, rgb))
}

/// An error of the `image` crate as one of ours.
pub(crate) fn explain(format: Format, error: ImageError) -> DecodeError {
    match error {
        ImageError::Limits(_) => DecodeError::TooLarge {
            excess: Excess::Memory,
        },
        ImageError::Unsupported(_) => DecodeError::UnsupportedFormat {
            format: format.unsupported_variant(),
        },
        error => DecodeError::invalid(format, error),
    }
}
