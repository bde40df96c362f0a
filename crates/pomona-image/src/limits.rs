//! How much one photo may ask for.

use crate::error::{DecodeError, Excess};

/// What one photo may ask for, checked before anything is allocated for its pixels.
///
/// `max_pixels` bounds the memory of one decoding: besides the output (3 bytes a pixel, twice while it is turned
/// upright) a decoder holds up to 16 bytes a pixel while it works, 8 for a progressive JPEG of four components, about 1
/// for a baseline one, and at most 64 MiB of metadata and tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Most pixels (width × height). Default: 100,000,000.
    pub max_pixels: u64,
    /// Most bytes of the encoded file. Default: 64,000,000.
    pub max_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: 100_000_000,
            max_bytes: 64_000_000,
        }
    }
}

/// Room a decoder may take for pixels in the form in which they are stored.
pub(crate) const DECODER_BYTES_PER_PIXEL: u64 = 16;

/// Room a decoder may take for metadata, tables and row buffers, in bytes.
pub(crate) const DECODER_OVERHEAD_BYTES: u64 = 64 << 20;

impl Limits {
    pub(crate) fn check_bytes(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        let size_bytes = bytes.len() as u64;
        if size_bytes > self.max_bytes {
            return Err(DecodeError::TooLarge {
                excess: Excess::Bytes {
                    size_bytes,
                    max_bytes: self.max_bytes,
                },
            });
        }
        Ok(())
    }

    pub(crate) fn check_pixels(&self, width: u32, height: u32) -> Result<(), DecodeError> {
        if u64::from(width) * u64::from(height) > self.max_pixels {
            return Err(DecodeError::TooLarge {
                excess: Excess::Pixels {
                    width,
                    height,
                    max_pixels: self.max_pixels,
                },
            });
        }
        Ok(())
    }
}
