//! From an image to its key points and descriptors.

use pomona_image::RgbImage;

use super::Instructions;
use super::blur::{BLUR_REACH, Region, Ring, blur};
use super::brief::{Pattern, describe};
use super::fast::{Corner, Rows, corners};
use super::orientation::{Disc, angles};
use super::plane::{Plane, grey};
use super::rank::{HARRIS_REACH, harris, retain_best};
use super::resize::Resizer;
use super::settings::{OrbError, OrbSettings};

/// A point that can be found again in another photo of the same thing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KeyPoint {
    /// Pixels of the photo from the centre of its leftmost column.
    pub x: f32,
    /// Pixels of the photo from the centre of its top row.
    pub y: f32,
    /// Side of the patch, in pixels of the photo.
    pub size: f32,
    /// Orientation in 0..=360, clockwise from the right (y points down).
    pub angle_degrees: f32,
    /// Harris response: the larger, the more of a corner.
    pub response: f32,
    /// Level of the pyramid, 0 for the photo itself.
    pub octave: u8,
}

/// 256 bits; bit `i` is bit `i % 8`, counted from the lowest, of byte `i / 8`. Compared by the number of bits that
/// differ.
pub type Descriptor = [u8; 32];

/// Finds and describes key points. Tables and buffers are kept from image to image, so each thread has its own.
#[derive(Debug, Clone)]
pub struct Orb {
    settings: OrbSettings,
    instructions: Instructions,
    quotas: Vec<usize>,
    /// Pixels around a key point that are looked at, the smoothing included.
    reach: usize,
    disc: Disc,
    pattern: Pattern,
    levels: Vec<Level>,
    smoothed: Plane,
    rows: Rows,
    ring: Ring,
    corners: Vec<Corner>,
    scores: Vec<f32>,
    angles: Vec<f32>,
}

/// One level and how it is made of the one before.
#[derive(Debug, Clone, Default)]
struct Level {
    plane: Plane,
    resizer: Resizer,
}

impl Orb {
    /// A detector with the fastest instructions of this processor.
    ///
    /// # Errors
    /// [`OrbError`] where a setting is out of its range.
    pub fn new(settings: OrbSettings) -> Result<Self, OrbError> {
        settings.check()?;
        // The corner of the patch, turned to the side and rounded up.
        let half = (settings.patch_px / 2) as f32;
        let patch_reach = (half * std::f32::consts::SQRT_2).ceil() as usize + 1;
        Ok(Self {
            settings,
            instructions: Instructions::widest(),
            quotas: settings.quotas(),
            reach: (patch_reach + BLUR_REACH).max(HARRIS_REACH),
            disc: Disc::new(settings.patch_px),
            pattern: Pattern::new(settings.patch_px),
            levels: vec![Level::default(); settings.levels as usize],
            smoothed: Plane::default(),
            rows: Rows::default(),
            ring: Ring::default(),
            corners: Vec::new(),
            scores: Vec::new(),
            angles: Vec::new(),
        })
    }

    /// The same with instructions that every processor of the target has. For comparison: results are the same.
    #[must_use]
    pub fn portable(mut self) -> Self {
        self.instructions = Instructions::BASELINE;
        self
    }

    /// What the detector was told.
    #[must_use]
    pub fn settings(&self) -> &OrbSettings {
        &self.settings
    }

    /// Key points and descriptors of an image, turned to grey as OpenCV does.
    ///
    /// Ordered by level, then from top to bottom, then from left to right. None where the image is too small: up to
    /// twice [`OrbSettings::edge_px`] on a side.
    pub fn detect(&mut self, image: &RgbImage) -> Vec<(KeyPoint, Descriptor)> {
        let margin = self.margin();
        let Some(first) = self.levels.first_mut() else {
            return Vec::new();
        };
        let (width, height) = (image.width() as usize, image.height() as usize);
        first.plane.reshape(width, height, margin);
        for (y, row) in image.pixels().chunks_exact(3 * width).enumerate() {
            grey(self.instructions, row, first.plane.row_mut(y));
        }
        first.plane.reflect();
        self.search()
    }

    /// As [`Self::detect`], of grey values: one byte a pixel, rows from top to bottom without padding.
    ///
    /// # Errors
    /// [`OrbError::Shape`] where the number of values is not `width * height`.
    pub fn detect_grey(
        &mut self,
        width: u32,
        height: u32,
        grey: &[u8],
    ) -> Result<Vec<(KeyPoint, Descriptor)>, OrbError> {
        let expected = u64::from(width) * u64::from(height);
        if expected != grey.len() as u64 {
            return Err(OrbError::Shape {
                width,
                height,
                expected,
                got: grey.len() as u64,
            });
        }
        let margin = self.margin();
        let Some(first) = self.levels.first_mut().filter(|_| expected > 0) else {
            return Ok(Vec::new());
        };
        first.plane.reshape(width as usize, height as usize, margin);
        for (y, row) in grey.chunks_exact(width as usize).enumerate() {
            first.plane.row_mut(y).copy_from_slice(row);
        }
        first.plane.reflect();
        Ok(self.search())
    }

    /// Pixels kept around each level. None where key points are far enough from the border.
    fn margin(&self) -> usize {
        if self.settings.edge_px as usize >= self.reach {
            0
        } else {
            self.reach
        }
    }

    /// Searches the levels; the first is there.
    fn search(&mut self) -> Vec<(KeyPoint, Descriptor)> {
        let mut found = Vec::new();
        let edge = self.settings.edge_px as usize;
        let margin = self.margin();
        let Some(photo) = self
            .levels
            .first()
            .map(|level| (level.plane.width, level.plane.height))
        else {
            return found;
        };
        for index in 0..self.levels.len() {
            let scale = self.settings.scale(index);
            let (before, rest) = self.levels.split_at_mut(index);
            let Some(level) = rest.first_mut() else {
                break;
            };
            if let Some(before) = before.last() {
                let side = |px: usize| (px as f32 * (1.0 / scale)).round_ties_even() as usize;
                let (width, height) = (side(photo.0), side(photo.1));
                // Later levels are smaller still.
                if width.min(height) <= 2 * edge.max(3) {
                    break;
                }
                level.plane.reshape(width, height, margin);
                level
                    .resizer
                    .resize(self.instructions, &before.plane, &mut level.plane);
                level.plane.reflect();
            }
            let plane = &level.plane;
            corners(
                self.instructions,
                plane,
                edge,
                self.settings.fast_threshold,
                &mut self.rows,
                &mut self.corners,
            );
            let quota = self.quotas.get(index).copied().unwrap_or(0);
            // Harris' measure is better but slower: only the best by FAST's are measured.
            retain_best(&mut self.corners, 2 * quota, &mut self.scores);
            harris(self.instructions, plane, &mut self.corners);
            retain_best(&mut self.corners, quota, &mut self.scores);
            if self.corners.is_empty() {
                continue;
            }
            angles(
                self.instructions,
                plane,
                &self.disc,
                &self.corners,
                &mut self.angles,
            );
            smooth(
                self.instructions,
                plane,
                &self.corners,
                self.reach,
                &mut self.ring,
                &mut self.smoothed,
            );
            for (corner, &angle_degrees) in self.corners.iter().zip(&self.angles) {
                let centre = plane.at(corner.x as usize, corner.y as usize);
                let descriptor = describe(
                    self.instructions,
                    &self.smoothed.pixels,
                    plane.stride,
                    centre,
                    angle_degrees,
                    &self.pattern,
                );
                let key_point = KeyPoint {
                    x: corner.x as f32 * scale,
                    y: corner.y as f32 * scale,
                    size: self.settings.patch_px as f32 * scale,
                    angle_degrees,
                    response: corner.score,
                    octave: index as u8,
                };
                found.push((key_point, descriptor));
            }
        }
        found
    }
}

/// Smooths what the descriptors of the corners look at.
fn smooth(
    instructions: Instructions,
    plane: &Plane,
    corners: &[Corner],
    reach: usize,
    ring: &mut Ring,
    out: &mut Plane,
) {
    out.reshape(plane.width, plane.height, plane.margin);
    if plane.margin > 0 {
        // The margin is not smoothed.
        let bytes = plane.bytes();
        out.pixels[..bytes].copy_from_slice(&plane.pixels[..bytes]);
    }
    let reach = reach - BLUR_REACH;
    let around = |left: u32, top: u32, right: u32, bottom: u32| Region {
        left: (left as usize).saturating_sub(reach),
        top: (top as usize).saturating_sub(reach),
        right: (right as usize + reach + 1).min(plane.width),
        bottom: (bottom as usize + reach + 1).min(plane.height),
    };
    let Some(bounds) = corners
        .iter()
        .map(|corner| (corner.x, corner.y, corner.x, corner.y))
        .reduce(|one, other| {
            (
                one.0.min(other.0),
                one.1.min(other.1),
                one.2.max(other.2),
                one.3.max(other.3),
            )
        })
    else {
        return;
    };
    let all = around(bounds.0, bounds.1, bounds.2, bounds.3);
    let side = 2 * reach + 1;
    // A patch on its own also costs the rows above and below it.
    if corners.len() * side * (side + 2 * BLUR_REACH) < all.area() {
        for &Corner { x, y, .. } in corners {
            blur(instructions, plane, around(x, y, x, y), ring, out);
        }
    } else {
        blur(instructions, plane, all, ring, out);
    }
}
