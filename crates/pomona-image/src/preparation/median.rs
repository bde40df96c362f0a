//! The median of the square around each pixel, channel by channel.

use super::border::{padded_rows, repeated};
use crate::rgb::RgbImage;

/// Rows done at once, so that the padded copy stays small beside the image.
const STRIP_ROWS: usize = 64;

/// `size` is odd.
pub(super) fn apply(image: &RgbImage, size: u32) -> RgbImage {
    let (width, height) = image.sides();
    let margin = size as usize / 2;
    let mut pixels = vec![0; image.pixels().len()];
    let stride = (width + 2 * margin) * 3;
    for (index, strip) in pixels.chunks_mut(STRIP_ROWS * width * 3).enumerate() {
        let top = (index * STRIP_ROWS) as isize - margin as isize;
        let bottom = (index * STRIP_ROWS + strip.len() / (width * 3) + margin) as isize;
        debug_assert!(bottom <= (height + margin) as isize);
        let rows = padded_rows(image, top, bottom, margin, repeated);
        for (y, out) in strip.chunks_exact_mut(width * 3).enumerate() {
            let rows = &rows[y * stride..][..stride * size as usize];
            if size == 3 {
                median_of_nine(rows, stride, out);
            } else {
                sliding_histogram(rows, stride, size as usize, out);
            }
        }
    }
    RgbImage::from_parts(image.width(), image.height(), pixels)
}

/// Values compared at once.
const LANES: usize = 32;

fn median_of_nine(rows: &[u8], stride: usize, out: &mut [u8]) {
    let (blocks, rest) = out.as_chunks_mut::<LANES>();
    let done = blocks.len() * LANES;
    for (index, block) in blocks.iter_mut().enumerate() {
        *block = nine::<LANES>(rows, stride, index * LANES);
    }
    for (index, value) in rest.iter_mut().enumerate() {
        [*value] = nine::<1>(rows, stride, done + index);
    }
}

/// Medians of nine for `N` neighbouring values, by exchanges without branches.
#[inline(always)]
fn nine<const N: usize>(rows: &[u8], stride: usize, at: usize) -> [u8; N] {
    let mut values = [[0; N]; 9];
    for (index, lane) in values.iter_mut().enumerate() {
        let start = index / 3 * stride + index % 3 * 3 + at;
        lane.copy_from_slice(&rows[start..start + N]);
    }
    // Paeth's network ("Median Finding on a 3-by-3 Grid", Graphics Gems, 1990).
    const EXCHANGES: [(usize, usize); 19] = [
        (1, 2),
        (4, 5),
        (7, 8),
        (0, 1),
        (3, 4),
        (6, 7),
        (1, 2),
        (4, 5),
        (7, 8),
        (0, 3),
        (5, 8),
        (4, 7),
        (3, 6),
        (1, 4),
        (2, 5),
        (4, 7),
        (4, 2),
        (6, 4),
        (4, 2),
    ];
    for (low, high) in EXCHANGES {
        let (first, second) = (values[low], values[high]);
        for lane in 0..N {
            values[low][lane] = first[lane].min(second[lane]);
            values[high][lane] = first[lane].max(second[lane]);
        }
    }
    values[4]
}

/// Huang's sliding histogram: each step to the right takes one column out and one in.
fn sliding_histogram(rows: &[u8], stride: usize, size: usize, out: &mut [u8]) {
    let rank = size * size / 2;
    for channel in 0..3 {
        let mut histogram = [0_u16; 256];
        // How many values of the square lie below `median`.
        let (mut median, mut below) = (0_usize, 0_usize);
        let column =
            |x: usize| (0..size).map(move |y| usize::from(rows[y * stride + x * 3 + channel]));
        for value in (0..size).flat_map(column) {
            histogram[value] += 1;
        }
        for x in 0..out.len() / 3 {
            if x > 0 {
                for value in column(x - 1) {
                    histogram[value] -= 1;
                    below -= usize::from(value < median);
                }
                for value in column(x + size - 1) {
                    histogram[value] += 1;
                    below += usize::from(value < median);
                }
            }
            while below > rank {
                median -= 1;
                below -= usize::from(histogram[median]);
            }
            while below + usize::from(histogram[median]) <= rank {
                below += usize::from(histogram[median]);
                median += 1;
            }
            out[x * 3 + channel] = median as u8;
        }
    }
}
