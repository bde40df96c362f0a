//! The smoothing that descriptors are read from.

use super::instructions::compiled_twice;
use super::plane::{Plane, load};

/// Pixels to either side that a smoothed pixel looks at.
pub(super) const BLUR_REACH: usize = 3;
const TAPS: usize = 2 * BLUR_REACH + 1;
/// A Gaussian of deviation 2 over seven pixels, from its middle to its end: `exp(−x² / 8)`, adding up to 1.
const WEIGHTS: [f32; BLUR_REACH + 1] = [0.216_105_94, 0.190_712_82, 0.131_074_88, 0.070_159_32];
const LANES: usize = 16;

/// Pixels of a level: columns and rows, ends excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) left: usize,
    pub(super) top: usize,
    pub(super) right: usize,
    pub(super) bottom: usize,
}

impl Region {
    /// Pixels in it.
    pub(super) fn area(&self) -> usize {
        (self.right - self.left) * (self.bottom - self.top)
    }
}

/// Seven rows, smoothed along x.
#[derive(Debug, Clone, Default)]
pub(super) struct Ring {
    rows: [Vec<f32>; TAPS],
}

/// Smooths the pixels of `region` from `level` into `out`, which has the shape of `level`. Each pixel needs three
/// more to every side, in the level or in its margin.
///
/// OpenCV smooths the levels of its pyramid in single precision, along x, then along y, and rounds halves to even;
/// sums start in the middle.
pub(super) fn blur(
    instructions: super::Instructions,
    level: &Plane,
    region: Region,
    ring: &mut Ring,
    out: &mut Plane,
) {
    let width = region.right - region.left;
    for row in &mut ring.rows {
        row.resize(width.next_multiple_of(LANES), 0.0);
    }
    let first = level.at(region.left, region.top) - BLUR_REACH * level.stride - BLUR_REACH;
    for row in 0..TAPS - 1 {
        along(
            instructions,
            &level.pixels,
            first + row * level.stride,
            &mut ring.rows[row],
        );
    }
    for row in 0..region.bottom - region.top {
        let last = row + TAPS - 1;
        along(
            instructions,
            &level.pixels,
            first + last * level.stride,
            &mut ring.rows[last % TAPS],
        );
        let rows = std::array::from_fn(|tap| ring.rows[(row + tap) % TAPS].as_slice());
        let start = out.at(region.left, region.top + row);
        down(instructions, &rows, &mut out.pixels[start..start + width]);
    }
}

compiled_twice! {
    /// A row smoothed along x; `start` is the first pixel that the first result looks at.
    fn along(pixels: &[u8], start: usize, out: &mut [f32]) {
        let (blocks, _) = out.as_chunks_mut::<LANES>();
        for (index, block) in blocks.iter_mut().enumerate() {
            let at = start + index * LANES;
            let mut taps = [[0_u8; LANES]; TAPS];
            for (offset, tap) in taps.iter_mut().enumerate() {
                *tap = load(pixels, at + offset);
            }
            for lane in 0..LANES {
                // Two bytes add up to a whole number that a float holds.
                let both = |one: usize, other: usize| {
                    f32::from(u16::from(taps[one][lane]).wrapping_add(u16::from(taps[other][lane])))
                };
                let mut sum = f32::from(taps[3][lane]) * WEIGHTS[0];
                sum += both(4, 2) * WEIGHTS[1];
                sum += both(5, 1) * WEIGHTS[2];
                block[lane] = sum + both(6, 0) * WEIGHTS[3];
            }
        }
    }
}

compiled_twice! {
    /// Seven rows smoothed along y, rounded.
    fn down(rows: &[&[f32]; TAPS], out: &mut [u8]) {
        for (index, block) in out.chunks_mut(LANES).enumerate() {
            let mut taps = [[0.0; LANES]; TAPS];
            for (tap, row) in taps.iter_mut().zip(rows) {
                if let Some(values) = row.as_chunks::<LANES>().0.get(index) {
                    *tap = *values;
                }
            }
            let mut whole = [0_u8; LANES];
            for lane in 0..LANES {
                let mut sum = taps[3][lane] * WEIGHTS[0];
                sum += (taps[4][lane] + taps[2][lane]) * WEIGHTS[1];
                sum += (taps[5][lane] + taps[1][lane]) * WEIGHTS[2];
                sum += (taps[6][lane] + taps[0][lane]) * WEIGHTS[3];
                whole[lane] = nearest(sum) as u8;
            }
            match block.first_chunk_mut() {
                Some(block) => *block = whole,
                None => block.copy_from_slice(&whole[..block.len()]),
            }
        }
    }
}

/// The nearest whole number, halves to even, of a number below 2²².
///
/// In a float of this size the last bit of the fraction is worth 1, so the addition rounds.
#[inline(always)]
pub(super) fn nearest(value: f32) -> i32 {
    const SHIFT: f32 = 12_582_912.0; // 1.5 · 2²³
    ((value + SHIFT).to_bits() as i32).wrapping_sub(SHIFT.to_bits() as i32)
}
