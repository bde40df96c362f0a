//! Photos, contexts and settings for the tests.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pomona_demo::DemoSettings;
use pomona_engine::{FetchSettings, ImageSource, LabelRule, ListingFilter, ShardSize};
use pomona_image::Limits;
use pomona_learn::{Components, FitSettings};
use pomona_pipeline::assets::EngineChoice;
use pomona_pipeline::{
    Bounds, Context, ExtractSettings, ExtractorRequest, ModelFile, OnError, Overwrite,
    PipelineError, RunFolder, RunOutcome, RunSettings, Selection, Silent, Steps, WordSettings,
};
use pomona_store::StoreSettings;

/// A folder with some demonstration photos, and room for runs beside them.
pub(crate) struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    /// Photos of all labels, `training` and `test` of each, with the damaged files where asked for.
    pub(crate) fn with_photos(training: usize, test: usize, with_troubles: bool) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        let settings = DemoSettings {
            per_label_training: training,
            per_label_test: test,
            with_troubles,
            ..DemoSettings::default()
        };
        pomona_demo::render(&place.path("photos"), &settings, &mut |_, _| {}).unwrap();
        place
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

pub(crate) fn context(workers: usize) -> Context {
    Context::start(workers, StoreSettings::default(), Arc::new(Silent)).unwrap()
}

/// A place of this machine.
pub(crate) fn at(path: &Path) -> pomona_store::Place {
    pomona_store::Place::of_path(path).unwrap()
}

/// Runs a future to its end.
pub(crate) fn wait<T>(
    future: impl Future<Output = Result<T, PipelineError>>,
) -> Result<T, PipelineError> {
    context(1).runtimes.block_on(future)
}

pub(crate) fn load(model: &Path) -> Result<ModelFile, PipelineError> {
    wait(ModelFile::load(&at(model)))
}

pub(crate) fn open(run: &Path) -> Result<RunFolder, PipelineError> {
    wait(RunFolder::open(&at(run)))
}

/// The engine that needs nothing fetched: the tests must pass without a network.
pub(crate) fn request() -> ExtractorRequest {
    ExtractorRequest {
        engine: EngineChoice::PureRust,
        limits: Limits::default(),
        ..ExtractorRequest::default()
    }
}

pub(crate) fn settings() -> RunSettings {
    RunSettings {
        extract: ExtractSettings {
            filter: ListingFilter::default(),
            labels: LabelRule::default(),
            shard_size: ShardSize {
                images: 20,
                ..ShardSize::default()
            },
            fetch: FetchSettings::default(),
            on_error: OnError::Record,
            selection: Selection::default(),
            bounds: Bounds::default(),
        },
        fit: FitSettings {
            components: Components::Count(10),
            scale: true,
        },
        seed: 7,
        words: WordSettings::default(),
        by_label: false,
        model: None,
        refit: false,
        per_image_csv: None,
        overwrite: Overwrite::Continue,
        shown: BTreeMap::new(),
        command: Vec::new(),
    }
}

pub(crate) fn run(
    workers: usize,
    photos: &Path,
    out: &Path,
    settings: &RunSettings,
    steps: Steps,
) -> Result<RunOutcome, PipelineError> {
    run_as(&request(), workers, photos, out, settings, steps)
}

pub(crate) fn run_as(
    request: &ExtractorRequest,
    workers: usize,
    photos: &Path,
    out: &Path,
    settings: &RunSettings,
    steps: Steps,
) -> Result<RunOutcome, PipelineError> {
    let context = context(workers);
    context.runtimes.block_on(async {
        let source = ImageSource::folder(photos).await?;
        pomona_pipeline::run(&context, &source, request, settings, &at(out), steps).await
    })
}

/// Rows of a query as JSON objects.
pub(crate) fn sql(out: &Path, query: &str) -> Vec<serde_json::Value> {
    let context = context(1);
    let folder = open(out).unwrap();
    let mut answer = Vec::new();
    context
        .runtimes
        .block_on(pomona_pipeline::query(
            &context,
            &folder,
            query,
            pomona_pipeline::QueryFormat::Json,
            &mut answer,
        ))
        .unwrap();
    String::from_utf8(answer)
        .unwrap()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Names of all files below a folder, sorted, `/`-separated.
pub(crate) fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(
                    path.strip_prefix(folder)
                        .unwrap()
                        .to_string_lossy()
                        .into_owned(),
                );
            }
        }
    }
    found.sort();
    found
}
