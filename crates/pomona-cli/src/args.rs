//! The command line, as it is typed.

mod cluster;
mod plan;
mod store;
mod upkeep;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use pomona_engine::LabelRuleText;
use pomona_image::Preparation;
use pomona_learn::Components;
use pomona_learn::kmeans::{Distance, KMeansSettings};
use pomona_learn::words::{Norm, Weighting};
use pomona_pipeline::WordSettings;
use pomona_pipeline::assets::EngineChoice;

pub(crate) use cluster::{
    AskArgs, CancelArgs, CertificatesArgs, ClusterArgs, ClusterCommand, ExecutorArgs, JobArgs,
    JobsArgs, SchedulerAddress, SchedulerArgs, TlsArgs, UpArgs,
};
pub(crate) use plan::{BoundArgs, ForecastArgs, PlanArgs};
pub(crate) use store::{EncryptionArg, StoreArgs};
pub(crate) use upkeep::{CleanArgs, ForgetArgs, PackArgs, RetryArgs, StatusArgs};

/// Turns a folder or bucket of labelled photos into features, a fitted reducer and a report.
#[derive(Debug, Parser)]
#[command(
    name = "pomona",
    version,
    propagate_version = true,
    max_term_width = 100
)]
#[command(after_help = "Examples:
  pomona demo                                  try it on the demonstration photos
  pomona run PHOTOS --out RUN                  the whole job on a folder of one's own
  pomona plan PHOTOS                           what that would take
  pomona run s3://bucket/photos --out s3://bucket/run
                                               the same in a bucket
  pomona run NEW --out RUN2 --model RUN/model.pomona
                                               the same model on new photos
  pomona why RUN Banana/3.jpg                  what became of one photo
  pomona sql RUN 'SELECT status, count(*) FROM images GROUP BY status'

Exit status: 0 done, 1 the input's fault, 2 unexpected.")]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) output: OutputArgs,
    #[command(flatten)]
    pub(crate) store: StoreArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Args)]
pub(crate) struct OutputArgs {
    /// Say nothing but what went wrong or changes the numbers.
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Report progress as one JSON event a line on the standard error, and the result as JSON.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Take settings from this file.  [default: POMONA_SETTINGS, else pomona.toml in the current folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Print all settings of the command with where each comes from, as a settings file, and do nothing.
    #[arg(long, global = true)]
    pub(crate) show_settings: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Render the demonstration photos, run everything on them, and print where the report is.
    Demo(DemoArgs),
    /// Photos to features, a fitted reducer, components and a report.
    Run(RunArgs),
    /// Tell what a run would take, here and on rented machines, before it is begun.
    Plan(Box<PlanArgs>),
    /// Photos to features: the first step of `run`.
    Extract(ExtractArgs),
    /// Features to a model: the second step of `run`.
    Fit(FitArgs),
    /// Features and a model to components: the third step of `run`.
    Reduce(ReduceArgs),
    /// Write the report of a run folder again.
    Report(ReportArgs),
    /// Tell how far a run is, and what it was begun with.
    Status(StatusArgs),
    /// Try again what could not be fetched, and nothing else.
    Retry(RetryArgs),
    /// Tell what became of one photo.
    Why(WhyArgs),
    /// Remove a photo from everything that a run holds, and leave a receipt.
    Forget(ForgetArgs),
    /// Remove what unfinished work left in a run folder.
    Clean(CleanArgs),
    /// Put many small photos into a few large archives, which `run` reads as well.
    Pack(PackArgs),
    /// List, add or show the networks that features can come from.
    Backbones(BackbonesArgs),
    /// Ask a run folder a question in SQL.
    Sql(SqlArgs),
    /// Work on several machines: a scheduler, executors, and what they are doing.
    Cluster(ClusterArgs),
    /// Print a script that completes commands in a shell.
    Completions(CompletionsArgs),
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  pomona demo --out demo --no-troubles")]
pub(crate) struct DemoArgs {
    /// Folder for the photos and the run.
    #[arg(long, value_name = "DIR", default_value = "pomona-demo")]
    pub(crate) out: PathBuf,
    /// Seed of the rendering.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Leave the few damaged files out that show how failures are told.
    #[arg(long)]
    pub(crate) no_troubles: bool,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pomona run PHOTOS --out RUN
  pomona run PHOTOS --out RUN --components 0.95 --glob '*.jpg' --label 'regex:(?<label>[^_/]+)_[0-9]+'
  pomona run PHOTOS --out RUN --backbone resnet50 --prepare levels,clahe
  pomona run PHOTOS --out RUN --features orb --words 48 --keypoints 100 --prepare grey,levels,clahe,median
  pomona run Test --out TEST --model RUN/model.pomona")]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) extract: ExtractArgs,
    #[command(flatten)]
    pub(crate) fit: FitOptions,
    /// Fit the model of a run anew, on all its photos, old and new.
    #[arg(long)]
    pub(crate) refit: bool,
    /// Also write one CSV file an image: `DIR/Reduced Features/FOLDER/NAME_reduced_features.csv`.
    #[arg(long, value_name = "DIR")]
    pub(crate) per_image_csv: Option<PathBuf>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  pomona extract PHOTOS --out RUN --backbone model.onnx --layer pooled --normalise imagenet")]
pub(crate) struct ExtractArgs {
    /// Folder or URL (s3, gs, az, http, https, file) of photos, searched recursively, or a tar archive.
    pub(crate) photos: PathBuf,
    /// Folder or URL for the run.
    #[arg(long, value_name = "RUN")]
    pub(crate) out: PathBuf,
    /// Start over where the folder holds a run, instead of going on with it.
    #[arg(long, alias = "overwrite")]
    pub(crate) fresh: bool,
    /// Use a fitted model: its network or key points and preparation, and in `run` its words and reducer.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) listing: ListingArgs,
    #[command(flatten)]
    pub(crate) keypoints: KeyPointArgs,
    #[command(flatten)]
    pub(crate) network: NetworkArgs,
    #[command(flatten)]
    pub(crate) failures: FailureArgs,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
    #[command(flatten)]
    pub(crate) bounds: BoundArgs,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Which photos")]
pub(crate) struct ListingArgs {
    /// Take only files that match; may be given more than once. Without `/` it is matched against the name.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) glob: Vec<String>,
    /// Where labels come from: `parent` folder, `regex:PATTERN` with a group `(?<label>…)`, or `csv:FILE` of path,label.
    #[arg(long, value_name = "RULE", default_value_t)]
    pub(crate) label: LabelRuleText,
    /// Most images in a shard, the unit of work and of commit.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) shard_images: u32,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Kind of features")]
pub(crate) struct KeyPointArgs {
    /// What features are.  [default: network, or as the model says]
    #[arg(long, value_enum)]
    pub(crate) features: Option<FeaturesArg>,
    /// With `--features orb`: key points wanted of an image.  [default: 500]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) keypoints: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FeaturesArg {
    /// The pooled values of a network.
    Network,
    /// ORB key points, counted as visual words.
    Orb,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "From photo to features")]
pub(crate) struct NetworkArgs {
    /// Network: a name from `pomona backbones list`, or an ONNX file.  [default: efficientnet_lite0]
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) backbone: Option<String>,
    /// Tensor to take as features.  [default: the pooled one that feeds the classifier]
    #[arg(long, value_name = "NAME")]
    pub(crate) layer: Option<String>,
    /// Normalisation of pixels: -1..1, 0..1, imagenet or raw.  [default: the network's own]
    #[arg(
        long,
        value_name = "PRESET",
        alias = "normalize",
        allow_hyphen_values = true
    )]
    pub(crate) normalise: Option<String>,
    /// Steps before resizing, in order: grey, gamma=G, levels, clahe, median, bilateral, nlm.
    #[arg(long, value_name = "STEPS")]
    pub(crate) prepare: Option<Preparation>,
    /// Inference engine.
    #[arg(long, value_enum, default_value_t = EngineArg::Auto)]
    pub(crate) engine: EngineArg,
    /// ONNX Runtime's library, instead of the one fetched once into the cache.
    #[arg(long, value_name = "FILE", env = "ORT_DYLIB_PATH")]
    pub(crate) onnx_runtime: Option<PathBuf>,
    /// Images of more pixels are recorded as too_large, not decoded.
    #[arg(long, value_name = "N", default_value_t = pomona_image::Limits::default().max_pixels)]
    pub(crate) max_pixels: u64,
    /// Files of more bytes are recorded as too_large, not fetched.
    #[arg(long, value_name = "N", default_value_t = pomona_image::Limits::default().max_bytes)]
    pub(crate) max_bytes: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineArg {
    /// ONNX Runtime where it can be had, else the pure-Rust engine.
    Auto,
    /// ONNX Runtime or an error.
    OnnxRuntime,
    /// The pure-Rust engine: slower, nothing is fetched.
    PureRust,
}

impl From<EngineArg> for EngineChoice {
    fn from(engine: EngineArg) -> Self {
        match engine {
            EngineArg::Auto => Self::Auto,
            EngineArg::OnnxRuntime => Self::OnnxRuntime,
            EngineArg::PureRust => Self::PureRust,
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Failures")]
pub(crate) struct FailureArgs {
    /// What to do about an image that cannot be read.
    #[arg(long, value_enum, default_value_t = OnErrorArg::Record)]
    pub(crate) on_error: OnErrorArg,
    /// With `--on-error record`: exit with 1 when more than this share of the images failed.
    #[arg(long, value_name = "SHARE", default_value_t = 1.0, value_parser = share)]
    pub(crate) max_failed: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OnErrorArg {
    /// Record why in the ledger and go on.
    Record,
    /// Stop at the first.
    Fail,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Work")]
pub(crate) struct WorkArgs {
    /// Threads to work with.  [default: the machine's cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) workers: Option<u32>,
    /// Cluster that does the work over many images: the address of its scheduler.
    #[arg(long, value_name = "df://HOST:PORT")]
    pub(crate) cluster: Option<String>,
    /// Folder with ca.pem, cert.pem and key.pem, for a cluster that talks over TLS.
    #[arg(long, value_name = "DIR", requires = "cluster")]
    pub(crate) cluster_tls: Option<PathBuf>,
}

impl WorkArgs {
    pub(crate) fn workers(&self) -> usize {
        match self.workers {
            Some(workers) => workers as usize,
            None => std::thread::available_parallelism().map_or(1, usize::from),
        }
    }
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Visual words (with --features orb)")]
pub(crate) struct WordArgs {
    /// Words of the codebook.
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    pub(crate) words: u32,
    /// What makes descriptors alike: their 32 bytes as numbers, or their 256 bits.
    #[arg(long, value_enum, default_value_t = DistanceArg::Euclidean)]
    pub(crate) distance: DistanceArg,
    /// Most passes of k-means that move the centres.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) max_passes: u32,
    /// K-means ends when the centres move by less than this share of the descriptors' variance.
    #[arg(long, value_name = "SHARE", default_value_t = 1e-4, value_parser = share)]
    pub(crate) tolerance: f64,
    /// Descriptors in a pass, drawn anew for each: for more of them than can be read so often.  [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) batch_rows: Option<u64>,
    /// What a word's entry is.
    #[arg(long, value_enum, default_value_t = WeightingArg::Counts)]
    pub(crate) weighting: WeightingArg,
    /// What an image's entries are divided by: nothing, their sum, or their length.
    #[arg(long, value_enum, default_value_t = NormArg::None)]
    pub(crate) norm: NormArg,
    /// One row an image; or, besides, words_by_label.csv and .parquet.
    #[arg(long, value_enum, default_value_t = PerArg::Image)]
    pub(crate) per: PerArg,
}

impl WordArgs {
    pub(crate) fn settings(&self, seed: u64) -> WordSettings {
        WordSettings {
            kmeans: KMeansSettings {
                words: self.words as usize,
                distance: match self.distance {
                    DistanceArg::Euclidean => Distance::Euclidean,
                    DistanceArg::Hamming => Distance::Hamming,
                },
                seed,
                max_passes: self.max_passes,
                tolerance: self.tolerance,
                batch_rows: self.batch_rows,
                ..KMeansSettings::default()
            },
            weighting: match self.weighting {
                WeightingArg::Counts => Weighting::Counts,
                WeightingArg::TfIdf => Weighting::TfIdf,
            },
            norm: match self.norm {
                NormArg::None => Norm::None,
                NormArg::L1 => Norm::L1,
                NormArg::L2 => Norm::L2,
            },
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum DistanceArg {
    /// Centres are means, as in Spark and scikit-learn.
    Euclidean,
    /// Centres are majorities of bits.
    Hamming,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum WeightingArg {
    /// How often it occurs.
    Counts,
    /// That, times how rare it is among the images.
    TfIdf,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum NormArg {
    /// Nothing.
    None,
    /// Their sum.
    L1,
    /// The root of the sum of their squares.
    L2,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum PerArg {
    /// Images only.
    Image,
    /// Labels too.
    Label,
}

#[derive(Debug, Args)]
#[command(next_help_heading = "Fitting")]
pub(crate) struct FitOptions {
    /// Components to keep: a number such as 100, or a share of the variance such as 0.95.
    #[arg(long, value_name = "K|SHARE", default_value_t = Components::Share(0.95))]
    pub(crate) components: Components,
    /// Do not divide by the deviation; only subtract the mean.
    #[arg(long)]
    pub(crate) no_scale: bool,
    /// Seed of everything random; stored in the model.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) words: WordArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pomona fit RUN --out RUN/model.pomona --components 100
  pomona fit features.parquet --out model.pomona        any Parquet with path, label and a list of floats")]
pub(crate) struct FitArgs {
    /// Run folder, Parquet file, or folder of Parquet files.
    #[arg(value_name = "RUN|FEATURES.parquet")]
    pub(crate) features: PathBuf,
    /// Model file to write.
    #[arg(long, value_name = "MODEL")]
    pub(crate) out: PathBuf,
    #[command(flatten)]
    pub(crate) fit: FitOptions,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  pomona reduce RUN --model RUN/model.pomona --out RUN")]
pub(crate) struct ReduceArgs {
    /// Run folder, Parquet file, or folder of Parquet files.
    #[arg(value_name = "RUN|FEATURES.parquet")]
    pub(crate) features: PathBuf,
    /// Model file.
    #[arg(long, value_name = "MODEL")]
    pub(crate) model: PathBuf,
    /// Folder for reduced/ and results.csv.
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Also write one CSV file an image.
    #[arg(long, value_name = "DIR")]
    pub(crate) per_image_csv: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) work: WorkArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ReportArgs {
    /// Run folder.
    pub(crate) run: PathBuf,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  pomona why RUN Banana/3.jpg")]
pub(crate) struct WhyArgs {
    /// Run folder.
    pub(crate) run: PathBuf,
    /// Path of the photo, relative to the photos' folder.
    pub(crate) path: String,
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  pomona sql RUN 'SELECT label, count(*) FROM images GROUP BY label'
  pomona sql RUN 'SELECT path, error FROM images WHERE error IS NOT NULL' --format csv

Tables: images, features, descriptors, patches, thumbnails, reduced.")]
pub(crate) struct SqlArgs {
    /// Run folder.
    pub(crate) run: PathBuf,
    /// One SELECT.
    pub(crate) query: String,
    /// How to write the answer.
    #[arg(long, value_enum, default_value_t = FormatArg::Table)]
    pub(crate) format: FormatArg,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FormatArg {
    /// Aligned for people.
    Table,
    /// Comma-separated, with a header.
    Csv,
    /// One object a line.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct BackbonesArgs {
    #[command(subcommand)]
    pub(crate) command: BackbonesCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum BackbonesCommand {
    /// List the networks that can be asked for by name.
    List,
    /// Copy an ONNX file into the cache under a name.
    #[command(after_help = "Example:
  pomona backbones add my_network model.onnx --normalise imagenet")]
    Add(BackbonesAddArgs),
    /// Show what a network takes and gives.
    Show(BackbonesShowArgs),
}

#[derive(Debug, Args)]
pub(crate) struct BackbonesAddArgs {
    /// Name to give it.
    pub(crate) name: String,
    /// ONNX file.
    pub(crate) file: PathBuf,
    /// Normalisation of pixels: -1..1, 0..1, imagenet or raw.  [default: the file's sidecar, else the graph's own]
    #[arg(
        long,
        value_name = "PRESET",
        alias = "normalize",
        allow_hyphen_values = true
    )]
    pub(crate) normalise: Option<String>,
    /// Tensor to take as features.  [default: the pooled one that feeds the classifier]
    #[arg(long, value_name = "NAME")]
    pub(crate) layer: Option<String>,
}

#[derive(Debug, Args)]
pub(crate) struct BackbonesShowArgs {
    /// Name or ONNX file.
    pub(crate) name: String,
    /// Normalisation of pixels: -1..1, 0..1, imagenet or raw.  [default: the network's own]
    #[arg(
        long,
        value_name = "PRESET",
        alias = "normalize",
        allow_hyphen_values = true
    )]
    pub(crate) normalise: Option<String>,
    /// Tensor to take as features.
    #[arg(long, value_name = "NAME")]
    pub(crate) layer: Option<String>,
}

#[derive(Debug, Args)]
#[command(after_help = "Example:
  pomona completions bash > /etc/bash_completion.d/pomona")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        _ => Err("a share lies between 0 and 1, such as 0.05".to_owned()),
    }
}
