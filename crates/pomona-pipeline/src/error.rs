use std::path::{Path, PathBuf};

use pomona_engine::EngineError;

/// What can stop a step.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The folder for the run is not free.
    #[error("{} already holds a run", folder.display())]
    FolderTaken {
        /// The folder.
        folder: PathBuf,
    },
    /// A run was begun with other settings, which would give other features.
    #[error("the run in {} was begun with other settings: {}", folder.display(), differences.join("; "))]
    OtherSettings {
        /// The folder.
        folder: PathBuf,
        /// What differs: name, old and new value.
        differences: Vec<String>,
    },
    /// The run's model was fitted with other settings.
    #[error("the model in {} was fitted with other settings: {}", folder.display(), differences.join("; "))]
    OtherFit {
        /// The folder.
        folder: PathBuf,
        /// What differs: name, old and new value.
        differences: Vec<String>,
    },
    /// The folder holds other things than a run.
    #[error("{} is not a run folder: {reason}", folder.display())]
    NotARun {
        /// The folder.
        folder: PathBuf,
        /// What was looked for.
        reason: String,
    },
    /// Shards of an extraction are missing.
    #[error("the extraction in {} is not complete: {missing} of {shards} shards are missing", folder.display())]
    Incomplete {
        /// The folder.
        folder: PathBuf,
        /// Shards without a ledger file.
        missing: usize,
        /// Shards in the manifest.
        shards: usize,
    },
    /// There is nothing to work on.
    #[error("{what}")]
    NothingToDo {
        /// What was looked for, and where.
        what: String,
    },
    /// More memory is needed than there is.
    #[error("{what} needs {} of memory, and {} are free", bytes(*needed_bytes), bytes(*free_bytes))]
    Memory {
        /// What needs it.
        what: String,
        /// Bytes needed.
        needed_bytes: u64,
        /// Bytes free.
        free_bytes: u64,
    },
    /// Features and model, or backbone and model, do not belong together.
    #[error("{what}: the model was fitted with {expected}, this is {got}")]
    Mismatch {
        /// What was compared.
        what: &'static str,
        /// As the model says.
        expected: String,
        /// As found.
        got: String,
    },
    /// The model's own test images do not give the numbers that they gave when it was fitted.
    #[error("the self-test of {} failed: {reason}", model.display())]
    SelfTest {
        /// The model file.
        model: PathBuf,
        /// Which numbers differ, by how much.
        reason: String,
    },
    /// A model file cannot be used.
    #[error("{} cannot be used as a model", model.display())]
    Model {
        /// The model file.
        model: PathBuf,
        /// Why not.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// A table has no column of the needed kind.
    #[error("{}: {reason}", table.display())]
    Column {
        /// The file or folder.
        table: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A row holds values that are not finite.
    #[error("{}: the features of `{path}` are not finite numbers", table.display())]
    NotFinite {
        /// The file or folder.
        table: PathBuf,
        /// Path of the row.
        path: String,
    },
    /// A path of a table would lead out of the folder that is written to.
    #[error("the path `{path}` leads out of the folder it would be written to")]
    PathEscapes {
        /// The path.
        path: String,
    },
    /// No image with this path was listed.
    #[error("the run has no image `{path}`")]
    NoSuchImage {
        /// The path as asked for.
        path: String,
        /// Paths much like it.
        near: Vec<String>,
    },
    /// The query is not one.
    #[error("the query cannot be answered: {reason}")]
    Query {
        /// What is wrong with it, in DataFusion's words.
        reason: String,
    },
    /// The step was interrupted.
    #[error("interrupted")]
    Interrupted,
    /// A network or an engine could not be had.
    #[error(transparent)]
    Asset(#[from] crate::assets::AssetError),
    /// DataFusion or the images.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The mathematics.
    #[error(transparent)]
    Learn(#[from] pomona_learn::LearnError),
    /// The report could not be rendered.
    #[error("the report could not be rendered")]
    Report(#[from] pomona_report::ReportError),
    /// A place could not be opened, read or written.
    #[error(transparent)]
    Store(#[from] pomona_store::StoreError),
    /// Packing photos, or reading a pack, failed.
    #[error(transparent)]
    Pack(#[from] pomona_pack::PackError),
    /// A file could not be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// A file of a run does not hold what it should.
    #[error("{} is not readable: remake it", path.display())]
    Broken {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl PipelineError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { path, source }
    }

    /// A file, by its path or its place, that does not hold what it should.
    pub(crate) fn broken<E>(path: &(impl Shown + ?Sized)) -> impl FnOnce(E) -> Self
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let path = path.shown();
        move |source| Self::Broken {
            path,
            source: source.into(),
        }
    }

    /// Whether there was no room left to write to, however deep that lies.
    fn is_full_disk(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            let io = error.downcast_ref::<std::io::Error>();
            if io.is_some_and(|io| io.kind() == std::io::ErrorKind::StorageFull) {
                return true;
            }
            cause = error.source();
        }
        false
    }

    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        if self.is_full_disk() {
            return Some("make room, then give the same command again: it goes on".to_owned());
        }
        match self {
            Self::Store(error) => error.hint(),
            Self::Engine(error) => error.hint(),
            Self::OtherSettings { .. } => Some(
                "give the settings it was begun with, choose another folder, or pass --fresh to start over"
                    .to_owned(),
            ),
            Self::OtherFit { .. } => Some(
                "pass --refit to fit it anew; the features stay".to_owned(),
            ),
            Self::FolderTaken { .. } => Some(
                "choose another folder, or pass --fresh to replace the run in it".to_owned(),
            ),
            Self::Incomplete { .. } => {
                Some("it was interrupted: give the same command again, and it goes on".to_owned())
            }
            Self::Memory { .. } => Some(
                "cut the network at a smaller tensor (--layer), or use a machine with more memory"
                    .to_owned(),
            ),
            Self::Mismatch { .. } => Some(
                "extract with the model itself: pomona extract PHOTOS --out RUN --model MODEL".to_owned(),
            ),
            Self::NoSuchImage { near, .. } if !near.is_empty() => {
                Some(format!("did you mean {}?", near.join(", ")))
            }
            Self::NoSuchImage { .. } => Some(
                "paths are relative to the photos' folder; hidden files and what --glob leaves out are not listed"
                    .to_owned(),
            ),
            Self::NotARun { .. } => Some("make one with `pomona run PHOTOS --out RUN`".to_owned()),
            Self::Learn(_) => Some(
                "the features are there: look at the failures with `pomona sql RUN \"SELECT path, status, error FROM images\"`"
                    .to_owned(),
            ),
            Self::Query { .. } => Some(
                "tables are images, features, reduced and thumbnails; only SELECT is allowed".to_owned(),
            ),
            _ => None,
        }
    }

    /// Whether the input, and not the program or the machine, is at fault.
    #[must_use]
    pub fn is_input(&self) -> bool {
        !matches!(
            self,
            Self::Report(_)
                | Self::Interrupted
                | Self::Engine(
                    EngineError::DataFusion(_) | EngineError::Threads(_) | EngineError::Vision(_)
                )
        )
    }
}

impl From<datafusion::error::DataFusionError> for PipelineError {
    fn from(error: datafusion::error::DataFusionError) -> Self {
        Self::Engine(EngineError::recover(error))
    }
}

/// What can be named in a message.
pub(crate) trait Shown {
    /// Its path or URL.
    fn shown(&self) -> PathBuf;
}

impl Shown for Path {
    fn shown(&self) -> PathBuf {
        self.to_owned()
    }
}

impl Shown for PathBuf {
    fn shown(&self) -> PathBuf {
        self.clone()
    }
}

impl Shown for pomona_store::Place {
    fn shown(&self) -> PathBuf {
        Self::shown(self)
    }
}

/// A number of bytes as people write it.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["kB", "MB", "GB", "TB"];
    let mut value = count as f64 / 1000.0;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}
