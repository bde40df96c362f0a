//! `pomona fit`

use pomona_learn::FitSettings;
use pomona_pipeline::{FitFrom, PipelineError, fit_from};
use serde_json::json;

use super::settings::working_context;
use crate::args::{FitArgs, PerArg};
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn fit(args: &FitArgs, reporter: &Reporter) -> Result<(), Failure> {
    let context = working_context(&args.work, reporter)?;
    let (model, cluster) = context.runtimes.block_on::<_, _, PipelineError>(async {
        let from = FitFrom {
            path: &context.stores.place(&args.features).await?,
            settings: FitSettings {
                components: args.fit.components,
                scale: !args.fit.no_scale,
            },
            words: &args.fit.words.settings(args.fit.seed),
            by_label: args.fit.words.per == PerArg::Label,
            seed: args.fit.seed,
        };
        let out = context.stores.place(&args.out).await?;
        let model = fit_from(&context, &from, &out).await?;
        Ok((model, context.runner.cluster().await))
    })?;
    let explained: f64 = model.reducer.explained_variance_ratio.iter().sum();
    reporter.say(&format!(
        "{} components explain {:.1} % of the variance of {} rows",
        model.reducer.output_columns(),
        explained * 100.0,
        model.data.rows
    ));
    let mut told = json!({
        "event": "finished",
        "model": args.out,
        "rows": model.data.rows,
        "components": model.reducer.output_columns(),
        "explained_variance": explained,
    });
    if let Some(cluster) = cluster {
        told["cluster"] = json!(cluster);
    }
    reporter.result(&args.out.display().to_string(), &told);
    Ok(())
}
