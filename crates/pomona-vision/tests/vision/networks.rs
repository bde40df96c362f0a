//! Where graphs are cut, and what comes out.

use pomona_vision::{Backbone, Layout, Network, NetworkOptions, Preprocessing, VisionError};

use crate::support::{drawn, engines, network, reference, relative_error};

fn error(result: Result<Network, VisionError>) -> VisionError {
    match result {
        Ok(network) => panic!("{} was accepted", network.name()),
        Err(error) => error,
    }
}

#[test]
fn graphs_are_cut_at_the_features_and_give_the_reference() {
    let expected: serde_json::Value = serde_json::from_slice(&reference("features.json")).unwrap();
    for (name, expected) in expected.as_object().unwrap() {
        let network = network(name, None).unwrap();
        assert_eq!(network.layer(), expected["layer"], "{name}");
        let rows: Vec<Vec<f32>> = serde_json::from_value(expected["features"].clone()).unwrap();
        assert_eq!(network.feature_count(), rows[0].len(), "{name}");
        for engine in engines() {
            let backbone = Backbone::new(network.clone(), engine, 1);
            let features = backbone.features(&[drawn(0), drawn(1)]).unwrap();
            let error = relative_error(&features, &rows.concat());
            assert!(
                error < 1e-5,
                "{name} with {}: {error}",
                backbone.engine_name()
            );
        }
    }
}

#[test]
fn input_is_read_from_the_graph() {
    let input = network("gemm", None).unwrap().input();
    assert_eq!(
        (input.layout, input.height, input.width),
        (Layout::Nchw, 16, 16)
    );
    let matmul = reference("matmul.onnx");
    let input = Network::from_onnx("matmul", &matmul, &NetworkOptions::default())
        .unwrap()
        .input();
    assert_eq!(
        (input.layout, input.height, input.width),
        // It takes the channels last and turns them first of all: it is fed what it turns them into.
        (Layout::Nchw, 224, 224)
    );
    assert_eq!(
        network("batch_of_two", None).unwrap().fixed_batch(),
        Some(2)
    );
    assert_eq!(network("gemm", None).unwrap().fixed_batch(), None);
}

#[test]
fn channels_last_are_fed_last_where_the_turned_image_is_what_is_asked_for() {
    let network = network("matmul", Some("turned")).unwrap();
    assert_eq!(network.input().layout, Layout::Nhwc);
    let image = drawn(0);
    let pixels = image.pixels();
    for engine in engines() {
        let backbone = Backbone::new(network.clone(), engine, 1);
        let features = backbone.features(std::slice::from_ref(&image)).unwrap();
        for (at, feature) in features.iter().enumerate() {
            let (channel, pixel) = (at / 256, at % 256);
            let expected = (f32::from(pixels[pixel * 3 + channel]) - 127.5) / 127.5;
            assert_eq!(*feature, expected, "{at}");
        }
    }
}

#[test]
fn a_layer_is_found_by_tensor_and_by_node() {
    let by_tensor = network("gemm", Some("pool")).unwrap();
    let by_node = network("gemm", Some("pool_node")).unwrap();
    let by_itself = network("gemm", None).unwrap();
    assert_eq!(by_tensor.hash(), by_node.hash());
    assert_eq!(by_tensor.hash(), by_itself.hash());
    assert_ne!(
        by_tensor.hash(),
        network("gemm", Some("logits")).unwrap().hash()
    );
}

#[test]
fn an_unknown_layer_lists_near_names() {
    let message = error(network("gemm", Some("poool"))).to_string();
    assert_eq!(message, "gemm has no layer poool; did you mean pool?");
    let message = error(network("gemm", Some("w1"))).to_string();
    assert!(message.starts_with("gemm has no layer w1"), "{message}");
}

#[test]
fn an_unpooled_layer_is_warned_of_with_the_pooled_one() {
    assert_eq!(
        network("gemm", Some("map")).unwrap().warnings(),
        [
            "layer map gives 384 values an image, not pooled: did you mean the 6 pooled ones? (--layer pool)"
        ]
    );
    assert_eq!(
        network("unpooled", None).unwrap().warnings(),
        [
            "layer flat gives 384 values an image, not pooled; fitting them takes memory for every pair"
        ]
    );
    for pooled in ["gemm", "matmul", "pointwise", "headless", "batch_of_two"] {
        assert!(network(pooled, None).unwrap().warnings().is_empty());
    }
    assert!(
        network("gemm", Some("logits"))
            .unwrap()
            .warnings()
            .is_empty()
    );
}

#[test]
fn networks_that_take_no_images_are_refused() {
    for (name, found) in [
        ("rank_two", "its input images has 2 dimensions (n × 8)"),
        ("one_channel", "its input images is n × 1 × 8 × 8"),
        (
            "whole_numbers",
            "its input images does not hold 32-bit floats",
        ),
    ] {
        let message = error(network(name, None)).to_string();
        assert!(message.contains(found), "{message}");
    }
    let message = error(network("external", None)).to_string();
    assert!(message.contains("(weights.bin)"), "{message}");
    for garbage in [&b""[..], b"not a network", &[0xff; 64]] {
        let found = Network::from_onnx("garbage", garbage, &NetworkOptions::default());
        assert!(matches!(error(found), VisionError::NotOnnx { .. }));
    }
}

#[test]
fn what_is_assumed_is_said() {
    let options = NetworkOptions::default();
    let network = Network::from_onnx("gemm", &reference("gemm.onnx"), &options).unwrap();
    assert_eq!(network.preprocessing(), &"imagenet".parse().unwrap());
    assert!(network.warnings()[0].contains("assuming imagenet"));
    let network = Network::from_onnx("matmul", &reference("matmul.onnx"), &options).unwrap();
    assert_eq!(network.preprocessing(), &"-1..1".parse().unwrap());
}

#[test]
fn preprocessing_reads_its_own_json_and_refuses_nonsense() {
    for preset in Preprocessing::PRESETS {
        let preset: Preprocessing = preset.parse().unwrap();
        assert_eq!(
            Preprocessing::from_json(preset.to_json().as_bytes()).unwrap(),
            preset
        );
    }
    let bgr = br#"{"mean":[1,2,3],"deviation":[4,5,6],"kernel":"lanczos3","channel_order":"bgr"}"#;
    let bgr = Preprocessing::from_json(bgr).unwrap();
    assert_eq!(bgr.mean, [1.0, 2.0, 3.0]);
    for nonsense in [
        &br#"{"mean":[0,0,0],"deviation":[1,0,1]}"#[..],
        br#"{"mean":[0,0,0],"deviation":[1,1,1],"kernal":"bicubic"}"#,
        br#"{"mean":[0,0,0],"deviation":[1,1,1],"input_px":[0,224]}"#,
        b"",
    ] {
        assert!(Preprocessing::from_json(nonsense).is_err());
    }
    assert!("1..2".parse::<Preprocessing>().is_err());
}

#[test]
fn bgr_swaps_the_channels() {
    let options = |json: &[u8]| NetworkOptions {
        layer: None,
        preprocessing: Some(Preprocessing::from_json(json).unwrap()),
    };
    let rgb = options(br#"{"mean":[3,2,1],"deviation":[6,5,4]}"#);
    let bgr = options(br#"{"mean":[3,2,1],"deviation":[6,5,4],"channel_order":"bgr"}"#);
    let image = drawn(1);
    let swapped = image
        .pixels()
        .chunks(3)
        .flat_map(|rgb| [rgb[2], rgb[1], rgb[0]])
        .collect();
    let swapped = pomona_image::RgbImage::from_pixels(16, 16, swapped).unwrap();
    for (engine, file) in engines()
        .into_iter()
        .flat_map(|engine| ["gemm.onnx", "headless.onnx"].map(move |file| (engine.clone(), file)))
    {
        let features = |options, image| {
            let network = Network::from_onnx("bgr", &reference(file), options).unwrap();
            Backbone::new(network, engine.clone(), 1)
                .features(&[image])
                .unwrap()
        };
        assert_eq!(
            features(&bgr, image.clone()),
            features(&rgb, swapped.clone())
        );
        assert_ne!(features(&bgr, image.clone()), features(&rgb, image.clone()));
    }
}
