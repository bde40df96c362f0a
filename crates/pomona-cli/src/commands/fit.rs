//! `pomona fit`

use pomona_learn::FitSettings;
use pomona_pipeline::{
    ExtractorRequest, FeatureInput, FitRequest, PipelineError, extractor_like, fit as fit_model,
};
use serde_json::json;

use super::settings::context;
use crate::args::FitArgs;
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn fit(args: &FitArgs, reporter: &Reporter) -> Result<(), Failure> {
    let context = context(args.work.workers(), reporter)?;
    let model = context.runtimes.block_on(async {
        let input = FeatureInput::open(&context, &args.features).await?;
        // With the network at hand the model can carry test images; without it, test features.
        let extractor = input.extraction().and_then(|extraction| {
            extractor_like(&context, &ExtractorRequest::default(), &extraction).ok()
        });
        let request = FitRequest {
            input: &input,
            settings: FitSettings {
                components: args.fit.components,
                scale: !args.fit.no_scale,
            },
            seed: args.fit.seed,
            extractor: extractor.as_ref(),
        };
        Ok::<_, PipelineError>(fit_model(&context, &request, &args.out).await?.0)
    })?;
    let explained: f64 = model.reducer.explained_variance_ratio.iter().sum();
    reporter.say(&format!(
        "{} components explain {:.1} % of the variance of {} rows",
        model.reducer.output_columns(),
        explained * 100.0,
        model.data.rows
    ));
    reporter.result(
        &args.out.display().to_string(),
        &json!({
            "event": "finished",
            "model": args.out,
            "rows": model.data.rows,
            "components": model.reducer.output_columns(),
            "explained_variance": explained,
        }),
    );
    Ok(())
}
