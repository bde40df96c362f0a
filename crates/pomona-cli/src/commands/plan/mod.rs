//! `pomona plan`

mod bounds;
mod machine;
mod rehearsal;
mod shown;

use std::ffi::OsString;
use std::time::Duration;

use clap::CommandFactory;
use pomona_engine::{ImageSource, ListingFilter};
use pomona_forecast::{
    Forecast, Goal, KnownCpu, Machine, Offer, PriceBook, Size, offers, recommended_shard_images,
    size,
};
use pomona_image::Limits;
use pomona_pipeline::{Context, SavedForecast, Survey, SurveyRequest, survey};
use pomona_store::Place;

use self::rehearsal::{Rehearsed, Stage};
use self::shown::Shown;
use super::settings::context;
use crate::args::{Cli, FeaturesArg, ForecastArgs, PlanArgs};
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::settings_file::Given;
use crate::text::{bytes, counted};

/// Share of the photos' bytes that may be read.
const SAMPLE_SHARE: f64 = 0.01;
/// Photos that are read even where they are more than that: fewer say too little.
const LEAST_SAMPLE: usize = 24;
/// How long the listing may take; the rest is estimated.
const LIST_AT_MOST: Duration = Duration::from_secs(8);
/// Options of `run` that say which photos there are, where things lie, or how many threads there are: the rehearsal has
/// its own.
const NOT_FOR_REHEARSAL: [&str; 6] = ["photos", "out", "glob", "label", "workers", "shard-images"];

pub(crate) fn plan(args: &PlanArgs, given: &[Given], reporter: &Reporter) -> Result<(), Failure> {
    let book = prices(&args.forecast)?;
    // A wrong name is told before anything is measured.
    for name in &args.forecast.machine {
        book.machine(name, Some(&args.forecast.region))?;
    }
    let workers = match args.forecast.workers {
        Some(workers) => workers as usize,
        None => std::thread::available_parallelism().map_or(1, usize::from),
    };
    let context = context(workers, reporter)?;
    let (survey, out) = context.runtimes.block_on(look(args, &context, reporter))?;
    reporter.say(&format!(
        "{}{}, {}; trying {} of them ({})",
        if survey.photos.is_estimate {
            "about "
        } else {
            ""
        },
        counted(survey.photos.images, "photo"),
        bytes(survey.photos.bytes),
        survey.sample.len(),
        bytes(survey.sample_bytes),
    ));
    check_readable(args, &survey)?;
    let words = words(given);
    let rehearsed = Stage {
        sample: &survey.sample,
        words: &words,
        images: survey.photos.images,
        workers: workers as u32,
        shard_images: args.listing.shard_images,
        transfer: survey.transfer,
        cancel: &context.cancel,
    }
    .rehearse()?;
    let forecast = Forecast::here(&rehearsed.rehearsal, survey.photos);
    let room = out.as_ref().and_then(machine::room);
    if let (Some(out), Some(room)) = (&out, room)
        && room < forecast.bytes_written
    {
        return Err(Failure::input(format!(
            "the run would write {}, and {out} has room for {}",
            bytes(forecast.bytes_written),
            bytes(room)
        ))
        .hint("choose another --out, or make room"));
    }
    let system = machine::cpu_name();
    let here = book.cpu_called(&system);
    let wanted = |machine: &Machine| is_wanted(&book, &args.forecast, machine);
    let table = offers(
        &book,
        here,
        &rehearsed.rehearsal,
        survey.photos,
        args.forecast.cluster_size,
        &wanted,
    );
    let sizes = goal(&args.forecast)
        .map(|goal| recommend(&book, here, &rehearsed, &survey, &args.forecast, goal));
    let shard_images = shard_images(&rehearsed, &survey, sizes.as_deref(), &table);
    let shown = Shown {
        args: &args.forecast,
        is_orb: args.keypoints.features == Some(FeaturesArg::Orb),
        survey: &survey,
        forecast: &forecast,
        rehearsed: &rehearsed,
        book: &book,
        here: here.map(|here| here.cpu.title.as_str()),
        system: &system,
        offers: &table,
        sizes: sizes.as_deref(),
        shard_images,
    };
    reporter.result(&shown.text(), &shown.json());
    if let Some(out) = out {
        let saved = SavedForecast {
            made: shown::now(),
            forecast: forecast.clone(),
        };
        context.runtimes.block_on(saved.save(&out))?;
    }
    match &sizes {
        Some(sizes) if sizes.is_empty() => Err(no_machine(&args.forecast)),
        _ => Ok(()),
    }
}

fn prices(args: &ForecastArgs) -> Result<PriceBook, Failure> {
    Ok(match &args.prices {
        Some(file) => {
            let text = std::fs::read_to_string(file).map_err(|error| {
                Failure::input(format!("{} cannot be read: {error}", file.display()))
            })?;
            PriceBook::parse(&text)?
        }
        None => PriceBook::built_in()?,
    })
}

/// Opens the places, regions checked first, and looks at the photos.
async fn look(
    args: &PlanArgs,
    context: &Context,
    reporter: &Reporter,
) -> Result<(Survey, Option<Place>), Failure> {
    let photos = context.stores.place(&args.photos).await?;
    let out = match &args.out {
        Some(out) => Some(context.stores.place(out).await?),
        None => None,
    };
    let excluded = out.iter().cloned().collect();
    let filter = ListingFilter::new(&args.listing.glob, excluded)?;
    let source = ImageSource::open(photos).await?;
    reporter.say("listing the photos");
    let request = SurveyRequest {
        filter,
        labels: args.listing.label.resolve()?,
        max_object_bytes: args.network.max_bytes,
        sample_images: args.forecast.sample as usize,
        sample_share: SAMPLE_SHARE,
        least_images: LEAST_SAMPLE,
        list_at_most: LIST_AT_MOST,
        seed: args.fit.seed,
    };
    Ok((survey(context, &source, &request).await?, out))
}

/// A run of photos that are none would end without features, and says so only after it has looked at all of them.
fn check_readable(args: &PlanArgs, survey: &Survey) -> Result<(), Failure> {
    let limits = Limits {
        max_pixels: args.network.max_pixels,
        max_bytes: args.network.max_bytes,
    };
    let mut first = None;
    for photo in &survey.sample {
        match pomona_image::decode(&photo.content, &limits) {
            Ok(_) => return Ok(()),
            Err(error) => first = first.or(Some((&photo.path, error))),
        }
    }
    let (path, why) = first.map_or_else(Default::default, |(path, error)| {
        (path.as_str(), error.to_string())
    });
    let told = match survey.sample.len() {
        1 => format!("the one photo that was tried, {path}, cannot be read: {why}"),
        tried => {
            format!("none of the {tried} photos that were tried can be read, such as {path}: {why}")
        }
    };
    Err(Failure::input(told).hint(
        "choose other files with --glob; `pomona run` says for each file why it cannot be read",
    ))
}

/// What was given of the options that `run` has too.
fn words(given: &[Given]) -> Vec<OsString> {
    let command = Cli::command();
    let run = command.find_subcommand("run");
    let has = |key: &str| {
        run.is_some_and(|run| run.get_arguments().any(|arg| arg.get_long() == Some(key)))
    };
    given
        .iter()
        .filter(|setting| has(&setting.key) && !NOT_FOR_REHEARSAL.contains(&setting.key.as_str()))
        .flat_map(|setting| setting.words.clone())
        .collect()
}

/// The types asked for, or some that say enough.
fn is_wanted(book: &PriceBook, args: &ForecastArgs, machine: &Machine) -> bool {
    if args.machine.is_empty() {
        return machine.region == args.region
            && [".xlarge", ".4xlarge", "-standard-4", "-standard-16"]
                .iter()
                .any(|size| machine.name.ends_with(size));
    }
    args.machine.contains(&machine.name)
        // Of several of that name, the one in the region.
        && book
            .machine(&machine.name, Some(&args.region))
            .is_ok_and(|found| found.region == machine.region)
}

fn goal(args: &ForecastArgs) -> Option<Goal> {
    args.within
        .map(Goal::Within)
        .or(args.budget_eur.map(Goal::Budget))
}

/// How many of each type meet the goal, the cheapest or earliest first.
fn recommend(
    book: &PriceBook,
    here: Option<KnownCpu<'_>>,
    rehearsed: &Rehearsed,
    survey: &Survey,
    args: &ForecastArgs,
    goal: Goal,
) -> Vec<Size> {
    let mut sizes: Vec<Size> = book
        .machine
        .iter()
        .filter(|machine| is_wanted(book, args, machine))
        .filter_map(|machine| {
            size(
                book,
                here,
                &rehearsed.rehearsal,
                survey.photos,
                machine,
                goal,
                args.lost_per_hour,
            )
        })
        .collect();
    let price = |size: &Size| size.offer.eur_spot.unwrap_or(size.offer.eur_on_demand);
    match goal {
        Goal::Within(_) => sizes.sort_by(|one, other| price(one).total_cmp(&price(other))),
        Goal::Budget(_) => sizes.sort_by(|one, other| one.secs_95.total_cmp(&other.secs_95)),
    }
    sizes
}

/// For the machines that are recommended, else for this one.
fn shard_images(
    rehearsed: &Rehearsed,
    survey: &Survey,
    sizes: Option<&[Size]>,
    offers: &[Offer],
) -> u32 {
    let rehearsal = &rehearsed.rehearsal;
    let offer = sizes
        .and_then(|sizes| sizes.first())
        .map(|size| &size.offer)
        .or_else(|| offers.iter().find(|offer| offer.machines > 1));
    match offer {
        Some(offer) => recommended_shard_images(
            survey.photos.images,
            offer.machines.saturating_mul(offer.vcpus),
            Offer::worker_secs(rehearsal, &offer.translation),
        ),
        None => recommended_shard_images(
            survey.photos.images,
            rehearsal.workers,
            rehearsal.worker_secs(),
        ),
    }
}

fn no_machine(args: &ForecastArgs) -> Failure {
    let machines = if args.machine.is_empty() {
        format!("no machine type of {}", args.region)
    } else {
        format!("none of {}", args.machine.join(", "))
    };
    let hint = "ask for other machines (--machine), or for more time or money";
    Failure::input(match args.budget_eur {
        Some(euros) => format!("{machines} does it for {euros} euros"),
        None => format!("{machines} is done in time, however many there are"),
    })
    .hint(hint)
}
