//! Small pictures for reports.

use crate::resize::{Kernel, resize};
use crate::rgb::RgbImage;

/// Largest block averaged at once: its sum stays far from the end of 32 bits.
const MAX_BLOCK: u32 = 64;

/// The image scaled to fit `side` × `side` pixels, its shape kept, never enlarged.
///
/// For looking at, not for measuring: big photos are first averaged in whole blocks, which is many times faster.
/// `side` is at least 1.
pub fn thumbnail(image: &RgbImage, side: u32) -> RgbImage {
    let side = side.max(1);
    let (width, height) = (image.width(), image.height());
    let longer = width.max(height);
    if longer <= side {
        return image.clone();
    }
    let scaled = |length: u32| {
        let rounded =
            (u64::from(length) * u64::from(side) + u64::from(longer) / 2) / u64::from(longer);
        u32::try_from(rounded).unwrap_or(side).clamp(1, side)
    };
    let (out_width, out_height) = (scaled(width), scaled(height));
    // Half of the way at most in blocks: the rest by the kernel, so that edges stay smooth.
    let block = ((width / out_width).min(height / out_height) / 2).min(MAX_BLOCK);
    if block > 1 {
        resize(
            &average_blocks(image, block),
            out_width,
            out_height,
            Kernel::Bicubic,
        )
    } else {
        resize(image, out_width, out_height, Kernel::Bicubic)
    }
}

/// Means of whole `block` × `block` squares; what is left over on the right and at the bottom (less than one block)
/// is dropped.
fn average_blocks(image: &RgbImage, block: u32) -> RgbImage {
    let stride = image.width() as usize * 3;
    let (out_width, out_height) = (image.width() / block, image.height() / block);
    let block = block as usize;
    let area = (block * block) as u32;
    let mut pixels = vec![0; out_width as usize * out_height as usize * 3];
    let mut sums = vec![0_u32; out_width as usize * 3];
    let out_rows = pixels.chunks_exact_mut(out_width as usize * 3);
    for (out_row, rows) in out_rows.zip(image.pixels().chunks_exact(stride * block)) {
        sums.fill(0);
        for row in rows.chunks_exact(stride) {
            for (sum, run) in sums.chunks_exact_mut(3).zip(row.chunks_exact(block * 3)) {
                for pixel in run.chunks_exact(3) {
                    for (sum, &value) in sum.iter_mut().zip(pixel) {
                        *sum += u32::from(value);
                    }
                }
            }
        }
        for (value, &sum) in out_row.iter_mut().zip(&sums) {
            *value = ((sum + area / 2) / area) as u8;
        }
    }
    RgbImage::from_parts(out_width, out_height, pixels)
}
