//! The network and the features in the shared folder, where it is there.

use std::path::PathBuf;

use pomona_vision::{Layout, Network, NetworkOptions};

use crate::support::skipped;

#[test]
fn the_shared_network_is_read() {
    let shared = std::env::var_os("POMONA_SHARED")
        .map_or_else(|| PathBuf::from("../../../shared"), PathBuf::from);
    let Ok(bytes) = std::fs::read(shared.join("models/mobilenet_v2.onnx")) else {
        return skipped("the shared network", "POMONA_SHARED");
    };
    let network = Network::from_onnx("mobilenet_v2", &bytes, &NetworkOptions::default()).unwrap();
    assert_eq!(network.feature_count(), 1280);
    assert_eq!(network.layer(), "global_average_pooling2d");
    // Keras has the channels last; the graph begins by turning them, which is left out.
    assert_eq!(network.input().layout, Layout::Nchw);
    assert_eq!(network.preprocessing(), &"-1..1".parse().unwrap());
    let options = NetworkOptions {
        layer: Some("Conv__583".to_owned()),
        ..NetworkOptions::default()
    };
    let network = Network::from_onnx("mobilenet_v2", &bytes, &options).unwrap();
    assert_eq!(network.feature_count(), 62_720);
    assert!(network.warnings().iter().any(|warning| {
        warning.contains("62,720 values an image, not pooled: did you mean the 1,280 pooled ones?")
    }));
}
