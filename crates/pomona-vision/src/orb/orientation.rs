//! Which way a patch points: from its centre to its centre of brightness.

use super::fast::Corner;
use super::instructions::compiled_twice;
use super::plane::Plane;

const LANES: usize = 16;

/// The disc that an orientation looks at.
#[derive(Debug, Clone)]
pub(super) struct Disc {
    half: usize,
    /// Columns of a row, rounded up to whole blocks.
    columns: usize,
    /// Of each pixel of the square, row by row: its x and y from the centre, 0 outside the disc.
    x: Vec<[i16; LANES]>,
    y: Vec<[i16; LANES]>,
}

impl Disc {
    pub(super) fn new(patch_px: u32) -> Self {
        let half = (patch_px / 2) as usize;
        let columns = (2 * half + 1).next_multiple_of(LANES);
        let ends = row_ends(half);
        let (mut x, mut y) = (Vec::new(), Vec::new());
        for row in 0..=2 * half {
            let from_centre = row as i16 - half as i16;
            let end = ends[from_centre.unsigned_abs() as usize] as i16;
            for block in (0..columns).step_by(LANES) {
                let at = |lane: usize| (block + lane) as i16 - half as i16;
                x.push(std::array::from_fn(|lane| {
                    if at(lane).abs() <= end { at(lane) } else { 0 }
                }));
                y.push(std::array::from_fn(|lane| {
                    if at(lane).abs() <= end {
                        from_centre
                    } else {
                        0
                    }
                }));
            }
        }
        Self {
            half,
            columns,
            x,
            y,
        }
    }
}

/// How far the disc reaches to the side, for each row from its middle; mirrored at 45° so that it is the same
/// whichever way it lies.
fn row_ends(half: usize) -> Vec<usize> {
    let mut ends = vec![0; half + 2];
    let diagonal = half as f32 * std::f32::consts::SQRT_2 / 2.0;
    let (last, first) = ((diagonal + 1.0).floor() as usize, diagonal.ceil() as usize);
    for (row, end) in ends.iter_mut().enumerate().take(last + 1) {
        let square = (half * half) as f64 - (row * row) as f64;
        *end = square.max(0.0).sqrt().round_ties_even() as usize;
    }
    let mut mirrored = 0;
    for row in (first..=half).rev() {
        while mirrored < half && ends[mirrored] == ends[mirrored + 1] {
            mirrored += 1;
        }
        ends[row] = mirrored;
        mirrored += 1;
    }
    ends
}

compiled_twice! {
    /// The angle of each corner in degrees, clockwise from the right, in 0..360.
    fn angles(level: &Plane, disc: &Disc, corners: &[Corner], out: &mut Vec<f32>) {
        out.clear();
        let blocks_of_a_row = disc.columns / LANES;
        for corner in corners {
            let centre = level.at(corner.x as usize, corner.y as usize);
            let start = centre - disc.half * level.stride - disc.half;
            let (mut x, mut y) = ([0_i32; LANES], [0_i32; LANES]);
            let weights = disc.x.chunks_exact(blocks_of_a_row).zip(disc.y.chunks_exact(blocks_of_a_row));
            for (row, (weights_x, weights_y)) in weights.enumerate() {
                let Some(pixels) = level.pixels.get(start + row * level.stride..) else {
                    break;
                };
                let (blocks, _) = pixels.as_chunks::<LANES>();
                for (block, (weight_x, weight_y)) in blocks.iter().zip(weights_x.iter().zip(weights_y)) {
                    for lane in 0..LANES {
                        let pixel = i32::from(block[lane]);
                        x[lane] = x[lane].wrapping_add(i32::from(weight_x[lane]).wrapping_mul(pixel));
                        y[lane] = y[lane].wrapping_add(i32::from(weight_y[lane]).wrapping_mul(pixel));
                    }
                }
            }
            let (mut sum_x, mut sum_y) = (0_i32, 0_i32);
            for lane in 0..LANES {
                sum_x = sum_x.wrapping_add(x[lane]);
                sum_y = sum_y.wrapping_add(y[lane]);
            }
            out.push(degrees(sum_y as f32, sum_x as f32));
        }
    }
}

/// The angle of `(x, y)` in degrees, to 0.01: the polynomial of OpenCV's `fastAtan2`.
fn degrees(y: f32, x: f32) -> f32 {
    const TO_DEGREES: f32 = (180.0 / std::f64::consts::PI) as f32;
    const FIRST: f32 = 0.999_787_841_279_480_7_f64 as f32 * TO_DEGREES;
    const THIRD: f32 = -0.325_808_397_464_097_5_f64 as f32 * TO_DEGREES;
    const FIFTH: f32 = 0.155_578_651_846_328_1_f64 as f32 * TO_DEGREES;
    const SEVENTH: f32 = -0.044_326_555_547_921_28_f64 as f32 * TO_DEGREES;
    let (width, height) = (x.abs(), y.abs());
    let polynomial = |ratio: f32| {
        let square = ratio * ratio;
        (((SEVENTH * square + FIFTH) * square + THIRD) * square + FIRST) * ratio
    };
    // Keeps 0 / 0 at 0.
    let tiny = f64::EPSILON as f32;
    let mut angle = if width >= height {
        polynomial(height / (width + tiny))
    } else {
        90.0 - polynomial(width / (height + tiny))
    };
    if x < 0.0 {
        angle = 180.0 - angle;
    }
    if y < 0.0 {
        angle = 360.0 - angle;
    }
    angle
}
