//! `pomona retry`

use std::ffi::OsString;

use clap::{CommandFactory, FromArgMatches};
use pomona_pipeline::{RunFolder, Selection, Steps};

use super::run::{carry_out, finish, judge};
use super::settings::{context, resolve};
use crate::args::{Cli, Command, RetryArgs};
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn retry(args: &RetryArgs, reporter: &Reporter) -> Result<(), Failure> {
    let words = {
        let context = context(2, reporter)?;
        context.runtimes.block_on(async {
            let place = context.stores.place(&args.run).await?;
            RunFolder::open(&place).await?.command().await
        })?
    };
    let [folder, words @ ..] = words.as_slice() else {
        return Err(unknown(args));
    };
    let typed = with_positionals(words);
    let run = std::path::absolute(&args.run)?;
    std::env::set_current_dir(folder).map_err(|error| {
        Failure::input(format!(
            "the run was made from the folder {folder}, which cannot be entered: {error}"
        ))
    })?;
    let cli = Cli::command()
        .try_get_matches_from(&typed)
        .and_then(|matches| Cli::from_arg_matches(&matches))
        .map_err(|_| unknown(args))?;
    // What is asked for now counts before what was asked for then.
    let reporter = &reporter.or_stores(&cli.store)?;
    let (mut extract, fit, per_image_csv, steps) = match cli.command {
        Command::Run(run) => (run.extract, Some(run.fit), run.per_image_csv, Steps::All),
        Command::Extract(extract) => (extract, None, None, Steps::Extract),
        _ => return Err(unknown(args)),
    };
    extract.fresh = false;
    // The folder may have been moved since.
    if args.run.to_str().is_none_or(|run| !run.contains("://")) {
        extract.out = run;
    }
    let mut resolved = resolve(
        &extract,
        fit.as_ref(),
        per_image_csv.as_deref(),
        &[],
        reporter,
    )?;
    resolved.settings.extract.selection = Selection::Unreadable;
    let outcome = carry_out(resolved, steps, reporter)?;
    finish(&outcome, steps, reporter);
    judge(&extract, &outcome)
}

/// Places that a settings file named stand as `--photos=…` among the words: they come last, as they would be typed.
fn with_positionals(words: &[String]) -> Vec<OsString> {
    const PLACES: [&str; 1] = ["--photos="];
    let (mut typed, mut places) = (Vec::new(), Vec::new());
    for word in words {
        match PLACES.iter().find_map(|place| word.strip_prefix(place)) {
            Some(place) => places.push(OsString::from(place)),
            None => typed.push(OsString::from(word)),
        }
    }
    typed.extend(places);
    typed
}

fn unknown(args: &RetryArgs) -> Failure {
    Failure::input(format!(
        "{} does not say which command made it",
        args.run.display()
    ))
    .hint("give that command again: it goes on, and tries again what could not be fetched")
}
