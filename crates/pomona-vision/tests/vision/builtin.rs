//! The network inside the binary.

use std::path::PathBuf;

use pomona_image::RgbImage;
use pomona_vision::{Backbone, Network};

use crate::support::{engines, relative_error};

const SIDE: i64 = 224;

/// The images that `reference.py` draws.
fn drawn(kind: usize) -> RgbImage {
    let mut pixels = Vec::new();
    for y in 0..SIDE {
        for x in 0..SIDE {
            let radius = (x - 112).pow(2) + (y - 118).pow(2);
            let inside = radius < 80 * 80;
            let light = 255 - ((x - 80).pow(2) + (y - 80).pow(2)).div_euclid(120);
            let stripe = (x + 2 * y) / 16 % 2;
            let noise = (x * 7919 + y * 104_729 + x * y * 31) % 256;
            let pixel = match kind {
                0 if inside => [
                    light,
                    (light * 140).div_euclid(255),
                    (light * 20).div_euclid(255),
                ],
                0 => [255; 3],
                1 => [stripe * 160 + 40, y, 255 - x],
                _ if inside => [noise, noise / 2, 255 - noise],
                _ => [90; 3],
            };
            pixels.extend(pixel.map(|value| u8::try_from(value.clamp(0, 255)).unwrap()));
        }
    }
    RgbImage::from_pixels(224, 224, pixels).unwrap()
}

/// `[network][image][feature]`: the file in the binary, the same in single precision.
fn references() -> Vec<Vec<f32>> {
    let path = PathBuf::from("../../tools/efficientnet_lite0/reference.f32");
    let bytes = std::fs::read(path).unwrap();
    let values: Vec<f32> = bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|value| f32::from_le_bytes(*value))
        .collect();
    values.chunks(1280).map(<[f32]>::to_vec).collect()
}

#[test]
fn both_engines_give_the_reference() {
    let references = references();
    assert_eq!(references.len(), 6);
    let network = Network::builtin().unwrap();
    assert_eq!(network.feature_count(), 1280);
    assert_eq!(network.layer(), "features");
    assert!(network.warnings().is_empty());
    for engine in engines() {
        let backbone = Backbone::new(network.clone(), engine, 1);
        let features = backbone.features(&[drawn(0), drawn(1), drawn(2)]).unwrap();
        for (image, features) in features.chunks(1280).enumerate() {
            let exact = relative_error(features, &references[image]);
            assert!(exact < 1e-4, "{}: {exact}", backbone.engine_name());
            let single = relative_error(features, &references[3 + image]);
            assert!(single < 1e-3, "{}: {single}", backbone.engine_name());
        }
    }
}
