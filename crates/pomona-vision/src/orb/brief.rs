//! Descriptors: pairs of smoothed pixels, turned with the patch.

use super::blur::nearest;
use super::instructions::compiled_twice;
use super::pattern::{PAIRS, pairs};

/// Points of the pattern.
const POINTS: usize = 2 * PAIRS;

/// The pattern of a patch: first the first points of all pairs, then the second ones.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    x: Vec<f32>,
    y: Vec<f32>,
}

impl Pattern {
    pub(super) fn new(patch_px: u32) -> Self {
        let pairs = pairs(patch_px);
        let points = |x: usize| pairs.iter().map(move |pair| f32::from(pair[x]));
        Self {
            x: points(0).chain(points(2)).collect(),
            y: points(1).chain(points(3)).collect(),
        }
    }
}

compiled_twice! {
    /// The descriptor at the pixel `centre` of an image smoothed with [`super::blur`]: bit `i` (of byte `i / 8`, from
    /// the lowest) is 1 where the first pixel of pair `i` is darker than the second. Points are turned by the angle
    /// and rounded to the nearest pixel.
    fn describe(pixels: &[u8], stride: usize, centre: usize, angle_degrees: f32, pattern: &Pattern) -> [u8; 32] {
        let angle = f64::from(angle_degrees * (std::f64::consts::PI / 180.0) as f32);
        let (cosine, sine) = (angle.cos() as f32, angle.sin() as f32);
        let mut places = [0_i32; POINTS];
        let points = pattern.x.iter().zip(&pattern.y);
        for (place, (&x, &y)) in places.iter_mut().zip(points) {
            let column = nearest(x * cosine - y * sine);
            let row = nearest(x * sine + y * cosine);
            *place = row.wrapping_mul(stride as i32).wrapping_add(column);
        }
        let value = |place: i32| {
            let at = centre.wrapping_add_signed(place as isize);
            pixels.get(at).copied().unwrap_or(0)
        };
        let (firsts, seconds) = places.split_at(PAIRS);
        let mut descriptor = [0; 32];
        let bytes = firsts.as_chunks::<8>().0.iter().zip(seconds.as_chunks::<8>().0);
        for (byte, (firsts, seconds)) in descriptor.iter_mut().zip(bytes) {
            for bit in 0..8 {
                *byte |= u8::from(value(firsts[bit]) < value(seconds[bit])) << bit;
            }
        }
        descriptor
    }
}
