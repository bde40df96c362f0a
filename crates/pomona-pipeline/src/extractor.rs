//! What makes features of images: a network with its engine, or the detector of key points.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use pomona_engine::{Extractor, Handling};
use pomona_image::{Limits, Preparation};
use pomona_vision::orb::OrbSettings;
use pomona_vision::{Backbone, Engine, Network, NetworkOptions};

use crate::assets::{AssetError, EngineChoice, choose_engine, open_backbone};
use crate::error::PipelineError;
use crate::extraction::{Extraction, KeyPointExtraction, NetworkExtraction};
use crate::model::ModelFile;
use crate::run::Context;

/// Pixels that the side of a thumbnail has at most.
pub(crate) const THUMBNAIL_PX: u32 = 56;
/// The same where key points are drawn over it.
pub(crate) const KEYPOINT_THUMBNAIL_PX: u32 = 160;

/// What features are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeatureKind {
    /// Values of a network.
    Network,
    /// Weights of visual words, made of ORB key points.
    Orb,
}

/// How images become features, as a person asks for it.
#[derive(Debug, Clone, Default)]
pub struct ExtractorRequest {
    /// What features are; as the model says, or of a network, where it is not asked for.
    pub features: Option<FeatureKind>,
    /// Key points wanted of an image.
    pub keypoints: Option<usize>,
    /// Name or file of the network.
    pub backbone: Option<String>,
    /// The tensor to cut it at, and its preprocessing.
    pub network: NetworkOptions,
    /// The inference engine.
    pub engine: EngineChoice,
    /// The ONNX Runtime library.
    pub library: Option<PathBuf>,
    /// Steps between decoding and resizing.
    pub preparation: Option<Preparation>,
    /// What an image may cost.
    pub limits: Limits,
}

/// Opens the network and its engine; with a `model`, those that it was fitted with, and runs its self-test.
///
/// # Errors
/// [`PipelineError::Asset`], [`PipelineError::Mismatch`] where the request contradicts the model, and
/// [`PipelineError::SelfTest`].
pub fn extractor_for(
    context: &Context,
    request: &ExtractorRequest,
    model: Option<(&ModelFile, &Path)>,
) -> Result<(Arc<Extractor>, Vec<String>), PipelineError> {
    let fitted = model.and_then(|(model, file)| Some((model.extraction.as_ref()?, model, file)));
    if let (Some((_, file)), None) = (model, &fitted) {
        return Err(PipelineError::Model {
            model: file.to_owned(),
            source: "it was fitted on features of another program: it says nothing of how images become features"
                .into(),
        });
    }
    let preparation = match (&request.preparation, fitted) {
        (Some(asked), _) => asked.clone(),
        (None, Some((extraction, _, file))) => extraction.preparation(file)?,
        (None, None) => Preparation::default(),
    };
    let extraction = fitted.map(|(extraction, ..)| extraction);
    let (extractor, notes) = make_extractor(context, request, extraction, preparation)?;
    for text in &notes {
        context.note(text);
    }
    if let Some((extraction, model, file)) = fitted {
        match extraction {
            Extraction::Network(_) => {
                let opened = NetworkExtraction::of(&extractor).map(Extraction::Network);
                if let Some(opened) = opened {
                    extraction.check_same(&opened)?;
                }
            }
            Extraction::Words(words) => {
                if let Some(opened) = KeyPointExtraction::of(&extractor) {
                    words.keypoints.check_same(&opened)?;
                }
            }
        }
        model
            .self_test
            .check_extractor(&extractor, model.words.as_ref(), file)?;
    }
    Ok((Arc::new(extractor), notes))
}

/// Opens the network and its engine, or the detector, as some features say that they were made.
///
/// # Errors
/// As [`extractor_for`].
pub fn extractor_like(
    context: &Context,
    request: &ExtractorRequest,
    extraction: &Extraction,
) -> Result<Arc<Extractor>, PipelineError> {
    let preparation = extraction.preparation(Path::new("the features"))?;
    let (extractor, _) = make_extractor(context, request, Some(extraction), preparation)?;
    if let Some(opened) = NetworkExtraction::of(&extractor) {
        extraction.check_same(&Extraction::Network(opened))?;
    }
    Ok(Arc::new(extractor))
}

fn make_extractor(
    context: &Context,
    request: &ExtractorRequest,
    fitted: Option<&Extraction>,
    preparation: Preparation,
) -> Result<(Extractor, Vec<String>), PipelineError> {
    let handling = |thumbnail_px| Handling {
        preparation: preparation.clone(),
        limits: request.limits,
        thumbnail_px,
        workers: context.workers,
    };
    let kind = match (request.features, fitted) {
        (asked, Some(Extraction::Words(words))) => {
            if asked == Some(FeatureKind::Network) || request.backbone.is_some() {
                return Err(another_kind(Extraction::kind(&Extraction::Words(
                    words.clone(),
                ))));
            }
            FeatureKind::Orb
        }
        (Some(FeatureKind::Orb), Some(extraction)) => return Err(another_kind(extraction.kind())),
        (asked, _) => asked.unwrap_or(FeatureKind::Network),
    };
    if kind == FeatureKind::Orb {
        let mut settings = match fitted {
            Some(Extraction::Words(words)) => words.keypoints.orb,
            _ => OrbSettings::default(),
        };
        if let Some(keypoints) = request.keypoints {
            settings.features = keypoints;
        }
        let extractor = Extractor::orb(settings, handling(KEYPOINT_THUMBNAIL_PX))?;
        return Ok((extractor, Vec::new()));
    }
    let (opened, engine) = open(
        request,
        fitted.and_then(|extraction| match extraction {
            Extraction::Network(network) => Some(network),
            Extraction::Words(_) => None,
        }),
    );
    let (network, reference) = opened?;
    let mut notes: Vec<String> = network.warnings().to_vec();
    let (engine, fallback) = engine?;
    notes.extend(fallback);
    let backbone = Backbone::new(network, engine, context.workers);
    let extractor = Extractor::network(backbone, reference, handling(THUMBNAIL_PX))?;
    Ok((extractor, notes))
}

fn another_kind(kind: &str) -> PipelineError {
    PipelineError::Mismatch {
        what: "the features are of another kind (--features, --backbone)",
        expected: kind.to_owned(),
        got: "something else".to_owned(),
    }
}

/// A network, and how it can be asked for again: its name, or its file's absolute path.
type Opened = Result<(Network, String), PipelineError>;
/// An engine, and why it is not the one preferred.
type Chosen = Result<(Arc<dyn Engine>, Option<String>), AssetError>;

/// The network and the engine. Both read and hash large files, so they do it side by side.
fn open(request: &ExtractorRequest, fitted: Option<&NetworkExtraction>) -> (Opened, Chosen) {
    std::thread::scope(|scope| {
        let choose = || choose_engine(request.engine, request.library.as_deref());
        let choosing = std::thread::Builder::new()
            .name("engine".to_owned())
            .spawn_scoped(scope, choose);
        let opened = open_network(request, fitted);
        let chosen = match choosing {
            // The thread's panic was told by the hook; the engine is tried once more here.
            Ok(choosing) => choosing.join().unwrap_or_else(|_| choose()),
            Err(_) => choose(),
        };
        (opened, chosen)
    })
}

fn open_network(request: &ExtractorRequest, fitted: Option<&NetworkExtraction>) -> Opened {
    let asked = request.backbone.as_deref();
    let name = asked
        .or(fitted.map(|extraction| extraction.backbone_reference.as_str()))
        .unwrap_or(DEFAULT_BACKBONE);
    let reference = match std::fs::canonicalize(name) {
        Ok(file) if file.is_file() => file.display().to_string(),
        _ => name.to_owned(),
    };
    let is_plain = request.network == NetworkOptions::default();
    if let (Some(extraction), true) = (fitted, is_plain) {
        // As it was fitted: the layer and the preprocessing may have been asked for then.
        let as_fitted = NetworkOptions {
            layer: Some(extraction.layer.clone()),
            preprocessing: Some(extraction.preprocessing.clone()),
        };
        let options = if name == DEFAULT_BACKBONE {
            &request.network
        } else {
            &as_fitted
        };
        match open_backbone(name, options) {
            Ok(network) if network.hash() == extraction.backbone_sha256 => {
                return Ok((network, reference));
            }
            // Another network, which the caller tells as such.
            Ok(_) | Err(AssetError::Vision(_)) => {}
            Err(error) => return Err(error.into()),
        }
        if name == DEFAULT_BACKBONE {
            return Ok((open_backbone(name, &as_fitted)?, reference));
        }
    }
    Ok((open_backbone(name, &request.network)?, reference))
}

/// The network inside the program.
pub const DEFAULT_BACKBONE: &str = "efficientnet_lite0";
