//! `pomona run`

use pomona_pipeline::{RunFolder, RunOutcome, Steps};
use serde_json::json;

use super::settings::{Resolved, context, resolve};
use crate::args::{ExtractArgs, RunArgs};
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn run(args: &RunArgs, reporter: &Reporter) -> Result<(), Failure> {
    let resolved = resolve(
        &args.extract,
        Some(&args.fit),
        args.per_image_csv.as_deref(),
    )?;
    let (folder, outcome) = carry_out(&args.extract, resolved, Steps::All, reporter)?;
    let report = folder.report();
    reporter.result(
        &format!("report: {}", report.display()),
        &json!({"event": "finished", "run": folder.path(), "report": report, "record": outcome.record}),
    );
    judge(&args.extract, &outcome)
}

/// Does the steps and says in a line what became of the images.
pub(crate) fn carry_out(
    args: &ExtractArgs,
    resolved: Resolved,
    steps: Steps,
    reporter: &Reporter,
) -> Result<(RunFolder, RunOutcome), Failure> {
    let Resolved {
        source,
        request,
        settings,
        folder,
    } = resolved;
    let context = context(args.work.workers(), reporter)?;
    let outcome = context.runtimes.block_on(async {
        pomona_pipeline::run(&context, &source, &request, &settings, &folder, steps).await
    })?;
    let extracted = &outcome.extracted;
    let failed: Vec<String> = extracted
        .counts
        .iter()
        .filter(|(status, count)| status.as_str() != "ok" && **count > 0)
        .map(|(status, count)| format!("{count} {status}"))
        .collect();
    reporter.say(&format!(
        "{} of {} images gave features, {:.0} a second{}{}",
        extracted.ok(),
        extracted.total(),
        outcome.record.images_per_second,
        if failed.is_empty() { "" } else { "; " },
        failed.join(", "),
    ));
    Ok((folder, outcome))
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
