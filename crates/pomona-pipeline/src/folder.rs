//! The run folder.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use futures::StreamExt;
use pomona_engine::Shard;
use pomona_store::{Place, RunLock};
use serde::de::DeserializeOwned;

use crate::error::PipelineError;
use crate::manifest::{self, ManifestSummary};
use crate::record::RunRecord;
use crate::run::Context;
use crate::started::Started;

/// What a run was begun with.
pub(crate) const STARTED: &str = "started.json";
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
const FILES: [&str; 9] = [
    STARTED,
    "manifest.parquet",
    "moments.pomona",
    "words_by_label.parquet",
    "words_by_label.csv",
    "results.csv",
    "model.pomona",
    "report.html",
    "run.json",
];
/// Bytes that are fetched ahead of the steps that need them, at most.
const AHEAD_BYTES: u64 = 48 << 20;
/// Files of them at once: photos are fetched meanwhile.
const AHEAD_AT_ONCE: usize = 16;
/// Where receipts of what was forgotten lie.
pub(crate) const RECEIPTS: &str = "forgotten";

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
    place: Place,
    lock: Option<Arc<RunLock>>,
}

impl RunFolder {
    /// Makes the folder ready for a run, and keeps other processes from it.
    ///
    /// # Errors
    /// [`PipelineError::FolderTaken`], and those of the store: [`pomona_store::StoreError::Locked`] where another
    /// process works on it.
    pub async fn create(
        context: &Context,
        place: &Place,
        overwrite: Overwrite,
    ) -> Result<Self, PipelineError> {
        let folder = Self::locked(context, place).await?;
        let prepared = folder.prepare(overwrite).await;
        if prepared.is_err() {
            folder.release().await;
        }
        prepared.map(|()| folder)
    }

    /// The folder, with no other process in it.
    pub(crate) async fn locked(context: &Context, place: &Place) -> Result<Self, PipelineError> {
        let place = place.work_folder()?;
        let (cancel, observer) = (context.cancel.clone(), Arc::clone(&context.observer));
        let lock = RunLock::take(&place, move |lost| {
            observer.event(&crate::events::Event::Note {
                text: lost.to_string(),
            });
            cancel.cancel();
        })
        .await?;
        let folder = Self {
            // What executors write appears without this process's doing.
            place: if context.runner.is_remote() {
                place
            } else {
                place.known().await?
            },
            lock: Some(Arc::new(lock)),
        };
        if folder.place.is_remote() && folder.manifest().is_file().await? {
            // What a listing is compared with is fetched while the listing begins.
            let manifest = folder.manifest();
            tokio::spawn(async move {
                let _ = manifest.read().await;
            });
        }
        Ok(folder)
    }

    async fn prepare(&self, overwrite: Overwrite) -> Result<(), PipelineError> {
        let tops = self.place.files().await?;
        let mut found: Vec<Place> = FILES
            .iter()
            .filter_map(|name| tops.iter().find(|top| top.name() == *name).cloned())
            .collect();
        let is_begun = found.iter().any(|top| top.name() == STARTED);
        // What does not say how it was begun cannot be gone on with.
        if overwrite == Overwrite::Continue {
            let has_ledger = !is_begun && !self.table("images").await?.is_empty();
            if !is_begun && (has_ledger || !found.is_empty()) {
                return Err(PipelineError::FolderTaken {
                    folder: self.place.shown(),
                });
            }
            return Ok(());
        }
        // The ledger goes first: without it nothing else counts as done.
        for name in TABLES {
            let files = self.table(name).await?;
            Place::delete_all(&files).await?;
            self.remove_empty(name);
        }
        found.retain(|top| top.name() != STARTED);
        Place::delete_all(&found).await?;
        // What says how the rest was begun goes last.
        self.place.join(STARTED).delete().await?;
        self.place.clean().await?;
        Ok(())
    }

    /// Others' files stay, and so does their folder.
    fn remove_empty(&self, table: &str) {
        if let Some(folder) = self.place.join(table).file() {
            let _ = std::fs::remove_dir(folder);
        }
    }

    /// A folder that holds an extraction.
    ///
    /// # Errors
    /// [`PipelineError::NotARun`] where it does not.
    pub async fn open(place: &Place) -> Result<Self, PipelineError> {
        let not_a_run = |reason: &str| PipelineError::NotARun {
            folder: place.shown(),
            reason: reason.to_owned(),
        };
        if place.file().is_some_and(|folder| !folder.is_dir()) {
            return Err(not_a_run("there is no folder at this path"));
        }
        let tops = place.files().await?;
        let has = |name: &str| tops.iter().any(|top| top.name() == name);
        if !has("manifest.parquet") && !has(STARTED) && !place.join("images").is_folder().await? {
            return Err(not_a_run(
                "it has neither a manifest nor a ledger (images/)",
            ));
        }
        Ok(Self {
            place: place.work_folder()?,
            lock: None,
        })
    }

    /// Whether something at this place looks like a run folder.
    pub async fn is_one(place: &Place) -> bool {
        Self::open(place).await.is_ok()
    }

    /// Lets other processes into the folder.
    pub async fn release(&self) {
        // Where this fails, what was to be written is told by whoever waited for it.
        let _ = self.place.settle().await;
        if let Some(lock) = &self.lock {
            lock.release().await;
        }
    }

    /// The folder.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// `manifest.parquet`: every listed object and its shard.
    #[must_use]
    pub fn manifest(&self) -> Place {
        self.place.join("manifest.parquet")
    }

    /// `model.pomona`
    #[must_use]
    pub fn model(&self) -> Place {
        self.place.join("model.pomona")
    }

    /// `moments.pomona`: what the model is fitted from.
    #[must_use]
    pub fn moments(&self) -> Place {
        self.place.join("moments.pomona")
    }

    /// `report.html`
    #[must_use]
    pub fn report(&self) -> Place {
        self.place.join("report.html")
    }

    fn record_file(&self) -> Place {
        self.place.join("run.json")
    }

    /// Files of a table (`images`, `features`, `descriptors`, …), by number.
    pub(crate) async fn table(&self, name: &str) -> Result<Vec<Place>, PipelineError> {
        parquet_files(&self.place.join(name)).await
    }

    /// The file of a table for a shard.
    pub(crate) fn table_file(&self, name: &str, shard: u32) -> Place {
        self.place
            .join(&format!("{name}/{name}-{shard:05}.parquet"))
    }

    /// Checks that every shard of the manifest has its ledger file.
    ///
    /// # Errors
    /// [`PipelineError::Incomplete`].
    pub async fn check_complete(&self, context: &Context) -> Result<(), PipelineError> {
        let summary = manifest::summary(context, &self.manifest()).await?;
        let there: BTreeSet<u32> = self
            .table("images")
            .await?
            .iter()
            .filter_map(shard_number)
            .collect();
        let shards = manifest::shards(context, &self.manifest()).await?;
        let missing = shards.difference(&there).count();
        let begun = self.started().await?;
        let is_current = match (&summary, &begun) {
            (Some(summary), Some(begun)) => summary.generation == begun.generation,
            (summary, _) => summary.is_some(),
        };
        if missing > 0 || !is_current {
            return Err(PipelineError::Incomplete {
                folder: self.place.shown(),
                missing,
                shards: shards.len(),
            });
        }
        Ok(())
    }

    /// What the manifest says of itself.
    pub(crate) async fn manifest_summary(
        &self,
        context: &Context,
    ) -> Result<Option<ManifestSummary>, PipelineError> {
        manifest::summary(context, &self.manifest()).await
    }

    /// Begins a run with everything that decides its shards, or goes on with one that was begun with the same.
    ///
    /// `fit` is what the model is to be fitted with, where one that is there already is to stay.
    ///
    /// # Errors
    /// [`PipelineError::OtherSettings`] and [`PipelineError::OtherFit`].
    pub(crate) async fn begin(
        &self,
        settings: &BTreeMap<String, String>,
        fit: Option<&BTreeMap<String, String>>,
        command: &[String],
    ) -> Result<Started, PipelineError> {
        let Some(mut before) = self.started().await? else {
            let started = Started {
                settings: settings.clone(),
                command: command.to_vec(),
                ..Started::default()
            };
            // Before the first shard is written, the listing waits until this is there.
            self.note_started(&started).await?;
            return Ok(started);
        };
        let differences = differences(&before.settings, settings);
        if !differences.is_empty() && self.holds_nothing().await? {
            // Whatever it was, nothing came of it.
            let started = Started {
                settings: settings.clone(),
                command: command.to_vec(),
                ..Started::default()
            };
            self.note_started(&started).await?;
            return Ok(started);
        }
        if !differences.is_empty() {
            return Err(PipelineError::OtherSettings {
                folder: self.place.shown(),
                differences,
            });
        }
        if let (Some(fit), Some(fitted)) = (fit, &before.fitted)
            && self.model().is_file().await?
        {
            let differing = self::differences(fitted, fit);
            if !differing.is_empty() {
                return Err(PipelineError::OtherFit {
                    folder: self.place.shown(),
                    differences: differing,
                });
            }
        }
        self.place.clean().await?;
        if before.command != command && !command.is_empty() {
            before.command = command.to_vec();
            self.note_started(&before).await?;
        }
        Ok(before)
    }

    /// Whether no shard was ever done.
    async fn holds_nothing(&self) -> Result<bool, PipelineError> {
        Ok(!self.manifest().is_file().await? && self.table("images").await?.is_empty())
    }

    /// Makes the run look unfinished, before anything of it is changed.
    pub(crate) async fn unfinish(&self) -> Result<(), PipelineError> {
        Ok(self.record_file().delete().await?)
    }

    /// Begins to fetch what the steps after an extraction will read, if it is far away and little: a known place keeps it.
    pub(crate) async fn fetch_ahead(&self) -> Result<(), PipelineError> {
        if !self.place.is_remote() || self.lock.is_none() {
            return Ok(());
        }
        let mut files = vec![self.moments(), self.model()];
        // Its columns are looked at.
        files.extend(self.table("features").await?.into_iter().take(1));
        for table in ["images", "thumbnails", "reduced"] {
            files.extend(self.table(table).await?);
        }
        let mut wanted = Vec::new();
        let mut bytes = 0;
        for file in files {
            bytes += file.meta().await?.map_or(u64::MAX, |meta| meta.size);
            if bytes > AHEAD_BYTES {
                break;
            }
            wanted.push(file);
        }
        // What cannot be fetched now is told by the step that needs it.
        tokio::spawn(futures::stream::iter(wanted).for_each_concurrent(
            AHEAD_AT_ONCE,
            |file| async move {
                let _ = file.read().await;
            },
        ));
        Ok(())
    }

    /// Whether the run has ended and nothing was changed since.
    pub(crate) async fn is_finished(&self) -> Result<bool, PipelineError> {
        Ok(self.record_file().is_file().await?)
    }

    /// How the run was begun; none where the folder does not say.
    pub(crate) async fn started(&self) -> Result<Option<Started>, PipelineError> {
        read_json(&self.place.join(STARTED)).await
    }

    pub(crate) async fn write_started(&self, started: &Started) -> Result<(), PipelineError> {
        write_json(&self.place.join(STARTED), started).await
    }

    /// Makes the run look unfinished, then writes down what it begins with. In a bucket both are on their way when this
    /// returns, and everything else that is written waits for them.
    pub(crate) async fn begin_generation(&self, started: &Started) -> Result<(), PipelineError> {
        let file = self.place.join(STARTED);
        let bytes = json(&file, started)?;
        Ok(file.write_first(&self.record_file(), bytes).await?)
    }

    /// The same where nothing that follows depends on it before the run's last object.
    pub(crate) async fn note_started(&self, started: &Started) -> Result<(), PipelineError> {
        let file = self.place.join(STARTED);
        Ok(file.write_later(json(&file, started)?).await?)
    }

    /// The command that began the run, word by word; empty where the folder does not say.
    ///
    /// # Errors
    /// Those of reading `started.json`.
    pub async fn command(&self) -> Result<Vec<String>, PipelineError> {
        Ok(self
            .started()
            .await?
            .map(|started| started.command)
            .unwrap_or_default())
    }

    /// Whether the shard is done as it is listed now. The ledger of one that was listed otherwise is removed.
    pub(crate) async fn is_done(&self, shard: &Shard) -> Result<bool, PipelineError> {
        let file = self.table_file("images", shard.index);
        if manifest::is_of(&file, shard).await? {
            return Ok(true);
        }
        file.delete().await?;
        Ok(false)
    }

    /// Removes the files of shards that there are no more, of which there are `shards`.
    pub(crate) async fn remove_beyond(&self, shards: u32) -> Result<(), PipelineError> {
        // The ledger goes first.
        for name in TABLES {
            let mut old = self.table(name).await?;
            old.retain(|file| shard_number(file).is_some_and(|number| number >= shards));
            Place::delete_all(&old).await?;
        }
        Ok(())
    }

    /// Reads `run.json`.
    ///
    /// # Errors
    /// [`PipelineError::NotARun`], [`PipelineError::Broken`] and those of the store.
    pub async fn record(&self) -> Result<RunRecord, PipelineError> {
        match read_json(&self.record_file()).await? {
            Some(record) => Ok(record),
            None => Err(PipelineError::NotARun {
                folder: self.place.shown(),
                reason: "it has no run.json: its extraction did not end".to_owned(),
            }),
        }
    }

    /// Writes `run.json`.
    pub(crate) async fn write_record(&self, record: &RunRecord) -> Result<(), PipelineError> {
        // The last object of a run: everything else is there before.
        self.place.settle().await?;
        let file = self.record_file();
        // Nothing follows but the lock's end.
        let confirm = async {
            if let Some(lock) = &self.lock {
                lock.confirm().await;
            }
        };
        let (written, ()) = tokio::join!(write_json(&file, record), confirm);
        written
    }
}

/// What differs between two sets of settings: name, old and new value.
fn differences(before: &BTreeMap<String, String>, now: &BTreeMap<String, String>) -> Vec<String> {
    let names: BTreeSet<&String> = before.keys().chain(now.keys()).collect();
    let shown = |settings: &BTreeMap<String, String>, name: &String| {
        settings.get(name).map_or("none", String::as_str).to_owned()
    };
    names
        .into_iter()
        .filter(|name| before.get(*name) != now.get(*name))
        .map(|name| {
            let (old, new) = (shown(before, name), shown(now, name));
            format!("{name}: {old} → {new}")
        })
        .collect()
}

/// The shard that a table's file is of: the number at the end of its name.
pub(crate) fn shard_number(file: &Place) -> Option<u32> {
    let name = file.name();
    name.strip_suffix(".parquet")?
        .rsplit('-')
        .next()?
        .parse()
        .ok()
}

pub(crate) async fn read_json<T: DeserializeOwned>(
    file: &Place,
) -> Result<Option<T>, PipelineError> {
    match file.read_if_there().await? {
        Some(bytes) => serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(PipelineError::broken(file)),
        None => Ok(None),
    }
}

pub(crate) async fn write_json(
    file: &Place,
    value: &impl serde::Serialize,
) -> Result<(), PipelineError> {
    Ok(file.write(json(file, value)?).await?)
}

fn json(file: &Place, value: &impl serde::Serialize) -> Result<Bytes, PipelineError> {
    let mut json = serde_json::to_vec_pretty(value).map_err(PipelineError::broken(file))?;
    json.push(b'\n');
    Ok(Bytes::from(json))
}

/// The `.parquet` files of a folder, by name; none where the folder is missing.
pub(crate) async fn parquet_files(folder: &Place) -> Result<Vec<Place>, PipelineError> {
    let mut files = folder.files().await?;
    files.retain(|file| file.name().ends_with(".parquet"));
    // Numbers are padded to five digits; shard 100,000 comes after shard 99,999 all the same.
    files.sort_by(|one, other| {
        let (one, other) = (one.path().as_ref(), other.path().as_ref());
        (one.len(), one).cmp(&(other.len(), other))
    });
    Ok(files)
}
