//! Vectors of words, one an image.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::common::JoinType;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::prelude::{DataFrame, case, col, lit};
use pomona_engine::{
    Asset, EngineError, Grouping, ListTable, ParquetTable, PlanFolder, Runner, ShardDone,
    ShardFiles, ShardWrite, Status, document_frequencies_function, label_words_function,
    one_partition, weigh_words_function, weights_bytes, word_counts_function,
};
use pomona_learn::kmeans::Codebook;
use pomona_learn::words::{DocumentFrequencies, LabelWords};
use pomona_store::Place;
use tokio::task::JoinSet;

use super::model::WordModel;
use crate::error::PipelineError;
use crate::extraction::Extraction;
use crate::folder::{RunFolder, parquet_files};
use crate::reduce::check_all_done;
use crate::run::Context;

/// The words of all images.
pub(super) struct Summary {
    pub(super) frequencies: DocumentFrequencies,
    pub(super) labels: LabelWords,
    pub(super) images_without_keypoints: u64,
}

/// The files of one shard.
#[derive(Clone)]
struct ShardInput {
    index: u32,
    images: Place,
    descriptors: Place,
}

async fn shards(run: &RunFolder) -> Result<Vec<ShardInput>, PipelineError> {
    let (images, descriptors) = (run.table("images").await?, run.table("descriptors").await?);
    if images.len() != descriptors.len() {
        return Err(PipelineError::NotARun {
            folder: run.place().shown(),
            reason: format!(
                "it has {} files of images and {} of descriptors",
                images.len(),
                descriptors.len()
            ),
        });
    }
    Ok((0..)
        .zip(images.into_iter().zip(descriptors))
        .map(|(index, (images, descriptors))| ShardInput {
            index,
            images,
            descriptors,
        })
        .collect())
}

/// Path, label and word counts of the readable images of a shard; counts are null where there are no key points.
async fn counted(
    session: &datafusion::execution::context::SessionContext,
    shard: &ShardInput,
    (codebook, asset): &(Arc<Codebook>, Option<Asset>),
) -> Result<DataFrame, PipelineError> {
    let open = async |file: &Place| {
        let files = std::slice::from_ref(file);
        let table = ParquetTable::open(session, files, Grouping::FileEach).await?;
        Ok::<_, PipelineError>(session.read_table(Arc::new(table))?)
    };
    let words = open(&shard.descriptors).await?.aggregate(
        vec![col("path").alias("of_path")],
        vec![
            word_counts_function(Arc::clone(codebook), asset.clone())
                .call(vec![col("descriptor")])
                .alias("counts"),
        ],
    )?;
    Ok(open(&shard.images)
        .await?
        .filter(col("status").eq(lit(Status::Ok.name())))?
        .select_columns(&["path", "label"])?
        .join(words, JoinType::Left, &["path"], &["of_path"], None)?)
}

/// Counts words by image and by label.
pub(super) async fn summarise(
    context: &Context,
    run: &RunFolder,
    codebook: &Arc<Codebook>,
) -> Result<Summary, PipelineError> {
    let words = codebook.words();
    let mut summary = Summary {
        frequencies: DocumentFrequencies::new(words),
        labels: LabelWords::new(words),
        images_without_keypoints: 0,
    };
    let asset = context
        .ship(run.place(), || Ok(codebook.to_bytes()))
        .await?;
    let parts = each_shard(context, run, {
        let session = one_partition(&context.session);
        let counting = (Arc::clone(codebook), asset);
        move |shard| {
            let (session, counting) = (session.clone(), counting.clone());
            let runner = Arc::clone(&context.runner);
            async move {
                let without = case(col("counts").is_null())
                    .when(lit(true), lit(1_i64))
                    .otherwise(lit(0_i64))?;
                let query = counted(&session, &shard, &counting).await?.aggregate(
                    vec![],
                    vec![
                        document_frequencies_function(words).call(vec![col("counts")]),
                        label_words_function(words).call(vec![col("label"), col("counts")]),
                        sum(without),
                        count(lit(1)),
                    ],
                )?;
                collect(&runner, "words", query).await
            }
        }
    })
    .await?;
    for batch in parts.iter().flatten() {
        for row in 0..batch.num_rows() {
            let bytes = |column: usize| batch.column(column).as_binary::<i64>().value(row);
            let frequencies =
                DocumentFrequencies::from_bytes(bytes(0)).map_err(EngineError::from)?;
            summary
                .frequencies
                .merge(&frequencies)
                .map_err(EngineError::from)?;
            let labels = LabelWords::from_bytes(bytes(1)).map_err(EngineError::from)?;
            summary.labels.merge(&labels).map_err(EngineError::from)?;
            let without = batch
                .column(2)
                .as_primitive::<datafusion::arrow::datatypes::Int64Type>();
            summary.images_without_keypoints += without.value(row).unsigned_abs();
        }
    }
    Ok(summary)
}

/// Writes `features/` below `out`, one file a shard, and gives the files.
pub(super) async fn write(
    context: &Context,
    run: &RunFolder,
    model: &WordModel,
    extraction: &Extraction,
    out: &Place,
) -> Result<Vec<Place>, PipelineError> {
    let folder = out.join("features");
    Place::delete_all(&parquet_files(&folder).await?).await?;
    let target = PlanFolder::working(out);
    let (codebook, weights) = (
        Arc::new(model.codebook.clone()),
        Arc::new(model.weights.clone()),
    );
    let counting = (
        Arc::clone(&codebook),
        context.ship(out, || Ok(codebook.to_bytes())).await?,
    );
    let weights_asset = context.ship(out, || weights_bytes(&weights)).await?;
    let files = ShardFiles::Lists {
        table: ListTable::Features,
        count: model.codebook.words(),
        metadata: extraction.metadata(),
    };
    let session = one_partition(&context.session);
    each_shard(context, run, move |shard| {
        let (session, target, files) = (session.clone(), target.clone(), files.clone());
        let (counting, weights, weights_asset) = (
            counting.clone(),
            Arc::clone(&weights),
            weights_asset.clone(),
        );
        let runner = Arc::clone(&context.runner);
        async move {
            let rows = counted(&session, &shard, &counting).await?.select(vec![
                col("path"),
                col("label"),
                weigh_words_function(weights, weights_asset)
                    .call(vec![col("counts")])
                    .alias("features"),
            ])?;
            let plan = ShardWrite::plan(
                rows.into_unoptimized_plan(),
                target,
                vec![shard.index],
                files,
            )?;
            let query = session.execute_logical_plan(plan).await?;
            let done = collect(&runner, "vectors", query).await?;
            let done: Vec<ShardDone> = done.iter().flat_map(ShardDone::read).collect();
            check_all_done(&[shard.index], &done)
        }
    })
    .await?;
    parquet_files(&folder).await
}

async fn collect(
    runner: &Arc<dyn Runner>,
    name: &str,
    query: DataFrame,
) -> Result<Vec<RecordBatch>, PipelineError> {
    let context = Arc::new(query.task_ctx());
    let plan = query.create_physical_plan().await?;
    Ok(runner.run(name, plan, context).await?)
}

/// Works on all shards, some at a time; gives what came of each, in no particular order.
async fn each_shard<T, F, R>(
    context: &Context,
    run: &RunFolder,
    work: F,
) -> Result<Vec<T>, PipelineError>
where
    T: Send + 'static,
    F: Fn(ShardInput) -> R,
    R: Future<Output = Result<T, PipelineError>> + Send + 'static,
{
    let mut waiting = shards(run).await?.into_iter();
    let mut running = JoinSet::new();
    let mut done = Vec::new();
    loop {
        while running.len() < context.runner.at_once().max(1) {
            match waiting.next() {
                Some(shard) => running.spawn(work(shard)),
                None => break,
            };
        }
        match running.join_next().await {
            Some(finished) => {
                done.push(finished.map_err(|error| EngineError::Threads(Box::new(error)))??);
            }
            None => return Ok(done),
        }
    }
}
