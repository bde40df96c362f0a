//! `pomona extract`

use pomona_pipeline::Steps;
use serde_json::json;

use super::run::{carry_out, judge};
use super::settings::resolve;
use crate::args::ExtractArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn extract(args: &ExtractArgs, reporter: &Reporter) -> Result<(), Failure> {
    let resolved = resolve(args, None, None)?;
    let (folder, outcome) = carry_out(args, resolved, Steps::Extract, reporter)?;
    reporter.result(
        &folder.path().display().to_string(),
        &json!({"event": "finished", "run": folder.path(), "record": outcome.record}),
    );
    judge(args, &outcome)
}
