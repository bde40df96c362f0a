//! What the tests have in common.

use std::path::PathBuf;
use std::sync::Arc;

use pomona_image::RgbImage;
use pomona_vision::{Engine, Network, NetworkOptions, OnnxRuntime, PureRust, VisionError};

/// A file beside `make_networks.py`.
pub(crate) fn reference(name: &str) -> Vec<u8> {
    let path = PathBuf::from("tests/references").join(name);
    std::fs::read(path).unwrap()
}

pub(crate) fn network(name: &str, layer: Option<&str>) -> Result<Network, VisionError> {
    let mut preprocessing: pomona_vision::Preprocessing = "-1..1".parse().unwrap();
    preprocessing.input_px = Some([16, 16]);
    Network::from_onnx(
        name,
        &reference(&format!("{name}.onnx")),
        &NetworkOptions {
            layer: layer.map(str::to_owned),
            preprocessing: Some(preprocessing),
        },
    )
}

/// The pure-Rust engine, and ONNX Runtime where the environment says where it is.
pub(crate) fn engines() -> Vec<Arc<dyn Engine>> {
    let mut engines: Vec<Arc<dyn Engine>> = vec![Arc::new(PureRust)];
    let library =
        std::env::var_os("POMONA_ORT_LIBRARY").or_else(|| std::env::var_os("ORT_DYLIB_PATH"));
    match library {
        Some(library) => engines.push(Arc::new(OnnxRuntime::load(library.as_ref()).unwrap())),
        None => skipped("ONNX Runtime", "POMONA_ORT_LIBRARY"),
    }
    engines
}

#[expect(clippy::print_stderr, reason = "a test says that it was skipped")]
pub(crate) fn skipped(what: &str, variable: &str) {
    eprintln!("skipped: {what} is not here ({variable} says where it is)");
}

/// The image that `make_networks.py` draws.
pub(crate) fn drawn(image: u32) -> RgbImage {
    let mut pixels = Vec::new();
    for y in 0..16 {
        for x in 0..16 {
            for channel in 0..3 {
                let value = (7 * y + 13 * x + 29 * channel + 101 * image) * (x + 3 * y + 1) % 256;
                pixels.push(u8::try_from(value).unwrap());
            }
        }
    }
    RgbImage::from_pixels(16, 16, pixels).unwrap()
}

/// The relative L2 difference.
pub(crate) fn relative_error(got: &[f32], expected: &[f32]) -> f64 {
    assert_eq!(got.len(), expected.len());
    let square = |value: f32| f64::from(value) * f64::from(value);
    let difference: f64 = got.iter().zip(expected).map(|(a, b)| square(a - b)).sum();
    let size: f64 = expected.iter().map(|value| square(*value)).sum();
    (difference / size).sqrt()
}
