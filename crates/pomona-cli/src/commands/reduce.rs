//! `pomona reduce`

use pomona_pipeline::{
    Codebook, ModelFile, PipelineError, ReduceRequest, features_at, reduce as reduce_features,
};
use serde_json::json;

use super::settings::context;
use crate::args::ReduceArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn reduce(args: &ReduceArgs, reporter: &Reporter) -> Result<(), Failure> {
    let model = ModelFile::load(&args.model)?;
    let context = context(args.work.workers(), reporter)?;
    let reduced = context.runtimes.block_on::<_, _, PipelineError>(async {
        let codebook = Codebook::of(&model);
        let (input, _) = features_at(&context, &args.features, codebook, None, &args.out).await?;
        let request = ReduceRequest {
            input: &input,
            model: &model,
            out: &args.out,
            per_image_csv: args.per_image_csv.as_deref(),
        };
        reduce_features(&context, &request).await
    })?;
    reporter.result(
        &reduced.csv.display().to_string(),
        &json!({"event": "finished", "csv": reduced.csv, "rows": reduced.rows}),
    );
    Ok(())
}
