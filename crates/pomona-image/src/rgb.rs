//! The pixels that every other part of the crate takes or gives.

/// An image of at least one pixel: 8-bit RGB, interleaved, HWC layout, rows from top to bottom without padding.
#[derive(Clone, PartialEq, Eq)]
pub struct RgbImage {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

/// The pixels handed in do not make an image of the size stated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "an image of {width} x {height} pixels takes {expected} bytes (3 a pixel, at least one pixel), got {got}"
)]
pub struct ShapeError {
    /// Width stated, in pixels.
    pub width: u32,
    /// Height stated, in pixels.
    pub height: u32,
    /// Bytes such an image takes.
    pub expected: u64,
    /// Bytes handed in.
    pub got: u64,
}

impl RgbImage {
    /// An image from `width * height * 3` bytes, HWC interleaved RGB.
    ///
    /// # Errors
    /// [`ShapeError`] where the number of bytes differs from that, or a side is 0.
    pub fn from_pixels(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, ShapeError> {
        let expected = u64::from(width)
            .saturating_mul(u64::from(height))
            .saturating_mul(3);
        let got = pixels.len() as u64;
        if expected == 0 || got != expected {
            return Err(ShapeError {
                width,
                height,
                expected,
                got,
            });
        }
        Ok(Self {
            width,
            height,
            pixels,
        })
    }

    /// Width in pixels, at least 1.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels, at least 1.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// All values, HWC interleaved RGB: `width * height * 3` bytes.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The values without a copy, HWC interleaved RGB.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }

    /// For code of this crate that computed `pixels` from the sides: `pixels` holds `width * height * 3` bytes and
    /// both sides are at least 1.
    pub(crate) fn from_parts(width: u32, height: u32, pixels: Vec<u8>) -> Self {
        debug_assert_eq!(
            u64::from(width) * u64::from(height) * 3,
            pixels.len() as u64
        );
        Self {
            width,
            height,
            pixels,
        }
    }

    pub(crate) fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// (width, height) as indices.
    pub(crate) fn sides(&self) -> (usize, usize) {
        (self.width as usize, self.height as usize)
    }
}

impl std::fmt::Debug for RgbImage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("RgbImage")
            .field("width", &self.width)
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}
