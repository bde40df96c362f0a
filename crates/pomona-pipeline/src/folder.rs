//! The run folder.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use pomona_engine::{EngineError, Shard};

use crate::error::PipelineError;
use crate::manifest;
use crate::record::RunRecord;

/// What a run was begun with.
const STARTED: &str = "started.json";
/// The tables of a run, each a folder of Parquet files.
pub(crate) const TABLES: [&str; 6] = [
    "images",
    "features",
    "descriptors",
    "patches",
    "thumbnails",
    "reduced",
];
/// Everything else that a run writes.
const FILES: [&str; 8] = [
    STARTED,
    "manifest.parquet",
    "words_by_label.parquet",
    "words_by_label.csv",
    "results.csv",
    "model.pomona",
    "report.html",
    "run.json",
];

/// What to do with a run that is already in the folder.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Overwrite {
    /// Go on with it: what is done stays.
    #[default]
    Continue,
    /// Remove it first. Nothing else in the folder is touched.
    Replace,
}

/// A folder that holds a run, or is to hold one.
#[derive(Debug, Clone)]
pub struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// Makes the folder ready for a new run.
    ///
    /// # Errors
    /// [`PipelineError::FolderTaken`] and [`PipelineError::Io`].
    pub fn create(path: &Path, overwrite: Overwrite) -> Result<Self, PipelineError> {
        let found: Vec<PathBuf> = TABLES
            .iter()
            .chain(&FILES)
            .map(|name| path.join(name))
            .filter(|path| path.exists())
            .collect();
        // What does not say how it was begun cannot be gone on with.
        if !found.is_empty() && overwrite == Overwrite::Continue && !path.join(STARTED).is_file() {
            return Err(PipelineError::FolderTaken {
                folder: path.to_owned(),
            });
        }
        let replaced = match overwrite {
            Overwrite::Continue => Vec::new(),
            Overwrite::Replace => found,
        };
        // The ledger goes first: without it nothing else counts as done.
        for old in replaced {
            let removed = if old.is_dir() {
                remove_tables(&old)
            } else {
                fs::remove_file(&old)
            };
            removed.map_err(PipelineError::io(&old))?;
        }
        fs::create_dir_all(path).map_err(PipelineError::io(path))?;
        let path = fs::canonicalize(path).map_err(PipelineError::io(path))?;
        Ok(Self { path })
    }

    /// A folder that holds an extraction.
    ///
    /// # Errors
    /// [`PipelineError::NotARun`] where it does not.
    pub fn open(path: &Path) -> Result<Self, PipelineError> {
        let not_a_run = |reason: &str| PipelineError::NotARun {
            folder: path.to_owned(),
            reason: reason.to_owned(),
        };
        if !path.is_dir() {
            return Err(not_a_run("there is no folder at this path"));
        }
        let is_run = path.join("images").is_dir()
            || ["manifest.parquet", STARTED]
                .iter()
                .any(|name| path.join(name).is_file());
        if !is_run {
            return Err(not_a_run(
                "it has neither a manifest nor a ledger (images/)",
            ));
        }
        let path = fs::canonicalize(path).map_err(PipelineError::io(path))?;
        Ok(Self { path })
    }

    /// Whether something at this path looks like a run folder.
    #[must_use]
    pub fn is_one(path: &Path) -> bool {
        Self::open(path).is_ok()
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `manifest.parquet`: every listed object and its shard.
    #[must_use]
    pub fn manifest(&self) -> PathBuf {
        self.path.join("manifest.parquet")
    }

    /// `model.pomona`
    #[must_use]
    pub fn model(&self) -> PathBuf {
        self.path.join("model.pomona")
    }

    /// `report.html`
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.path.join("report.html")
    }

    fn record_file(&self) -> PathBuf {
        self.path.join("run.json")
    }

    /// The store whose root is this folder.
    pub(crate) fn store(&self) -> Result<Arc<dyn ObjectStore>, PipelineError> {
        Ok(Arc::new(
            LocalFileSystem::new_with_prefix(&self.path).map_err(EngineError::from)?,
        ))
    }

    /// Files of a table (`images`, `features`, `descriptors`, …), by number.
    pub(crate) fn table(&self, name: &str) -> Result<Vec<PathBuf>, PipelineError> {
        parquet_files(&self.path.join(name))
    }

    /// Checks that every shard of the manifest has its ledger file.
    ///
    /// # Errors
    /// [`PipelineError::Incomplete`].
    pub fn check_complete(&self) -> Result<(), PipelineError> {
        let shards = manifest::shard_count(&self.manifest())?;
        let missing = (0..shards)
            .filter(|index| {
                !self
                    .path
                    .join(format!("images/images-{index:05}.parquet"))
                    .is_file()
            })
            .count();
        if missing > 0 || !self.manifest().is_file() {
            return Err(PipelineError::Incomplete {
                folder: self.path.clone(),
                missing,
                shards,
            });
        }
        Ok(())
    }

    /// Begins a run with everything that decides its shards, or goes on with one that was begun with the same.
    ///
    /// What follows from all shards (the manifest, `run.json`, components, the report) is removed then: a run that is
    /// gone on with must not look finished.
    ///
    /// # Errors
    /// [`PipelineError::OtherSettings`].
    pub(crate) fn begin(&self, settings: &BTreeMap<String, String>) -> Result<(), PipelineError> {
        let file = self.path.join(STARTED);
        let before = self.begun_with()?;
        if before.is_empty() {
            let mut json =
                serde_json::to_vec_pretty(settings).map_err(PipelineError::broken(&file))?;
            json.push(b'\n');
            return write_whole(&file, |out| out.write_all(&json));
        }
        let names: BTreeSet<&String> = before.keys().chain(settings.keys()).collect();
        let shown = |settings: &BTreeMap<String, String>, name: &String| {
            settings.get(name).map_or("none", String::as_str).to_owned()
        };
        let differences: Vec<String> = names
            .into_iter()
            .filter(|name| before.get(*name) != settings.get(*name))
            .map(|name| {
                let (old, new) = (shown(&before, name), shown(settings, name));
                format!("{name}: {old} → {new}")
            })
            .collect();
        if !differences.is_empty() {
            return Err(PipelineError::OtherSettings {
                folder: self.path.clone(),
                differences,
            });
        }
        self.remove_leftovers()?;
        for name in ["run.json", "manifest.parquet", "report.html", "results.csv"] {
            let old = self.path.join(name);
            if old.exists() {
                fs::remove_file(&old).map_err(PipelineError::io(&old))?;
            }
        }
        for old in self.table("reduced")? {
            fs::remove_file(&old).map_err(PipelineError::io(&old))?;
        }
        Ok(())
    }

    /// Removes what was being written when a run was killed.
    fn remove_leftovers(&self) -> Result<(), PipelineError> {
        let folders = std::iter::once(self.path.clone())
            .chain(TABLES.iter().map(|name| self.path.join(name)));
        for folder in folders.filter(|folder| folder.is_dir()) {
            let entries = fs::read_dir(&folder).map_err(PipelineError::io(&folder))?;
            for entry in entries {
                let path = entry.map_err(PipelineError::io(&folder))?.path();
                let name = path.file_name().map(|name| name.to_string_lossy());
                if path.is_file() && name.is_some_and(|name| is_leftover(&name)) {
                    fs::remove_file(&path).map_err(PipelineError::io(&path))?;
                }
            }
        }
        Ok(())
    }

    /// What the run was begun with; empty where the folder does not say.
    pub(crate) fn begun_with(&self) -> Result<BTreeMap<String, String>, PipelineError> {
        let file = self.path.join(STARTED);
        match fs::read(&file) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(PipelineError::broken(&file)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
            Err(error) => Err(PipelineError::io(&file)(error)),
        }
    }

    /// Whether the shard is done as it is listed now. The ledger of one that was listed otherwise is removed.
    pub(crate) fn is_done(&self, shard: &Shard) -> Result<bool, PipelineError> {
        let file = self
            .path
            .join(format!("images/images-{:05}.parquet", shard.index));
        if !file.is_file() {
            return Ok(false);
        }
        if manifest::is_of(&file, shard)? {
            return Ok(true);
        }
        fs::remove_file(&file).map_err(PipelineError::io(&file))?;
        Ok(false)
    }

    /// Removes the files of shards that there are no more, of which there are `shards`.
    pub(crate) fn remove_beyond(&self, shards: usize) -> Result<(), PipelineError> {
        // The ledger goes first.
        for name in TABLES {
            for file in self.table(name)? {
                let index = file
                    .file_stem()
                    .and_then(|stem| stem.to_str()?.rsplit('-').next()?.parse::<usize>().ok());
                if index.is_some_and(|index| index >= shards) {
                    fs::remove_file(&file).map_err(PipelineError::io(&file))?;
                }
            }
        }
        Ok(())
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// [`PipelineError::NotARun`], [`PipelineError::Io`] and [`PipelineError::Broken`].
    pub fn record(&self) -> Result<RunRecord, PipelineError> {
        let file = self.record_file();
        let bytes = match fs::read(&file) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(PipelineError::NotARun {
                    folder: self.path.clone(),
                    reason: "it has no run.json: its extraction did not end".to_owned(),
                });
            }
            Err(error) => return Err(PipelineError::io(&file)(error)),
        };
        serde_json::from_slice(&bytes).map_err(PipelineError::broken(&file))
    }

    /// Writes `run.json`.
    pub(crate) fn write_record(&self, record: &RunRecord) -> Result<(), PipelineError> {
        let file = self.record_file();
        let mut json = serde_json::to_vec_pretty(record).map_err(PipelineError::broken(&file))?;
        json.push(b'\n');
        write_whole(&file, |out| out.write_all(&json))
    }
}

/// Whether a file has one of the names under which files are written before they are renamed.
fn is_leftover(name: &str) -> bool {
    (name.starts_with(".pomona-") && name.ends_with(".tmp")) || name.contains(".parquet#")
}

fn remove_tables(folder: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path
            .file_name()
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        if name.ends_with(".parquet") || is_leftover(&name) {
            fs::remove_file(path)?;
        }
    }
    // Others' files stay, and so does their folder.
    match fs::remove_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::DirectoryNotEmpty => Ok(()),
        other => other,
    }
}

/// The `.parquet` files of a folder, by name; none where the folder is missing.
pub(crate) fn parquet_files(folder: &Path) -> Result<Vec<PathBuf>, PipelineError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(PipelineError::io(folder)(error)),
    };
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(PipelineError::io(folder))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "parquet")
        {
            files.push(path);
        }
    }
    // Numbers are padded to five digits; shard 100,000 comes after shard 99,999 all the same.
    files.sort_by(|a, b| (a.as_os_str().len(), a).cmp(&(b.as_os_str().len(), b)));
    Ok(files)
}

/// The folder that a file is in.
pub(crate) fn parent_of(file: &Path) -> &Path {
    match file.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

/// Writes a file under a temporary name beside it and renames it whole.
pub(crate) fn write_whole(
    file: &Path,
    write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
) -> Result<(), PipelineError> {
    let folder = parent_of(file);
    fs::create_dir_all(folder).map_err(PipelineError::io(folder))?;
    let attempt = || {
        let mut builder = tempfile::Builder::new();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // As any program's files: the process's mask decides.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let temporary = builder
            .prefix(".pomona-")
            .suffix(".tmp")
            .tempfile_in(folder)?;
        let mut out = std::io::BufWriter::new(temporary);
        write(&mut out)?;
        let temporary = out
            .into_inner()
            .map_err(std::io::IntoInnerError::into_error)?;
        temporary.as_file().sync_all()?;
        temporary.persist(file).map_err(|error| error.error)?;
        Ok(())
    };
    attempt().map_err(PipelineError::io(file))
}
