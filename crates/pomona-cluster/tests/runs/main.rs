//! Runs on a cluster, beside the same runs in one process.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects by failing"
)]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pomona_cluster::{
    ClusterRunner, ExecutorSettings, Scheduler, SchedulerSettings, own_version, plan_codec,
    run_executor,
};
use pomona_demo::DemoSettings;
use pomona_engine::{
    ClusterReading, EXTRACT_JOB, FetchSettings, ImageSource, LabelRule, ListingFilter, PlanStores,
    Services, SessionLimits, ShardSize, embedded_session,
};
use pomona_image::Limits;
use pomona_learn::{Components, FitSettings};
use pomona_pipeline::assets::EngineChoice;
use pomona_pipeline::{
    Bounds, Context, ExtractSettings, ExtractorRequest, FeatureKind, OnError, Overwrite,
    RunOutcome, RunRecord, RunSettings, Selection, Silent, Steps, WordSettings,
    described_extractor,
};
use pomona_store::{Place, StoreSettings};
use tokio_util::sync::{CancellationToken, DropGuard};

/// A scheduler and executors of this process, which end with it.
struct Cluster {
    address: SocketAddr,
    _contexts: Vec<Context>,
    _stop: DropGuard,
    _folder: tempfile::TempDir,
}

fn context() -> Context {
    Context::start(1, StoreSettings::default(), Arc::new(Silent)).unwrap()
}

impl Cluster {
    fn start(executors: usize) -> Self {
        let stop = CancellationToken::new();
        let folder = tempfile::tempdir().unwrap();
        let mut settings = SchedulerSettings::new(plan_codec(None), own_version());
        settings.bind = SocketAddr::from(([127, 0, 0, 1], 0));
        settings.stop = stop.clone();
        let first = context();
        let scheduler = first
            .runtimes
            .block_on::<_, _, Failure>(async { Ok(Scheduler::start(settings).await?) })
            .unwrap();
        let address = scheduler.address();
        first.runtimes.spawn(scheduler.run());
        let mut contexts = vec![first];
        for number in 0..executors {
            let context = context();
            let services = Services::new(
                Arc::clone(&context.stores),
                context.runtimes.fetch().unwrap(),
            );
            let services = Arc::new(services.for_others(
                folder.path().join(format!("assets-{number}")),
                Box::new(|description, services| {
                    described_extractor(description, services, 1, None)
                }),
            ));
            let session = embedded_session(SessionLimits::default(), Arc::clone(&services));
            let mut settings = ExecutorSettings::new(
                address.ip().to_string(),
                address.port(),
                own_version(),
                plan_codec(Some(Arc::clone(&services))),
                session.unwrap().state(),
            );
            let extension = Arc::clone(&services);
            settings.session_hook = Some(Arc::new(move |config| {
                config.with_extension(Arc::clone(&extension))
            }));
            settings.object_stores = Some(Arc::new(PlanStores::new(services)));
            settings.slots = 2;
            settings.work_folder = Some(folder.path().join(format!("work-{number}")));
            settings.stop_now = stop.clone();
            context.runtimes.spawn(async move {
                run_executor(settings).await.unwrap();
            });
            contexts.push(context);
        }
        Self {
            address,
            _contexts: contexts,
            _stop: stop.drop_guard(),
            _folder: folder,
        }
    }

    /// A context whose plans are run here.
    fn context(&self) -> Context {
        let mut context = context();
        let address = self.address.to_string();
        let runner = context
            .runtimes
            .block_on::<_, _, Failure>(async {
                let tell = Box::new(|text: &str| panic!("{text}"));
                Ok(
                    ClusterRunner::connect(&address, None, own_version(), plan_codec(None), tell)
                        .await?,
                )
            })
            .unwrap();
        context.runner = Arc::new(runner);
        context
    }
}

/// Whatever went wrong in a test.
#[derive(Debug)]
struct Failure(#[expect(dead_code, reason = "printed where a test fails")] String);

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            text = format!("{text}: {next}");
            cause = next.source();
        }
        Self(text)
    }
}

/// Demonstration photos in a folder of their own.
fn photos(training: usize) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let settings = DemoSettings {
        per_label_training: training,
        per_label_test: 1,
        ..DemoSettings::default()
    };
    let photos = folder.path().join("photos");
    pomona_demo::render(&photos, &settings, &mut |_, _| {}).unwrap();
    (folder, photos)
}

fn request(features: FeatureKind) -> ExtractorRequest {
    ExtractorRequest {
        features: Some(features),
        engine: EngineChoice::PureRust,
        limits: Limits::default(),
        ..ExtractorRequest::default()
    }
}

fn settings() -> RunSettings {
    RunSettings {
        extract: ExtractSettings {
            filter: ListingFilter::default(),
            labels: LabelRule::default(),
            shard_size: ShardSize {
                images: 10,
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

fn run(
    context: &Context,
    photos: &Path,
    out: &Path,
    request: &ExtractorRequest,
    settings: &RunSettings,
) -> Result<RunOutcome, Failure> {
    context.runtimes.block_on(async {
        let source = ImageSource::folder(photos).await?;
        let place = Place::of_path(out)?;
        Ok(pomona_pipeline::run(context, &source, request, settings, &place, Steps::All).await?)
    })
}

/// The bytes of all files of a run that do not tell times.
fn outputs(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut open = vec![run.to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
                continue;
            }
            let name = path
                .strip_prefix(run)
                .unwrap()
                .to_string_lossy()
                .into_owned();
            if !["run.json", "report.html", "started.json"].contains(&name.as_str()) {
                found.insert(name, std::fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// What run.json tells of the cluster.
fn told(run: &Path) -> Option<ClusterReading> {
    let text = std::fs::read_to_string(run.join("run.json")).unwrap();
    serde_json::from_str::<RunRecord>(&text).unwrap().cluster
}

fn the_same_as_in_one_process(features: FeatureKind) {
    let (folder, photos) = photos(1);
    let (here, there) = (folder.path().join("here"), folder.path().join("there"));
    let (request, settings) = (request(features), settings());
    let alone = run(&context(), &photos, &here, &request, &settings).unwrap();
    let cluster = Cluster::start(2);
    let context = cluster.context();
    let outcome = run(&context, &photos, &there, &request, &settings).unwrap();
    assert_eq!(outcome.extracted.counts, alone.extracted.counts);
    assert_eq!(outcome.extracted.new_images, alone.extracted.new_images);
    let (alone, clustered) = (outputs(&here), outputs(&there));
    assert_eq!(
        alone.keys().collect::<Vec<_>>(),
        clustered.keys().collect::<Vec<_>>()
    );
    for (name, bytes) in &alone {
        assert!(clustered[name] == *bytes, "{name} differs");
    }

    let has_section = |run: &Path| {
        let report = std::fs::read_to_string(run.join("report.html")).unwrap();
        report.contains("<section id=\"cluster\"")
    };
    assert_eq!((told(&here), has_section(&here)), (None, false));
    assert!(has_section(&there));
    let told = told(&there).unwrap();
    assert_eq!(Some(&told), outcome.record.cluster.as_ref());
    assert_eq!(told.scheduler, cluster.address.to_string());
    // Each photo was worked on once, by one of the two.
    let photos: u64 = outcome.extracted.counts.values().sum();
    assert!((1..=2).contains(&told.executors.len()), "{told:?}");
    let images: u64 = told.executors.iter().map(|at| at.images).sum();
    assert_eq!(images, photos, "{told:?}");
    let steps = told.steps();
    assert!(steps.iter().all(|step| step.is_finished()), "{told:?}");
    let extract = steps.iter().find(|step| step.name == EXTRACT_JOB).unwrap();
    assert_eq!(extract.images_done + extract.images_failed, photos);
    assert_eq!(extract.shards_done, photos.div_ceil(10));
    assert!(steps.iter().any(|step| step.name == "reduce"), "{told:?}");
    // Work is that of the executors, whichever way it is added up.
    let by_executor: f64 = told.executors.iter().map(|at| at.busy_seconds).sum();
    let stages = || steps.iter().flat_map(|step| &step.stages);
    let by_stage: f64 = stages().map(|stage| stage.busy_seconds).sum();
    let by_both: f64 = stages()
        .flat_map(|stage| stage.busy_seconds_by_executor.values())
        .sum();
    assert!((by_executor - by_stage).abs() < 1e-6, "{told:?}");
    assert!((by_executor - by_both).abs() < 1e-6, "{told:?}");
    assert!(by_executor > 0.0, "{told:?}");
}

#[test]
fn a_run_on_a_cluster_gives_the_same_bytes_as_in_one_process() {
    the_same_as_in_one_process(FeatureKind::Network);
}

#[test]
fn words_on_a_cluster_are_the_same_bytes_as_in_one_process() {
    the_same_as_in_one_process(FeatureKind::Orb);
}
