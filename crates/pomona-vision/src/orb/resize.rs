//! From one level of the pyramid to the next.

use super::Instructions;
use super::instructions::compiled_twice;
use super::plane::{Plane, load};

/// Where the pixels of one side come from, kept as long as the sizes stay the same.
#[derive(Debug, Clone, Default)]
struct Axis {
    from: usize,
    to: usize,
    /// Of each new pixel: the first of its two old ones.
    first: Vec<u32>,
    /// Weights of the two in 1/256, which add up to 256.
    weights: Vec<[u16; 2]>,
    /// The same for eight new pixels at a time, as long as sixteen old ones hold all that these eight need.
    blocks: Vec<Block>,
}

/// Eight new pixels in a row.
#[derive(Debug, Clone)]
struct Block {
    /// The first old pixel.
    start: usize,
    /// Where the two old pixels of each are, from `start`.
    places: [u8; 16],
    weights: [i16; 16],
}

impl Axis {
    /// OpenCV's `INTER_LINEAR_EXACT`: pixel centres at halves, weights rounded to 1/256.
    fn set(&mut self, from: usize, to: usize) {
        if (self.from, self.to) == (from, to) {
            return;
        }
        (self.from, self.to) = (from, to);
        self.first.clear();
        self.weights.clear();
        // Twice a quotient, as OpenCV has it: one division would round differently.
        let scale = 1.0 / (to as f64 / from as f64);
        for index in 0..to {
            let place = scale * (index as f64 + 0.5) - 0.5;
            let floor = place.floor();
            if floor < 0.0 || from < 2 {
                self.first.push(0);
                self.weights.push([256, 0]);
            } else if floor >= (from - 1) as f64 {
                self.first.push((from - 2) as u32);
                self.weights.push([0, 256]);
            } else {
                let second = ((place - floor) * 256.0).round_ties_even() as u16;
                self.first.push(floor as u32);
                self.weights.push([256 - second, second]);
            }
        }
        self.blocks.clear();
        let pixels = self.first.as_chunks::<8>().0.iter();
        for (first, weights) in pixels.zip(self.weights.as_chunks::<8>().0) {
            let start = first[0];
            let mut block = Block {
                start: start as usize,
                places: [0; 16],
                weights: [0; 16],
            };
            for (pixel, (&first, &[one, two])) in first.iter().zip(weights).enumerate() {
                let Some(place) = u8::try_from(first - start).ok().filter(|&place| place < 15)
                else {
                    return;
                };
                block.places[2 * pixel] = place;
                block.places[2 * pixel + 1] = place + 1;
                block.weights[2 * pixel] = one as i16;
                block.weights[2 * pixel + 1] = two as i16;
            }
            self.blocks.push(block);
        }
    }
}

/// Makes one level of the one before. Keeps its tables and rows from image to image.
#[derive(Debug, Clone, Default)]
pub(super) struct Resizer {
    columns: Axis,
    rows: Axis,
    /// The two old rows in use, as wide as the new level, in 1/256.
    upper: Vec<u16>,
    lower: Vec<u16>,
}

impl Resizer {
    /// Fills `to`, which has its size, from `from`, to the bit as OpenCV's `INTER_LINEAR_EXACT`.
    pub(super) fn resize(&mut self, instructions: Instructions, from: &Plane, to: &mut Plane) {
        self.columns.set(from.width, to.width);
        self.rows.set(from.height, to.height);
        self.upper.resize(to.width, 0);
        self.lower.resize(to.width, 0);
        let mut in_lower = None;
        for y in 0..to.height {
            let first = self.rows.first[y] as usize;
            let second = (first + 1).min(from.height - 1);
            if in_lower == Some(first) {
                std::mem::swap(&mut self.upper, &mut self.lower);
            } else {
                across(instructions, from, first, &self.columns, &mut self.upper);
            }
            across(instructions, from, second, &self.columns, &mut self.lower);
            in_lower = Some(second);
            down(
                instructions,
                &self.upper,
                &self.lower,
                self.rows.weights[y],
                to.row_mut(y),
            );
        }
    }
}

/// One old row at the new width, in 1/256.
fn across(instructions: Instructions, from: &Plane, y: usize, columns: &Axis, out: &mut [u16]) {
    let row = from.row(y);
    #[cfg(target_arch = "x86_64")]
    let done = if instructions.avx2() {
        // SAFETY: the processor has AVX2, or there were no such `Instructions`.
        unsafe { across_blocks(&from.pixels[from.at(0, y)..], columns, out) }
    } else {
        0
    };
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    let places = columns.first.iter().zip(&columns.weights);
    for (value, (&first, &[one, two])) in out.iter_mut().zip(places).skip(done) {
        let first = first as usize;
        let next = row[(first + 1).min(row.len() - 1)];
        // At most 256 · 255.
        *value = one
            .wrapping_mul(u16::from(row[first]))
            .wrapping_add(two.wrapping_mul(u16::from(next)));
    }
}

/// The pixels in whole blocks; how many. The old row is the start of `pixels`.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn across_blocks(pixels: &[u8], columns: &Axis, out: &mut [u16]) -> usize {
    use std::arch::x86_64::{
        __m128i, _mm_loadu_si128, _mm_packus_epi32, _mm_shuffle_epi8, _mm_storeu_si128,
        _mm256_castsi256_si128, _mm256_cvtepu8_epi16, _mm256_extracti128_si256, _mm256_loadu_si256,
        _mm256_madd_epi16,
    };
    for (out, block) in out.as_chunks_mut::<8>().0.iter_mut().zip(&columns.blocks) {
        let bytes: [u8; 16] = load(pixels, block.start);
        // SAFETY: the arrays have the 16, 16, 32 and 16 bytes that are read and written; no alignment is asked for.
        unsafe {
            let bytes = _mm_loadu_si128(bytes.as_ptr().cast());
            let places = _mm_loadu_si128(block.places.as_ptr().cast());
            let weights = _mm256_loadu_si256(block.weights.as_ptr().cast());
            let pairs = _mm256_cvtepu8_epi16(_mm_shuffle_epi8(bytes, places));
            let sums = _mm256_madd_epi16(pairs, weights);
            let packed: __m128i = _mm_packus_epi32(
                _mm256_castsi256_si128(sums),
                _mm256_extracti128_si256::<1>(sums),
            );
            _mm_storeu_si128(out.as_mut_ptr().cast(), packed);
        }
    }
    (8 * columns.blocks.len()).min(out.len() / 8 * 8)
}

compiled_twice! {
    /// Two rows in 1/256 to one of whole numbers.
    fn down(upper: &[u16], lower: &[u16], weights: [u16; 2], out: &mut [u8]) {
        let [one, two] = weights.map(u32::from);
        for (value, (&above, &below)) in out.iter_mut().zip(upper.iter().zip(lower)) {
            let sum = one
                .wrapping_mul(u32::from(above))
                .wrapping_add(two.wrapping_mul(u32::from(below)));
            *value = (sum.wrapping_add(1 << 15) >> 16) as u8;
        }
    }
}
