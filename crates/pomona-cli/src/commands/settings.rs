//! From what was typed to what a run is told.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use pomona_engine::{FetchSettings, ImageSource, LabelRule, ListingFilter, ShardSize};
use pomona_image::Limits;
use pomona_learn::FitSettings;
use pomona_pipeline::{
    Bounds, Context, ExtractSettings, ExtractorRequest, FeatureKind, OnError, Overwrite,
    RunSettings, Selection, WordSettings,
};
use pomona_store::Place;
use pomona_vision::NetworkOptions;

use crate::args::{ExtractArgs, FeaturesArg, FitOptions, OnErrorArg, PerArg, WorkArgs};
use crate::cluster::use_cluster;
use crate::failure::Failure;
use crate::progress::Reporter;

/// Starts the threads, and stops them cleanly at Ctrl-C; connects to the cluster, where one is to do the work.
pub(crate) fn working_context(work: &WorkArgs, reporter: &Reporter) -> Result<Context, Failure> {
    let mut context = context(work.workers(), reporter)?;
    use_cluster(&mut context, work, reporter)?;
    Ok(context)
}

/// The same without a cluster.
pub(crate) fn context(workers: usize, reporter: &Reporter) -> Result<Context, Failure> {
    let context = Context::start(
        workers,
        reporter.stores().clone(),
        Arc::new(reporter.clone()),
    )?;
    let cancel = context.cancel.clone();
    let reporter = reporter.clone();
    context.runtimes.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            reporter.say("stopping; again to stop at once");
            cancel.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(130);
        }
    });
    Ok(context)
}

/// Everything that `extract` and `run` are told.
pub(crate) struct Resolved {
    pub(crate) context: Context,
    pub(crate) source: ImageSource,
    pub(crate) request: ExtractorRequest,
    pub(crate) settings: RunSettings,
    pub(crate) out: Place,
}

/// Reads what the arguments refer to. `words` are the command line, where the run is to remember it.
pub(crate) fn resolve(
    args: &ExtractArgs,
    fit: Option<&FitOptions>,
    per_image_csv: Option<&Path>,
    words: &[OsString],
    reporter: &Reporter,
) -> Result<Resolved, Failure> {
    let context = working_context(&args.work, reporter)?;
    let bounds = bounds(args, &context)?;
    let opened = context
        .runtimes
        .block_on(open(args, per_image_csv, &context))?;
    let Opened {
        source,
        labels,
        request,
        model,
        per_image,
        out,
        filter,
    } = opened;
    let limits = request.limits;
    let settings = RunSettings {
        extract: ExtractSettings {
            filter,
            labels,
            shard_size: ShardSize {
                images: args.listing.shard_images as usize,
                ..ShardSize::default()
            },
            fetch: FetchSettings {
                max_object_bytes: limits.max_bytes,
                ..FetchSettings::default()
            },
            on_error: match args.failures.on_error {
                OnErrorArg::Record => OnError::Record,
                OnErrorArg::Fail => OnError::Fail,
            },
            selection: Selection::default(),
            bounds,
        },
        fit: FitSettings {
            components: fit.map_or(pomona_learn::Components::Share(0.95), |fit| fit.components),
            scale: fit.is_none_or(|fit| !fit.no_scale),
        },
        seed: fit.map_or(0, |fit| fit.seed),
        words: fit.map_or_else(WordSettings::default, |fit| fit.words.settings(fit.seed)),
        by_label: fit.is_some_and(|fit| fit.words.per == PerArg::Label),
        model,
        refit: false,
        per_image_csv: per_image,
        overwrite: if args.fresh {
            Overwrite::Replace
        } else {
            Overwrite::Continue
        },
        shown: shown(args, fit, per_image_csv),
        command: command(words),
    };
    Ok(Resolved {
        context,
        source,
        request,
        settings,
        out,
    })
}

/// How long it may take, and what it may cost.
fn bounds(args: &ExtractArgs, context: &Context) -> Result<Bounds, Failure> {
    let given = &args.bounds;
    if given.max_eur.is_some() {
        match (context.runner.is_remote(), context.runner.hour()) {
            (false, _) if given.price_per_hour.is_none() => {
                return Err(Failure::input(
                    "--max-eur needs to know what this machine costs: give --price-per-hour",
                )
                .hint("such as --price-per-hour 0.17, from the price list of whoever it is rented from"));
            }
            (true, Some(hour)) if hour.currency != "EUR" => {
                return Err(Failure::input(format!(
                    "--max-eur counts euros, and the scheduler was told a price in {}",
                    hour.currency
                ))
                .hint("start it with --price-per-hour EUROS --currency EUR"));
            }
            (true, None) => {
                return Err(Failure::input(
                    "--max-eur needs to know what executors cost, and the scheduler was not told",
                )
                .hint("start it with --price-per-hour EUROS --currency EUR"));
            }
            _ => {}
        }
    }
    Ok(Bounds {
        secs: given.max_minutes.map(|minutes| minutes * 60.0),
        euros: given.max_eur,
        euros_per_hour: given.price_per_hour,
    })
}

/// The places that the arguments name, and what is in them.
struct Opened {
    source: ImageSource,
    labels: LabelRule,
    request: ExtractorRequest,
    model: Option<Place>,
    per_image: Option<Place>,
    out: Place,
    filter: ListingFilter,
}

async fn open(
    args: &ExtractArgs,
    per_image_csv: Option<&Path>,
    context: &Context,
) -> Result<Opened, Failure> {
    let stores = &context.stores;
    // Places first: where only some regions are allowed, nothing is read before all of them are known to be.
    let photos = stores.place(&args.photos).await?;
    let out = stores.place(&args.out).await?;
    let model = match &args.model {
        Some(model) => Some(stores.place(model).await?),
        None => None,
    };
    let per_image = match per_image_csv {
        Some(folder) => Some(stores.place(folder).await?),
        None => None,
    };
    let source = ImageSource::open(photos).await?;
    let labels = args.listing.label.resolve()?;
    let request = extractor_request(args)?;
    if let Some(model) = &model {
        let is_inside = model.parent().path() == out.path() && model.is_within(&out);
        if args.fresh && is_inside {
            return Err(Failure::input(format!(
                "--fresh would remove the model {model} before it is used"
            ))
            .hint("write into another folder"));
        }
    }
    // A run folder among the photos is not listed.
    let filter = ListingFilter::new(&args.listing.glob, vec![out.clone()])?;
    Ok(Opened {
        source,
        labels,
        request,
        model,
        per_image,
        out,
        filter,
    })
}

/// The command as a run remembers it: the folder it was given in, and its words.
fn command(words: &[OsString]) -> Vec<String> {
    let folder = std::env::current_dir().unwrap_or_default();
    let words: Option<Vec<String>> = words
        .iter()
        .map(|word| word.to_str().map(str::to_owned))
        .collect();
    match (folder.to_str(), words) {
        // Words that are not Unicode cannot be written down; nothing else needs them.
        (Some(folder), Some(words)) if !words.is_empty() => {
            std::iter::once(folder.to_owned()).chain(words).collect()
        }
        _ => Vec::new(),
    }
}

fn extractor_request(args: &ExtractArgs) -> Result<ExtractorRequest, Failure> {
    let ExtractArgs {
        keypoints,
        network: args,
        model,
        ..
    } = args;
    let is_orb = keypoints.features == Some(FeaturesArg::Orb);
    // A model may say that features are key points; nothing else does.
    if keypoints.keypoints.is_some() && !is_orb && model.is_none() {
        return Err(Failure::input(
            "--keypoints is for --features orb: a network's features have none",
        ));
    }
    if is_orb && (args.backbone.is_some() || args.layer.is_some() || args.normalise.is_some()) {
        return Err(Failure::input(
            "--backbone, --layer and --normalise are for a network's features, not for --features orb",
        ));
    }
    Ok(ExtractorRequest {
        features: keypoints.features.map(|features| match features {
            FeaturesArg::Network => FeatureKind::Network,
            FeaturesArg::Orb => FeatureKind::Orb,
        }),
        keypoints: keypoints.keypoints.map(|keypoints| keypoints as usize),
        backbone: args.backbone.clone(),
        network: NetworkOptions {
            layer: args.layer.clone(),
            preprocessing: args.normalise.as_deref().map(normalise).transpose()?,
        },
        engine: args.engine.into(),
        library: args.onnx_runtime.clone(),
        preparation: args.prepare.clone(),
        limits: Limits {
            max_pixels: args.max_pixels,
            max_bytes: args.max_bytes,
        },
    })
}

/// Reads a normalisation preset.
pub(crate) fn normalise(preset: &str) -> Result<pomona_vision::Preprocessing, Failure> {
    preset
        .parse()
        .map_err(|error: pomona_vision::VisionError| Failure::input(error.to_string()))
}

/// The options for `run.json` and the report, by their names.
fn shown(
    args: &ExtractArgs,
    fit: Option<&FitOptions>,
    per_image_csv: Option<&Path>,
) -> BTreeMap<String, String> {
    let mut shown = BTreeMap::new();
    let mut put = |name: &str, value: String| {
        shown.insert(name.to_owned(), value);
    };
    put("label", args.listing.label.to_string());
    put("shard-images", args.listing.shard_images.to_string());
    put("max-pixels", args.network.max_pixels.to_string());
    put("max-bytes", args.network.max_bytes.to_string());
    if !args.listing.glob.is_empty() {
        put("glob", args.listing.glob.join(" "));
    }
    if let Some(steps) = &args.network.prepare {
        put("prepare", steps.to_string());
    }
    if let Some(preset) = &args.network.normalise {
        put("normalise", preset.clone());
    }
    let path = |path: &PathBuf| path.display().to_string();
    if let Some(model) = &args.model {
        put("model", path(model));
    }
    if let Some(folder) = per_image_csv {
        put("per-image-csv", folder.display().to_string());
    }
    if let (Some(fit), None) = (fit, &args.model) {
        put("components", fit.components.to_string());
        put("scale", (!fit.no_scale).to_string());
        put("seed", fit.seed.to_string());
        if args.keypoints.features == Some(FeaturesArg::Orb) {
            let words = fit.words.settings(fit.seed);
            put("words", words.kmeans.words.to_string());
            put("distance", words.kmeans.distance.to_string());
            put("max-passes", words.kmeans.max_passes.to_string());
            put("tolerance", words.kmeans.tolerance.to_string());
            put("weighting", words.weighting.to_string());
            put("norm", words.norm.to_string());
            if let Some(rows) = words.kmeans.batch_rows {
                put("batch-rows", rows.to_string());
            }
        }
    }
    shown
}
