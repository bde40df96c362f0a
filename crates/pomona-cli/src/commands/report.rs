//! `pomona report`

use pomona_pipeline::RunFolder;
use serde_json::json;

use super::settings::context;
use crate::args::ReportArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn report(args: &ReportArgs, reporter: &Reporter) -> Result<(), Failure> {
    let context = context(2, reporter)?;
    let file = context.runtimes.block_on(async {
        let place = context.stores.place(&args.run).await?;
        let folder = RunFolder::open(&place).await?;
        pomona_pipeline::report(&context, &folder).await
    })?;
    reporter.result(
        &format!("report: {file}"),
        &json!({"event": "finished", "report": file.to_string()}),
    );
    Ok(())
}
