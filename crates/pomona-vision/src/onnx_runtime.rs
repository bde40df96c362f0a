//! The fast engine: ONNX Runtime, loaded from a library file.

use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use ort::environment::Environment;
use ort::session::builder::GraphOptimizationLevel;
use ort::value::TensorRef;

use crate::engine::expect_length;
use crate::{Engine, EngineError, Network, Session, VisionError};

/// The library is loaded once in a process, never unloaded.
static LOADED: Mutex<Option<OnnxRuntime>> = Mutex::new(None);

/// Runs networks with ONNX Runtime, one thread a session.
///
/// What the sessions use was measured on MobileNetV2: all graph optimisations (without those of the memory layout the
/// rate is less than half), the arena and the memory pattern (both on: their memory stays, it does not grow with the
/// images seen, and it is less than what the allocator holds without them).
#[derive(Clone)]
pub struct OnnxRuntime {
    environment: Environment,
    version: String,
    library: PathBuf,
}

impl OnnxRuntime {
    /// Loads the library.
    ///
    /// From version 1.29 on the official libraries report to their maker, unless the environment says
    /// `ORT_DISABLE_TELEMETRY=1` when they are loaded: no option given later stops the first report. Programs set it
    /// before they start threads, as Pomona's own does.
    ///
    /// # Errors
    ///
    /// [`VisionError::Library`] where it is not an ONNX Runtime of version 1.24 or later,
    /// [`VisionError::OtherLibrary`] where another was loaded before.
    pub fn load(library: &Path) -> Result<Self, VisionError> {
        let failed = |source: EngineError| VisionError::Library {
            path: library.to_owned(),
            source,
        };
        let library = library
            .canonicalize()
            .map_err(|error| failed(error.into()))?;
        let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(runtime) = &*loaded {
            return if runtime.library == library {
                Ok(runtime.clone())
            } else {
                Err(VisionError::OtherLibrary {
                    loaded: runtime.library.clone(),
                })
            };
        }
        // Kept until it is loaded for good: loading it twice takes twice as long.
        let (version, _handle) = version(&library).map_err(failed)?;
        let environment = ort::init_from(&library)
            .map_err(|error| failed(error.into()))?
            .with_name("pomona")
            .with_telemetry(false)
            // Its warnings are about optimisations left out; errors are returned.
            .with_logger(std::sync::Arc::new(|_, _, _, _, _| {}))
            .build()
            .map_err(|error| failed(error.into()))?;
        let runtime = Self {
            environment,
            version,
            library,
        };
        *loaded = Some(runtime.clone());
        Ok(runtime)
    }
}

impl Engine for OnnxRuntime {
    fn name(&self) -> String {
        format!("onnxruntime {}", self.version)
    }

    fn session(&self, network: &Network) -> Result<Box<dyn Session>, VisionError> {
        let session = self
            .prepare(network)
            .map_err(|error| VisionError::Prepare {
                engine: self.name(),
                network: network.name().to_owned(),
                source: error.into(),
            })?;
        Ok(Box::new(OrtSession {
            session,
            network: network.clone(),
        }))
    }
}

impl OnnxRuntime {
    fn prepare(&self, network: &Network) -> ort::Result<ort::session::Session> {
        let session = ort::session::Session::builder(&self.environment)?
            .with_intra_threads(1)?
            .with_inter_threads(1)?
            .with_optimization_level(GraphOptimizationLevel::All)?
            .commit_from_memory(network.graph())?;
        Ok(session)
    }
}

struct OrtSession {
    session: ort::session::Session,
    network: Network,
}

impl Session for OrtSession {
    fn run(
        &mut self,
        images: usize,
        tensor: &[f32],
        features: &mut [f32],
    ) -> Result<(), VisionError> {
        let input = self.network.input();
        expect_length("input tensor", images * input.values(), tensor.len())?;
        expect_length(
            "features",
            images * self.network.feature_count(),
            features.len(),
        )?;
        if images == 0 {
            return Ok(());
        }
        let failed = |error: ort::Error| VisionError::Run {
            engine: "onnxruntime",
            source: error.into(),
        };
        let batch = TensorRef::from_array_view((input.shape(images), tensor)).map_err(failed)?;
        let outputs = self.session.run(ort::inputs![batch]).map_err(failed)?;
        let (_, values) = outputs[0].try_extract_tensor::<f32>().map_err(failed)?;
        expect_length("features", features.len(), values.len())?;
        features.copy_from_slice(values);
        Ok(())
    }
}

/// Asks the library for its version; fails where it is no ONNX Runtime.
fn version(library: &Path) -> Result<(String, libloading::Library), EngineError> {
    // SAFETY: loading runs the library's initialisers; that it can be trusted is for whoever names the path.
    let handle = unsafe { libloading::Library::new(library) }?;
    // SAFETY: every ONNX Runtime exports `OrtGetApiBase` with this signature since version 1.0.
    let base: libloading::Symbol<'_, unsafe extern "C" fn() -> *const ort::sys::OrtApiBase> =
        unsafe { handle.get(b"OrtGetApiBase\0") }?;
    // SAFETY: the function takes nothing and returns null or a table that lives as long as the library.
    let base = unsafe { base().as_ref() }.ok_or("it has no interface to offer")?;
    // SAFETY: the table's function returns a text that ends in zero and lives as long as the library.
    let version = unsafe { CStr::from_ptr((base.GetVersionString)()) };
    let version = version.to_str()?.to_owned();
    Ok((version, handle))
}
