//! The bilateral filter, as OpenCV's `bilateralFilter` on three 8-bit channels.

use super::border::{mirrored, padded_rows};
use crate::rgb::RgbImage;

/// Rows done at once, so that the padded copy stays small beside the image.
const STRIP_ROWS: usize = 64;

/// `diameter` is odd.
pub(super) fn apply(
    image: &RgbImage,
    diameter: u32,
    sigma_colour: f64,
    sigma_space: f64,
) -> RgbImage {
    let (width, _) = image.sides();
    let margin = diameter as usize / 2;
    let stride = (width + 2 * margin) * 3;
    let disc = disc(margin, stride, sigma_space);
    let colour_weights: Vec<f32> = (0..=3 * 255)
        .map(|difference| gaussian(f64::from(difference * difference), sigma_colour))
        .collect();

    let mut pixels = vec![0; image.pixels().len()];
    for (index, strip) in pixels.chunks_mut(STRIP_ROWS * width * 3).enumerate() {
        let top = (index * STRIP_ROWS) as isize - margin as isize;
        let bottom = (index * STRIP_ROWS + strip.len() / (width * 3) + margin) as isize;
        let rows = padded_rows(image, top, bottom, margin, mirrored);
        for (y, out) in strip.chunks_exact_mut(width * 3).enumerate() {
            for (x, pixel) in out.chunks_exact_mut(3).enumerate() {
                let corner = y * stride + x * 3;
                let centre = corner + margin * stride + margin * 3;
                let middle = [rows[centre], rows[centre + 1], rows[centre + 2]];
                let mut sums = [0.0_f32; 3];
                let mut total = 0.0_f32;
                for &(offset, space_weight) in &disc {
                    let at = corner + offset;
                    let value = [rows[at], rows[at + 1], rows[at + 2]];
                    let difference: usize = value
                        .iter()
                        .zip(middle)
                        .map(|(&value, middle)| usize::from(value.abs_diff(middle)))
                        .sum();
                    let weight = space_weight * colour_weights[difference];
                    for (sum, value) in sums.iter_mut().zip(value) {
                        *sum += weight * f32::from(value);
                    }
                    total += weight;
                }
                for (out, sum) in pixel.iter_mut().zip(sums) {
                    *out = (sum / total).round_ties_even() as u8;
                }
            }
        }
    }
    RgbImage::from_parts(image.width(), image.height(), pixels)
}

fn gaussian(squared: f64, sigma: f64) -> f32 {
    (squared * (-0.5 / (sigma * sigma))).exp() as f32
}

/// The pixels of the disc: where each lies from the top left corner of its square, and its weight by distance.
fn disc(radius: usize, stride: usize, sigma: f64) -> Vec<(usize, f32)> {
    let side = 2 * radius + 1;
    (0..side * side)
        .filter_map(|index| {
            let (y, x) = (index / side, index % side);
            let squared = y.abs_diff(radius).pow(2) + x.abs_diff(radius).pow(2);
            (squared <= radius * radius)
                .then(|| (y * stride + x * 3, gaussian(squared as f64, sigma)))
        })
        .collect()
}
