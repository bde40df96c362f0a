//! `pomona report`

use pomona_pipeline::RunFolder;
use serde_json::json;

use super::settings::context;
use crate::args::ReportArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn report(args: &ReportArgs, reporter: &Reporter) -> Result<(), Failure> {
    let folder = RunFolder::open(&args.run)?;
    let context = context(2, reporter)?;
    let file = context
        .runtimes
        .block_on(pomona_pipeline::report(&context, &folder))?;
    reporter.result(
        &format!("report: {}", file.display()),
        &json!({"event": "finished", "report": file}),
    );
    Ok(())
}
