//! What a detector can be told.

use serde::{Deserialize, Serialize};

/// How key points are found and described. The defaults are OpenCV's.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OrbSettings {
    /// Key points wanted per image, at least 1. Rounded for each level, and equal scores at the limit of a level
    /// are all kept: an image may give a few more.
    pub features: usize,
    /// Each level of the pyramid is this much smaller than the one before: above 1, up to 4.
    pub scale_factor: f32,
    /// Levels of the pyramid, the photo itself included: 1 to 32.
    pub levels: u32,
    /// No key point lies closer than this to the border of its level, in pixels of that level: up to 4096.
    pub edge_px: u32,
    /// Side of the square that orientation and descriptor look at, in pixels of the level: 2 to 127.
    pub patch_px: u32,
    /// A corner's circle differs from its centre by more than this.
    pub fast_threshold: u8,
}

impl Default for OrbSettings {
    fn default() -> Self {
        Self {
            features: 500,
            scale_factor: 1.2,
            levels: 8,
            edge_px: 31,
            patch_px: 31,
            fast_threshold: 20,
        }
    }
}

impl OrbSettings {
    /// Whether every setting is within its range.
    ///
    /// # Errors
    /// [`OrbError`] names the first one that is not.
    pub fn check(&self) -> Result<(), OrbError> {
        if self.features == 0 || self.features > MOST_FEATURES {
            return Err(OrbError::Features {
                got: self.features,
                most: MOST_FEATURES,
            });
        }
        // Also turns NaN away.
        if !(self.scale_factor > 1.0 && self.scale_factor <= 4.0) {
            return Err(OrbError::ScaleFactor {
                got: self.scale_factor,
            });
        }
        if !(1..=32).contains(&self.levels) {
            return Err(OrbError::Levels { got: self.levels });
        }
        if self.edge_px > 4096 {
            return Err(OrbError::Edge { got: self.edge_px });
        }
        if !(2..=127).contains(&self.patch_px) {
            return Err(OrbError::Patch { got: self.patch_px });
        }
        Ok(())
    }

    /// Key points wanted of each level: a geometric series that adds up to [`Self::features`].
    pub(super) fn quotas(&self) -> Vec<usize> {
        let factor = (1.0 / f64::from(self.scale_factor)) as f32;
        let series = 1.0 - f64::from(factor).powf(f64::from(self.levels)) as f32;
        let mut wanted = self.features as f32 * (1.0 - factor) / series;
        let mut left = self.features;
        let mut quotas = Vec::new();
        for _ in 1..self.levels {
            let quota = wanted.round_ties_even() as usize;
            quotas.push(quota);
            left = left.saturating_sub(quota);
            wanted *= factor;
        }
        quotas.push(left);
        quotas
    }

    /// How many times smaller than the photo a level is.
    pub(super) fn scale(&self, level: usize) -> f32 {
        f64::from(self.scale_factor).powf(level as f64) as f32
    }
}

const MOST_FEATURES: usize = 1_000_000;

/// Settings out of range, or pixels that make no image.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OrbError {
    /// [`OrbSettings::features`].
    #[error("an image can be asked for 1 to {most} key points, got {got}")]
    Features {
        /// What was asked for.
        got: usize,
        /// The most that can be asked for.
        most: usize,
    },
    /// [`OrbSettings::scale_factor`].
    #[error("the scale factor between levels must be above 1 and at most 4, got {got}")]
    ScaleFactor {
        /// What was asked for.
        got: f32,
    },
    /// [`OrbSettings::levels`].
    #[error("a pyramid has 1 to 32 levels, got {got}")]
    Levels {
        /// What was asked for.
        got: u32,
    },
    /// [`OrbSettings::edge_px`].
    #[error("the edge left out may be up to 4096 pixels wide, got {got}")]
    Edge {
        /// What was asked for.
        got: u32,
    },
    /// [`OrbSettings::patch_px`].
    #[error("a patch is 2 to 127 pixels wide, got {got}")]
    Patch {
        /// What was asked for.
        got: u32,
    },
    /// The grey values handed in are not one a pixel.
    #[error("a grey image of {width} x {height} pixels takes {expected} bytes, got {got}")]
    Shape {
        /// Width stated, in pixels.
        width: u32,
        /// Height stated, in pixels.
        height: u32,
        /// Bytes such an image takes.
        expected: u64,
        /// Bytes handed in.
        got: u64,
    },
}
