//! Features to a model.

use std::sync::Arc;
use std::time::Instant;

use pomona_engine::{EngineError, Extractor};
use pomona_learn::{FitSettings, Fitted, LearnError, Moments, Reducer};
use pomona_store::Place;

use crate::error::PipelineError;
use crate::events::Event;
use crate::input::FeatureInput;
use crate::model::{DataFingerprint, ModelFile};
use crate::moments::{self, Summed, partitions};
use crate::run::Context;
use crate::self_test::SelfTest;
use crate::words::WordModel;

/// What to fit, and where to.
#[derive(Debug, Clone)]
pub struct FitRequest<'a> {
    /// The features.
    pub input: &'a FeatureInput,
    /// How many components, and whether to scale.
    pub settings: FitSettings,
    /// The seed that the model file stores.
    pub seed: u64,
    /// What made the features, where it is at hand: the model file then carries test images.
    pub extractor: Option<&'a Arc<Extractor>>,
    /// How descriptors became the features, where they are visual words.
    pub words: Option<&'a WordModel>,
}

/// Fits scaler and components in one pass over the features and writes the model file.
///
/// # Errors
/// [`PipelineError::Memory`] before anything is read, [`PipelineError::NotFinite`], and those of
/// [`Reducer::fit`].
pub async fn fit(
    context: &Context,
    request: &FitRequest<'_>,
    out: &Place,
) -> Result<(ModelFile, Vec<String>), PipelineError> {
    let started = Instant::now();
    context
        .observer
        .event(&Event::StageStarted { stage: "fit" });
    let input = request.input;
    let columns = input.feature_count(context).await?;
    let partitions = partitions(input.files.len()) as u64;
    memory_check(columns, partitions)?;
    let data = input.fingerprint(context, 0).await?;
    let summed = context.until_cancelled(sums(context, input, &data)).await?;
    let Some(moments) = summed else {
        return Err(PipelineError::NothingToDo {
            what: format!(
                "{0} holds no features: no image could be read; `pomona sql {0} 'SELECT path, status, error FROM images'` tells why",
                input.shown.display()
            ),
        });
    };
    let settings = request.settings;
    let (fitted, rows) = tokio::task::spawn_blocking(move || {
        Reducer::fit(&moments, &settings).map(|fitted| (fitted, moments.count()))
    })
    .await
    .map_err(|error| EngineError::Threads(Box::new(error)))??;
    let Fitted { reducer, notes } = fitted;
    let self_test = match request.extractor {
        Some(extractor) => SelfTest::of_extractor(extractor, request.words, &reducer)?,
        None => SelfTest::of_reducer(&reducer)?,
    };
    let model = ModelFile {
        extraction: input.extraction(),
        words: request.words.cloned(),
        data: DataFingerprint { rows, ..data },
        reducer,
        seed: request.seed,
        self_test,
    };
    model.save(out).await?;
    for text in &notes {
        context.observer.event(&Event::Note { text: text.clone() });
    }
    context.observer.event(&Event::StageFinished {
        stage: "fit",
        seconds: started.elapsed().as_secs_f64(),
        items: rows,
    });
    Ok((model, notes))
}

fn memory_check(columns: usize, partitions: u64) -> Result<(), PipelineError> {
    // Each partition's sums, their bytes on the way, and what the decomposition takes.
    let needed = Moments::bytes_for(columns)
        .saturating_mul(2)
        .saturating_mul(partitions)
        .saturating_add(Reducer::memory_bytes_to_fit(columns));
    crate::memory::check(&format!("fitting {columns} features"), needed)
}

/// The sums of the features: as they are kept beside them, or made now, and kept where they are those of a run.
async fn sums(
    context: &Context,
    input: &FeatureInput,
    data: &DataFingerprint,
) -> Result<Option<Moments>, PipelineError> {
    let features = input.schema.metadata();
    let features = features
        .iter()
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    // Words of a scratch folder are not the run's own features.
    let file = input.run.as_ref().filter(|run| {
        let own = run.place();
        input.files.iter().all(|file| file.is_within(own))
    });
    let file = file.map(|run| run.moments());
    if let Some(file) = &file
        && let Some(kept) = moments::of(file, data, &features).await?
    {
        return Ok(Some(kept));
    }
    let summed = match moments::sum(context, &input.files, input.column()).await {
        Err(error) if may_be_not_finite(&error) => {
            return Err(match input.first_not_finite(context).await? {
                Some(path) => PipelineError::NotFinite {
                    table: input.shown.clone(),
                    path,
                },
                None => error,
            });
        }
        other => other?,
    };
    if let (Some(file), Some(summed)) = (&file, &summed)
        && summed.count() == data.rows
    {
        let generation = match &input.run {
            Some(run) => run.started().await?.map_or(0, |started| started.generation),
            None => 0,
        };
        let of = Summed {
            data: data.clone(),
            features,
            generation,
        };
        moments::save(file, summed, &of).await?;
    }
    Ok(summed)
}

fn may_be_not_finite(error: &PipelineError) -> bool {
    matches!(
        error,
        // A cluster tells what went wrong in words only.
        PipelineError::Engine(
            EngineError::Learn(LearnError::UnusableValue { .. }) | EngineError::Cluster { .. }
        )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fit_that_cannot_fit_is_refused_before_it_starts() {
        let error = memory_check(2_000_000, 4).unwrap_err();
        assert!(
            error.to_string().contains("2000000 features needs"),
            "{error}"
        );
        memory_check(1280, 4).unwrap();
    }
}
