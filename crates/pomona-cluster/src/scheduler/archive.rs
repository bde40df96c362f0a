//! Jobs that are over: in memory, and in a folder where there is one, so that they outlive the scheduler.

use std::collections::{HashMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::error::ClusterError;
use crate::summary::{JobDetail, JobSummary};

/// Jobs in the list.
const MOST_SUMMARIES: usize = 10_000;
/// Jobs of which stages and executors are kept in memory too. Of others they are read from the folder.
const MOST_DETAILS: usize = 200;
/// Jobs read from the folder at the start.
const MOST_READ: usize = 2_000;
/// A larger file is none of ours.
const LARGEST_FILE: u64 = 16 << 20;

/// See the module.
#[derive(Debug)]
pub(crate) struct Archive {
    folder: Option<PathBuf>,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// Oldest end first.
    order: VecDeque<String>,
    summaries: HashMap<String, Arc<JobSummary>>,
    detailed: VecDeque<String>,
    details: HashMap<String, Arc<JobDetail>>,
}

impl Archive {
    /// Reads the newest jobs of `folder`, which is made where it is not there. Files that are none of ours are left
    /// alone.
    ///
    /// # Errors
    ///
    /// [`ClusterError::History`] when the folder cannot be made or listed.
    pub(crate) fn open(folder: Option<PathBuf>) -> Result<Self, ClusterError> {
        let mut kept = Kept::default();
        if let Some(folder) = &folder {
            for path in newest_files(folder)? {
                if let Some(detail) = read(&path) {
                    kept.add(detail);
                }
            }
        }
        Ok(Self {
            folder,
            kept: Mutex::new(kept),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Keeps a job that is over.
    ///
    /// # Errors
    ///
    /// [`ClusterError::History`] when it cannot be written; it is in memory all the same.
    pub(crate) async fn add(&self, detail: JobDetail) -> Result<(), ClusterError> {
        let path = self
            .folder
            .as_ref()
            .and_then(|folder| Some(folder.join(file_name(&detail.summary)?)));
        let text = path.as_ref().map(|_| serde_json::to_vec(&detail));
        self.lock().add(detail);
        let (Some(path), Some(text)) = (path, text) else {
            return Ok(());
        };
        let shown = path.clone();
        let written = tokio::task::spawn_blocking(move || write(&path, &text?)).await;
        written
            .unwrap_or_else(|stopped| Err(std::io::Error::other(stopped)))
            .map_err(|source| ClusterError::History {
                path: shown,
                source,
            })
    }

    /// Jobs, newest first.
    pub(crate) fn summaries(&self, most: usize) -> Vec<Arc<JobSummary>> {
        let kept = self.lock();
        kept.order
            .iter()
            .rev()
            .take(most)
            .filter_map(|id| kept.summaries.get(id).cloned())
            .collect()
    }

    /// A job with its stages, or without them where nobody has them any more.
    pub(crate) async fn detail(&self, id: &str) -> Option<Arc<JobDetail>> {
        let (summary, detail) = {
            let kept = self.lock();
            (
                kept.summaries.get(id).cloned()?,
                kept.details.get(id).cloned(),
            )
        };
        if detail.is_some() {
            return detail;
        }
        let path = self
            .folder
            .as_ref()
            .and_then(|folder| Some(folder.join(file_name(&summary)?)));
        if let Some(path) = path
            && let Ok(Some(read)) = tokio::task::spawn_blocking(move || read(&path)).await
        {
            return Some(Arc::new(read));
        }
        Some(Arc::new(JobDetail {
            summary: (*summary).clone(),
            stages: Vec::new(),
            executors: Vec::new(),
        }))
    }
}

impl Kept {
    fn add(&mut self, detail: JobDetail) {
        let id = detail.summary.id.clone();
        if self
            .summaries
            .insert(id.clone(), Arc::new(detail.summary.clone()))
            .is_none()
        {
            self.order.push_back(id.clone());
        }
        if self.details.insert(id.clone(), Arc::new(detail)).is_none() {
            self.detailed.push_back(id);
        }
        while self.order.len() > MOST_SUMMARIES {
            if let Some(old) = self.order.pop_front() {
                self.summaries.remove(&old);
            }
        }
        while self.detailed.len() > MOST_DETAILS {
            if let Some(old) = self.detailed.pop_front() {
                self.details.remove(&old);
            }
        }
    }
}

/// `END-ID.json`, END with 15 digits, so that names sort by time. Nothing for an identifier that is no file name.
fn file_name(summary: &JobSummary) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let id = &summary.id;
    (!id.is_empty() && id.len() <= 100 && id.chars().all(is_plain))
        .then(|| format!("{:015}-{id}.json", summary.ended_ms.unwrap_or(0)))
}

/// The newest files, oldest first.
fn newest_files(folder: &Path) -> Result<Vec<PathBuf>, ClusterError> {
    let listed = || -> std::io::Result<Vec<PathBuf>> {
        std::fs::create_dir_all(folder)?;
        let mut names = Vec::new();
        for entry in std::fs::read_dir(folder)? {
            let name = entry?.file_name();
            let is_ours = name.to_str().is_some_and(|name| {
                name.ends_with(".json")
                    && name
                        .get(..16)
                        .and_then(|end| end.strip_suffix('-'))
                        .is_some_and(|end| end.bytes().all(|byte| byte.is_ascii_digit()))
            });
            if is_ours {
                names.push(name);
            }
        }
        names.sort_unstable();
        let old = names.len().saturating_sub(MOST_READ);
        Ok(names.drain(old..).map(|name| folder.join(name)).collect())
    };
    listed().map_err(|source| ClusterError::History {
        path: folder.to_owned(),
        source,
    })
}

/// A job, or nothing where the file is not one.
fn read(path: &Path) -> Option<JobDetail> {
    let is_small = std::fs::metadata(path).ok()?.len() <= LARGEST_FILE;
    let text = is_small.then(|| std::fs::read(path).ok())??;
    serde_json::from_slice(&text).ok()
}

/// The file appears whole or not at all.
fn write(path: &Path, text: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("json.part");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}
