//! What a run needs beside photos: the ONNX Runtime library and the networks, in the user's cache.
//!
//! A file in the cache appears whole or not at all, under a name that tells what it is, and its SHA-256 is checked
//! before each use. Nothing is fetched where `POMONA_OFFLINE` is set.

mod backbones;
mod cache;
mod engine;
mod error;
mod fetch;
mod listed;
mod pip;
mod runtime;
mod shipped;
#[cfg(test)]
mod tests;

pub use backbones::{KnownBackbone, add_backbone, backbone_file, known_backbones, open_backbone};
pub use cache::Cache;
pub use engine::{EngineChoice, choose_engine};
pub use error::AssetError;
pub use listed::{BackboneState, ListedBackbone, list_backbones};
pub use runtime::onnx_runtime;
pub use shipped::shipped_folder;
