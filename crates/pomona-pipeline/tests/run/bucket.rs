//! The same promises in a folder and in a bucket, which a real S3 server on this machine holds.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pomona_engine::ImageSource;
use pomona_pipeline::{
    Context, Overwrite, PipelineError, RunFolder, RunOutcome, RunSettings, Silent, Steps,
};
use pomona_store::{StoreError, StoreSettings, Stores};
use pomona_testbed::{Bucket, Faults, Server};

use crate::support::{Place, context, files, request, settings};

/// Photos in a folder and the same in a bucket; room for runs in both.
struct Both {
    place: Place,
    server: Server,
}

impl Both {
    fn new(training: usize, with_troubles: bool) -> Self {
        let place = Place::with_photos(training, 0, with_troubles);
        fs::create_dir_all(place.path("buckets/runs")).unwrap();
        fs::rename(place.path("photos"), place.path("buckets/photos")).unwrap();
        let server = Bucket::builder(&place.path("buckets")).start().unwrap();
        Self { place, server }
    }

    /// A context whose buckets are the server's.
    fn context(&self, allowed_regions: &[&str]) -> Context {
        let mut context = context(2);
        let stores = StoreSettings {
            allowed_regions: allowed_regions.iter().map(ToString::to_string).collect(),
            ..StoreSettings::default()
        };
        let network = context.runtimes.fetch().unwrap();
        let stores = Stores::with_environment(stores, network, self.server.environment());
        context.stores = Arc::new(stores.unwrap());
        context
    }

    fn photos(&self) -> PathBuf {
        self.place.path("buckets/photos")
    }

    /// The folder that is the run `name` in the bucket.
    fn stored(&self, name: &str) -> PathBuf {
        self.place.path("buckets/runs").join(name)
    }

    fn run(
        &self,
        photos: &str,
        out: &str,
        settings: &RunSettings,
    ) -> Result<RunOutcome, PipelineError> {
        self.run_in(&self.context(&[]), photos, out, settings)
    }

    fn run_in(
        &self,
        context: &Context,
        photos: &str,
        out: &str,
        settings: &RunSettings,
    ) -> Result<RunOutcome, PipelineError> {
        context.runtimes.block_on(async {
            let photos = context.stores.place(Path::new(photos)).await?;
            let out = context.stores.place(Path::new(out)).await?;
            let source = ImageSource::open(photos).await?;
            pomona_pipeline::run(context, &source, &request(), settings, &out, Steps::All).await
        })
    }
}

/// Everything but what tells times.
fn contents(run: &Path) -> BTreeMap<String, Vec<u8>> {
    files(run)
        .into_iter()
        .filter(|file| !["run.json", "report.html", "started.json"].contains(&file.as_str()))
        // Among faults a lock may stay, until it expires.
        .filter(|file| !file.starts_with(".pomona/"))
        .map(|file| (file.clone(), fs::read(run.join(&file)).unwrap()))
        .collect()
}

/// The same but for when objects were changed: a bucket tells that to the second, and etags besides.
fn without_times(run: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = contents(run);
    assert!(found.remove("manifest.parquet").is_some());
    found.retain(|file, _| !file.starts_with("images/"));
    found
}

fn assert_same(one: &BTreeMap<String, Vec<u8>>, other: &BTreeMap<String, Vec<u8>>) {
    assert_eq!(
        one.keys().collect::<Vec<_>>(),
        other.keys().collect::<Vec<_>>()
    );
    for (file, bytes) in one {
        assert!(Some(bytes) == other.get(file), "{file}");
    }
}

#[test]
fn a_run_in_a_bucket_gives_what_a_run_in_a_folder_gives() {
    let both = Both::new(2, true);
    let photos = both.photos().display().to_string();
    let folder = both.place.path("run");
    both.run(&photos, &folder.display().to_string(), &settings())
        .unwrap();
    let wanted = without_times(&folder);
    // Any mix of both.
    let outcome = both
        .run("s3://photos", "s3://runs/all", &settings())
        .unwrap();
    assert_same(&without_times(&both.stored("all")), &wanted);
    assert!(both.stored("all/report.html").exists());
    both.run(&photos, "s3://runs/out", &settings()).unwrap();
    assert_same(&without_times(&both.stored("out")), &wanted);
    let folder = both.place.path("run-2");
    both.run("s3://photos", &folder.display().to_string(), &settings())
        .unwrap();
    assert_same(&without_times(&folder), &wanted);

    // The record tells the traffic, and nothing anywhere tells the keys.
    let photos = &outcome.record.traffic[0];
    assert_eq!(photos.place, "s3://photos");
    assert!(photos.requests > outcome.extracted.total() && photos.failed == 0);
    let environment = both.server.environment();
    let secret = environment
        .iter()
        .find(|(name, _)| name.contains("SECRET"))
        .unwrap();
    for file in files(&both.place.path("buckets/runs")) {
        let bytes = fs::read(both.place.path("buckets/runs").join(&file)).unwrap();
        let has = bytes
            .windows(secret.1.len())
            .any(|window| window == secret.1.as_bytes());
        assert!(!has, "{file}");
    }
    // No lock and nothing unfinished stays.
    assert!(
        !files(&both.stored("all"))
            .iter()
            .any(|file| file.starts_with(".pomona"))
    );
    assert!(both.server.unfinished_uploads().is_empty());
}

#[test]
fn among_faults_the_outputs_are_the_same() {
    let both = Both::new(2, false);
    both.run("s3://photos", "s3://runs/calm", &settings())
        .unwrap();
    let faults = Faults::mix(0.15).hang(std::time::Duration::from_millis(200));
    both.server.rules().set_faults(faults);
    let outcome = both
        .run("s3://photos", "s3://runs/faults", &settings())
        .unwrap();
    both.server.rules().set_faults(Faults::none());
    assert!(both.server.counters().faults_total() > 5);
    assert!(
        outcome
            .record
            .traffic
            .iter()
            .map(|place| place.failed)
            .sum::<u64>()
            > 0
    );
    assert_same(
        &contents(&both.stored("faults")),
        &contents(&both.stored("calm")),
    );
}

#[test]
fn a_run_in_a_bucket_grows_and_is_resumed() {
    let both = Both::new(2, false);
    both.run("s3://photos", "s3://runs/one", &settings())
        .unwrap();
    let kiwis = both.photos().join("Training/Kiwi");
    let some = files(&kiwis)[0].clone();
    fs::copy(
        kiwis.join(&some),
        both.photos().join("Training/Pear/new.jpg"),
    )
    .unwrap();
    fs::remove_file(kiwis.join(&some)).unwrap();
    both.server.refresh().unwrap();
    // Writes are refused at first: nothing looks finished, and the reason is told.
    both.server.rules().deny_writes("one/features");
    let refused = both
        .run("s3://photos", "s3://runs/one", &settings())
        .unwrap_err();
    let hint = refused.hint().unwrap_or_default();
    assert!(hint.contains("s3:PutObject"), "{refused:?} {hint}");
    assert!(!both.stored("one/run.json").exists());
    both.server.rules().clear();
    let grown = both
        .run("s3://photos", "s3://runs/one", &settings())
        .unwrap();
    let generation = &grown.extracted.generation;
    assert_eq!(
        (generation.new, generation.vanished, generation.shards),
        (1, 1, 1)
    );
    assert_eq!(grown.extracted.new_images, 1);
    let again = both
        .run("s3://photos", "s3://runs/one", &settings())
        .unwrap();
    assert!(!again.extracted.is_changed);
}

#[test]
fn a_bucket_elsewhere_is_refused_before_a_photo_is_read() {
    let both = Both::new(1, false);
    both.server.keep_log();
    let elsewhere = both.context(&["us-*"]);
    let refused = both.run_in(&elsewhere, "s3://photos", "s3://runs/one", &settings());
    let Err(PipelineError::Store(StoreError::Region { region, .. })) = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(region, "eu-west-3");
    let read = both
        .server
        .log()
        .into_iter()
        .filter(|entry| entry.method == "GET")
        .count();
    assert_eq!(read, 0);
    let here = both.context(&["eu-*"]);
    both.run_in(&here, "s3://photos", "s3://runs/one", &settings())
        .unwrap();
}

#[test]
fn two_runs_at_once_in_a_bucket_are_one_too_many() {
    let both = Both::new(1, false);
    let one = both.context(&[]);
    let held = one
        .runtimes
        .block_on(async {
            let out = one.stores.place(Path::new("s3://runs/one")).await?;
            RunFolder::create(&one, &out, Overwrite::Continue).await
        })
        .unwrap();
    let second = both.run("s3://photos", "s3://runs/one", &settings());
    assert!(
        matches!(
            &second,
            Err(PipelineError::Store(StoreError::Locked { .. }))
        ),
        "{second:?}"
    );
    one.runtimes
        .block_on(async {
            held.release().await;
            Ok::<_, PipelineError>(())
        })
        .unwrap();
    both.run("s3://photos", "s3://runs/one", &settings())
        .unwrap();
}

#[test]
fn readers_of_a_bucket_ask_a_run_what_they_ask_a_folder() {
    let both = Both::new(1, true);
    both.run("s3://photos", "s3://runs/one", &settings())
        .unwrap();
    let context = Context {
        observer: Arc::new(Silent),
        ..both.context(&[])
    };
    let (status, why, answer) = context
        .runtimes
        .block_on(async {
            let place = context.stores.place(Path::new("s3://runs/one")).await?;
            let folder = RunFolder::open(&place).await?;
            let status = pomona_pipeline::status(&context, &folder).await?;
            let path = "Troubles/Pear/truncated.jpg";
            let why = pomona_pipeline::why(&context, &folder, path).await?;
            let mut answer = Vec::new();
            let sql = "SELECT count(*) AS n FROM features";
            let format = pomona_pipeline::QueryFormat::Json;
            pomona_pipeline::query(&context, &folder, sql, format, &mut answer).await?;
            Ok::<_, PipelineError>((status, why, String::from_utf8_lossy(&answer).into_owned()))
        })
        .unwrap();
    assert!(status.is_finished);
    assert_eq!(why.status, "corrupt");
    assert_eq!(answer.trim(), format!("{{\"n\":{}}}", status.counts["ok"]));
}
