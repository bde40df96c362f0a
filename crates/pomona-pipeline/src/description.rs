//! What makes features, in words that another process understands.

use std::path::Path;
use std::sync::Arc;

use pomona_engine::{Asset, EngineError, Extractor, Handling, Services};
use pomona_image::{Limits, Preparation};
use pomona_store::Place;
use pomona_vision::orb::OrbSettings;
use pomona_vision::{Backbone, Network, NetworkOptions, Preprocessing};
use serde::{Deserialize, Serialize};

use crate::assets::{AssetError, EngineChoice, backbone_file, choose_engine};
use crate::error::PipelineError;
use crate::extractor::{DEFAULT_BACKBONE, KEYPOINT_THUMBNAIL_PX, THUMBNAIL_PX};
use crate::run::Context;

/// Everything that decides what an image becomes.
#[derive(Debug, Serialize, Deserialize)]
struct Description {
    method: Method,
    /// As `--prepare` takes it; empty for none.
    preparation: String,
    max_pixels: u64,
    max_bytes: u64,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Method {
    Network(Box<DescribedNetwork>),
    Orb { settings: OrbSettings },
}

#[derive(Debug, Serialize, Deserialize)]
struct DescribedNetwork {
    name: String,
    /// The ONNX file; none for the network inside the program.
    file: Option<Asset>,
    layer: String,
    preprocessing: Preprocessing,
    /// Of everything in the network that decides the features.
    sha256: String,
    /// Name and version of the inference engine.
    engine: String,
}

/// Describes an extractor for the processes that work on plans, and puts the network's file where they find it.
///
/// # Errors
/// Those of the store, and [`PipelineError::Asset`] where the file is gone.
pub(crate) async fn describe(
    context: &Context,
    extractor: &Extractor,
    limits: Limits,
    folder: &Place,
) -> Result<String, PipelineError> {
    let method = match (extractor.backbone(), extractor.orb_settings()) {
        (Some((backbone, reference)), _) => {
            let network = backbone.network();
            let file = if reference == DEFAULT_BACKBONE {
                None
            } else {
                let file = match Path::new(reference) {
                    file if file.is_file() => file.to_owned(),
                    _ => backbone_file(reference)?,
                };
                let read = || {
                    std::fs::read(&file).map_err(|source| EngineError::Io {
                        path: file.clone(),
                        source,
                    })
                };
                context.ship(folder, read).await?
            };
            Method::Network(Box::new(DescribedNetwork {
                name: network.name().to_owned(),
                file,
                layer: network.layer().to_owned(),
                preprocessing: network.preprocessing().clone(),
                sha256: network.hash().to_owned(),
                engine: backbone.engine_name(),
            }))
        }
        (None, settings) => Method::Orb {
            settings: settings.unwrap_or_default(),
        },
    };
    let description = Description {
        method,
        preparation: extractor.preparation().to_string(),
        max_pixels: limits.max_pixels,
        max_bytes: limits.max_bytes,
    };
    Ok(serde_json::to_string(&description).unwrap_or_default())
}

/// Makes the extractor that a plan describes, with so many threads. `library` is ONNX Runtime's, where it is told.
///
/// # Errors
/// [`EngineError::Extractor`] where this process cannot make the same: another inference engine, or network.
pub fn described_extractor(
    description: &str,
    services: &Services,
    workers: usize,
    library: Option<&Path>,
) -> Result<Arc<Extractor>, EngineError> {
    let description: Description = serde_json::from_str(description).map_err(cannot)?;
    let preparation = match description.preparation.as_str() {
        "" => Preparation::default(),
        text => text.parse().map_err(cannot)?,
    };
    let handling = move |thumbnail_px| Handling {
        preparation,
        limits: Limits {
            max_pixels: description.max_pixels,
            max_bytes: description.max_bytes,
        },
        thumbnail_px,
        workers,
    };
    let extractor = match description.method {
        Method::Orb { settings } => Extractor::orb(settings, handling(KEYPOINT_THUMBNAIL_PX))?,
        Method::Network(described) => network(*described, services, library, handling)?,
    };
    Ok(Arc::new(extractor))
}

fn network(
    described: DescribedNetwork,
    services: &Services,
    library: Option<&Path>,
    handling: impl FnOnce(u32) -> Handling,
) -> Result<Extractor, EngineError> {
    let DescribedNetwork {
        name,
        file,
        layer,
        preprocessing,
        sha256,
        engine,
    } = described;
    let options = NetworkOptions {
        layer: Some(layer),
        preprocessing: Some(preprocessing),
    };
    let network = match &file {
        Some(file) => {
            let path = services.asset_file(file)?;
            let bytes = std::fs::read(&path).map_err(|source| EngineError::Io { path, source })?;
            Network::from_onnx(&name, &bytes, &options)?
        }
        None => match Network::builtin()? {
            plain if plain.hash() == sha256 => plain,
            _ => Network::builtin_with(&options)?,
        },
    };
    if network.hash() != sha256 {
        return Err(cannot(format!(
            "the network {name} is another one here ({}) than where the run was started ({sha256})",
            network.hash()
        )));
    }
    let choice = if engine.starts_with("onnxruntime") {
        EngineChoice::OnnxRuntime
    } else {
        EngineChoice::PureRust
    };
    let (own, _) = choose_engine(choice, library).map_err(|error| unavailable(&engine, error))?;
    if own.name() != engine {
        return Err(cannot(format!(
            "the run was started with {engine}, and this executor has {}: features would differ in their last digits; give both the same library (POMONA_ORT_LIBRARY), or start the run with --engine pure-rust",
            own.name()
        )));
    }
    let handling = handling(THUMBNAIL_PX);
    let backbone = Backbone::new(network, own, handling.workers);
    Extractor::network(backbone, name, handling)
}

fn unavailable(engine: &str, error: AssetError) -> EngineError {
    cannot(format!(
        "the run was started with {engine}, which this executor does not have: {error}"
    ))
}

fn cannot(reason: impl std::fmt::Display) -> EngineError {
    EngineError::Extractor {
        reason: reason.to_string(),
    }
}
