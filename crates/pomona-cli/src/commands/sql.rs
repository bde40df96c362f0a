//! `pomona sql`

use pomona_pipeline::{QueryFormat, RunFolder};

use super::settings::context;
use crate::args::{FormatArg, SqlArgs};
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn sql(args: &SqlArgs, reporter: &Reporter) -> Result<(), Failure> {
    let context = context(2, reporter)?;
    let format = match args.format {
        _ if reporter.is_json() => QueryFormat::Json,
        FormatArg::Table => QueryFormat::Table,
        FormatArg::Csv => QueryFormat::Csv,
        FormatArg::Json => QueryFormat::Json,
    };
    let mut out = std::io::stdout();
    context.runtimes.block_on(async {
        let place = context.stores.place(&args.run).await?;
        let folder = RunFolder::open(&place).await?;
        pomona_pipeline::query(&context, &folder, &args.query, format, &mut out).await
    })?;
    Ok(())
}
