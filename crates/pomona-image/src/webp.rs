//! WebP: a look at the sizes inside the file, then the `image` crate.

use std::io::Cursor;

use image::codecs::webp::WebPDecoder;

use crate::decode::check_size;
use crate::error::DecodeError;
use crate::exif;
use crate::format::Format;
use crate::limits::Limits;
use crate::raster::{explain, read};
use crate::rgb::RgbImage;

/// Stored pixels as RGB, and the EXIF orientation where the file states one.
pub(crate) fn decode(bytes: &[u8], limits: &Limits) -> Result<(RgbImage, Option<u8>), DecodeError> {
    let mut contents = Contents::default();
    // 12 bytes of RIFF header come before the chunks.
    for (name, chunk) in chunks(bytes.get(12..).unwrap_or_default()) {
        // A frame: 16 bytes of its own, then chunks, none of them frames.
        if name == *b"ANMF" {
            for (name, chunk) in chunks(chunk.get(16..).unwrap_or_default()) {
                contents.note(name, chunk);
            }
        } else {
            contents.note(name, chunk);
        }
    }
    // The decoder allocates by the size in the bitstream before it compares that with the canvas.
    for (width, height) in contents.sizes {
        check_size(Format::WebP, width, height, limits)?;
    }
    let orientation = contents.exif.and_then(exif::orientation);
    let mut decoder =
        WebPDecoder::new(Cursor::new(bytes)).map_err(|error| explain(Format::WebP, error))?;
    if decoder.has_animation() {
        // Laid on white like every other transparency, whatever background the file suggests.
        let clear = image::Rgba([255, 255, 255, 0]);
        decoder
            .set_background_color(clear)
            .map_err(|error| explain(Format::WebP, error))?;
    }
    Ok((read(decoder, Format::WebP, limits)?, orientation))
}

/// Sizes of all bitstreams of the file, and its EXIF block.
#[derive(Default)]
struct Contents<'a> {
    sizes: Vec<(u32, u32)>,
    exif: Option<&'a [u8]>,
}

impl<'a> Contents<'a> {
    fn note(&mut self, name: [u8; 4], chunk: &'a [u8]) {
        match &name {
            b"VP8 " => self.sizes.extend(lossy_size(chunk)),
            b"VP8L" => self.sizes.extend(lossless_size(chunk)),
            b"EXIF" => self.exif = self.exif.or(Some(chunk)),
            _ => {}
        }
    }
}

/// Names and contents of the chunks in `rest`; the last may be cut short.
fn chunks(mut rest: &[u8]) -> impl Iterator<Item = ([u8; 4], &[u8])> {
    std::iter::from_fn(move || {
        let (&[n0, n1, n2, n3, l0, l1, l2, l3], after) = rest.split_first_chunk::<8>()?;
        let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
        // Chunks are padded to even lengths.
        rest = after
            .get(length.saturating_add(length % 2)..)
            .unwrap_or_default();
        Some(([n0, n1, n2, n3], &after[..length.min(after.len())]))
    })
}

fn lossy_size(chunk: &[u8]) -> Option<(u32, u32)> {
    let side = |at: usize| {
        Some(u32::from(
            u16::from_le_bytes([*chunk.get(at)?, *chunk.get(at + 1)?]) & 0x3fff,
        ))
    };
    Some((side(6)?, side(8)?))
}

fn lossless_size(chunk: &[u8]) -> Option<(u32, u32)> {
    let bits = u32::from_le_bytes(*chunk.get(1..)?.first_chunk::<4>()?);
    Some(((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1))
}
