//! The main job: photos to a report.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use datafusion::execution::context::SessionContext;
use pomona_engine::{Extractor, Handling, ImageSource, Runtimes, SessionLimits, embedded_session};
use pomona_image::{Limits, Preparation};
use pomona_learn::FitSettings;
use pomona_vision::orb::OrbSettings;
use pomona_vision::{Backbone, Engine, Network, NetworkOptions};
use tokio_util::sync::CancellationToken;

use crate::assets::{AssetError, EngineChoice, choose_engine, open_backbone};
use crate::error::PipelineError;
use crate::events::{Event, Observer};
use crate::extract::{ExtractSettings, Extracted, extract, features_stage};
use crate::extraction::{Extraction, KeyPointExtraction, NetworkExtraction};
use crate::fit::{FitRequest, fit};
use crate::folder::RunFolder;
use crate::input::FeatureInput;
use crate::model::ModelFile;
use crate::record::{RunRecord, now};
use crate::reduce::{ReduceRequest, reduce};
use crate::report::report;
use crate::words::{self, Codebook, WordSettings};

/// Pixels that the side of a thumbnail has at most.
const THUMBNAIL_PX: u32 = 56;
/// The same where key points are drawn over it.
const KEYPOINT_THUMBNAIL_PX: u32 = 160;

/// What every step needs.
pub struct Context {
    /// DataFusion.
    pub session: SessionContext,
    /// The threads that drive it.
    pub runtimes: Runtimes,
    /// Images worked on at once.
    pub workers: usize,
    /// Who is told what happens.
    pub observer: Arc<dyn Observer>,
    /// Cancelled to stop cleanly.
    pub cancel: CancellationToken,
}

impl Context {
    /// Starts the threads and the session.
    ///
    /// # Errors
    /// Those of the engine.
    pub fn start(workers: usize, observer: Arc<dyn Observer>) -> Result<Self, PipelineError> {
        let workers = workers.max(1);
        Ok(Self {
            session: embedded_session(SessionLimits::default())?,
            runtimes: Runtimes::start(workers)?,
            workers,
            observer,
            cancel: CancellationToken::new(),
        })
    }

    /// Runs a step to its end, or until the context is cancelled.
    pub(crate) async fn until_cancelled<T>(
        &self,
        step: impl Future<Output = Result<T, PipelineError>>,
    ) -> Result<T, PipelineError> {
        tokio::select! {
            biased;
            () = self.cancel.cancelled() => Err(PipelineError::Interrupted),
            done = step => done,
        }
    }

    fn note(&self, text: &str) {
        self.observer.event(&Event::Note {
            text: text.to_owned(),
        });
    }
}

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

/// What the main job is told.
#[derive(Debug, Clone)]
pub struct RunSettings {
    /// What is listed, and how.
    pub extract: ExtractSettings,
    /// How many components, and whether to scale.
    pub fit: FitSettings,
    /// The seed of everything random.
    pub seed: u64,
    /// How descriptors become features.
    pub words: WordSettings,
    /// Whether words are summed up by label too.
    pub by_label: bool,
    /// A fitted model to use instead of fitting one.
    pub model: Option<PathBuf>,
    /// Folder for one CSV file an image, where that is wanted.
    pub per_image_csv: Option<PathBuf>,
    /// The options as the person gave them, for `run.json` and the report.
    pub shown: BTreeMap<String, String>,
}

/// Which steps to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steps {
    /// Only the features.
    Extract,
    /// Everything, to the report.
    All,
}

/// What the main job did.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOutcome {
    /// The extraction.
    pub extracted: Extracted,
    /// As `run.json` tells it.
    pub record: RunRecord,
}

/// Extracts, and where all steps are asked for fits (or takes the model given), reduces and reports.
///
/// # Errors
/// Those of the steps.
pub async fn run(
    context: &Context,
    source: &ImageSource,
    request: &ExtractorRequest,
    settings: &RunSettings,
    folder: &RunFolder,
    steps: Steps,
) -> Result<RunOutcome, PipelineError> {
    let model = match &settings.model {
        Some(file) => Some((ModelFile::load(file)?, file.as_path())),
        None => None,
    };
    let (extractor, notes) = extractor_for(
        context,
        request,
        model.as_ref().map(|(model, file)| (model, *file)),
    )?;
    let mut record = RunRecord {
        pomona: env!("CARGO_PKG_VERSION").to_owned(),
        started: now(),
        source: source.root().display().to_string(),
        backbone: described(&extractor),
        settings: settings.shown.clone(),
        notes,
        ..RunRecord::default()
    };
    record
        .settings
        .insert("workers".to_owned(), context.workers.to_string());
    folder.begin(&deciding(source, &extractor, &settings.shown))?;
    let extracted = extract(context, source, &extractor, &settings.extract, folder).await?;
    record.counts.clone_from(&extracted.counts);
    record.set_stage("list", extracted.listing_seconds, extracted.total());
    record.set_stage("extract", extracted.seconds, extracted.total());
    record.images_per_second = extracted.new_images as f64 / extracted.seconds.max(1e-9);
    if extracted.done_before > 0 {
        context.note(&format!(
            "{} of {} images were done by an earlier run in this folder",
            extracted.done_before,
            extracted.total()
        ));
    }
    record.thread_seconds = BTreeMap::from([
        ("prepare".to_owned(), extracted.prepare_seconds),
        (
            features_stage(&extractor).to_owned(),
            extracted.features_seconds,
        ),
    ]);
    record.finished = now();
    folder.write_record(&record)?;
    if steps == Steps::Extract {
        return Ok(RunOutcome { extracted, record });
    }

    let words = match KeyPointExtraction::of(&extractor) {
        Some(keypoints) => {
            let codebook = match &model {
                Some((model, _)) => Codebook::of(model),
                None => Codebook::Learn(&settings.words),
            };
            let words = words::words(
                context,
                folder,
                &keypoints,
                codebook,
                settings.by_label.then_some(folder.path()),
                folder.path(),
            )
            .await?;
            if matches!(codebook, Codebook::Learn(_)) {
                record.set_stage("codebook", words.seconds[0], words.record.keypoints);
            }
            record.set_stage("words", words.seconds[1], extracted.ok());
            record.notes.extend(words.notes.iter().cloned());
            record.words = Some(words.record.clone());
            Some(words)
        }
        None => None,
    };
    let input = match &words {
        Some(words) => words.input.clone(),
        None => FeatureInput::open(context, folder.path()).await?,
    };
    let started = Instant::now();
    let model = match model {
        Some((model, _)) => {
            model.save(&folder.model())?;
            model
        }
        None => {
            let request = FitRequest {
                input: &input,
                settings: settings.fit,
                seed: settings.seed,
                extractor: Some(&extractor),
                words: words.as_ref().map(|words| &words.model),
            };
            let (model, notes) = fit(context, &request, &folder.model()).await?;
            record.notes.extend(notes);
            record.set_stage("fit", started.elapsed().as_secs_f64(), model.data.rows);
            model
        }
    };
    record
        .explained_variance_ratio
        .clone_from(&model.reducer.explained_variance_ratio);
    let reduced = reduce(
        context,
        &ReduceRequest {
            input: &input,
            model: &model,
            out: folder.path(),
            per_image_csv: settings.per_image_csv.as_deref(),
        },
    )
    .await?;
    record.set_stage("reduce", reduced.reduce_seconds, reduced.rows);
    record.set_stage("write", reduced.write_seconds, reduced.rows);
    record.finished = now();
    folder.write_record(&record)?;
    let started = Instant::now();
    report(context, folder).await?;
    record.set_stage("report", started.elapsed().as_secs_f64(), 1);
    record.finished = now();
    folder.write_record(&record)?;
    Ok(RunOutcome { extracted, record })
}

/// Everything that decides what the shards of a run hold.
fn deciding(
    source: &ImageSource,
    extractor: &Extractor,
    shown: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    const LISTING: [&str; 5] = ["label", "glob", "shard-images", "max-pixels", "max-bytes"];
    let mut deciding: BTreeMap<String, String> = shown
        .iter()
        .filter(|(name, _)| LISTING.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let described = described(extractor);
    deciding.extend(
        described
            .into_iter()
            .map(|(name, value)| (format!("backbone {name}"), value)),
    );
    deciding.insert("photos".to_owned(), source.root().display().to_string());
    let preparation = extractor.preparation().to_string();
    if !preparation.is_empty() {
        deciding.insert("prepare".to_owned(), preparation);
    }
    deciding
}

fn described(extractor: &Extractor) -> BTreeMap<String, String> {
    let Some((backbone, _)) = extractor.backbone() else {
        let orb = extractor.orb_settings().unwrap_or_default();
        return [
            ("name", "orb".to_owned()),
            ("keypoints", orb.features.to_string()),
            ("scale factor", orb.scale_factor.to_string()),
            ("levels", orb.levels.to_string()),
            ("edge", format!("{} px", orb.edge_px)),
            ("patch", format!("{} px", orb.patch_px)),
            ("FAST threshold", orb.fast_threshold.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value))
        .into();
    };
    let network = backbone.network();
    BTreeMap::from([
        ("name".to_owned(), network.name().to_owned()),
        ("sha256".to_owned(), network.hash().to_owned()),
        ("layer".to_owned(), network.layer().to_owned()),
        ("features".to_owned(), network.feature_count().to_string()),
        ("engine".to_owned(), backbone.engine_name()),
    ])
}
