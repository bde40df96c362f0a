//! `pomona pack`

use pomona_engine::{ImageSource, ListingFilter};
use pomona_pipeline::{PackRequest, PipelineError};
use serde_json::json;

use super::settings::context;
use crate::args::PackArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn pack(args: &PackArgs, reporter: &Reporter) -> Result<(), Failure> {
    let context = context(2, reporter)?;
    let packed = context.runtimes.block_on::<_, _, PipelineError>(async {
        let out = context.stores.place(&args.out).await?;
        let photos = context.stores.place(&args.photos).await?;
        let request = PackRequest {
            source: ImageSource::open(photos).await?,
            filter: ListingFilter::new(&args.glob, vec![out.clone()])?,
            out,
            archive_bytes: args.archive_bytes,
        };
        pomona_pipeline::pack(&context, &request).await
    })?;
    let text = format!(
        "{} files of {:.1} MB in {} archive{}: {}",
        packed.files,
        packed.content_bytes as f64 / 1e6,
        packed.archives,
        if packed.archives == 1 { "" } else { "s" },
        args.out.display()
    );
    reporter.result(
        &text,
        &json!({
            "event": "finished",
            "out": args.out,
            "files": packed.files,
            "bytes": packed.content_bytes,
            "archives": packed.archives,
            "left_out": packed.left_out.len(),
        }),
    );
    if let Some((path, reason)) = packed.left_out.first() {
        return Err(Failure::input(format!(
            "{} files could not be read and are not in the archives; the first: {path}: {reason}",
            packed.left_out.len()
        )));
    }
    Ok(())
}
