//! What a report tells of visual words: plain data, filled by the caller.
//!
//! Numbers that are not finite are shown as a dash and left out of drawings.

/// Bags of visual words: key points, the codebook that was learned of them, and what its words look like.
#[derive(Debug, Clone, Default)]
pub struct WordsReport {
    /// Key points of all images.
    pub keypoints: u64,
    /// Images that were read.
    pub images: u64,
    /// Those of them without key points, whose features are zeros.
    pub images_without_keypoints: u64,
    /// What makes descriptors alike, by its name.
    pub distance: String,
    /// What a word's entry is, by its name.
    pub weighting: String,
    /// What vectors are divided by, by its name.
    pub norm: String,
    /// The passes of k-means, in order; empty where a model brought the codebook. Of more than
    /// [`MAX_PASS_ROWS`] the table shows the first and the last ones.
    pub passes: Vec<PassRow>,
    /// Why no more passes were made, or where the codebook is from: a sentence.
    pub stop: String,
    /// Key points of each word; the index is the word.
    pub counts: Vec<u64>,
    /// Photos with their key points. At most [`MAX_KEYPOINT_SAMPLES`] are shown.
    pub samples: Vec<KeyPointSample>,
    /// Some words and the patches nearest to their centres. At most [`MAX_TYPICAL_WORDS`] are shown.
    pub typical: Vec<TypicalWord>,
}

/// One pass of k-means.
#[derive(Debug, Clone, Default)]
pub struct PassRow {
    /// Its number, from 1.
    pub pass: u32,
    /// `full`, `batch` or `closing`.
    pub kind: String,
    /// Descriptors it counted.
    pub rows: u64,
    /// Σ of the distances (squared, or in bits) to the nearest centre.
    pub inertia: f64,
    /// Share of the descriptors whose word changed, in [0, 1]; unknown in the first pass.
    pub moved_share: Option<f64>,
    /// Words without descriptors.
    pub empty_clusters: u64,
    /// How far the centres moved together.
    pub centre_shift: f64,
}

/// A photo and its key points.
#[derive(Debug, Clone, Default)]
pub struct KeyPointSample {
    /// Path relative to the source.
    pub path: String,
    /// Its label, where it has one.
    pub label: Option<String>,
    /// Width of the photo, in pixels.
    pub width_px: u32,
    /// Height of the photo, in pixels.
    pub height_px: u32,
    /// The photo as a JPEG file, which may be smaller than the photo. Together they should stay below about
    /// 450 kB: photos beyond that are left out, which the page says.
    pub picture: Vec<u8>,
    /// Key points, the ones to draw first in front. At most [`MAX_DRAWN_KEYPOINTS`] are drawn.
    pub keypoints: Vec<DrawnKeyPoint>,
}

/// A key point, in pixels of the photo.
#[derive(Debug, Clone, Copy, Default)]
pub struct DrawnKeyPoint {
    /// From the left.
    pub x: f32,
    /// From the top.
    pub y: f32,
    /// Side of the square that is described.
    pub size_px: f32,
    /// Orientation, clockwise from the right.
    pub angle_degrees: f32,
    /// The word it is counted as.
    pub word: u32,
}

/// A word and what it looks like.
#[derive(Debug, Clone, Default)]
pub struct TypicalWord {
    /// The word.
    pub word: u32,
    /// Key points of that word.
    pub count: u64,
    /// Patches as small PNG files (32 × 32 pixels, grey), the most typical first. At most [`MAX_WORD_PATCHES`] are shown.
    pub patches: Vec<Vec<u8>>,
}

/// Most photos shown with their key points.
pub const MAX_KEYPOINT_SAMPLES: usize = 12;
/// Most key points drawn on one photo.
pub const MAX_DRAWN_KEYPOINTS: usize = 100;
/// Most words shown with their patches.
pub const MAX_TYPICAL_WORDS: usize = 24;
/// Most patches shown of one word.
pub const MAX_WORD_PATCHES: usize = 8;
/// Most passes listed one by one.
pub const MAX_PASS_ROWS: usize = 500;
