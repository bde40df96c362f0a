//! The best corners of a level.

use super::fast::Corner;
use super::instructions::compiled_twice;
use super::plane::{Plane, load};

/// Keeps the `wanted` best corners, and those as good as the last of them. The order stays.
pub(super) fn retain_best(corners: &mut Vec<Corner>, wanted: usize, scores: &mut Vec<f32>) {
    if corners.len() <= wanted {
        return;
    }
    let Some(last) = wanted.checked_sub(1) else {
        corners.clear();
        return;
    };
    scores.clear();
    scores.extend(corners.iter().map(|corner| corner.score));
    let (_, &mut least, _) = scores.select_nth_unstable_by(last, |one, other| other.total_cmp(one));
    corners.retain(|corner| corner.score >= least);
}

/// Half the block of gradients that a response looks at.
const HALF_BLOCK: usize = 3;
const BLOCK: usize = 2 * HALF_BLOCK + 1;
/// Pixels around a corner that its response looks at: the block, and one for the gradients.
pub(super) const HARRIS_REACH: usize = HALF_BLOCK + 1;
/// Harris and Stephens 1988: `det − k · trace²`.
const K: f32 = 0.04;
const LANES: usize = 8;

compiled_twice! {
    /// Puts the Harris response in place of the FAST score: Sobel gradients over a block of 7 × 7, scaled to unit
    /// intensity and unit block, in the order of operations of OpenCV's ORB.
    fn harris(level: &Plane, corners: &mut [Corner]) {
        let unit = 1.0 / (4.0 * BLOCK as f32 * 255.0);
        let unit_4 = unit * unit * unit * unit;
        for corner in corners {
            let start = level.at(corner.x as usize, corner.y as usize)
                - HARRIS_REACH * level.stride
                - HARRIS_REACH;
            let [xx, yy, xy] = gradients(&level.pixels, start, level.stride);
            let (xx, yy, xy) = (xx as f32, yy as f32, xy as f32);
            let trace = xx + yy;
            corner.score = (xx * yy - xy * xy - K * trace * trace) * unit_4;
        }
    }
}

/// Sums of products of the gradients in x and y (xx, yy, xy) over the block whose upper left pixel, with the ring
/// of one pixel around it, is `start`.
#[inline(always)]
fn gradients(pixels: &[u8], start: usize, stride: usize) -> [i32; 3] {
    let mut above = row(pixels, start);
    let mut here = row(pixels, start + stride);
    let (mut xx, mut yy, mut xy) = ([0_i32; LANES], [0_i32; LANES], [0_i32; LANES]);
    for index in 0..BLOCK {
        let below = row(pixels, start + (index + 2) * stride);
        let (mut smooth, mut steep) = ([0_i16; 16], [0_i16; 16]);
        for x in 0..16 {
            smooth[x] = above[x]
                .wrapping_add(here[x].wrapping_mul(2))
                .wrapping_add(below[x]);
            steep[x] = below[x].wrapping_sub(above[x]);
        }
        for x in 0..LANES {
            // The eighth lane fills the register and does not count.
            let counts = if x < BLOCK { 0xFFFF_u16 as i16 } else { 0 };
            let along = smooth[x + 2].wrapping_sub(smooth[x]) & counts;
            let across = steep[x]
                .wrapping_add(steep[x + 1].wrapping_mul(2))
                .wrapping_add(steep[x + 2])
                & counts;
            let (along, across) = (i32::from(along), i32::from(across));
            // At most 7 · 1020² a lane.
            xx[x] = xx[x].wrapping_add(along.wrapping_mul(along));
            yy[x] = yy[x].wrapping_add(across.wrapping_mul(across));
            xy[x] = xy[x].wrapping_add(along.wrapping_mul(across));
        }
        (above, here) = (here, below);
    }
    let mut sums = [0_i32; 3];
    for x in 0..LANES {
        sums[0] = sums[0].wrapping_add(xx[x]);
        sums[1] = sums[1].wrapping_add(yy[x]);
        sums[2] = sums[2].wrapping_add(xy[x]);
    }
    sums
}

#[inline(always)]
fn row(pixels: &[u8], start: usize) -> [i16; 16] {
    let bytes = load::<16>(pixels, start);
    let mut row = [0; 16];
    for x in 0..16 {
        row[x] = i16::from(bytes[x]);
    }
    row
}
