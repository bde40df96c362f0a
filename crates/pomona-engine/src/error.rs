use std::path::PathBuf;
use std::sync::Arc;

use datafusion::error::DataFusionError;
use pomona_store::{Place, StoreError};

/// What can go wrong between DataFusion and images.
///
/// Across DataFusion these errors travel as [`DataFusionError::External`]; [`EngineError::recover`] gets them back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The folder of photos is missing or is not a folder.
    #[error("{} is not a folder of photos: {reason}", path.display())]
    NotAFolder {
        /// The path as given.
        path: PathBuf,
        /// What was found instead.
        reason: String,
    },
    /// A glob pattern cannot be read.
    #[error("the glob pattern `{pattern}` cannot be read")]
    Glob {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        source: globset::Error,
    },
    /// The regular expression of a label rule cannot be read.
    #[error("the label pattern `{pattern}` cannot be read")]
    LabelPattern {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        source: regex::Error,
    },
    /// The regular expression of a label rule has no group named `label`.
    #[error(
        "the label pattern `{pattern}` has no group named `label`: write (?<label>…) around the part that is the label"
    )]
    LabelGroup {
        /// The pattern as given.
        pattern: String,
    },
    /// The label file cannot be read.
    #[error("the label file {} cannot be read", path.display())]
    LabelFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: csv::Error,
    },
    /// The label file lacks the columns `path` and `label`, or names a path twice.
    #[error("the label file {}: {reason}", path.display())]
    LabelFileContent {
        /// The file.
        path: PathBuf,
        /// What is wrong with it, with the line.
        reason: String,
    },
    /// An image did not become features, and the run was told to stop at the first such image.
    #[error("{path}: {status}: {reason}")]
    ImageFailed {
        /// Path of the image, relative to the root.
        path: String,
        /// Status as in the ledger.
        status: &'static str,
        /// Why.
        reason: String,
    },
    /// The network failed on images that were decoded.
    #[error("the network failed")]
    Vision(#[from] pomona_vision::VisionError),
    /// Key points cannot be found as they were asked for.
    #[error("key points cannot be found")]
    Orb(#[from] pomona_vision::orb::OrbError),
    /// A codebook could not be made, or words not be counted with it.
    #[error("the visual words failed")]
    Words(#[from] pomona_learn::words::WordsError),
    /// Moments or a reduction failed.
    #[error("the numbers could not be summarised")]
    Learn(#[from] pomona_learn::LearnError),
    /// A file is no Parquet file, or only the beginning of one.
    #[error("{} is not a whole Parquet file", path.display())]
    NotParquet {
        /// The file.
        path: PathBuf,
    },
    /// A column does not hold lists of floats.
    #[error("{operation}: expected a list of floats, got {got}")]
    NotAListOfFloats {
        /// The function that was called.
        operation: &'static str,
        /// The type it was given.
        got: String,
    },
    /// A list has another length than the others, or is missing.
    #[error("{operation}: row {row} of a batch: expected {expected} values, got {got}")]
    ListLength {
        /// The function that was called.
        operation: &'static str,
        /// Row within the batch, from 0.
        row: usize,
        /// Values expected.
        expected: usize,
        /// Values found; 0 for a missing list.
        got: usize,
    },
    /// The worker threads could not be started.
    #[error("the worker threads could not be started")]
    Threads(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A plan runs where nothing was set up for it.
    #[error("this process is not set up to work on Pomona's plans: start it with `pomona`")]
    NoServices,
    /// What a plan needs beside itself cannot be had.
    #[error("the weights or model {} that the plan needs cannot be had: {reason}", sha256.get(..12).unwrap_or(sha256))]
    Asset {
        /// Its SHA-256, hex.
        sha256: String,
        /// Why not.
        reason: String,
    },
    /// A plan, or a part of one, cannot be written or read as bytes.
    #[error(
        "a part of a plan cannot be sent or read: {reason} (do all machines run the same version of Pomona?)"
    )]
    Codec {
        /// Why not.
        reason: String,
    },
    /// A process that works for others cannot make features as the plan asks.
    #[error("images cannot become features here: {reason}")]
    Extractor {
        /// Why not, and what to do.
        reason: String,
    },
    /// A job on a cluster failed.
    #[error("the cluster could not do the work: {reason}")]
    Cluster {
        /// What it says.
        reason: String,
        /// What to do, where that is known.
        hint: Option<String>,
    },
    /// DataFusion itself failed.
    #[error(transparent)]
    DataFusion(DataFusionError),
    /// A place could not be read, written or listed.
    #[error(transparent)]
    Place(#[from] pomona_store::StoreError),
    /// An archive of images, or its index, cannot be read.
    #[error(transparent)]
    Pack(#[from] pomona_pack::PackError),
    /// The object store failed.
    #[error("{}", pomona_store::reason(.0))]
    Store(#[from] object_store::Error),
    /// The operating system failed.
    #[error("{}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
}

/// An [`EngineError`] that DataFusion may clone by reference while it unwinds.
#[derive(thiserror::Error)]
#[error(transparent)]
struct Carried(#[from] EngineError);

/// What stands before and behind an error in what a cluster tells of a failed task.
const TOLD: [&str; 2] = ["<<pomona: ", " :pomona>>"];
/// What stands before what to do about it.
const TO_DO: &str = " :hint: ";

/// A cluster tells of errors in this form, wrapped in others: so that the text can be found in there, it is marked.
impl std::fmt::Debug for Carried {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [before, behind] = TOLD;
        write!(f, "{before}{}", self.0)?;
        let mut cause = match &self.0 {
            // They say all that is of use.
            EngineError::Place(StoreError::Object { .. }) | EngineError::Store(_) => None,
            error => std::error::Error::source(error),
        };
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        if let Some(hint) = self.0.hint() {
            write!(f, "{TO_DO}{hint}")?;
        }
        f.write_str(behind)
    }
}

impl EngineError {
    /// A part of a plan that cannot be written or read.
    pub(crate) fn codec(reason: impl std::fmt::Display) -> Self {
        Self::Codec {
            reason: reason.to_string(),
        }
    }

    /// What the scheduler of a cluster is told of an error that crossed DataFusion, if this is one:
    /// [`EngineError::told_by_cluster`] reads it.
    #[must_use]
    pub fn for_cluster(error: &(dyn std::error::Error + 'static)) -> Option<String> {
        error
            .downcast_ref::<Carried>()
            .map(|error| format!("{error:?}"))
    }

    /// What a person is to see of what a cluster tells of a failed task.
    #[must_use]
    pub fn own_words(text: &str) -> &str {
        let own = own_part(text);
        own.split_once(TO_DO).map_or(own, |(reason, _)| reason)
    }

    /// The error of a task, from what a cluster tells of it.
    #[must_use]
    pub fn told_by_cluster(text: &str) -> Self {
        let own = own_part(text);
        let (reason, hint) = match own.split_once(TO_DO) {
            Some((reason, hint)) => (reason, Some(format!("on the executors: {hint}"))),
            None => (own, None),
        };
        Self::Cluster {
            reason: reason.to_owned(),
            hint,
        }
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Place(error) => error.hint(),
            Self::Store(error) => pomona_store::hint(error),
            Self::DataFusion(error) => {
                pomona_store::find::<object_store::Error>(error).and_then(pomona_store::hint)
            }
            Self::Cluster { hint, .. } => hint.clone(),
            _ => None,
        }
    }

    /// An error that crosses DataFusion, with the place that it is about where it is one of storage.
    pub(crate) fn at(error: DataFusionError, place: &Place) -> DataFusionError {
        match Self::recover(error) {
            Self::Store(source) => Self::Place(place.failed(source)).into_datafusion(),
            Self::DataFusion(other) => other,
            other => other.into_datafusion(),
        }
    }

    /// Wraps this error so that it can cross DataFusion.
    #[must_use]
    pub fn into_datafusion(self) -> DataFusionError {
        DataFusionError::External(Box::new(Carried(self)))
    }

    /// Gets back an [`EngineError`] that crossed DataFusion, whatever DataFusion wrapped around it.
    #[must_use]
    pub fn recover(error: DataFusionError) -> Self {
        match error {
            DataFusionError::External(inner) => match inner.downcast::<Carried>() {
                Ok(carried) => carried.0,
                Err(other) => match other.downcast::<object_store::Error>() {
                    Ok(error) => Self::Store(*error),
                    Err(other) => Self::DataFusion(DataFusionError::External(other)),
                },
            },
            DataFusionError::Context(message, inner) => match Self::recover(*inner) {
                Self::DataFusion(inner) => {
                    Self::DataFusion(DataFusionError::Context(message, Box::new(inner)))
                }
                found => found,
            },
            DataFusionError::Shared(shared) => match Arc::try_unwrap(shared) {
                Ok(inner) => Self::recover(inner),
                Err(shared) => Self::DataFusion(DataFusionError::Shared(shared)),
            },
            DataFusionError::ObjectStore(error) => Self::Store(*error),
            other => Self::DataFusion(other),
        }
    }
}

/// The part of a text that is one of these errors; all of it where none is marked.
fn own_part(text: &str) -> &str {
    let [before, behind] = TOLD;
    text.split_once(before)
        .and_then(|(_, rest)| rest.split_once(behind))
        .map_or(text, |(own, _)| own)
}

impl From<DataFusionError> for EngineError {
    fn from(error: DataFusionError) -> Self {
        Self::recover(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_cluster_wraps_around_an_error_is_taken_off() {
        let refused = object_store::Error::Unauthenticated {
            path: "photos".to_owned(),
            source: "Not you.".into(),
        };
        let place = Place::of_path(std::path::Path::new("photos")).unwrap();
        let error = EngineError::at(refused.into(), &place);
        let error = std::error::Error::source(&error).unwrap();
        let told = format!("Job failed: {}", EngineError::for_cluster(error).unwrap());
        let EngineError::Cluster { reason, hint } = EngineError::told_by_cluster(&told) else {
            panic!("{told}");
        };
        assert_eq!(reason, "photos: Not you.");
        assert!(
            hint.unwrap()
                .starts_with("on the executors: the keys were refused")
        );
        assert_eq!(EngineError::own_words(&told), reason);
        assert_eq!(EngineError::own_words("anything else"), "anything else");
    }
}
