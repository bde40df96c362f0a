//! What are the steps of a run, and what is on disk after each?
//!
//! A run folder holds, after `extract`: `manifest.parquet`, `features/` (or `descriptors/` and `patches/`, where
//! features are visual words), `thumbnails/` and the ledger `images/`; after [`fit`]: `model.pomona`; after [`reduce`]: `reduced/` and `results.csv`; after [`report`]: `report.html`.
//! `run.json` tells what was done so far. Everything appears whole or not at all. [`run`] does all four.

pub mod assets;

mod bounds;
mod context;
mod description;
mod error;
mod events;
mod extract;
mod extraction;
mod extractor;
mod fingerprint;
mod fit;
mod fit_from;
mod folder;
mod forget;
mod input;
mod ledger;
mod manifest;
mod memory;
mod model;
mod moments;
mod outcome;
mod pack;
mod query;
mod record;
mod reduce;
mod report;
mod report_cluster;
mod report_growth;
mod report_words;
mod results;
mod run;
mod self_test;
mod started;
mod status;
mod survey;
mod why;
mod words;

pub use bounds::{Bounds, Reached};
pub use description::described_extractor;
pub use error::PipelineError;
pub use events::{CodebookPass, Event, Observer, Progress, Silent};
pub use extract::{
    ExtractSettings, Extracted, IMAGES_A_JOB, JOBS_AT_ONCE, OnError, SHARDS_A_JOB, Selection,
};
pub use extraction::{Extraction, KeyPointExtraction, NetworkExtraction, WordsExtraction};
pub use extractor::{
    DEFAULT_BACKBONE, ExtractorRequest, FeatureKind, extractor_for, extractor_like,
};
pub use fit::{FitRequest, fit};
pub use fit_from::{FitFrom, fit_from};
pub use folder::{Overwrite, RunFolder};
pub use forget::{ForgetRequest, Forgotten, forget};
pub use input::FeatureInput;
pub use model::{DataFingerprint, ModelFile};
pub use outcome::{Compared, ForecastRecord, SavedForecast};
pub use pack::{PackRequest, Packed, clean, pack};
pub use query::{QueryFormat, query};
pub use record::{RunRecord, StageRecord, TrafficRecord};
pub use reduce::{ReduceRequest, Reduced, reduce};
pub use report::report;
pub use run::{Context, RunOutcome, RunSettings, Steps, run};
pub use self_test::SelfTest;
pub use started::Generation;
pub use status::{RunStatus, status};
pub use survey::{Sampled, Survey, SurveyRequest, survey};
pub use why::{Explanation, why};
pub use words::{Codebook, WordFeatures, WordModel, WordSettings, WordsRecord, features_at};
