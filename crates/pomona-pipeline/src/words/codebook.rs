//! The codebook, learned in passes over the descriptors.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::logical_expr::AggregateUDF;
use datafusion::prelude::col;
use pomona_engine::{EngineError, Grouping, ParquetTable, pass_function, sample_function};
use pomona_learn::kmeans::{Clustering, KMeans, KMeansSettings, PassTotals, SeedSample};

use crate::error::PipelineError;
use crate::events::{CodebookPass, Event};
use crate::folder::RunFolder;
use crate::run::Context;

/// Learns a codebook of all descriptors of a run. Each pass is one aggregate; nothing depends on how the rows are
/// grouped for it.
pub(super) async fn learn(
    context: &Context,
    run: &RunFolder,
    settings: &KMeansSettings,
) -> Result<Clustering, PipelineError> {
    let started = Instant::now();
    context
        .observer
        .event(&Event::StageStarted { stage: "codebook" });
    let mut kmeans = KMeans::new(settings.clone()).map_err(EngineError::from)?;
    let sample = context
        .until_cancelled(aggregate(
            context,
            run,
            sample_function(settings.seed, kmeans.sample().capacity()),
        ))
        .await?;
    let sample = SeedSample::from_bytes(&sample, settings.seed).map_err(EngineError::from)?;
    if sample.rows() == 0 {
        return Err(PipelineError::NothingToDo {
            what: format!(
                "no key points were found in the images of {}: there is nothing to make words of (its ledger tells which could be read)",
                run.place()
            ),
        });
    }
    let descriptors = sample.rows();
    let workers = context.workers;
    kmeans = on_threads(workers, move || {
        kmeans.seed(sample)?;
        Ok(kmeans)
    })
    .await?;
    while let Some(plan) = kmeans.plan() {
        let plan = Arc::new(plan.clone());
        let totals = context
            .until_cancelled(async {
                let asset = context.ship(run.place(), || Ok(plan.to_bytes())).await?;
                aggregate(context, run, pass_function(plan, asset)).await
            })
            .await?;
        let totals = PassTotals::from_bytes(&totals).map_err(EngineError::from)?;
        let report = kmeans.finish_pass(totals).map_err(EngineError::from)?;
        context.observer.event(&Event::CodebookPass(CodebookPass {
            report: report.clone(),
            of: settings.max_passes,
            seconds: started.elapsed().as_secs_f64(),
        }));
    }
    let clustering = kmeans.finish().map_err(EngineError::from)?;
    context.observer.event(&Event::StageFinished {
        stage: "codebook",
        seconds: started.elapsed().as_secs_f64(),
        items: descriptors,
    });
    Ok(clustering)
}

/// One value over all descriptors.
async fn aggregate(
    context: &Context,
    run: &RunFolder,
    function: AggregateUDF,
) -> Result<Vec<u8>, PipelineError> {
    let files = run.table("descriptors").await?;
    let groups = Grouping::AtMost(context.runner.at_once() * 2);
    let table = ParquetTable::open(&context.session, &files, groups).await?;
    let columns = ["path", "x", "y", "octave", "descriptor"];
    let name = function.name().to_owned();
    let query = context.session.read_table(Arc::new(table))?.aggregate(
        vec![],
        vec![function.call(columns.into_iter().map(col).collect())],
    )?;
    let rows = context.collect(&name, query).await?;
    rows.iter()
        .map(|batch| batch.column(0).as_binary::<i64>())
        .find(|column| !column.is_empty() && column.is_valid(0))
        .map(|column| column.value(0).to_vec())
        .ok_or_else(|| PipelineError::NothingToDo {
            what: format!("{} holds no descriptors", run.place()),
        })
}

/// Runs arithmetic on so many threads, away from those that drive the plans.
async fn on_threads<T: Send + 'static>(
    workers: usize,
    work: impl FnOnce() -> Result<T, pomona_learn::kmeans::KMeansError> + Send + 'static,
) -> Result<T, PipelineError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| EngineError::Threads(error);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(workers)
        .build()
        .map_err(|error| failed(Box::new(error)))?;
    let done = tokio::task::spawn_blocking(move || pool.install(work))
        .await
        .map_err(|error| failed(Box::new(error)))?;
    Ok(done.map_err(EngineError::from)?)
}
