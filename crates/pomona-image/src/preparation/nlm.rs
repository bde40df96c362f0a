//! Non-local means with the integer weights of OpenCV's `fastNlMeansDenoising` on three 8-bit channels.

use super::border::{mirrored, padded_rows};
use crate::rgb::RgbImage;

/// Rows done at once, so that the sums (16 bytes a pixel) stay small beside the image.
const STRIP_ROWS: usize = 32;

const CHANNELS: usize = 3;

/// `template` and `search` are odd.
pub(super) fn apply(image: &RgbImage, strength: f64, template: u32, search: u32) -> RgbImage {
    let (width, _) = image.sides();
    let (template, search) = (template as usize, search as usize);
    let weights = Weights::new(strength, template, search);
    let mut pixels = vec![0; image.pixels().len()];
    let mut strip_sums = Sums::default();
    for (index, strip) in pixels.chunks_mut(STRIP_ROWS * width * CHANNELS).enumerate() {
        let rows = strip.len() / (width * CHANNELS);
        strip_sums.fill(image, index * STRIP_ROWS, rows, template, search, &weights);
        for ((out, sums), &total) in strip
            .chunks_exact_mut(CHANNELS)
            .zip(&strip_sums.values)
            .zip(&strip_sums.totals)
        {
            for (out, &sum) in out.iter_mut().zip(sums) {
                // The pixel itself always weighs; no total is 0.
                *out = ((sum + total / 2) / total.max(1)).min(255) as u8;
            }
        }
    }
    RgbImage::from_parts(image.width(), image.height(), pixels)
}

/// Integer weights by the sum of squared differences over the template, cut to a power of two.
struct Weights {
    table: Vec<u32>,
    shift: u32,
}

impl Weights {
    fn new(strength: f64, template: usize, search: usize) -> Self {
        // The largest factor at which a sum of weighted values stays within 31 bits.
        let one = i32::MAX as u32 / (search * search * 255) as u32;
        let area = template * template;
        let shift = area.next_power_of_two().trailing_zeros();
        let mean_per_step = f64::from(1_u32 << shift) / area as f64;
        let steps = (f64::from(255 * 255 * CHANNELS as u32) / mean_per_step + 1.0) as usize;
        // OpenCV keeps the strength in single precision.
        let strength = strength as f32;
        let spread = f64::from(strength * strength * CHANNELS as f32);
        let table = (0..steps)
            .map(|step| {
                let weight = f64::from(one) * (-(step as f64 * mean_per_step) / spread).exp();
                let weight = weight.round_ties_even();
                if weight < 0.001 * f64::from(one) {
                    0
                } else {
                    weight as u32
                }
            })
            .collect();
        Self { table, shift }
    }

    fn of(&self, squared: u32) -> u32 {
        self.table
            .get((squared >> self.shift) as usize)
            .copied()
            .unwrap_or_default()
    }
}

/// Weighted sums of the pixels of one strip.
#[derive(Default)]
struct Sums {
    values: Vec<[u32; CHANNELS]>,
    totals: Vec<u32>,
}

impl Sums {
    /// Sums for rows `top..top + rows`. One offset of the search at a time: the squared differences of the whole strip
    /// against itself, shifted, are summed over the template by running sums.
    fn fill(
        &mut self,
        image: &RgbImage,
        top: usize,
        rows: usize,
        template: usize,
        search: usize,
        weights: &Weights,
    ) {
        let (width, _) = image.sides();
        let (reach, half) = (search / 2, template / 2);
        let margin = reach + half;
        let first = top as isize - margin as isize;
        let padded = padded_rows(
            image,
            first,
            (top + rows + margin) as isize,
            margin,
            mirrored,
        );
        let stride = (width + 2 * margin) * CHANNELS;

        self.values.clear();
        self.values.resize(rows * width, [0; CHANNELS]);
        self.totals.clear();
        self.totals.resize(rows * width, 0);
        // Squared differences of the rows that a template reaches, and their sums down a column.
        let columns = width + 2 * half;
        let mut squares = vec![0_u32; (rows + 2 * half) * columns];
        let mut down = vec![0_u32; columns];
        for offset in 0..search * search {
            let shifted = (offset / search) * stride + (offset % search) * CHANNELS;
            let centre = reach * stride + reach * CHANNELS;
            for (y, out) in squares.chunks_exact_mut(columns).enumerate() {
                let here = &padded[centre + y * stride..][..columns * CHANNELS];
                let there = &padded[shifted + y * stride..][..columns * CHANNELS];
                for ((out, here), there) in out
                    .iter_mut()
                    .zip(here.as_chunks::<3>().0)
                    .zip(there.as_chunks::<3>().0)
                {
                    let square = |channel: usize| {
                        let difference = u32::from(here[channel].abs_diff(there[channel]));
                        difference * difference
                    };
                    *out = square(0) + square(1) + square(2);
                }
            }
            down.fill(0);
            for row in squares.chunks_exact(columns).take(template - 1) {
                down.iter_mut()
                    .zip(row)
                    .for_each(|(sum, value)| *sum += value);
            }
            for y in 0..rows {
                let entering = &squares[(y + template - 1) * columns..][..columns];
                down.iter_mut()
                    .zip(entering)
                    .for_each(|(sum, value)| *sum += value);
                let there =
                    &padded[shifted + (y + half) * stride + half * CHANNELS..][..width * CHANNELS];
                let values = &mut self.values[y * width..][..width];
                let totals = &mut self.totals[y * width..][..width];
                let mut across: u32 = down[..template - 1].iter().sum();
                let targets = values.iter_mut().zip(totals).zip(there.as_chunks::<3>().0);
                for (x, ((values, total), there)) in targets.enumerate() {
                    across += down[x + template - 1];
                    let weight = weights.of(across);
                    across -= down[x];
                    *total += weight;
                    for (value, &there) in values.iter_mut().zip(there) {
                        *value += weight * u32::from(there);
                    }
                }
                let leaving = &squares[y * columns..][..columns];
                down.iter_mut()
                    .zip(leaving)
                    .for_each(|(sum, value)| *sum -= value);
            }
        }
    }
}
