//! What the report shows of visual words.

use std::collections::{BTreeMap, HashMap};

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Float32Type, Int32Type};
use datafusion::common::JoinType;
use datafusion::functions_aggregate::expr_fn::count;
use datafusion::prelude::{col, lit};
use pomona_engine::{EngineError, PATCH_PX};
use pomona_image::RgbImage;
use pomona_learn::kmeans::{Codebook, DESCRIPTOR_BYTES, PassKind, Stop};
use pomona_report::{DrawnKeyPoint, KeyPointSample, PassRow, TypicalWord, WordsReport};

use crate::error::PipelineError;
use crate::folder::RunFolder;
use crate::model::ModelFile;
use crate::query::{table, texts};
use crate::run::Context;
use crate::words::WordsRecord;

/// Photos with their key points drawn, most.
const SAMPLES: usize = 8;
/// Key points drawn on a photo, most.
const DRAWN: usize = 100;
/// Words whose patches are shown, most.
const TYPICAL: usize = 12;
/// Patches of a word, most.
const PATCHES: usize = 8;

/// The section on words, where the features of the run are those.
pub(crate) async fn collect(
    context: &Context,
    folder: &RunFolder,
    record: Option<WordsRecord>,
    model: Option<&ModelFile>,
    images: u64,
) -> Result<Option<WordsReport>, PipelineError> {
    let Some(record) = record else {
        return Ok(None);
    };
    let codebook = model
        .and_then(|model| model.words.as_ref())
        .map(|words| &words.codebook);
    let (samples, typical) = match codebook {
        Some(codebook) => (
            samples(context, folder, codebook).await?,
            typical(context, folder, codebook, &record.counts).await?,
        ),
        None => (Vec::new(), Vec::new()),
    };
    Ok(Some(WordsReport {
        keypoints: record.keypoints,
        images,
        images_without_keypoints: record.images_without_keypoints,
        distance: record.distance.to_string(),
        weighting: record.weighting.to_string(),
        norm: record.norm.to_string(),
        passes: record
            .passes
            .iter()
            .map(|pass| PassRow {
                pass: pass.pass,
                kind: match pass.kind {
                    PassKind::Batch => "batch",
                    PassKind::Closing => "closing",
                    _ => "full",
                }
                .to_owned(),
                rows: pass.rows,
                inertia: pass.inertia,
                moved_share: pass.moved_share,
                empty_clusters: pass.empty_clusters,
                centre_shift: pass.centre_shift,
            })
            .collect(),
        stop: match record.stop {
            Some(Stop::Settled) => "It ended because no centre moved any more.",
            Some(Stop::Tolerance) => {
                "It ended because the centres moved by less than the tolerance."
            }
            Some(Stop::MaxPasses) => {
                "It ended because as many passes were made as are allowed (--max-passes)."
            }
            _ => "The codebook is that of the model.",
        }
        .to_owned(),
        counts: record.counts,
        samples,
        typical,
    }))
}

/// Descriptors of a batch, by its column.
fn descriptors(batch: &RecordBatch, index: usize) -> Vec<u8> {
    let column = batch.column(index).as_fixed_size_binary();
    column.value_data()[..column.len() * DESCRIPTOR_BYTES].to_vec()
}

fn words_and_costs(
    codebook: &Codebook,
    descriptors: &[u8],
) -> Result<(Vec<u32>, Vec<f64>), PipelineError> {
    let rows = descriptors.len() / DESCRIPTOR_BYTES;
    let (mut words, mut costs) = (vec![0; rows], vec![0.0; rows]);
    codebook
        .assign_with_costs(descriptors, &mut words, &mut costs)
        .map_err(EngineError::from)?;
    Ok((words, costs))
}

/// Of some labels the photo with the most key points among those with a thumbnail.
async fn samples(
    context: &Context,
    folder: &RunFolder,
    codebook: &Codebook,
) -> Result<Vec<KeyPointSample>, PipelineError> {
    let (Some(keypoints), Some(thumbnails), Some(images)) = (
        table(context, folder, "descriptors").await?,
        table(context, folder, "thumbnails").await?,
        table(context, folder, "images").await?,
    ) else {
        return Ok(Vec::new());
    };
    let counted = keypoints.clone().aggregate(
        vec![col("path").alias("of_path")],
        vec![count(lit(1)).alias("keypoints")],
    )?;
    let pictured = thumbnails
        .clone()
        .select_columns(&["path", "label"])?
        .join(counted, JoinType::Inner, &["path"], &["of_path"], None)?
        .select_columns(&["path", "label", "keypoints"])?
        .sort(vec![
            col("keypoints").sort(false, false),
            col("path").sort(true, false),
        ])?
        .collect()
        .await?;
    let mut richest: BTreeMap<Option<String>, String> = BTreeMap::new();
    for batch in &pictured {
        for (path, label) in texts(batch, 0)?.into_iter().zip(texts(batch, 1)?) {
            if let Some(path) = path {
                richest.entry(label).or_insert(path);
            }
        }
    }
    let step = richest.len().div_ceil(SAMPLES).max(1);
    let mut samples = Vec::new();
    for (label, path) in richest.into_iter().step_by(step) {
        let is_this = || col("path").eq(lit(path.clone()));
        let picture = thumbnails
            .clone()
            .filter(is_this())?
            .select_columns(&["thumbnail"])?
            .collect()
            .await?;
        let sides = images
            .clone()
            .filter(is_this())?
            .select_columns(&["width", "height"])?
            .collect()
            .await?;
        let strongest = keypoints
            .clone()
            .filter(is_this())?
            .sort(vec![
                col("response").sort(false, false),
                col("x").sort(true, false),
                col("y").sort(true, false),
            ])?
            .limit(0, Some(DRAWN))?
            .select_columns(&["x", "y", "size", "angle_degrees", "descriptor"])?
            .collect()
            .await?;
        let first =
            |batches: &[RecordBatch]| batches.iter().find(|batch| batch.num_rows() > 0).cloned();
        let (Some(picture), Some(sides)) = (first(&picture), first(&sides)) else {
            continue;
        };
        let picture = cast(picture.column(0), &DataType::Binary)
            .map_err(datafusion::error::DataFusionError::from)?;
        let side = |index: usize| {
            let value = sides.column(index).as_primitive::<Int32Type>().value(0);
            u32::try_from(value).unwrap_or(0)
        };
        let mut drawn = Vec::new();
        for batch in &strongest {
            let number = |index: usize| batch.column(index).as_primitive::<Float32Type>();
            let (words, _) = words_and_costs(codebook, &descriptors(batch, 4))?;
            for (row, word) in words.into_iter().enumerate() {
                drawn.push(DrawnKeyPoint {
                    x: number(0).value(row),
                    y: number(1).value(row),
                    size_px: number(2).value(row),
                    angle_degrees: number(3).value(row),
                    word,
                });
            }
        }
        samples.push(KeyPointSample {
            path,
            label,
            width_px: side(0),
            height_px: side(1),
            picture: picture.as_binary::<i32>().value(0).to_vec(),
            keypoints: drawn,
        });
    }
    Ok(samples)
}

/// The patches nearest to the centres of the most frequent words that have some.
async fn typical(
    context: &Context,
    folder: &RunFolder,
    codebook: &Codebook,
    counts: &[u64],
) -> Result<Vec<TypicalWord>, PipelineError> {
    let Some(patches) = table(context, folder, "patches").await? else {
        return Ok(Vec::new());
    };
    let rows = patches
        .select_columns(&["path", "x", "y", "descriptor", "patch"])?
        .sort(vec![
            col("path").sort(true, false),
            col("x").sort(true, false),
            col("y").sort(true, false),
        ])?
        .select_columns(&["descriptor", "patch"])?
        .collect()
        .await?;
    let mut by_word: HashMap<u32, Vec<(f64, &[u8])>> = HashMap::new();
    for batch in &rows {
        let (words, costs) = words_and_costs(codebook, &descriptors(batch, 0))?;
        let pixels = batch.column(1).as_fixed_size_binary();
        for (row, (word, cost)) in words.into_iter().zip(costs).enumerate() {
            by_word
                .entry(word)
                .or_default()
                .push((cost, pixels.value(row)));
        }
    }
    let mut order: Vec<(u32, u64)> = (0..).zip(counts.iter().copied()).collect();
    order.sort_by_key(|(word, count)| (std::cmp::Reverse(*count), *word));
    let mut typical = Vec::new();
    for (word, count) in order {
        let Some(mut patches) = by_word.remove(&word).filter(|patches| patches.len() > 1) else {
            continue;
        };
        patches.sort_by(|one, other| one.0.total_cmp(&other.0));
        typical.push(TypicalWord {
            word,
            count,
            patches: patches
                .iter()
                .take(PATCHES)
                .filter_map(|(_, grey)| png(grey))
                .collect(),
        });
        if typical.len() == TYPICAL {
            break;
        }
    }
    Ok(typical)
}

fn png(grey: &[u8]) -> Option<Vec<u8>> {
    let pixels = grey.iter().flat_map(|value| [*value; 3]).collect();
    let image = RgbImage::from_pixels(PATCH_PX, PATCH_PX, pixels).ok()?;
    pomona_image::encode_png(&image).ok()
}
