//! Grey and gamma: steps that look at one pixel at a time.

use crate::rgb::RgbImage;

/// Luma of ITU-R BT.601 in 16-bit fixed point, rounded; as Pillow's `L24`.
#[inline(always)]
pub(super) fn luma(pixel: &[u8]) -> u8 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(u32::from);
    ((red * 19595 + green * 38470 + blue * 7471 + 0x8000) >> 16) as u8
}

pub(super) fn grey(mut image: RgbImage) -> RgbImage {
    for pixel in image.pixels_mut().chunks_exact_mut(3) {
        let grey = luma(pixel);
        pixel.fill(grey);
    }
    image
}

pub(super) fn gamma(image: RgbImage, exponent: f64) -> RgbImage {
    look_up(
        image,
        &table(|value| (255.0 * (f64::from(value) / 255.0).powf(exponent)).round() as u8),
    )
}

/// What becomes of each of the 256 values.
pub(super) fn table(of: impl Fn(u8) -> u8) -> [u8; 256] {
    let mut table = [0; 256];
    for (value, entry) in (0..=255).zip(&mut table) {
        *entry = of(value);
    }
    table
}

pub(super) fn look_up(mut image: RgbImage, table: &[u8; 256]) -> RgbImage {
    for value in image.pixels_mut() {
        *value = table[usize::from(*value)];
    }
    image
}
