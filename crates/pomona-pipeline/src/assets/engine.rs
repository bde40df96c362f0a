//! Which inference engine a run uses.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;

use pomona_vision::{Engine, OnnxRuntime, PureRust};

use super::{AssetError, onnx_runtime};

/// What a user may ask for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// ONNX Runtime where it can be had, else the pure-Rust engine.
    #[default]
    Auto,
    /// ONNX Runtime or an error.
    OnnxRuntime,
    /// The pure-Rust engine; nothing is fetched or loaded.
    PureRust,
}

/// The engine, and one line that says why it is the pure-Rust one where that was not asked for.
///
/// A `library` that is named must be usable, whatever the choice.
///
/// # Errors
///
/// [`AssetError`] where ONNX Runtime was asked for and cannot be had.
pub fn choose_engine(
    kind: EngineChoice,
    library: Option<&Path>,
) -> Result<(Arc<dyn Engine>, Option<String>), AssetError> {
    if kind == EngineChoice::PureRust {
        return Ok((Arc::new(PureRust), None));
    }
    match load(library) {
        Ok(engine) => Ok((Arc::new(engine), None)),
        Err(error) if kind == EngineChoice::OnnxRuntime || library.is_some() => Err(error),
        Err(error) => Ok((Arc::new(PureRust), Some(reason(&error)))),
    }
}

fn load(library: Option<&Path>) -> Result<OnnxRuntime, AssetError> {
    Ok(OnnxRuntime::load(&onnx_runtime(library)?)?)
}

/// One line, the chain of causes in it.
fn reason(error: &AssetError) -> String {
    let mut text = format!("using the slower pure-Rust engine: {error}");
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
