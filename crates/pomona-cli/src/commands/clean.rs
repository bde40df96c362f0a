//! `pomona clean`

use serde_json::json;

use super::settings::context;
use crate::args::CleanArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn clean(args: &CleanArgs, reporter: &Reporter) -> Result<(), Failure> {
    let context = context(2, reporter)?;
    let removed = context.runtimes.block_on(async {
        let place = context.stores.place(&args.run).await?;
        pomona_pipeline::clean(&context, &place).await
    })?;
    let text = match removed {
        0 => "there was nothing to remove".to_owned(),
        1 => "1 file removed".to_owned(),
        files => format!("{files} files removed"),
    };
    reporter.result(&text, &json!({"event": "finished", "removed": removed}));
    Ok(())
}
