//! Features to a model.

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::prelude::col;
use pomona_engine::{Extractor, Grouping, moments_function};
use pomona_learn::{FitSettings, Fitted, LearnError, Moments, Reducer};

use crate::error::PipelineError;
use crate::events::Event;
use crate::input::FeatureInput;
use crate::model::ModelFile;
use crate::run::Context;
use crate::self_test::SelfTest;
use crate::words::WordModel;

/// Partial sums of moments at once, at most. It follows from the input alone: results then do not depend on the
/// machine, not even in the last bit.
const PARTITIONS: usize = 4;
/// Files that are worth a partial sum of their own: passing one on and adding it up costs as much as some files.
const FILES_A_PARTITION: usize = 8;

fn partitions(files: usize) -> usize {
    files.div_ceil(FILES_A_PARTITION).clamp(1, PARTITIONS)
}

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
    out: &Path,
) -> Result<(ModelFile, Vec<String>), PipelineError> {
    let started = Instant::now();
    context
        .observer
        .event(&Event::StageStarted { stage: "fit" });
    let input = request.input;
    let columns = input.feature_count(context).await?;
    let partitions = partitions(input.files.len()) as u64;
    memory_check(columns, partitions)?;
    let moments = context.until_cancelled(moments(context, input)).await?;
    let Some(moments) = moments else {
        return Err(PipelineError::NothingToDo {
            what: format!(
                "{} holds no features: no image could be read",
                input.shown.display()
            ),
        });
    };
    let settings = request.settings;
    let (fitted, rows) = tokio::task::spawn_blocking(move || {
        Reducer::fit(&moments, &settings).map(|fitted| (fitted, moments.count()))
    })
    .await
    .map_err(|error| pomona_engine::EngineError::Threads(Box::new(error)))??;
    let Fitted { reducer, notes } = fitted;
    let self_test = match request.extractor {
        Some(extractor) => SelfTest::of_extractor(extractor, request.words, &reducer)?,
        None => SelfTest::of_reducer(&reducer)?,
    };
    let model = ModelFile {
        extraction: input.extraction(),
        words: request.words.cloned(),
        data: input.fingerprint(context, rows).await?,
        reducer,
        seed: request.seed,
        self_test,
    };
    model.save(out)?;
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

async fn moments(
    context: &Context,
    input: &FeatureInput,
) -> Result<Option<Moments>, PipelineError> {
    let table = input
        .table(context, Grouping::AtMost(partitions(input.files.len())))
        .await?;
    let summed = context
        .session
        .read_table(table)?
        .aggregate(
            vec![],
            vec![moments_function().call(vec![col(input.column())])],
        )?
        .collect()
        .await
        .map_err(PipelineError::from);
    let summed = match summed {
        Err(error) if is_not_finite(&error) => {
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
    for batch in &summed {
        let column = batch.column(0).as_binary::<i64>();
        if !column.is_empty() && column.is_valid(0) {
            return Ok(Some(Moments::from_bytes(column.value(0))?));
        }
    }
    Ok(None)
}

fn is_not_finite(error: &PipelineError) -> bool {
    matches!(
        error,
        PipelineError::Engine(pomona_engine::EngineError::Learn(
            LearnError::UnusableValue { .. }
        ))
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
