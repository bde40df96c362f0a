//! Features and a model to components.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use datafusion::prelude::col;
use pomona_engine::{
    EngineError, Grouping, ListTable, ParquetTable, PlanFolder, ShardDone, ShardFiles, ShardWrite,
    reduce_function, reducer_bytes, remove_assets,
};
use pomona_store::Place;

use crate::error::PipelineError;
use crate::events::Event;
use crate::extraction::Extraction;
use crate::folder::{parquet_files, shard_number};
use crate::input::FeatureInput;
use crate::model::ModelFile;
use crate::results::{self, Ahead, Components};
use crate::run::Context;

/// The key under which the files of components say whose they are.
const MODEL_KEY: &str = "pomona.model_sha256";

/// Whether the components below `out` are of this model, as far as there are any.
pub(crate) async fn is_of(
    context: &Context,
    out: &Place,
    model: &ModelFile,
) -> Result<bool, PipelineError> {
    let files = parquet_files(&out.join("reduced")).await?;
    let Some(first) = files.first() else {
        return Ok(true);
    };
    let files = std::slice::from_ref(first);
    let table = ParquetTable::open(&context.session, files, Grouping::FileEach).await?;
    let schema = datafusion::catalog::TableProvider::schema(&table);
    Ok(schema.metadata().get(MODEL_KEY) == Some(&model.sha256()?))
}

/// What to reduce, and where to.
#[derive(Debug, Clone)]
pub struct ReduceRequest<'a> {
    /// The features.
    pub input: &'a FeatureInput,
    /// The model.
    pub model: &'a ModelFile,
    /// Folder for `reduced/` and `results.csv`.
    pub out: &'a Place,
    /// Folder for one CSV file an image, where that is wanted.
    pub per_image_csv: Option<&'a Place>,
    /// Whether the components that are there already are of this very model: then only what is missing is made.
    pub keeps: bool,
}

/// What a reduction wrote.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduced {
    /// `results.csv`
    pub csv: Place,
    /// Rows in it.
    pub rows: u64,
    /// Seconds for `reduced/`.
    pub reduce_seconds: f64,
    /// Seconds for the CSV files.
    pub write_seconds: f64,
}

/// A reduction, and the components where they were few enough to be held at once.
pub(crate) struct ReducedRows {
    pub(crate) reduced: Reduced,
    pub(crate) components: Option<Components>,
}

/// Projects features onto the model's components: one `reduced/reduced-NNNNN.parquet` a file of features, then
/// `results.csv`, sorted by path.
///
/// # Errors
/// [`PipelineError::Mismatch`] where the features are not of the model's kind.
pub async fn reduce(
    context: &Context,
    request: &ReduceRequest<'_>,
) -> Result<Reduced, PipelineError> {
    let rows = reduce_rows(context, request, None).await?;
    request.out.settle().await?;
    Ok(rows.reduced)
}

/// The same; in a [`known`](Place::known) place, `results.csv` is finished in the background. Components that stay may be
/// being read already.
pub(crate) async fn reduce_rows(
    context: &Context,
    request: &ReduceRequest<'_>,
    ahead: Option<Ahead>,
) -> Result<ReducedRows, PipelineError> {
    let started = Instant::now();
    context
        .observer
        .event(&Event::StageStarted { stage: "reduce" });
    let ReduceRequest {
        input, model, out, ..
    } = request;
    if let (Some(expected), Some(got)) = (&model.extraction, &input.extraction()) {
        expected.check_same(got)?;
    }
    let expected = model.reducer.input_columns();
    let got = input.feature_count(context).await?;
    if got != expected {
        return Err(PipelineError::Mismatch {
            what: "the features are of another length",
            expected: format!("{expected} values"),
            got: format!("{got} values"),
        });
    }
    if !request.keeps {
        clear_reduced(out).await?;
    }
    let rows = context
        .until_cancelled(write_shards(context, request))
        .await?;
    if context.runner.is_remote() {
        // Whatever is left, `clean` removes.
        let _ = remove_assets(out).await;
    }
    let reduce_seconds = started.elapsed().as_secs_f64();
    context.observer.event(&Event::StageFinished {
        stage: "reduce",
        seconds: reduce_seconds,
        items: rows,
    });

    let started = Instant::now();
    context
        .observer
        .event(&Event::StageStarted { stage: "write" });
    let csv = out.join("results.csv");
    let written = context
        .until_cancelled(results::write(
            context,
            out,
            model,
            &csv,
            request.per_image_csv,
            ahead,
        ))
        .await?;
    let write_seconds = started.elapsed().as_secs_f64();
    context.observer.event(&Event::StageFinished {
        stage: "write",
        seconds: write_seconds,
        items: written.rows,
    });
    Ok(ReducedRows {
        reduced: Reduced {
            csv,
            rows,
            reduce_seconds,
            write_seconds,
        },
        components: written.components,
    })
}

/// Removes what an earlier reduction left: a file fewer than before must not leave the old one among the new.
pub(crate) async fn clear_reduced(out: &Place) -> Result<(), PipelineError> {
    let mut old = parquet_files(&out.join("reduced")).await?;
    old.push(out.join("results.csv"));
    Ok(Place::delete_all(&old).await?)
}

/// Most shards that are reduced by one job of a cluster.
const SHARDS_A_JOB: usize = 1024;

async fn write_shards(
    context: &Context,
    request: &ReduceRequest<'_>,
) -> Result<u64, PipelineError> {
    let ReduceRequest {
        input, model, out, ..
    } = request;
    let reducer = Arc::new(model.reducer.clone());
    let asset = context.ship(out, || reducer_bytes(&reducer)).await?;
    let mut metadata = model
        .extraction
        .as_ref()
        .map_or_else(BTreeMap::new, Extraction::metadata);
    metadata.insert(MODEL_KEY.to_owned(), model.sha256()?);
    // A shard of a run keeps its number; other programs' files are numbered as they come.
    let numbered = (0..).zip(&input.files).map(|(place, file)| {
        let number = input.run.as_ref().and_then(|_| shard_number(file));
        (number.unwrap_or(place), file.clone())
    });
    let there: HashSet<u32> = if request.keeps {
        let files = parquet_files(&out.join("reduced")).await?;
        files.iter().filter_map(shard_number).collect()
    } else {
        HashSet::new()
    };
    let (indices, files): (Vec<u32>, Vec<Place>) = numbered
        .filter(|(number, _)| !there.contains(number))
        .unzip();
    // All partitions of a plan run at once in this process: a few at a time bound the memory.
    let at_once = if context.runner.is_remote() {
        SHARDS_A_JOB
    } else {
        context.workers.max(1) * 2
    };
    let mut reduced = 0;
    for (files, indices) in files.chunks(at_once).zip(indices.chunks(at_once)) {
        let table = ParquetTable::open(&context.session, files, Grouping::FileEach).await?;
        let rows = context.session.read_table(Arc::new(table))?.select(vec![
            col("path"),
            col("label"),
            reduce_function(Arc::clone(&reducer), asset.clone())
                .call(vec![col(input.column())])
                .alias("components"),
        ])?;
        let plan = ShardWrite::plan(
            rows.into_unoptimized_plan(),
            PlanFolder::working(out),
            indices.to_vec(),
            ShardFiles::Lists {
                table: ListTable::Reduced,
                count: reducer.output_columns(),
                metadata: metadata.clone(),
            },
        )?;
        let query = context.session.execute_logical_plan(plan).await?;
        let done = context.collect("reduce", query).await?;
        let done: Vec<ShardDone> = done.iter().flat_map(ShardDone::read).collect();
        check_all_done(indices, &done)?;
        reduced += done.iter().map(|shard| shard.ok).sum::<u64>();
    }
    Ok(reduced)
}

/// Refuses what a cluster gave up on: nothing can stand for it.
pub(crate) fn check_all_done(wanted: &[u32], done: &[ShardDone]) -> Result<(), PipelineError> {
    let done: HashSet<u32> = done.iter().map(|shard| shard.index).collect();
    match wanted.iter().find(|index| !done.contains(index)) {
        None => Ok(()),
        Some(index) => Err(EngineError::Cluster {
            reason: format!("shard {index} was set aside: executors ended while they worked on it"),
            hint: Some(
                "give executors more memory, or run the same command without --cluster".to_owned(),
            ),
        }
        .into()),
    }
}

/// The table of components below `out`.
pub(crate) async fn reduced_table(
    context: &Context,
    out: &Place,
    grouping: Grouping,
) -> Result<Arc<ParquetTable>, PipelineError> {
    let files = parquet_files(&out.join("reduced")).await?;
    Ok(Arc::new(
        ParquetTable::open(&context.session, &files, grouping).await?,
    ))
}
