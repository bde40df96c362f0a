//! `pomona cluster status`

use pomona_cluster::JobSummary;
use serde_json::json;

use super::address::client;
use super::shown;
use crate::args::AskArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(super) fn status(args: &AskArgs, reporter: &Reporter) -> Result<(), Failure> {
    let client = client(&args.scheduler, reporter)?;
    let executors = client.executors()?;
    let scaling = client.scaling()?;
    let open: Vec<JobSummary> = client
        .jobs()?
        .into_iter()
        .filter(|job| !job.state.is_over())
        .collect();
    let text = format!(
        "{} slots, {} tasks in work, {} waiting\n\n{}\n{}",
        scaling.slots,
        scaling.running_tasks,
        scaling.pending_tasks,
        shown::executors(&executors),
        if open.is_empty() {
            "no job is running\n".to_owned()
        } else {
            shown::jobs(&open)
        }
    );
    let json = json!({ "scaling": scaling, "executors": executors, "jobs": open });
    reporter.result(text.trim_end(), &json);
    Ok(())
}
