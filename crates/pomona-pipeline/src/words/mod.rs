//! Bags of visual words: from the descriptors of a run to features.

mod codebook;
mod labels;
mod model;
mod vectors;

use std::sync::Arc;
use std::time::Instant;

use pomona_learn::kmeans::{Distance, KMeansSettings, PassReport, Stop};
use pomona_learn::words::{Norm, Weighting};
use pomona_store::Place;
use serde::{Deserialize, Serialize};

pub use model::WordModel;

use crate::error::PipelineError;
use crate::events::Event;
use crate::extraction::{Extraction, KeyPointExtraction, WordsExtraction};
use crate::folder::RunFolder;
use crate::input::FeatureInput;
use crate::model::ModelFile;
use crate::run::Context;

/// How descriptors become features.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct WordSettings {
    /// How the codebook is learned.
    pub kmeans: KMeansSettings,
    /// What a word's entry is.
    pub weighting: Weighting,
    /// What vectors are divided by.
    pub norm: Norm,
}

/// The words of a run, in `run.json`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct WordsRecord {
    /// Words of the codebook.
    pub words: usize,
    /// SHA-256 of the codebook and the words' weights, hex.
    pub codebook_sha256: String,
    /// What makes descriptors alike.
    pub distance: Distance,
    /// What a word's entry is.
    pub weighting: Weighting,
    /// What vectors are divided by.
    pub norm: Norm,
    /// Key points of all images.
    pub keypoints: u64,
    /// Images without any, whose features are zeros.
    pub images_without_keypoints: u64,
    /// Key points of each word.
    pub counts: Vec<u64>,
    /// How the codebook was learned; empty where a model brought it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passes: Vec<PassReport>,
    /// Why no more passes were made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stop: Option<Stop>,
}

/// Features made of descriptors.
#[derive(Debug, Clone)]
pub struct WordFeatures {
    /// The features.
    pub input: FeatureInput,
    /// How they came about.
    pub model: WordModel,
    /// For `run.json`.
    pub record: WordsRecord,
    /// What a person should know.
    pub notes: Vec<String>,
    /// Seconds for the codebook, and for the features.
    pub seconds: [f64; 2],
}

/// What descriptors are made into words with.
#[derive(Debug, Clone, Copy)]
pub enum Codebook<'a> {
    /// A new one, learned from them.
    Learn(&'a WordSettings),
    /// That of a fitted model.
    Given(&'a WordModel, &'a Extraction),
    /// None: the model was fitted on other features, so descriptors are refused.
    None,
}

impl<'a> Codebook<'a> {
    /// That of a model.
    #[must_use]
    pub fn of(model: &'a ModelFile) -> Self {
        match (&model.words, &model.extraction) {
            (Some(words), Some(extraction)) => Self::Given(words, extraction),
            _ => Self::None,
        }
    }
}

/// Whether the run folder holds descriptors, and how they were found.
async fn keypoints_of(
    context: &Context,
    run: &RunFolder,
) -> Result<Option<KeyPointExtraction>, PipelineError> {
    let files = run.table("descriptors").await?;
    if files.is_empty() {
        return Ok(None);
    }
    let table = pomona_engine::ParquetTable::open(
        &context.session,
        files.get(..1).unwrap_or_default(),
        pomona_engine::Grouping::FileEach,
    )
    .await?;
    let schema = datafusion::catalog::TableProvider::schema(&table);
    match KeyPointExtraction::from_metadata(schema.metadata()) {
        Some(extraction) => Ok(Some(extraction)),
        None => Err(PipelineError::NotARun {
            folder: run.place().shown(),
            reason: "its descriptors do not say how they were found".to_owned(),
        }),
    }
}

/// The features at `path`: as they lie there, or, for a run of key points, made of its descriptors, below `out`, with a table of words by label
/// in the folder `by_label`.
///
/// # Errors
/// Those of [`FeatureInput::open`], and as [`run`](crate::run()).
pub async fn features_at(
    context: &Context,
    path: &Place,
    codebook: Codebook<'_>,
    by_label: Option<&Place>,
    out: &Place,
) -> Result<(FeatureInput, Option<WordFeatures>), PipelineError> {
    if !path.is_file().await?
        && let Ok(run) = RunFolder::open(path).await
        && let Some(keypoints) = keypoints_of(context, &run).await?
    {
        {
            run.check_complete(context).await?;
            let words = words(context, &run, &keypoints, codebook, by_label, out).await?;
            return Ok((words.input.clone(), Some(words)));
        }
    }
    Ok((FeatureInput::open(context, path).await?, None))
}

/// Makes the descriptors of a run into features below `out`, and a table of words by label in the folder `by_label`.
///
/// # Errors
/// [`PipelineError::Mismatch`] where a model's key points were found otherwise, and
/// [`PipelineError::NothingToDo`] where there are no descriptors to learn from.
pub(crate) async fn words(
    context: &Context,
    run: &RunFolder,
    keypoints: &KeyPointExtraction,
    codebook: Codebook<'_>,
    by_label: Option<&Place>,
    out: &Place,
) -> Result<WordFeatures, PipelineError> {
    let started = Instant::now();
    let mut record = WordsRecord::default();
    let mut notes = Vec::new();
    let (learned, weighting, norm) = match codebook {
        Codebook::Learn(settings) => {
            let clustering = codebook::learn(context, run, &settings.kmeans).await?;
            for note in &clustering.notes {
                notes.push(note.to_string());
            }
            record.passes = clustering.passes;
            record.stop = Some(clustering.stop);
            (clustering.codebook, settings.weighting, settings.norm)
        }
        Codebook::None => {
            return Err(PipelineError::Mismatch {
                what: "the features are of another kind (--features)",
                expected: "values of a network".to_owned(),
                got: "key points".to_owned(),
            });
        }
        Codebook::Given(model, extraction) => {
            if let Extraction::Words(fitted) = extraction {
                fitted.keypoints.check_same(keypoints)?;
            }
            (
                model.codebook.clone(),
                model.weights.weighting(),
                model.weights.norm(),
            )
        }
    };
    let codebook_seconds = started.elapsed().as_secs_f64();
    let started = Instant::now();
    context
        .observer
        .event(&Event::StageStarted { stage: "words" });
    let learned = Arc::new(learned);
    let summary = context
        .until_cancelled(vectors::summarise(context, run, &learned))
        .await?;
    let model = match codebook {
        Codebook::Given(model, _) => model.clone(),
        _ => WordModel::new(&learned, &summary.frequencies, weighting, norm),
    };
    let extraction = Extraction::Words(WordsExtraction::of(keypoints.clone(), &model));
    let files = context
        .until_cancelled(vectors::write(context, run, &model, &extraction, out))
        .await?;
    if let Some(folder) = by_label {
        labels::write(&summary.labels, folder).await?;
    }
    record.words = model.codebook.words();
    record.codebook_sha256 = model.sha256();
    record.distance = model.codebook.distance();
    record.weighting = weighting;
    record.norm = norm;
    record.counts = labels::totals(&summary.labels);
    record.keypoints = record.counts.iter().sum();
    record.images_without_keypoints = summary.images_without_keypoints;
    if record.images_without_keypoints > 0 {
        notes.push(format!(
            "{} of {} images have no key points; their features are zeros",
            record.images_without_keypoints,
            summary.frequencies.images()
        ));
    }
    for text in &notes {
        context.observer.event(&Event::Note { text: text.clone() });
    }
    let seconds = started.elapsed().as_secs_f64();
    context.observer.event(&Event::StageFinished {
        stage: "words",
        seconds,
        items: summary.frequencies.images(),
    });
    Ok(WordFeatures {
        input: FeatureInput::of_words(context, run, files).await?,
        model,
        record,
        notes,
        seconds: [codebook_seconds, seconds],
    })
}
