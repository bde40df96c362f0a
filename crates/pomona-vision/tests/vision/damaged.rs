//! Files that are not what they seem never end the program.

use std::sync::Arc;

use pomona_vision::{
    Backbone, Engine, Network, NetworkOptions, OnnxRuntime, PureRust, VisionError,
};

use crate::support::{drawn, reference};

#[test]
fn damaged_networks_are_errors_or_networks() {
    let mut state = 1_u64;
    let mut random = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    let mut refused = 0;
    for name in [
        "gemm.onnx",
        "matmul.onnx",
        "headless.onnx",
        "batch_of_two.onnx",
    ] {
        let sound = reference(name);
        for _ in 0..150 {
            let mut bytes = sound.clone();
            for _ in 0..=random(4) {
                let at = random(bytes.len());
                bytes[at] ^= 1 << random(8);
            }
            if random(3) == 0 {
                bytes.truncate(random(sound.len()));
            }
            let options = NetworkOptions {
                layer: None,
                preprocessing: None,
            };
            let network = match Network::from_onnx(name, &bytes, &options) {
                Ok(network) if network.input().values() <= 3 * 256 * 256 => network,
                Ok(_) | Err(_) => {
                    refused += 1;
                    continue;
                }
            };
            let _ = Backbone::new(network, Arc::new(PureRust), 1).features(&[drawn(0)]);
        }
    }
    assert!(refused > 100, "{refused}");
}

#[test]
fn a_library_that_is_none_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("libonnxruntime.so");
    assert!(matches!(
        OnnxRuntime::load(&path),
        Err(VisionError::Library { .. })
    ));
    std::fs::write(&path, b"not a library").unwrap();
    // Another where a test beside this one has loaded the true one.
    assert!(matches!(
        OnnxRuntime::load(&path),
        Err(VisionError::Library { .. } | VisionError::OtherLibrary { .. })
    ));
    assert!(PureRust.name().starts_with("tract "));
}
