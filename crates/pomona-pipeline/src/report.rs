//! `report.html`, from what the run folder holds.

use std::collections::HashMap;
use std::time::Instant;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use futures::TryStreamExt;
use pomona_engine::{FloatRows, Status, scan_columns};
use pomona_report::{Failure, Forecast, LabelCount, ReportData, ScatterPoint, Stage};
use pomona_store::Place;

use crate::error::PipelineError;
use crate::events::Event;
use crate::folder::RunFolder;
use crate::ledger::LedgerSummary;
use crate::model::ModelFile;
use crate::query::texts;
use crate::record::RunRecord;
use crate::report_cluster;
use crate::report_growth;
use crate::report_words;
use crate::results::Components;
use crate::run::Context;

/// Points in the scatter, most.
const POINTS: usize = 5_000;
/// Thumbnails of a label, most.
const PICTURES: usize = 5;
/// What labels that are null are called.
const UNLABELLED: &str = "(no label)";

/// Renders the report of a run folder into it. Needs no photos, only what the folder holds.
///
/// # Errors
/// Those of reading the folder, and [`PipelineError::Report`].
pub async fn report(context: &Context, folder: &RunFolder) -> Result<Place, PipelineError> {
    let record = folder.record().await?;
    report_of(context, folder, record, Gathered::default()).await
}

/// What earlier steps of a run have read already.
#[derive(Default)]
pub(crate) struct Gathered {
    pub(crate) ledger: Option<LedgerSummary>,
    pub(crate) components: Option<Components>,
}

/// The same with the record that `run.json` will be.
pub(crate) async fn report_of(
    context: &Context,
    folder: &RunFolder,
    record: RunRecord,
    gathered: Gathered,
) -> Result<Place, PipelineError> {
    let started = Instant::now();
    context
        .observer
        .event(&Event::StageStarted { stage: "report" });
    let data = collect(context, folder, record, gathered).await?;
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
    gathered: Gathered,
) -> Result<ReportData, PipelineError> {
    let ledger = match gathered.ledger {
        Some(ledger) => ledger,
        None => LedgerSummary::read(folder).await?,
    };
    let counts = &ledger.counts;
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
    let mut labels = labels(&ledger);
    let index: HashMap<String, usize> = labels
        .iter()
        .enumerate()
        .map(|(index, label)| (label.label.clone(), index))
        .collect();
    let model = if folder.model().is_file().await? {
        Some(ModelFile::load(&folder.model()).await?)
    } else {
        None
    };
    let scatter = scatter(folder, &index, &mut labels, gathered.components).await?;
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
        failures: failures(ledger),
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
        forecast: record.forecast.map(|forecast| Forecast {
            seconds: forecast.total_secs.forecast,
            took_seconds: forecast.total_secs.outcome,
            peak_memory_bytes: forecast
                .peak_memory_bytes
                .map(|memory| (memory.forecast as u64, memory.outcome as u64)),
        }),
    })
}

fn failures(ledger: LedgerSummary) -> Vec<Failure> {
    ledger
        .failures
        .into_iter()
        .map(|(path, (status, error))| Failure {
            path,
            status,
            error,
        })
        .collect()
}

/// Labels by name; what has none comes last.
fn labels(ledger: &LedgerSummary) -> Vec<LabelCount> {
    let named = ledger.labels.iter().filter(|(label, _)| label.is_some());
    let unnamed = ledger.labels.iter().filter(|(label, _)| label.is_none());
    named
        .chain(unnamed)
        .map(|(label, sum)| LabelCount {
            label: label.clone().unwrap_or_else(|| UNLABELLED.to_owned()),
            photos: sum.photos,
            ok: sum.ok,
            thumbnails: Vec::new(),
        })
        .collect()
}

/// A thumbnail that is kept.
struct Thumbnail {
    path: String,
    label: Option<String>,
    picture: Vec<u8>,
}

/// All thumbnails of a run, by path.
async fn thumbnails(folder: &RunFolder) -> Result<Vec<Thumbnail>, PipelineError> {
    let files = folder.table("thumbnails").await?;
    let mut read = scan_columns(&files, &["path", "label", "thumbnail"]).await?;
    let mut found = Vec::new();
    while let Some(batches) = read.try_next().await? {
        for batch in &batches {
            let [Some(paths), Some(labels), Some(pictures)] =
                ["path", "label", "thumbnail"].map(|name| batch.schema().index_of(name).ok())
            else {
                continue;
            };
            let (paths, labels) = (texts(batch, paths)?, texts(batch, labels)?);
            let pictures =
                cast(batch.column(pictures), &DataType::Binary).map_err(DataFusionError::from)?;
            let pictures = pictures.as_binary::<i32>();
            for (row, (path, label)) in paths.into_iter().zip(labels).enumerate() {
                found.push(Thumbnail {
                    path: path.unwrap_or_default(),
                    label,
                    picture: pictures.value(row).to_vec(),
                });
            }
        }
    }
    found.sort_by(|one, other| one.path.cmp(&other.path));
    Ok(found)
}

/// Points for images that have both components and a thumbnail; fills the labels' thumbnails on the way.
async fn scatter(
    folder: &RunFolder,
    index: &HashMap<String, usize>,
    labels: &mut [LabelCount],
    components: Option<Components>,
) -> Result<Vec<ScatterPoint>, PipelineError> {
    let thumbnails = thumbnails(folder).await?;
    let step = thumbnails.len().div_ceil(POINTS).max(1);
    let mut points = Vec::new();
    let mut place_of = HashMap::new();
    for (number, thumbnail) in (1..).zip(thumbnails) {
        let Some(&label) = index.get(thumbnail.label.as_deref().unwrap_or(UNLABELLED)) else {
            continue;
        };
        let has_picture = !thumbnail.picture.is_empty();
        if has_picture && labels[label].thumbnails.len() < PICTURES {
            labels[label].thumbnails.push(thumbnail.picture.clone());
        }
        if number % step == 0 {
            place_of.insert(thumbnail.path.clone(), points.len());
            points.push((
                None,
                ScatterPoint {
                    x: 0.0,
                    y: 0.0,
                    label: u32::try_from(label).unwrap_or(u32::MAX),
                    path: thumbnail.path,
                    thumbnail: has_picture.then_some(thumbnail.picture),
                },
            ));
        }
    }
    let mut place = |path: &str, values: &[f32]| {
        if let Some((found, _)) = place_of.get(path).and_then(|at| points.get_mut(*at)) {
            let value = |index: usize| values.get(index).copied().unwrap_or(0.0);
            *found = Some((value(0), value(1)));
        }
    };
    match components {
        Some(components) => {
            for file in components.iter() {
                for row in 0..file.len() {
                    place(file.path(row), file.values(row));
                }
            }
        }
        None => {
            let files = folder.table("reduced").await?;
            let mut read = scan_columns(&files, &["path", "components"]).await?;
            while let Some(batches) = read.try_next().await? {
                for batch in &batches {
                    place_all(batch, &mut place)?;
                }
            }
        }
    }
    Ok(points
        .into_iter()
        .filter_map(|(found, point)| {
            let (x, y) = found?;
            Some(ScatterPoint { x, y, ..point })
        })
        .collect())
}

/// Tells path and components of each row.
fn place_all(
    batch: &RecordBatch,
    place: &mut impl FnMut(&str, &[f32]),
) -> Result<(), PipelineError> {
    let (Some((paths, _)), Some(lists)) = (
        batch.schema().column_with_name("path"),
        batch.column_by_name("components"),
    ) else {
        return Ok(());
    };
    if batch.num_rows() == 0 {
        return Ok(());
    }
    let rows = FloatRows::read("report", lists, None)?;
    let values = rows.values().chunks(rows.columns().max(1));
    for (path, values) in texts(batch, paths)?.into_iter().zip(values) {
        place(&path.unwrap_or_default(), values);
    }
    Ok(())
}
