//! What a report tells: plain data, filled by the caller from a run folder.
//!
//! Every text may hold anything a file name can (markup, quotes, right-to-left letters, control characters);
//! it is made safe when it is rendered.

use crate::cluster_data::ClusterData;
use crate::growth_data::GrowthData;
use crate::storage_data::StorageData;
use crate::words_data::WordsReport;

/// Everything a report shows. Start from `ReportData::default()` and fill in what is known: a section without
/// data says so.
#[derive(Debug, Clone, Default)]
pub struct ReportData {
    /// Heading of the page, such as the name of the run folder.
    pub title: String,
    /// Where the photos came from: a folder or a URL.
    pub source: String,
    /// When the run ended, RFC 3339.
    pub created: String,
    /// Version of the program that did the run.
    pub version: String,
    /// Photos by status (`ok`, `corrupt`, …), in the order to show. Their sum is the number of photos.
    pub statuses: Vec<(String, u64)>,
    /// The first photos that failed, in the order to show. At most [`MAX_FAILURES`] are shown.
    pub failures: Vec<Failure>,
    /// How many photos failed in all.
    pub failures_total: u64,
    /// The labels, in the order to show. Points of the scatter refer to them by index.
    pub labels: Vec<LabelCount>,
    /// How many labels there are in all, where [`labels`](Self::labels) holds only the first.
    pub labels_total: u64,
    /// Share of the variance each kept component explains, each in [0, 1], first component first. Empty where
    /// no reducer was fitted.
    pub explained_variance_ratio: Vec<f64>,
    /// How many components there could be: the smaller of photos and features.
    pub total_components_possible: usize,
    /// Photos by their first two components. At most [`MAX_POINTS`] are shown, evenly chosen.
    pub scatter: Vec<ScatterPoint>,
    /// How many photos the points of the scatter were chosen from.
    pub scatter_of: u64,
    /// The stages of the run, in order.
    pub stages: Vec<Stage>,
    /// Photos per second over the whole run.
    pub images_per_second: f64,
    /// What the run was told, as name and value.
    pub settings: Vec<(String, String)>,
    /// Sentences worth reading first, such as a warning the run gave.
    pub notes: Vec<String>,
    /// Key points and the codebook, where features are visual words.
    pub words: Option<WordsReport>,
    /// How well the numbers tell the labels apart, where that was measured.
    pub quality: Option<Quality>,
    /// What came since the run before, where there was one.
    pub growth: Option<GrowthData>,
    /// What was asked of storage, where photos or results are not in a folder.
    pub storage: Option<StorageData>,
    /// What a cluster did, where one was used.
    pub cluster: Option<ClusterData>,
    /// What was forecast of the run, where it was.
    pub forecast: Option<Forecast>,
}

/// A forecast beside what came of it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Forecast {
    /// From the command to its end, as it was forecast.
    pub seconds: f64,
    /// The same, as it came.
    pub took_seconds: f64,
    /// Most memory, as it was forecast and as it came, where that is known.
    pub peak_memory_bytes: Option<(u64, u64)>,
}

/// A photo that gave no features.
#[derive(Debug, Clone, Default)]
pub struct Failure {
    /// Path relative to the source.
    pub path: String,
    /// Its status, as in [`ReportData::statuses`].
    pub status: String,
    /// What went wrong, as a sentence.
    pub error: String,
}

/// One label and its photos.
#[derive(Debug, Clone, Default)]
pub struct LabelCount {
    /// The label.
    pub label: String,
    /// Photos listed under it.
    pub photos: u64,
    /// Those of them whose status is `ok`.
    pub ok: u64,
    /// Some of its photos as small JPEG files, about 64 pixels wide. At most [`MAX_LABEL_PICTURES`] are shown.
    pub thumbnails: Vec<Vec<u8>>,
}

/// A photo in the plane of the first two components.
#[derive(Debug, Clone, Default)]
pub struct ScatterPoint {
    /// First component. Points that are not finite are left out and counted.
    pub x: f32,
    /// Second component; 0 where there is only one.
    pub y: f32,
    /// Index into [`ReportData::labels`].
    pub label: u32,
    /// Path relative to the source.
    pub path: String,
    /// The photo as a small JPEG file. At about 700 bytes each (48 pixels wide), 5,000 of them fit into a report;
    /// of larger ones some are left out.
    pub thumbnail: Option<Vec<u8>>,
}

/// One stage of a run.
#[derive(Debug, Clone, Default)]
pub struct Stage {
    /// Its name.
    pub name: String,
    /// Seconds it took, at least 0.
    pub seconds: f64,
    /// How many items (photos, features, files) it handled.
    pub items: u64,
}

/// How well the numbers tell the labels apart.
#[derive(Debug, Clone, Default)]
pub struct Quality {
    /// What was measured and the result, as name and value.
    pub measures: Vec<(String, String)>,
    /// Which labels were taken for which, most frequent first. At most [`MAX_CONFUSIONS`] are shown.
    pub confusions: Vec<Confusion>,
}

/// How often photos of one label were taken for another.
#[derive(Debug, Clone, Default)]
pub struct Confusion {
    /// The label they have.
    pub label: String,
    /// The label they were given.
    pub taken_for: String,
    /// How many photos.
    pub photos: u64,
}

/// Most failed photos shown.
pub const MAX_FAILURES: usize = 200;
/// Most points shown in the scatter.
pub const MAX_POINTS: usize = 5_000;
/// Most labels shown with their photos.
pub const MAX_LABELS: usize = 500;
/// Most pictures shown of one label.
pub const MAX_LABEL_PICTURES: usize = 5;
/// Most pairs of confused labels shown.
pub const MAX_CONFUSIONS: usize = 50;
