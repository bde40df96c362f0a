//! `pomona cluster jobs` and `pomona cluster cancel`

use serde_json::json;

use super::address::client;
use super::shown;
use crate::args::{CancelArgs, JobsArgs};
use crate::failure::Failure;
use crate::progress::Reporter;

pub(super) fn jobs(args: &JobsArgs, reporter: &Reporter) -> Result<(), Failure> {
    let mut jobs = client(&args.scheduler, reporter)?.jobs()?;
    jobs.truncate(args.most as usize);
    let json = serde_json::to_value(&jobs).unwrap_or_default();
    reporter.result(shown::jobs(&jobs).trim_end(), &json);
    Ok(())
}

pub(super) fn cancel(args: &CancelArgs, reporter: &Reporter) -> Result<(), Failure> {
    client(&args.scheduler, reporter)?.cancel(&args.id)?;
    reporter.result(
        &format!(
            "job {} will end; `pomona cluster job {}` tells when it has",
            args.id, args.id
        ),
        &json!({ "id": args.id, "cancelled": true }),
    );
    Ok(())
}
