//! The main job: photos to a report.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use datafusion::execution::context::SessionContext;
use pomona_engine::{Extractor, ImageSource, Runtimes, SessionLimits, embedded_session};
use pomona_image::{Limits, Preparation};
use pomona_learn::FitSettings;
use pomona_vision::{Backbone, Engine, Network, NetworkOptions};
use tokio_util::sync::CancellationToken;

use crate::assets::{AssetError, EngineChoice, choose_engine, open_backbone};
use crate::error::PipelineError;
use crate::events::{Event, Observer};
use crate::extract::{ExtractSettings, Extracted, extract};
use crate::fit::{FitRequest, fit};
use crate::folder::RunFolder;
use crate::input::FeatureInput;
use crate::model::{Extraction, ModelFile};
use crate::record::{RunRecord, now};
use crate::reduce::{ReduceRequest, reduce};
use crate::report::report;

/// Pixels that the side of a thumbnail has at most.
const THUMBNAIL_PX: u32 = 56;

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

/// How images become features, as a person asks for it.
#[derive(Debug, Clone, Default)]
pub struct ExtractorRequest {
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
    let (opened, engine) = open(request, fitted.map(|(extraction, ..)| extraction));
    let (network, reference) = opened?;
    let preparation = match (&request.preparation, fitted) {
        (Some(asked), _) => asked.clone(),
        (None, Some((extraction, _, file))) => extraction.preparation(file)?,
        (None, None) => Preparation::default(),
    };
    let mut notes: Vec<String> = network.warnings().to_vec();
    let (engine, fallback) = engine?;
    notes.extend(fallback);
    for text in &notes {
        context.note(text);
    }
    let backbone = Backbone::new(network, engine, context.workers);
    let extractor = Extractor::new(
        backbone,
        reference,
        preparation,
        request.limits,
        THUMBNAIL_PX,
        context.workers,
    )?;
    if let Some((extraction, model, file)) = fitted {
        extraction.check_same(&Extraction::of(&extractor))?;
        model.self_test.check_extractor(&extractor, file)?;
    }
    Ok((Arc::new(extractor), notes))
}

/// Opens the network and its engine as some features say that they were made.
///
/// # Errors
/// As [`extractor_for`].
pub fn extractor_like(
    context: &Context,
    request: &ExtractorRequest,
    extraction: &Extraction,
) -> Result<Arc<Extractor>, PipelineError> {
    let (opened, engine) = open(request, Some(extraction));
    let ((network, reference), (engine, _)) = (opened?, engine?);
    let extractor = Extractor::new(
        Backbone::new(network, engine, context.workers),
        reference,
        extraction.preparation(Path::new(&extraction.backbone))?,
        request.limits,
        THUMBNAIL_PX,
        context.workers,
    )?;
    extraction.check_same(&Extraction::of(&extractor))?;
    Ok(Arc::new(extractor))
}

/// A network, and how it can be asked for again: its name, or its file's absolute path.
type Opened = Result<(Network, String), PipelineError>;
/// An engine, and why it is not the one preferred.
type Chosen = Result<(Arc<dyn Engine>, Option<String>), AssetError>;

/// The network and the engine. Both read and hash large files, so they do it side by side.
fn open(request: &ExtractorRequest, fitted: Option<&Extraction>) -> (Opened, Chosen) {
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

fn open_network(request: &ExtractorRequest, fitted: Option<&Extraction>) -> Opened {
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
    let extracted = extract(context, source, &extractor, &settings.extract, folder).await?;
    record.counts.clone_from(&extracted.counts);
    record.set_stage("list", extracted.listing_seconds, extracted.total());
    record.set_stage("extract", extracted.seconds, extracted.total());
    record.images_per_second = extracted.ok() as f64 / extracted.seconds.max(1e-9);
    record.thread_seconds = BTreeMap::from([
        ("prepare".to_owned(), extracted.prepare_seconds),
        ("network".to_owned(), extracted.network_seconds),
    ]);
    record.finished = now();
    folder.write_record(&record)?;
    if steps == Steps::Extract {
        return Ok(RunOutcome { extracted, record });
    }

    let input = FeatureInput::open(context, folder.path()).await?;
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

fn described(extractor: &Extractor) -> BTreeMap<String, String> {
    let extraction = Extraction::of(extractor);
    BTreeMap::from([
        ("name".to_owned(), extraction.backbone),
        ("sha256".to_owned(), extraction.backbone_sha256),
        ("layer".to_owned(), extraction.layer),
        ("features".to_owned(), extraction.feature_count.to_string()),
        ("engine".to_owned(), extractor.backbone().engine_name()),
    ])
}
