//! How is a run told to a person?
//!
//! [`render`] turns plain data into one HTML file that needs nothing else: pictures are inside it, it fetches
//! nothing (a content security policy forbids it), and everything can be read with scripts switched off; the one
//! small script only shows the photo behind a mark and singles out labels. The same data gives the same text.
//!
//! Not for: reading run folders, decoding photos or making small pictures of them.

mod cluster;
mod cluster_data;
mod data;
mod error;
mod growth;
mod growth_data;
mod labels;
mod limits;
mod looks;
mod page;
mod passes;
mod picture;
mod quality;
mod scale;
mod scatter;
mod stages;
mod status;
mod storage;
mod storage_data;
mod text;
mod variance;
mod word_counts;
mod words;
mod words_data;

pub use cluster_data::{
    ClusterData, ClusterExecutor, ClusterStage, ClusterStep, MAX_EXECUTORS, MAX_STAGES, MAX_STEPS,
    MAX_WORKERS,
};
pub use data::{
    Confusion, Failure, Forecast, LabelCount, MAX_CONFUSIONS, MAX_FAILURES, MAX_LABEL_PICTURES,
    MAX_LABELS, MAX_POINTS, Quality, ReportData, ScatterPoint, Stage,
};
pub use error::ReportError;
pub use growth_data::{Generation, GrowthData, GrowthDrift, MAX_GENERATIONS};
pub use storage_data::{MAX_PLACES, StorageData, StoragePlace};
pub use words_data::{
    DrawnKeyPoint, KeyPointSample, MAX_DRAWN_KEYPOINTS, MAX_KEYPOINT_SAMPLES, MAX_PASS_ROWS,
    MAX_TYPICAL_WORDS, MAX_WORD_PATCHES, PassRow, TypicalWord, WordsReport,
};

/// Renders the report as one HTML document.
///
/// The document stays below about 6 MB, 7 MB with visual words: pictures beyond that are thinned out, which the page says.
///
/// # Errors
/// Only for data that contradicts itself; see [`ReportError`].
///
/// ```
/// use pomona_report::{ReportData, render};
///
/// let data = ReportData { title: "Orchard".to_owned(), statuses: vec![("ok".to_owned(), 12)], ..ReportData::default() };
/// let html = render(&data)?;
/// assert!(html.starts_with("<!DOCTYPE html>"));
/// # Ok::<(), pomona_report::ReportError>(())
/// ```
pub fn render(data: &ReportData) -> Result<String, ReportError> {
    check(data)?;
    Ok(page::page(data).into_string())
}

/// Refuses data that contradicts itself.
fn check(data: &ReportData) -> Result<(), ReportError> {
    for (i, &ratio) in data.explained_variance_ratio.iter().enumerate() {
        // Rounding may carry a share a little beyond its bounds.
        if !(-1e-9..=1.0 + 1e-9).contains(&ratio) {
            return Err(ReportError::Ratio {
                component: i + 1,
                value: ratio,
            });
        }
    }
    for stage in &data.stages {
        if !(stage.seconds.is_finite() && stage.seconds >= 0.0) {
            return Err(ReportError::Seconds {
                stage: stage.name.clone(),
                value: stage.seconds,
            });
        }
    }
    for label in &data.labels {
        for jpeg in &label.thumbnails {
            picture::check(jpeg, &label.label)?;
        }
    }
    if let Some(words) = &data.words {
        for sample in &words.samples {
            picture::check(&sample.picture, &sample.path)?;
        }
        for word in &words.typical {
            for png in &word.patches {
                picture::check_png(png, word.word)?;
            }
        }
    }
    let all_listed = data.labels_total <= data.labels.len() as u64;
    for point in &data.scatter {
        if all_listed && point.label as usize >= data.labels.len() {
            return Err(ReportError::LabelIndex {
                path: point.path.clone(),
                index: point.label,
                labels: data.labels.len(),
            });
        }
        if let Some(jpeg) = &point.thumbnail {
            picture::check(jpeg, &point.path)?;
        }
    }
    Ok(())
}
