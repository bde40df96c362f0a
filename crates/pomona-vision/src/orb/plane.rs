//! A grey image with room around it.

use super::instructions::compiled_twice;

/// Bytes behind the last row, so that a block of lanes may start at any pixel.
const SLACK: usize = 64;

/// 8-bit grey pixels, rows from top to bottom, with `margin` pixels on every side.
#[derive(Debug, Clone, Default)]
pub(super) struct Plane {
    pub(super) pixels: Vec<u8>,
    pub(super) width: usize,
    pub(super) height: usize,
    pub(super) margin: usize,
    /// Bytes from one row to the next.
    pub(super) stride: usize,
}

impl Plane {
    /// Takes another size; what the pixels are is left open.
    pub(super) fn reshape(&mut self, width: usize, height: usize, margin: usize) {
        self.width = width;
        self.height = height;
        self.margin = margin;
        self.stride = width + 2 * margin;
        let bytes = self.bytes() + SLACK;
        // Never less: the next image starts over with the largest level.
        if self.pixels.len() < bytes {
            self.pixels.resize(bytes, 0);
        }
    }

    /// Bytes of the image and its margin.
    pub(super) fn bytes(&self) -> usize {
        self.stride * (self.height + 2 * self.margin)
    }

    /// The place of a pixel; the margin is left of and above `(margin, margin)`.
    #[inline(always)]
    pub(super) fn at(&self, x: usize, y: usize) -> usize {
        (y + self.margin) * self.stride + x + self.margin
    }

    /// A row without its margin.
    pub(super) fn row(&self, y: usize) -> &[u8] {
        let start = self.at(0, y);
        &self.pixels[start..start + self.width]
    }

    /// A row without its margin.
    pub(super) fn row_mut(&mut self, y: usize) -> &mut [u8] {
        let start = self.at(0, y);
        &mut self.pixels[start..start + self.width]
    }

    /// Fills the margin by reflection about the outermost pixels (`dcb|abcd|cba`).
    pub(super) fn reflect(&mut self) {
        let margin = self.margin;
        if margin == 0 {
            return;
        }
        for y in 0..self.height {
            let start = self.at(0, y);
            for out in 1..=margin {
                self.pixels[start - out] =
                    self.pixels[start + reflected(-(out as isize), self.width)];
                self.pixels[start + self.width - 1 + out] =
                    self.pixels[start + reflected((self.width - 1 + out) as isize, self.width)];
            }
        }
        let stride = self.stride;
        for out in 1..=margin {
            let above = (reflected(-(out as isize), self.height) + margin) * stride;
            self.pixels
                .copy_within(above..above + stride, (margin - out) * stride);
            let below = self.height - 1 + out;
            let from = (reflected(below as isize, self.height) + margin) * stride;
            self.pixels
                .copy_within(from..from + stride, (below + margin) * stride);
        }
    }
}

/// The place inside `0..length` that a place outside mirrors, however far outside.
fn reflected(at: isize, length: usize) -> usize {
    if length <= 1 {
        return 0;
    }
    let period = 2 * (length as isize - 1);
    let folded = at.rem_euclid(period);
    folded.min(period - folded) as usize
}

compiled_twice! {
    /// Grey of interleaved RGB: `0.299 R + 0.587 G + 0.114 B` in steps of 2⁻¹⁵, rounded, as OpenCV's `BGR2GRAY`.
    fn grey(rgb: &[u8], out: &mut [u8]) {
        for (value, pixel) in out.iter_mut().zip(rgb.as_chunks::<3>().0) {
            let weighted = 9_798_u32.wrapping_mul(u32::from(pixel[0]))
                .wrapping_add(19_235_u32.wrapping_mul(u32::from(pixel[1])))
                .wrapping_add(3_735_u32.wrapping_mul(u32::from(pixel[2])));
            *value = (weighted.wrapping_add(1 << 14) >> 15) as u8;
        }
    }
}

/// `N` bytes from `start`; zeros where there are not as many, which [`SLACK`] excludes.
#[inline(always)]
pub(super) fn load<const N: usize>(pixels: &[u8], start: usize) -> [u8; N] {
    match pixels.get(start..).and_then(<[u8]>::first_chunk::<N>) {
        Some(block) => *block,
        None => [0; N],
    }
}
