//! `pomona reduce`

use pomona_pipeline::{
    Codebook, ModelFile, PipelineError, ReduceRequest, features_at, reduce as reduce_features,
};
use serde_json::json;

use super::settings::working_context;
use crate::args::ReduceArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn reduce(args: &ReduceArgs, reporter: &Reporter) -> Result<(), Failure> {
    let context = working_context(&args.work, reporter)?;
    let (reduced, cluster) = context.runtimes.block_on::<_, _, PipelineError>(async {
        let model = ModelFile::load(&context.stores.place(&args.model).await?).await?;
        let features = context.stores.place(&args.features).await?;
        let out = context.stores.place(&args.out).await?;
        let per_image_csv = match &args.per_image_csv {
            Some(folder) => Some(context.stores.place(folder).await?),
            None => None,
        };
        let codebook = Codebook::of(&model);
        let (input, _) = features_at(&context, &features, codebook, None, &out).await?;
        let request = ReduceRequest {
            input: &input,
            model: &model,
            out: &out,
            per_image_csv: per_image_csv.as_ref(),
            keeps: false,
        };
        let reduced = reduce_features(&context, &request).await?;
        Ok((reduced, context.runner.cluster().await))
    })?;
    let csv = reduced.csv.to_string();
    let mut told = json!({"event": "finished", "csv": csv, "rows": reduced.rows});
    if let Some(cluster) = cluster {
        told["cluster"] = json!(cluster);
    }
    reporter.result(&csv, &told);
    Ok(())
}
