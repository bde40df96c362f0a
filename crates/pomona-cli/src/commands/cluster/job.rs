//! `pomona cluster job`

use std::io::{IsTerminal, Write};
use std::time::Duration;

use pomona_cluster::{JobDetail, JobPhase, SchedulerClient};

use super::address::client;
use super::shown;
use crate::args::JobArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

/// Between two looks at a job.
const PERIOD: Duration = Duration::from_millis(500);

pub(super) fn job(args: &JobArgs, reporter: &Reporter) -> Result<(), Failure> {
    let client = client(&args.scheduler, reporter)?;
    let is_live = std::io::stdout().is_terminal() && !reporter.is_json();
    let mut job = client.job(&args.id)?;
    if is_live {
        job = live(&client, &args.id, job)?;
    } else if args.watch {
        job = lines(&client, &args.id, job, reporter)?;
    }
    if !is_live {
        let json = serde_json::to_value(&job).unwrap_or_default();
        reporter.result(shown::detail(&job).trim_end(), &json);
    }
    match job.summary.state {
        JobPhase::Failed if args.watch => Err(Failure::input(format!(
            "job {} failed: {}",
            args.id,
            crate::text::plain(job.summary.error.as_deref().unwrap_or("nobody knows why"))
        ))),
        JobPhase::Cancelled if args.watch => {
            Err(Failure::input(format!("job {} was cancelled", args.id)))
        }
        _ => Ok(()),
    }
}

/// Draws the job again and again in the same place.
fn live(client: &SchedulerClient, id: &str, mut job: JobDetail) -> Result<JobDetail, Failure> {
    let mut drawn = 0;
    loop {
        let text = shown::detail(&job);
        let mut out = std::io::stdout().lock();
        if drawn > 0 {
            // Up to where it began, and nothing below.
            write!(out, "\u{1b}[{drawn}A\u{1b}[J")?;
        }
        if job.summary.state.is_over() {
            write!(out, "{text}")?;
        } else {
            // Lines that are too long are cut, so that as many are drawn as are counted.
            write!(out, "\u{1b}[?7l{text}\u{1b}[?7h")?;
        }
        out.flush()?;
        drop(out);
        drawn = text.lines().count();
        if job.summary.state.is_over() {
            return Ok(job);
        }
        std::thread::sleep(PERIOD);
        job = client.job(id)?;
    }
}

/// Tells how far the job is whenever it has come further.
fn lines(
    client: &SchedulerClient,
    id: &str,
    mut job: JobDetail,
    reporter: &Reporter,
) -> Result<JobDetail, Failure> {
    let mut told = None;
    while !job.summary.state.is_over() {
        let now = (job.summary.state.word(), job.summary.shards.done);
        if told.replace(now) != Some(now) {
            if reporter.is_json() {
                let json = serde_json::to_value(&job.summary).unwrap_or_default();
                reporter.result("", &json);
            } else {
                reporter.say(&shown::line(&job.summary));
            }
        }
        std::thread::sleep(PERIOD);
        job = client.job(id)?;
    }
    Ok(job)
}
