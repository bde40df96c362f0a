//! What lies at a path to a model.

use pomona_engine::remove_assets;
use pomona_learn::FitSettings;
use pomona_store::Place;

use crate::error::PipelineError;
use crate::extractor::{ExtractorRequest, extractor_like};
use crate::fit::{FitRequest, fit};
use crate::model::ModelFile;
use crate::run::Context;
use crate::words::{Codebook, WordSettings, features_at};

/// What to fit, and how.
#[derive(Debug, Clone, Copy)]
pub struct FitFrom<'a> {
    /// A run folder, a Parquet file, or a folder of them.
    pub path: &'a Place,
    /// How many components, and whether to scale.
    pub settings: FitSettings,
    /// How descriptors become features, where the run holds those.
    pub words: &'a WordSettings,
    /// Whether words are summed up by label too, beside the model.
    pub by_label: bool,
    /// The seed that the model file stores.
    pub seed: u64,
}

/// Fits a model on the features at a path, where they are descriptors with a new codebook, and writes it to `out`.
///
/// # Errors
/// Those of [`features_at`] and [`fit`].
pub async fn fit_from(
    context: &Context,
    from: &FitFrom<'_>,
    out: &Place,
) -> Result<ModelFile, PipelineError> {
    let folder = out.parent();
    // Words made of descriptors live as long as the fit needs them: on this machine, or where executors write too.
    let scratch = tempfile::Builder::new()
        .prefix("pomona-")
        .tempdir()
        .map_err(PipelineError::io(&std::env::temp_dir()))?;
    let words_place = if context.runner.is_remote() {
        from.path
            .join(&format!(".pomona/words-{}", std::process::id()))
    } else {
        Place::of_path(scratch.path())?
    };
    let fitted = fit_on(context, from, out, &folder, &words_place).await;
    context.runner.settle().await;
    if context.runner.is_remote() {
        // Whatever is left, `clean` removes.
        let left = words_place.all_below().await.unwrap_or_default();
        let _ = Place::delete_all(&left).await;
        let _ = remove_assets(from.path).await;
    }
    fitted
}

async fn fit_on(
    context: &Context,
    from: &FitFrom<'_>,
    out: &Place,
    folder: &Place,
    words_place: &Place,
) -> Result<ModelFile, PipelineError> {
    let (input, words) = features_at(
        context,
        from.path,
        Codebook::Learn(from.words),
        from.by_label.then_some(folder),
        words_place,
    )
    .await?;
    // With the network or the detector at hand the model can carry test images; without it, test features.
    let extractor = input.extraction().and_then(|extraction| {
        extractor_like(context, &ExtractorRequest::default(), &extraction).ok()
    });
    let request = FitRequest {
        input: &input,
        settings: from.settings,
        seed: from.seed,
        extractor: extractor.as_ref(),
        words: words.as_ref().map(|words| &words.model),
    };
    Ok(fit(context, &request, out).await?.0)
}
