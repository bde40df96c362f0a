//! What can keep a report from being written.

/// Why a report could not be rendered. Every variant is a mistake in the data handed over, never in a photo.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A point of the scatter belongs to a label that is not in the list.
    #[error("the photo {path} refers to label {index}, but only {labels} labels are listed")]
    LabelIndex {
        /// Path of the photo.
        path: String,
        /// The index it carries, from 0.
        index: u32,
        /// How many labels are listed.
        labels: usize,
    },
    /// A share of the variance is not a number from 0 to 1.
    #[error("the share of variance of component {component} is {value}, not a number from 0 to 1")]
    Ratio {
        /// Number of the component, from 1.
        component: usize,
        /// The share it carries.
        value: f64,
    },
    /// The time a stage took is not a number of at least 0.
    #[error("the stage {stage} took {value} seconds, not a number of at least 0")]
    Seconds {
        /// Name of the stage.
        stage: String,
        /// The seconds it carries.
        value: f64,
    },
    /// The bytes of a small picture do not start as a JPEG file does.
    #[error("the small picture of {of} is not a JPEG file")]
    Thumbnail {
        /// The label or the path it was meant for.
        of: String,
    },
    /// The bytes of a word's patch do not start as a PNG file does.
    #[error("a patch of word {word} is not a PNG file")]
    Patch {
        /// The word it was meant for.
        word: u32,
    },
}
