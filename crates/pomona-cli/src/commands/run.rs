//! `pomona run`

use std::ffi::OsString;

use pomona_pipeline::{RunOutcome, Steps};
use serde_json::json;

use super::settings::{Resolved, resolve};
use crate::args::{ExtractArgs, RunArgs};
use crate::failure::Failure;
use crate::progress::Reporter;
use crate::text::{plain, seconds};

pub(crate) fn run(args: &RunArgs, words: &[OsString], reporter: &Reporter) -> Result<(), Failure> {
    let mut resolved = resolve(
        &args.extract,
        Some(&args.fit),
        args.per_image_csv.as_deref(),
        words,
        reporter,
    )?;
    resolved.settings.refit = args.refit;
    let outcome = carry_out(resolved, Steps::All, reporter)?;
    finish(&outcome, Steps::All, reporter);
    judge(&args.extract, &outcome)
}

/// The last word: where the report is, or the folder.
pub(crate) fn finish(outcome: &RunOutcome, steps: Steps, reporter: &Reporter) {
    let run = outcome.folder.to_string();
    let record = &outcome.record;
    match steps {
        Steps::All => {
            let report = outcome.report.to_string();
            reporter.result(
                &format!("report: {report}"),
                &json!({"event": "finished", "run": run, "report": report, "record": record}),
            );
        }
        Steps::Extract => {
            reporter.result(
                &run,
                &json!({"event": "finished", "run": run, "record": record}),
            );
        }
    }
}

/// Does the steps and says in a line what became of the images.
pub(crate) fn carry_out(
    resolved: Resolved,
    steps: Steps,
    reporter: &Reporter,
) -> Result<RunOutcome, Failure> {
    let Resolved {
        context,
        source,
        request,
        settings,
        out,
    } = resolved;
    let outcome = context.runtimes.block_on(async {
        pomona_pipeline::run(&context, &source, &request, &settings, &out, steps).await
    })?;
    let extracted = &outcome.extracted;
    let failed: Vec<String> = extracted
        .counts
        .iter()
        .filter(|(status, count)| status.as_str() != "ok" && **count > 0)
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    reporter.say(&format!(
        "{} of {} images gave features{}{}{}",
        extracted.ok(),
        extracted.total(),
        match extracted.new_images {
            0 => String::new(),
            _ => format!(", {:.0} a second", outcome.record.images_per_second),
        },
        if failed.is_empty() { "" } else { "; " },
        failed.join(", "),
    ));
    if let Some(cost) = closing(&outcome) {
        reporter.say(&cost);
    }
    Ok(outcome)
}

/// What it took and cost, where that was asked about.
fn closing(outcome: &RunOutcome) -> Option<String> {
    let record = &outcome.record;
    let spent = record.spent.as_ref().map(|spent| {
        let digits = if spent.amount < 1.0 { 4 } else { 2 };
        format!("{:.digits$} {}", spent.amount, plain(&spent.currency))
    });
    let time = record.forecast.as_ref().map(|forecast| {
        let time = forecast.total_secs;
        format!(
            "{} (the forecast was {})",
            seconds(time.outcome),
            seconds(time.forecast)
        )
    });
    match (time, spent) {
        (None, None) => None,
        (Some(time), None) => Some(format!("it took {time}")),
        (None, Some(spent)) => Some(format!("it cost {spent}")),
        (Some(time), Some(spent)) => Some(format!("it took {time} and cost {spent}")),
    }
}

/// Whether too many images failed.
pub(crate) fn judge(args: &ExtractArgs, outcome: &RunOutcome) -> Result<(), Failure> {
    let (failed, total) = (outcome.extracted.failed(), outcome.extracted.total());
    if failed as f64 > args.failures.max_failed * total as f64 {
        return Err(Failure::input(format!(
            "{failed} of {total} images failed, more than the share of {} allowed (--max-failed)",
            args.failures.max_failed
        ))
        .hint("the results are there; the report lists the first failures and their reasons"));
    }
    Ok(())
}
