//! What the tests have in common.

use std::path::PathBuf;

use pomona_image::{Limits, RgbImage, decode};
use pomona_vision::orb::{Descriptor, KeyPoint};

pub(crate) type Found = Vec<(KeyPoint, Descriptor)>;

/// A file beside this one, written by `tools/orb_reference.py`.
pub(crate) fn asset(name: &str) -> Vec<u8> {
    let path = PathBuf::from("tests/orb").join(name);
    std::fs::read(path).unwrap()
}

pub(crate) fn picture(bytes: &[u8]) -> RgbImage {
    decode(bytes, &Limits::default()).unwrap().image
}

/// Bits that differ.
pub(crate) fn distance(one: &Descriptor, other: &Descriptor) -> u32 {
    one.iter()
        .zip(other)
        .map(|(one, other)| (one ^ other).count_ones())
        .sum()
}

/// Degrees between two directions, 0..=180.
pub(crate) fn between(one: f32, other: f32) -> f32 {
    let turn = (one - other).rem_euclid(360.0);
    turn.min(360.0 - turn)
}

pub(crate) fn number(value: &serde_json::Value) -> f32 {
    value.as_f64().unwrap() as f32
}

pub(crate) fn descriptor(digits: &serde_json::Value) -> Descriptor {
    let digits = digits.as_str().unwrap();
    assert_eq!(digits.len(), 64);
    std::array::from_fn(|byte| u8::from_str_radix(&digits[2 * byte..2 * byte + 2], 16).unwrap())
}

/// x, y, size, angle, response, octave.
pub(crate) fn key_point(values: &serde_json::Value) -> KeyPoint {
    KeyPoint {
        x: number(&values[0]),
        y: number(&values[1]),
        size: number(&values[2]),
        angle_degrees: number(&values[3]),
        response: number(&values[4]),
        octave: values[5].as_u64().unwrap() as u8,
    }
}

/// Grey noise, coarser than pixels so that it has corners on every level.
pub(crate) fn noise(width: u32, height: u32, seed: u32) -> Vec<u8> {
    let value = |x: u32, y: u32, grain: u32| {
        let mut mixed = (x / grain)
            .wrapping_mul(0x9E37_79B1)
            .wrapping_add((y / grain).wrapping_mul(0x85EB_CA77))
            .wrapping_add(seed.wrapping_mul(0xC2B2_AE3D));
        mixed ^= mixed >> 15;
        mixed = mixed.wrapping_mul(0x2C1B_3C6D);
        mixed ^= mixed >> 12;
        mixed = mixed.wrapping_mul(0x297A_2D39);
        mixed >> 24
    };
    (0..height)
        .flat_map(|y| (0..width).map(move |x| (x, y)))
        .map(|(x, y)| ((value(x, y, 5) * 3 + value(x, y, 2)) / 4) as u8)
        .collect()
}
