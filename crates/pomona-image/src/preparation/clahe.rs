//! Contrast-limited adaptive histogram equalisation of the luma, step by step as OpenCV's `clahe.cpp`.

use super::border::mirrored;
use crate::rgb::RgbImage;

pub(super) fn apply(mut image: RgbImage, clip: f64, tiles: u32) -> RgbImage {
    let (width, height) = image.sides();
    let luma: Vec<u8> = image
        .pixels()
        .chunks_exact(3)
        .map(|pixel| to_luma(pixel) as u8)
        .collect();
    let grid = Grid::new(&luma, width, height, clip, tiles as usize);
    for (y, row) in image.pixels_mut().chunks_exact_mut(width * 3).enumerate() {
        let across = grid.row(y);
        for (x, pixel) in row.chunks_exact_mut(3).enumerate() {
            let old = luma[y * width + x];
            with_luma(pixel, i32::from(old), i32::from(across.at(x, old)));
        }
    }
    image
}

/// Fractional bits of OpenCV's colour conversion.
const SHIFT: u32 = 14;

/// Divides by 2^14, rounded.
fn descale(value: i32) -> i32 {
    (value + (1 << (SHIFT - 1))) >> SHIFT
}

/// Y of OpenCV's `COLOR_RGB2YCrCb`.
fn to_luma(pixel: &[u8]) -> i32 {
    let [red, green, blue] = [pixel[0], pixel[1], pixel[2]].map(i32::from);
    descale(red * 4899 + green * 9617 + blue * 1868)
}

/// The pixel with another luma and the same Cr and Cb, through 8-bit YCrCb and back as OpenCV does.
fn with_luma(pixel: &mut [u8], old: i32, new: i32) {
    let saturate = |value: i32| value.clamp(0, 255);
    let (red, blue) = (i32::from(pixel[0]), i32::from(pixel[2]));
    let centre = 128 << SHIFT;
    let cr = saturate(descale((red - old) * 11682 + centre)) - 128;
    let cb = saturate(descale((blue - old) * 9241 + centre)) - 128;
    pixel[0] = saturate(new + descale(cr * 22987)) as u8;
    pixel[1] = saturate(new + descale(cb * -5636 + cr * -11698)) as u8;
    pixel[2] = saturate(new + descale(cb * 29049)) as u8;
}

/// One table of 256 values a tile, and how pixels lie between tiles.
struct Grid {
    tables: Vec<[u8; 256]>,
    tiles: usize,
    tile_height: usize,
    columns: Vec<Between>,
}

/// A place between two tiles: their indices, and how much of the second.
#[derive(Clone, Copy)]
struct Between {
    first: usize,
    second: usize,
    share: f32,
}

impl Between {
    fn new(index: usize, side: usize, tiles: usize) -> Self {
        let at = index as f32 * (1.0 / side as f32) - 0.5;
        let before = at.floor();
        Self {
            first: before.max(0.0) as usize,
            second: ((before + 1.0) as usize).min(tiles - 1),
            share: at - before,
        }
    }
}

impl Grid {
    fn new(luma: &[u8], width: usize, height: usize, clip: f64, tiles: usize) -> Self {
        // Where either side does not divide, OpenCV pads both, by a whole tile row where that side divides.
        let (padded_width, padded_height) =
            if width.is_multiple_of(tiles) && height.is_multiple_of(tiles) {
                (width, height)
            } else {
                (
                    width + tiles - width % tiles,
                    height + tiles - height % tiles,
                )
            };
        let (tile_width, tile_height) = (padded_width / tiles, padded_height / tiles);
        let area = tile_width * tile_height;
        let limit = ((clip * area as f64 / 256.0) as usize).max(1);
        let mut tables = Vec::with_capacity(tiles * tiles);
        for tile_y in 0..tiles {
            for tile_x in 0..tiles {
                let mut histogram = [0_usize; 256];
                for y in tile_y * tile_height..(tile_y + 1) * tile_height {
                    let row = &luma[mirrored(y as isize, height) * width..][..width];
                    for x in tile_x * tile_width..(tile_x + 1) * tile_width {
                        let x = if x < width {
                            x
                        } else {
                            mirrored(x as isize, width)
                        };
                        histogram[usize::from(row[x])] += 1;
                    }
                }
                clip_histogram(&mut histogram, limit);
                tables.push(equalise(&histogram, area));
            }
        }
        Self {
            tables,
            tiles,
            tile_height,
            columns: (0..width)
                .map(|x| Between::new(x, tile_width, tiles))
                .collect(),
        }
    }

    fn row(&self, y: usize) -> Row<'_> {
        let between = Between::new(y, self.tile_height, self.tiles);
        let tables = |row: usize| &self.tables[row * self.tiles..][..self.tiles];
        Row {
            above: tables(between.first),
            below: tables(between.second),
            share: between.share,
            columns: &self.columns,
        }
    }
}

/// The tables above and below one row of pixels.
struct Row<'a> {
    above: &'a [[u8; 256]],
    below: &'a [[u8; 256]],
    share: f32,
    columns: &'a [Between],
}

impl Row<'_> {
    /// The new value at `x`: bilinear between four tables.
    fn at(&self, x: usize, value: u8) -> u8 {
        let Between {
            first,
            second,
            share,
        } = self.columns[x];
        let value = usize::from(value);
        let across = |tables: &[[u8; 256]]| {
            f32::from(tables[first][value]) * (1.0 - share)
                + f32::from(tables[second][value]) * share
        };
        let mixed = across(self.above) * (1.0 - self.share) + across(self.below) * self.share;
        mixed.round_ties_even() as u8
    }
}

/// What rises above `limit` is spread evenly over all bins, the rest of that at even steps.
fn clip_histogram(histogram: &mut [usize; 256], limit: usize) {
    let mut clipped = 0;
    for count in histogram.iter_mut().filter(|count| **count > limit) {
        clipped += *count - limit;
        *count = limit;
    }
    let (each, rest) = (clipped / 256, clipped % 256);
    histogram.iter_mut().for_each(|count| *count += each);
    if let Some(step) = 256_usize.checked_div(rest) {
        histogram
            .iter_mut()
            .step_by(step)
            .take(rest)
            .for_each(|count| *count += 1);
    }
}

fn equalise(histogram: &[usize; 256], area: usize) -> [u8; 256] {
    let scale = 255.0 / area as f32;
    let mut table = [0; 256];
    let mut sum = 0;
    for (entry, count) in table.iter_mut().zip(histogram) {
        sum += count;
        *entry = (sum as f32 * scale).round_ties_even() as u8;
    }
    table
}
