//! How does a prepared image become numbers?
//!
//! A [`Network`] is an ONNX graph cut at the tensor that holds the features. An [`Engine`] runs it: [`OnnxRuntime`]
//! where its library is there, [`PureRust`] everywhere. A [`Backbone`] is both, with sessions for several threads:
//!
//! ```no_run
//! use std::sync::Arc;
//! use pomona_vision::{Backbone, Network, PureRust};
//!
//! let backbone = Backbone::new(Network::builtin()?, Arc::new(PureRust), 1);
//! let image = pomona_image::RgbImage::from_pixels(1, 1, vec![255, 200, 0])?;
//! assert_eq!(backbone.features(&[image])?.len(), 1280);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`orb`] is the other road: key points and binary descriptors, as OpenCV finds them.
//!
//! Not for files: the one path used here is that of the ONNX Runtime library.

mod backbone;
mod builtin;
mod engine;
mod error;
mod network;
mod onnx;
mod onnx_runtime;
pub mod orb;
mod preprocessing;
mod pure_rust;

pub use backbone::Backbone;
pub use engine::{Engine, Session};
pub use error::{EngineError, VisionError};
pub use network::{InputSpec, Layout, Network, NetworkOptions};
pub use onnx_runtime::OnnxRuntime;
pub use preprocessing::{ChannelOrder, Preprocessing};
pub use pure_rust::PureRust;
