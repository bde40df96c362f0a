//! The main job: photos to a report.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use pomona_engine::{Extractor, ImageListing, ImageSource, WarmUp, remove_assets};
use pomona_learn::{Drift, FitSettings, Moments};
use pomona_store::Place;

pub use crate::context::Context;
use crate::description::describe;
use crate::error::PipelineError;
use crate::extract::{ExtractSettings, Extracted, Work, extract, features_stage};
use crate::extraction::KeyPointExtraction;
use crate::extractor::{ExtractorRequest, extractor_for};
use crate::fit::{FitRequest, fit};
use crate::folder::{Overwrite, RunFolder, shard_number};
use crate::input::FeatureInput;
use crate::memory;
use crate::model::ModelFile;
use crate::moments;
use crate::outcome::SavedForecast;
use crate::record::{RunRecord, TrafficRecord, now};
use crate::reduce::{self, ReduceRequest, ReducedRows, clear_reduced, reduce_rows};
use crate::report::{Gathered, report_of};
use crate::results::{Ahead, Components};
use crate::started::Started;
use crate::words::{self, Codebook, WordFeatures, WordSettings};

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
    pub model: Option<Place>,
    /// Whether a model that the run has already is fitted anew.
    pub refit: bool,
    /// Folder for one CSV file an image, where that is wanted.
    pub per_image_csv: Option<Place>,
    /// What to do with a run that is there already.
    pub overwrite: Overwrite,
    /// The options as the person gave them, for `run.json` and the report.
    pub shown: BTreeMap<String, String>,
    /// The command that all of this came from, word by word, for `started.json`.
    pub command: Vec<String>,
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
    /// The run folder.
    pub folder: Place,
    /// The report, which is there after all steps.
    pub report: Place,
    /// The extraction.
    pub extracted: Extracted,
    /// As `run.json` tells it.
    pub record: RunRecord,
}

/// Extracts into the folder `out`, and where all steps are asked for fits (or takes the model given, or the one that the
/// run has), reduces and reports. Keeps other processes from the folder until it ends, however it ends.
///
/// # Errors
/// Those of [`RunFolder::create`] and of the steps.
pub async fn run(
    context: &Context,
    source: &ImageSource,
    request: &ExtractorRequest,
    settings: &RunSettings,
    out: &Place,
    steps: Steps,
) -> Result<RunOutcome, PipelineError> {
    let beginning = Beginning::of(context, source, request, settings).await?;
    let folder = &RunFolder::create(context, out, settings.overwrite).await?;
    let outcome = carry_out(context, source, request, beginning, settings, folder, steps).await;
    context.runner.settle().await;
    if context.runner.is_remote() {
        // What executors needed of this run; whatever is left of it, `clean` removes.
        let _ = remove_assets(folder.place()).await;
        if outcome.is_ok() {
            // All that executors were to write is there: what is unfinished was left by one that was killed.
            let _ = folder.place().clean().await;
        }
    }
    folder.release().await;
    outcome
}

/// What a run needs that leaves its folder as it is.
struct Beginning {
    /// A model of another run, to be used.
    given: Option<ModelFile>,
    images: ImageListing,
    extractor: Arc<Extractor>,
    notes: Vec<String>,
    /// Threads may be at it until this is dropped.
    warming: Option<WarmUp>,
}

impl Beginning {
    /// Begins to list the photos and to make sessions of the network: both go on while the run folder is asked for.
    async fn of(
        context: &Context,
        source: &ImageSource,
        request: &ExtractorRequest,
        settings: &RunSettings,
    ) -> Result<Self, PipelineError> {
        let given = match &settings.model {
            Some(file) => Some((ModelFile::load(file).await?, file.shown())),
            None => None,
        };
        let images = source.list(
            settings.extract.filter.clone(),
            settings.extract.labels.clone(),
        );
        let (extractor, notes) = extractor_for(
            context,
            request,
            given.as_ref().map(|(model, file)| (model, file.as_path())),
        )?;
        let warming = (!context.runner.is_remote()).then(|| extractor.warm_up());
        Ok(Self {
            given: given.map(|(model, _)| model),
            images,
            extractor,
            notes,
            warming,
        })
    }
}

/// What the steps after the extraction share.
struct Job<'a> {
    context: &'a Context,
    settings: &'a RunSettings,
    folder: &'a RunFolder,
    extractor: &'a Arc<Extractor>,
    extracted: &'a Extracted,
    /// Whether the run had ended: then `results.csv` is that of `reduced/`.
    was_finished: bool,
    /// Sums of the features of the newest generation, where they were made.
    added: Option<Moments>,
    /// A model of another run, to be used.
    given: Option<ModelFile>,
    /// What the model is, or would be, fitted with.
    fitted_with: BTreeMap<String, String>,
}

async fn carry_out(
    context: &Context,
    source: &ImageSource,
    request: &ExtractorRequest,
    beginning: Beginning,
    settings: &RunSettings,
    folder: &RunFolder,
    steps: Steps,
) -> Result<RunOutcome, PipelineError> {
    let Beginning {
        given,
        images,
        extractor,
        notes,
        warming: _warming,
    } = beginning;
    let mut record = RunRecord {
        pomona: env!("CARGO_PKG_VERSION").to_owned(),
        started: now(),
        source: source.place().to_string(),
        backbone: described(&extractor),
        settings: settings.shown.clone(),
        notes,
        ..RunRecord::default()
    };
    record
        .settings
        .insert("workers".to_owned(), context.workers.to_string());
    let mut fitted_with = fitted_with(settings);
    if let Some(model) = &given {
        // By what it holds, not by how it was called.
        fitted_with.insert("model".to_owned(), model.sha256()?);
    }
    let deciding = deciding(source, &extractor, &settings.shown);
    let stays = (steps == Steps::All && !settings.refit).then_some(&fitted_with);
    let started = folder.begin(&deciding, stays, &settings.command).await?;
    let was_finished = folder.is_finished().await?;
    let description = if context.runner.is_remote() {
        describe(context, &extractor, request.limits, folder.place()).await?
    } else {
        String::new()
    };
    let work = Work {
        source,
        extractor: &extractor,
        description,
        settings: &settings.extract,
        folder,
    };
    let (extracted, seen) = extract(context, &work, started, images).await?;
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
    let mut started = folder.started().await?.unwrap_or_default();
    let job = Job {
        context,
        settings,
        folder,
        extractor: &extractor,
        extracted: &extracted,
        was_finished,
        added: seen.added,
        given,
        fitted_with,
    };
    let mut gathered = Gathered {
        ledger: Some(seen.ledger),
        components: None,
    };
    if steps == Steps::All {
        gathered.components = after_extraction(&job, &mut started, &mut record).await?;
    } else {
        if extracted.is_changed || !was_finished {
            // What followed from the photos as they were.
            clear_reduced(folder.place()).await?;
            folder.report().delete().await?;
        }
        remember(folder, &mut started, &extracted, None).await?;
    }
    tell_growth(&started, &mut record);
    record.bytes_read = extracted.bytes_read;
    record.finished = now();
    for (place, reading) in context.stores.traffic().await {
        record.traffic.push(TrafficRecord::of(place, reading));
    }
    record.cluster = context.runner.cluster().await;
    record.spent = settings
        .extract
        .bounds
        .spent(context.started, context.runner.as_ref());
    let forecast = match steps {
        Steps::All if extracted.done_before == 0 => SavedForecast::of(folder).await,
        _ => None,
    };
    // What the report tells of a run that has almost ended.
    compare(context, forecast.as_ref(), &mut record);
    if steps == Steps::All {
        let began = Instant::now();
        report_of(context, folder, record.clone(), gathered).await?;
        record.set_stage("report", began.elapsed().as_secs_f64(), 1);
        record.finished = now();
    }
    compare(context, forecast.as_ref(), &mut record);
    folder.write_record(&record).await?;
    Ok(RunOutcome {
        folder: folder.place().clone(),
        report: folder.report(),
        extracted,
        record,
    })
}

/// Takes down the most memory so far, and what was forecast beside what came of it.
fn compare(context: &Context, forecast: Option<&SavedForecast>, record: &mut RunRecord) {
    record.peak_memory_bytes = memory::peak_bytes();
    let secs = context.started.elapsed().as_secs_f64();
    record.forecast = forecast.map(|forecast| forecast.compare(record, secs));
}

fn tell_growth(started: &Started, record: &mut RunRecord) {
    if started.history.len() > 1 {
        record.generations.clone_from(&started.history);
    }
}

/// What decides a fit, by the names of the options.
fn fitted_with(settings: &RunSettings) -> BTreeMap<String, String> {
    const FITTING: [&str; 11] = [
        "model",
        "components",
        "scale",
        "seed",
        "words",
        "distance",
        "max-passes",
        "tolerance",
        "batch-rows",
        "weighting",
        "norm",
    ];
    settings
        .shown
        .iter()
        .filter(|(name, _)| FITTING.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

/// Writes down what the generation brought.
async fn remember(
    folder: &RunFolder,
    started: &mut Started,
    extracted: &Extracted,
    drift: Option<Drift>,
) -> Result<(), PipelineError> {
    if !extracted.is_changed && started.counts == extracted.counts {
        return Ok(());
    }
    started.counts.clone_from(&extracted.counts);
    let mut generation = extracted.generation.clone();
    generation.drift = drift;
    if extracted.is_changed {
        generation.forgotten = std::mem::take(&mut started.forgotten);
    }
    if extracted.is_changed {
        started
            .history
            .retain(|before| before.number != generation.number);
        started.history.push(generation);
    }
    folder.note_started(started).await
}

/// Fits or takes a model, reduces, and fills the record; gives the components, where they are at hand.
async fn after_extraction(
    job: &Job<'_>,
    started: &mut Started,
    record: &mut RunRecord,
) -> Result<Option<Components>, PipelineError> {
    let Job {
        context,
        settings,
        folder,
        extractor,
        extracted,
        ..
    } = job;
    let own = own_model(job, started).await?;
    let words = words_of(job, own.as_ref(), record).await?;
    let input = match &words {
        Some(words) => words.input.clone(),
        None => FeatureInput::open(context, folder.place()).await?,
    };
    let began = Instant::now();
    let is_first_fit = extracted.generation.number == 0;
    let own = match own {
        // One of a fit whose run was stopped: its photos may have changed since.
        Some(own) if is_first_fit && job.given.is_none() => {
            let data = input.fingerprint(context, own.data.rows).await?;
            (data == own.data).then_some(own)
        }
        own => own,
    };
    let keeps_model = own.is_some();
    let keeps = match &own {
        // Another model's may have been put there meanwhile.
        Some(own) => reduce::is_of(context, folder.place(), own).await?,
        None => false,
    };
    if !keeps {
        folder.unfinish().await?;
        // Components of another model must not be taken for those of the new one.
        clear_reduced(folder.place()).await?;
    }
    let model = match (own, &job.given) {
        (Some(own), _) => own,
        (None, Some(given)) => {
            given.save(&folder.model()).await?;
            given.clone()
        }
        (None, None) => {
            let request = FitRequest {
                input: &input,
                settings: settings.fit,
                seed: settings.seed,
                extractor: Some(*extractor),
                words: words.as_ref().map(|words| &words.model),
            };
            let (model, notes) = fit(context, &request, &folder.model()).await?;
            record.notes.extend(notes);
            record.set_stage("fit", began.elapsed().as_secs_f64(), model.data.rows);
            model
        }
    };
    // What stays of the components is read while the new ones are made.
    let ahead = if keeps && extracted.is_changed {
        let mut old = folder.table("reduced").await?;
        old.retain(|file| !is_new(file, extracted));
        Ahead::read(old, model.reducer.output_columns()).await?
    } else {
        None
    };
    let drift = if keeps_model && !is_first_fit && extracted.is_changed {
        drift(job, &model).await?
    } else {
        None
    };
    if let Some(text) = drift.as_ref().and_then(told) {
        context.note(&text);
        record.notes.push(text);
    }
    if started.fitted.as_ref() != Some(&job.fitted_with) {
        started.fitted = Some(job.fitted_with.clone());
        folder.note_started(started).await?;
    }
    record
        .explained_variance_ratio
        .clone_from(&model.reducer.explained_variance_ratio);
    let has_csv = job.was_finished && folder.place().join("results.csv").is_file().await?;
    let mut components = None;
    if !(keeps && !extracted.is_changed && has_csv && settings.per_image_csv.is_none()) {
        if keeps && extracted.is_changed {
            let mut again = folder.table("reduced").await?;
            again.retain(|file| is_new(file, extracted));
            Place::delete_all(&again).await?;
        }
        let request = ReduceRequest {
            input: &input,
            model: &model,
            out: folder.place(),
            per_image_csv: settings.per_image_csv.as_ref(),
            keeps,
        };
        let ReducedRows {
            reduced,
            components: rows,
        } = reduce_rows(context, &request, ahead).await?;
        components = rows;
        record.set_stage("reduce", reduced.reduce_seconds, reduced.rows);
        record.set_stage("write", reduced.write_seconds, reduced.rows);
    }
    remember(folder, started, extracted, drift).await?;
    Ok(components)
}

/// Whether the file is of a shard of the newest generation.
fn is_new(file: &Place, extracted: &Extracted) -> bool {
    shard_number(file).is_some_and(|shard| shard >= extracted.first_shard)
}

/// The model that the run has, where it is to stay.
async fn own_model(job: &Job<'_>, started: &Started) -> Result<Option<ModelFile>, PipelineError> {
    let is_asked_for = !job.settings.refit
        && started.fitted.as_ref() == Some(&job.fitted_with)
        && job.folder.model().is_file().await?;
    if !is_asked_for {
        return Ok(None);
    }
    let own = ModelFile::load(&job.folder.model()).await?;
    Ok(Some(own).filter(|own| job.given.as_ref().is_none_or(|given| given == own)))
}

async fn words_of(
    job: &Job<'_>,
    own: Option<&ModelFile>,
    record: &mut RunRecord,
) -> Result<Option<WordFeatures>, PipelineError> {
    let Some(keypoints) = KeyPointExtraction::of(job.extractor) else {
        return Ok(None);
    };
    let folder = job.folder;
    // In the first generation photos may have changed since a fit that was stopped: the codebook is learned again.
    let own = own.filter(|_| job.extracted.generation.number > 0);
    let codebook = match job.given.as_ref().or(own) {
        Some(model) => Codebook::of(model),
        None => Codebook::Learn(&job.settings.words),
    };
    let words = words::words(
        job.context,
        folder,
        &keypoints,
        codebook,
        job.settings.by_label.then_some(folder.place()),
        folder.place(),
    )
    .await?;
    if matches!(codebook, Codebook::Learn(_)) {
        record.set_stage("codebook", words.seconds[0], words.record.keypoints);
    }
    record.set_stage("words", words.seconds[1], job.extracted.ok());
    record.notes.extend(words.notes.iter().cloned());
    record.words = Some(words.record.clone());
    Ok(Some(words))
}

/// How far the features of the newest shards lie from what the model was fitted on.
async fn drift(job: &Job<'_>, model: &ModelFile) -> Result<Option<Drift>, PipelineError> {
    if let Some(rows) = &job.added {
        return Ok(Some(Drift::between(rows, &model.reducer)?));
    }
    let mut new = job.folder.table("features").await?;
    new.retain(|file| is_new(file, job.extracted));
    Ok(match moments::sum(job.context, &new, "features").await? {
        Some(rows) => Some(Drift::between(&rows, &model.reducer)?),
        None => None,
    })
}

/// A sentence, where the new photos lie further off than chance puts them.
fn told(drift: &Drift) -> Option<String> {
    // As the report judges.
    const FEW: u64 = 30;
    const FAR: f64 = 2.0;
    const LEAST_DEVIATIONS: f64 = 0.2;
    let times = drift.shift / drift.sampling_shift.max(f64::MIN_POSITIVE);
    let is_far = drift.rows >= FEW && times > FAR && drift.shift >= LEAST_DEVIATIONS;
    is_far.then(|| {
        format!(
            "the {} new images lie {times:.1} times further from the fitted mean than chance would put them; --refit fits the model anew",
            drift.rows
        )
    })
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
    deciding.insert("photos".to_owned(), source.place().to_string());
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
