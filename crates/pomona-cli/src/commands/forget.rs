//! `pomona forget`

use pomona_pipeline::ForgetRequest;
use serde_json::json;

use super::settings::context;
use crate::args::ForgetArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn forget(args: &ForgetArgs, reporter: &Reporter) -> Result<(), Failure> {
    let context = context(2, reporter)?;
    let request = ForgetRequest {
        paths: args.path.clone(),
        contents: args.sha256.clone(),
    };
    let done = context.runtimes.block_on(async {
        let place = context.stores.place(&args.run).await?;
        pomona_pipeline::forget(&context, &place, &request).await
    })?;
    reporter.say(&format!(
        "{} removed from everything in {}; the photos themselves and files outside the run are not touched",
        match done.images {
            1 => "1 image".to_owned(),
            images => format!("{images} images"),
        },
        done.run,
    ));
    reporter.result(
        &format!("receipt: {}", done.receipt),
        &json!({"event": "finished", "images": done.images, "receipt": done.receipt.to_string()}),
    );
    Ok(())
}
