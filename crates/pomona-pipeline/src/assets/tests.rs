//! The cache without a network.

use std::error::Error;
use std::fs;
use std::path::PathBuf;

use pomona_vision::{Network, NetworkOptions, Preprocessing};

use super::{
    AssetError, BackboneState, Cache, EngineChoice, choose_engine, known_backbones, open_backbone,
};

/// A small network, made by `make_networks.py`.
fn small_network() -> PathBuf {
    PathBuf::from("../pomona-vision/tests/references/gemm.onnx")
}

fn offline() -> (tempfile::TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::new(folder.path().join("cache"), true);
    (folder, cache)
}

#[test]
fn the_network_in_the_program_is_the_one_listed() {
    let known = &known_backbones()[0];
    assert_eq!(known.name, Network::builtin().unwrap().name());
    let (_folder, cache) = offline();
    let listed = cache.list_backbones().unwrap();
    assert_eq!(listed[0].state, BackboneState::Builtin);
    let options = NetworkOptions::default();
    let by_name = cache.open_backbone(known.name, &options).unwrap();
    assert_eq!(by_name.hash(), Network::builtin().unwrap().hash());
    assert!(matches!(
        cache.backbone_file(known.name),
        Err(AssetError::Builtin { .. })
    ));
}

#[test]
fn a_network_that_cannot_be_fetched_is_asked_for_by_file_and_hash() {
    let (_folder, cache) = offline();
    let error = cache.backbone_file("resnet50").unwrap_err();
    let message = error.to_string();
    let place = cache.folder().join("backbones").join("resnet50-v1-12.onnx");
    for part in [
        "resnet50-v1-12.onnx",
        "3f03fdef724b22947eed826f1eef1dc5c34151bb4c37d634f1db89dfa2dd1526",
        "https://",
        &place.display().to_string(),
    ] {
        assert!(message.contains(part), "{part} in {message}");
    }
    let cause = error.source().unwrap().to_string();
    assert!(cause.contains("POMONA_OFFLINE"), "{cause}");

    fs::create_dir_all(place.parent().unwrap()).unwrap();
    fs::write(&place, b"something else").unwrap();
    let cause = cache.backbone_file("resnet50").unwrap_err();
    assert!(cause.source().unwrap().to_string().contains("has sha256"));
    let listed = cache.list_backbones().unwrap();
    assert_eq!(listed[2].state, BackboneState::Damaged);
    assert_eq!(listed[1].state, BackboneState::Remote);
}

#[test]
fn an_added_network_is_there_by_name_with_how_it_is_fed() {
    let (_folder, cache) = offline();
    let fed: Preprocessing = "0..1".parse().unwrap();
    let added = cache
        .add_backbone("fruit-net", &small_network(), Some(&fed), Some("logits"))
        .unwrap();
    let opened = cache
        .open_backbone("fruit-net", &NetworkOptions::default())
        .unwrap();
    assert_eq!(opened.hash(), added.hash());
    assert_eq!((opened.layer(), opened.preprocessing()), ("logits", &fed));
    let listed = cache.list_backbones().unwrap();
    let last = listed.last().unwrap();
    assert_eq!(
        (last.name.as_str(), last.state),
        ("fruit-net", BackboneState::Added)
    );
    let unknown = cache.backbone_file("fruitnet").unwrap_err().to_string();
    assert!(unknown.contains("fruit-net"), "{unknown}");
}

#[test]
fn names_that_would_leave_the_cache_or_hide_a_network_are_refused() {
    let (_folder, cache) = offline();
    for name in ["", "../x", "a/b", "A", "resnet50", "a.onnx"] {
        let added = cache.add_backbone(name, &small_network(), None, None);
        assert!(
            matches!(added, Err(AssetError::BackboneName { .. })),
            "{name}"
        );
    }
    assert!(cache.backbone_file("../x").is_err());
    assert!(!cache.folder().exists());
}

#[test]
fn a_file_takes_what_lies_beside_it_unless_told_otherwise() {
    let folder = tempfile::tempdir().unwrap();
    let onnx = folder.path().join("net.onnx");
    fs::copy(small_network(), &onnx).unwrap();
    let name = onnx.to_str().unwrap();
    let mut options = NetworkOptions::default();
    assert!(!open_backbone(name, &options).unwrap().warnings().is_empty());

    let beside = r#"{"mean":[1,2,3],"deviation":[4,5,6],"layer":"flat"}"#;
    fs::write(folder.path().join("net.json"), beside).unwrap();
    let network = open_backbone(name, &options).unwrap();
    assert_eq!(network.layer(), "flat");
    assert_eq!(network.preprocessing().mean, [1.0, 2.0, 3.0]);
    assert!(network.warnings().is_empty());

    options.layer = Some("pool".to_owned());
    options.preprocessing = Some("raw".parse().unwrap());
    let network = open_backbone(name, &options).unwrap();
    assert_eq!(network.layer(), "pool");
    assert_eq!(network.preprocessing(), &"raw".parse().unwrap());

    fs::write(folder.path().join("net.json"), "{").unwrap();
    assert!(matches!(
        open_backbone(name, &NetworkOptions::default()),
        Err(AssetError::Sidecar { .. })
    ));
}

#[test]
fn nothing_is_fetched_offline() {
    let (_folder, cache) = offline();
    let error = cache.onnx_runtime().unwrap_err();
    assert!(matches!(
        error,
        AssetError::Offline { .. } | AssetError::Platform { .. }
    ));
    assert!(!cache.folder().exists());
}

#[test]
fn a_library_that_is_named_must_be_usable() {
    let missing = PathBuf::from("no/such/libonnxruntime.so");
    assert!(choose_engine(EngineChoice::Auto, Some(&missing)).is_err());
    let (engine, reason) = choose_engine(EngineChoice::PureRust, Some(&missing)).unwrap();
    assert!(engine.name().starts_with("tract"));
    assert_eq!(reason, None);
}
