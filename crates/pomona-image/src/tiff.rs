//! TIFF, first page, through the `tiff` crate (the `image` crate reads fewer kinds).

use std::io::Cursor;

use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{PhotometricInterpretation, Tag};
use tiff::{ColorType, TiffError};

use crate::decode::{check_size, pixel_buffer};
use crate::error::{DecodeError, Excess};
use crate::exif::{self, FirstDirectory};
use crate::flatten::{Layout, flatten, from_unit};
use crate::format::Format;
use crate::limits::{DECODER_BYTES_PER_PIXEL, DECODER_OVERHEAD_BYTES, Limits};
use crate::rgb::RgbImage;

/// Stored pixels as RGB, and the orientation where the file states one.
///
/// Grey and palette (1, 2, 4 and 8 bits), grey, RGB and CMYK with or without alpha (8, 16 and 32 bits and floating
/// point), in strips or tiles, interleaved or in planes.
pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<(RgbImage, Option<u8>), DecodeError> {
    let image = match palette_as_grey(bytes) {
        None => read(bytes, limits, None)?,
        Some(as_grey) => read(&as_grey, limits, Some(Palette))?,
    };
    Ok((image, exif::orientation(bytes)))
}

/// The values are indices into the file's colour map.
struct Palette;

/// The decoder refuses palettes, whose indices are stored like grey values: the file with that one tag changed.
fn palette_as_grey(bytes: &[u8]) -> Option<Vec<u8>> {
    const GREY: u8 = PhotometricInterpretation::BlackIsZero.to_u16() as u8;
    const PALETTE: u64 = PhotometricInterpretation::RGBPalette.to_u16() as u64;
    let directory = FirstDirectory::open(bytes)?;
    let tag = Tag::PhotometricInterpretation.to_u16();
    if directory.value(tag)? != PALETTE {
        return None;
    }
    let (at, length) = directory.place(tag)?;
    let (start, length) = (usize::try_from(at).ok()?, usize::try_from(length).ok()?);
    let mut changed = bytes.to_vec();
    // The one byte of the number that is not 0, in either byte order.
    let byte = changed
        .get_mut(start..start.checked_add(length)?)?
        .iter_mut()
        .find(|byte| **byte != 0)?;
    *byte = GREY;
    Some(changed)
}

fn read(bytes: &[u8], limits: &Limits, palette: Option<Palette>) -> Result<RgbImage, DecodeError> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).map_err(explain)?;
    let (width, height) = decoder.dimensions().map_err(explain)?;
    check_size(Format::Tiff, width, height, limits)?;
    let (layout, bits, samples) = kind(&mut decoder)?;

    let pixels = u64::from(width) * u64::from(height);
    let stored = pixels
        .saturating_mul(samples as u64)
        .saturating_mul(u64::from(bits).div_ceil(8));
    // Most samples of a pixel may be none that is wanted.
    if stored > limits.max_pixels.saturating_mul(DECODER_BYTES_PER_PIXEL) {
        return Err(DecodeError::TooLarge {
            excess: Excess::Memory,
        });
    }
    let mut bounds = tiff::decoder::Limits::default();
    let to_usize = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    bounds.decoding_buffer_size = to_usize(stored.saturating_add(DECODER_OVERHEAD_BYTES));
    bounds.intermediate_buffer_size = bounds.decoding_buffer_size;
    bounds.ifd_value_size = to_usize(DECODER_OVERHEAD_BYTES);
    let mut decoder = decoder.with_limits(bounds);

    let mut values = DecodingResult::U8(Vec::new());
    let plan = decoder.read_image_to_buffer(&mut values).map_err(explain)?;
    if values.as_buffer(0).as_bytes().len() < plan.complete_len {
        return Err(DecodeError::TooLarge {
            excess: Excess::Memory,
        });
    }
    let mut rgb = pixel_buffer::<u8>(width, height, 3)?;
    let shape = Shape {
        layout,
        samples,
        planes: plan.planes,
        pixels: to_usize(pixels),
    };
    match values {
        DecodingResult::U8(values) => {
            let values = if bits < 8 {
                expand_bits(&values, usize::from(bits), width as usize, shape.pixels)
            } else {
                values
            };
            if palette.is_some() {
                let colours = colour_map(&mut decoder)?;
                for (pixel, &index) in rgb.chunks_exact_mut(3).zip(&values) {
                    pixel.copy_from_slice(colours.get(usize::from(index)).unwrap_or(&[0; 3]));
                }
            } else {
                let brightest = u8::MAX >> (8 - bits.min(8));
                shape.flatten(values, |value| value * (255 / brightest), &mut rgb)?;
            }
        }
        DecodingResult::U16(values) if palette.is_none() => {
            shape.flatten(values, |value| (value >> 8) as u8, &mut rgb)?;
        }
        DecodingResult::U32(values) if palette.is_none() => {
            shape.flatten(values, |value| (value >> 24) as u8, &mut rgb)?;
        }
        DecodingResult::F32(values) => shape.flatten(values, from_unit, &mut rgb)?,
        DecodingResult::F64(values) => {
            shape.flatten(values, |value| from_unit(value as f32), &mut rgb)?;
        }
        _ => return Err(unsupported()),
    }
    Ok(RgbImage::from_parts(width, height, rgb))
}

/// The colours of a palette; each is stored in 16 bits, of which the high byte is kept.
fn colour_map(decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<Vec<[u8; 3]>, DecodeError> {
    let map = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(explain)?;
    let high = |value: &u16| (value >> 8) as u8;
    // All reds, then all greens, then all blues.
    let third = map.len() / 3;
    let (reds, rest) = map.split_at(third);
    let (greens, blues) = rest.split_at(third);
    Ok(reds
        .iter()
        .zip(greens.iter().zip(blues))
        .map(|(red, (green, blue))| [high(red), high(green), high(blue)])
        .collect())
}

/// What the values of a pixel mean, the bits of each, and how many there are.
fn kind(decoder: &mut Decoder<Cursor<&[u8]>>) -> Result<(Layout, u8, usize), DecodeError> {
    let samples = decoder
        .find_tag_unsigned::<u16>(Tag::SamplesPerPixel)
        .map_err(explain)?
        .unwrap_or(1);
    let photometric = decoder
        .find_tag_unsigned::<u16>(Tag::PhotometricInterpretation)
        .map_err(explain)?
        .and_then(PhotometricInterpretation::from_u16);
    let (layout, bits) = match decoder.colortype().map_err(explain)? {
        ColorType::Gray(bits) => (Layout::Grey, bits),
        ColorType::GrayA(bits) => (Layout::GreyAlpha, bits),
        ColorType::Multiband {
            bit_depth,
            num_samples: 2,
        } if photometric == Some(PhotometricInterpretation::BlackIsZero) => {
            (Layout::GreyAlpha, bit_depth)
        }
        ColorType::RGB(bits) => (Layout::Rgb, bits),
        ColorType::RGBA(bits) => (Layout::Rgba, bits),
        ColorType::CMYK(bits) | ColorType::CMYKA(bits) => (Layout::Cmyk, bits),
        // JPEG-in-TIFF is given as RGB by the decoder already where it says so; the rest is not.
        _ => return Err(unsupported()),
    };
    let samples = usize::from(samples).max(layout.channels());
    match bits {
        8 | 16 | 32 | 64 => Ok((layout, bits, samples)),
        1 | 2 | 4 if layout == Layout::Grey && samples == 1 => Ok((layout, bits, samples)),
        _ => Err(unsupported()),
    }
}

struct Shape {
    layout: Layout,
    samples: usize,
    planes: usize,
    pixels: usize,
}

impl Shape {
    fn flatten<T: Copy>(
        &self,
        values: Vec<T>,
        to_byte: impl Fn(T) -> u8,
        rgb: &mut [u8],
    ) -> Result<(), DecodeError> {
        let incomplete = || DecodeError::truncated(Format::Tiff);
        if self.planes <= 1 {
            if values.len() < self.pixels.saturating_mul(self.samples) {
                return Err(incomplete());
            }
            let extra = self.samples - self.layout.channels();
            flatten(&values, self.layout, extra, to_byte, rgb);
            return Ok(());
        }
        let channels = self.layout.channels();
        if self.planes < channels || values.len() < self.pixels.saturating_mul(channels) {
            return Err(incomplete());
        }
        // Planes → HWC.
        let mut interleaved = Vec::with_capacity(self.pixels * channels);
        for pixel in 0..self.pixels {
            interleaved.extend((0..channels).map(|channel| values[channel * self.pixels + pixel]));
        }
        flatten(&interleaved, self.layout, 0, to_byte, rgb);
        Ok(())
    }
}

/// One value a pixel from rows of packed values of 1, 2 or 4 bits, highest bits first, each row padded to a byte.
fn expand_bits(packed: &[u8], bits: usize, width: usize, pixels: usize) -> Vec<u8> {
    let per_byte = 8 / bits;
    let mask = u8::MAX >> (8 - bits);
    let mut values = Vec::with_capacity(pixels);
    for row in packed.chunks(width.div_ceil(per_byte)) {
        values.extend((0..width).map_while(|x| {
            let shift = 8 - bits * (x % per_byte + 1);
            row.get(x / per_byte).map(|byte| (byte >> shift) & mask)
        }));
    }
    values
}

fn unsupported() -> DecodeError {
    DecodeError::UnsupportedFormat {
        format: Format::Tiff.unsupported_variant(),
    }
}

fn explain(error: TiffError) -> DecodeError {
    match error {
        TiffError::LimitsExceeded => DecodeError::TooLarge {
            excess: Excess::Memory,
        },
        TiffError::UnsupportedError(_) => unsupported(),
        TiffError::IoError(error) => DecodeError::invalid(Format::Tiff, error),
        error => DecodeError::invalid(Format::Tiff, error),
    }
}
