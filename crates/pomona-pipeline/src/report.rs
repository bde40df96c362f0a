//! `report.html`, from what the run folder holds.

use std::collections::HashMap;
use std::time::Instant;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::JoinType;
use datafusion::functions_aggregate::expr_fn::{count, sum};
use datafusion::prelude::{case, col, lit};
use pomona_engine::{FloatRows, Status};
use pomona_report::{Failure, LabelCount, ReportData, ScatterPoint, Stage};
use pomona_store::Place;

use crate::error::PipelineError;
use crate::events::Event;
use crate::folder::RunFolder;
use crate::model::ModelFile;
use crate::query::{counts_by_status, table, texts};
use crate::record::RunRecord;
use crate::report_cluster;
use crate::report_growth;
use crate::report_words;
use crate::run::Context;

/// Points in the scatter, most.
const POINTS: usize = 5_000;
/// Thumbnails of a label, most.
const PICTURES: usize = 5;
/// Failures listed, most.
const FAILURES: usize = 200;
/// What labels that are null are called.
const UNLABELLED: &str = "(no label)";

/// Renders the report of a run folder into it. Needs no photos, only what the folder holds.
///
/// # Errors
/// Those of reading the folder, and [`PipelineError::Report`].
pub async fn report(context: &Context, folder: &RunFolder) -> Result<Place, PipelineError> {
    let record = folder.record().await?;
    report_of(context, folder, record).await
}

/// The same with the record that `run.json` will be.
pub(crate) async fn report_of(
    context: &Context,
    folder: &RunFolder,
    record: RunRecord,
) -> Result<Place, PipelineError> {
    let started = Instant::now();
    context
        .observer
        .event(&Event::StageStarted { stage: "report" });
    let data = collect(context, folder, record).await?;
    let html = pomona_report::render(&data)?;
    let file = folder.report();
    file.write_later(html).await?;
    context.observer.event(&Event::StageFinished {
        stage: "report",
        seconds: started.elapsed().as_secs_f64(),
        items: 1,
    });
    Ok(file)
}

async fn collect(
    context: &Context,
    folder: &RunFolder,
    record: RunRecord,
) -> Result<ReportData, PipelineError> {
    let counts = counts_by_status(context, folder).await?;
    let statuses = Status::ALL
        .iter()
        .map(|status| {
            (
                status.name().to_owned(),
                counts.get(status.name()).copied().unwrap_or(0),
            )
        })
        .filter(|(_, count)| *count > 0)
        .collect();
    let total: u64 = counts.values().sum();
    let ok = counts.get(Status::Ok.name()).copied().unwrap_or(0);
    let mut labels = labels(context, folder).await?;
    let index: HashMap<String, usize> = labels
        .iter()
        .enumerate()
        .map(|(index, label)| (label.label.clone(), index))
        .collect();
    let scatter = scatter(context, folder, &index, &mut labels).await?;
    let model = if folder.model().is_file().await? {
        Some(ModelFile::load(&folder.model()).await?)
    } else {
        None
    };
    let words = report_words::collect(context, folder, record.words, model.as_ref(), ok).await?;
    let reducer = model.map(|model| model.reducer);
    let name = Some(folder.place().name()).filter(|name| !name.is_empty());
    let mut settings: Vec<(String, String)> = record
        .backbone
        .iter()
        .map(|(key, value)| (format!("backbone {key}"), value.clone()))
        .chain(record.settings.clone())
        .collect();
    if let Some(reducer) = &reducer {
        let convention = if reducer.deviation.is_some() {
            "(x − mean) / deviation · components"
        } else {
            "(x − mean) · components"
        };
        settings.push(("reduction".to_owned(), convention.to_owned()));
    }
    let growth = report_growth::growth(&record.generations);
    let storage = report_growth::storage(&record.traffic);
    let cluster = record.cluster.as_ref().map(report_cluster::cluster);
    Ok(ReportData {
        title: name.unwrap_or_else(|| "Run".to_owned()),
        source: record.source,
        created: record.finished,
        version: record.pomona,
        statuses,
        failures: failures(context, folder).await?,
        failures_total: total - ok,
        labels_total: labels.len() as u64,
        labels,
        explained_variance_ratio: reducer
            .as_ref()
            .map_or_else(Vec::new, |reducer| reducer.explained_variance_ratio.clone()),
        total_components_possible: reducer.as_ref().map_or(0, |reducer| reducer.rank),
        scatter_of: if scatter.is_empty() { 0 } else { ok },
        scatter,
        stages: record
            .stages
            .into_iter()
            .map(|stage| Stage {
                name: stage.name,
                seconds: stage.seconds,
                items: stage.items,
            })
            .collect(),
        images_per_second: record.images_per_second,
        settings,
        notes: record.notes,
        words,
        quality: None,
        growth,
        storage,
        cluster,
    })
}

async fn failures(context: &Context, folder: &RunFolder) -> Result<Vec<Failure>, PipelineError> {
    let Some(images) = table(context, folder, "images").await? else {
        return Ok(Vec::new());
    };
    let rows = images
        .filter(col("status").not_eq(lit(Status::Ok.name())))?
        .select_columns(&["path", "status", "error"])?
        .sort(vec![col("path").sort(true, false)])?
        .limit(0, Some(FAILURES))?
        .collect()
        .await?;
    let mut failures = Vec::new();
    for batch in &rows {
        let (paths, statuses, errors) = (texts(batch, 0)?, texts(batch, 1)?, texts(batch, 2)?);
        for ((path, status), error) in paths.into_iter().zip(statuses).zip(errors) {
            failures.push(Failure {
                path: path.unwrap_or_default(),
                status: status.unwrap_or_default(),
                error: error.unwrap_or_default(),
            });
        }
    }
    Ok(failures)
}

async fn labels(context: &Context, folder: &RunFolder) -> Result<Vec<LabelCount>, PipelineError> {
    let Some(images) = table(context, folder, "images").await? else {
        return Ok(Vec::new());
    };
    let is_ok = case(col("status"))
        .when(lit(Status::Ok.name()), lit(1_i64))
        .otherwise(lit(0_i64))?;
    let rows = images
        .aggregate(
            vec![col("label")],
            vec![count(lit(1)).alias("photos"), sum(is_ok).alias("ok")],
        )?
        .sort(vec![col("label").sort(true, false)])?
        .collect()
        .await?;
    let mut labels = Vec::new();
    for batch in &rows {
        let photos = batch.column(1).as_primitive::<Int64Type>();
        let ok = batch.column(2).as_primitive::<Int64Type>();
        for (row, label) in texts(batch, 0)?.into_iter().enumerate() {
            labels.push(LabelCount {
                label: label.unwrap_or_else(|| UNLABELLED.to_owned()),
                photos: photos.value(row).unsigned_abs(),
                ok: ok.value(row).unsigned_abs(),
                thumbnails: Vec::new(),
            });
        }
    }
    Ok(labels)
}

/// Points for images that have both components and a thumbnail; fills the labels' thumbnails on the way.
async fn scatter(
    context: &Context,
    folder: &RunFolder,
    index: &HashMap<String, usize>,
    labels: &mut [LabelCount],
) -> Result<Vec<ScatterPoint>, PipelineError> {
    let Some(thumbnails) = table(context, folder, "thumbnails").await? else {
        return Ok(Vec::new());
    };
    let rows = match table(context, folder, "reduced").await? {
        Some(reduced) => {
            let reduced =
                reduced.select(vec![col("path").alias("reduced_path"), col("components")])?;
            thumbnails
                .join(reduced, JoinType::Left, &["path"], &["reduced_path"], None)?
                .select_columns(&["path", "label", "thumbnail", "components"])?
        }
        None => thumbnails.select_columns(&["path", "label", "thumbnail"])?,
    };
    let rows = rows
        .sort(vec![col("path").sort(true, false)])?
        .collect()
        .await?;
    let total: usize = rows.iter().map(|batch| batch.num_rows()).sum();
    let step = total.div_ceil(POINTS).max(1);
    let mut points = Vec::new();
    let mut number = 0;
    for batch in &rows {
        let (paths, names) = (texts(batch, 0)?, texts(batch, 1)?);
        let pictures = datafusion::arrow::compute::cast(
            batch.column(2),
            &datafusion::arrow::datatypes::DataType::Binary,
        )
        .map_err(datafusion::error::DataFusionError::from)?;
        let pictures = pictures.as_binary::<i32>();
        for (row, (path, name)) in paths.into_iter().zip(names).enumerate() {
            number += 1;
            let Some(&label) = index.get(name.as_deref().unwrap_or(UNLABELLED)) else {
                continue;
            };
            let picture = pictures.value(row);
            if labels[label].thumbnails.len() < PICTURES && !picture.is_empty() {
                labels[label].thumbnails.push(picture.to_vec());
            }
            if number % step != 0 || batch.num_columns() < 4 || batch.column(3).is_null(row) {
                continue;
            }
            let components = FloatRows::read("report", &batch.column(3).slice(row, 1), None)?;
            points.push(ScatterPoint {
                x: components.values().first().copied().unwrap_or(0.0),
                y: components.values().get(1).copied().unwrap_or(0.0),
                label: u32::try_from(label).unwrap_or(u32::MAX),
                path: path.unwrap_or_default(),
                thumbnail: (!picture.is_empty()).then(|| picture.to_vec()),
            });
        }
    }
    Ok(points)
}
