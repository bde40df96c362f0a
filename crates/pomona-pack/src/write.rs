//! Many small files into a few archives.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload};

use crate::crc32::crc32;
use crate::error::{IndexFault, PackError};
use crate::header::BLOCK;
use crate::index::{self, ArchiveSummary, PACK_FILE, PackSummary};
use crate::labels::text;
use crate::member::Member;
use crate::names::{NameSet, normalise};
use crate::samples::{is_label, sample_key, samples};
use crate::tar_bytes::{END, headers, padding};
use crate::upload::Upload;

/// An archive is closed when the names for its index have this many bytes, however short its members are: the index
/// is kept in memory until then.
const NAMES_LIMIT_BYTES: usize = 4 << 20;

/// What a line of an index takes besides the name.
const LINE_BYTES: usize = 100;

/// A sample with more members than this may be spread over two archives: files whose names begin alike and have dots,
/// as `2024.05.01.jpg`, would else all be one sample.
const SAMPLE_LIMIT: usize = 16;

/// Stores take at most 10,000 parts of 8 MiB.
const ARCHIVE_LIMIT_BYTES: u64 = 64 << 30;
const ARCHIVE_LEAST_BYTES: u64 = 10 << 10;

/// How a pack is written.
#[derive(Debug, Clone)]
pub struct PackSettings {
    /// The length of an archive in bytes, 10 KiB to 64 GiB. Only the last sample of an archive may go beyond.
    pub archive_bytes: u64,
}

impl Default for PackSettings {
    fn default() -> Self {
        Self {
            archive_bytes: 256_000_000,
        }
    }
}

/// Writes a folder of archives `pack-00000.tar`, `pack-00001.tar`, …, each with its index, and `pack.json` last.
///
/// * The same members in the same order give the same bytes.
/// * Members of one sample (up to 16) that are added one after the other come into one archive.
/// * The text of a `cls` or `label` member becomes the label of its sample's images in the index.
/// * Without `pack.json` there is no pack. After an error, or when it is dropped, the writer aborts the upload under
///   way; archives that were finished before stay until [`PackWriter::discard`] or another writer replaces them.
///
/// Memory: at most 32 MiB, besides the contents that are handed over.
pub struct PackWriter {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    settings: PackSettings,
    finished: Vec<ArchiveSummary>,
    current: Option<Current>,
    /// Names in the current archive.
    names: NameSet,
    failed: bool,
}

/// The archive being written.
struct Current {
    name: String,
    upload: Upload,
    bytes: u64,
    content_bytes: u64,
    index_bytes: usize,
    members: Vec<Member>,
}

impl PackWriter {
    /// Begins a pack in `folder`.
    ///
    /// # Errors
    ///
    /// Where the folder holds a finished pack already, or a setting is out of its range.
    pub async fn create(
        store: Arc<dyn ObjectStore>,
        folder: Path,
        settings: PackSettings,
    ) -> Result<Self, PackError> {
        let range = ARCHIVE_LEAST_BYTES..=ARCHIVE_LIMIT_BYTES;
        if !range.contains(&settings.archive_bytes) {
            return Err(PackError::Setting {
                setting: "archive_bytes",
                value: settings.archive_bytes,
                least: ARCHIVE_LEAST_BYTES,
                most: ARCHIVE_LIMIT_BYTES,
            });
        }
        let pack = index::location(&folder, PACK_FILE);
        match store.head(&pack).await {
            Err(object_store::Error::NotFound { .. }) => {}
            Err(source) => return Err(PackError::store("read", &pack)(source)),
            Ok(_) => {
                return Err(PackError::PackExists {
                    folder: folder.to_string(),
                });
            }
        }
        Ok(Self {
            store,
            folder,
            settings,
            finished: Vec::new(),
            current: None,
            names: NameSet::default(),
            failed: false,
        })
    }

    /// Adds a file. `name` is relative and `/`-separated.
    ///
    /// # Errors
    ///
    /// [`PackError::Name`] and [`PackError::Duplicate`] (within one archive) leave the writer as it was, so that
    /// packing can go on without the file. After any other error the writer has failed.
    pub async fn add(
        &mut self,
        name: &str,
        modified_secs: i64,
        content: Bytes,
    ) -> Result<(), PackError> {
        if self.failed {
            return Err(PackError::WriterFailed);
        }
        let name = normalise(name)
            .map_err(|problem| PackError::Name {
                name: name.to_owned(),
                problem,
            })?
            .into_owned();
        let duplicate = self.current.is_some() && self.names.contains(&name);
        if duplicate {
            return Err(PackError::Duplicate { name });
        }
        // Until the end of this call: also where the caller drops the call half-way.
        self.failed = true;
        match self.write(name, modified_secs, content).await {
            Ok(()) => {
                self.failed = false;
                Ok(())
            }
            Err(error) => {
                self.abort_current().await;
                Err(error)
            }
        }
    }

    /// Closes the last archive and writes `pack.json`.
    ///
    /// # Errors
    ///
    /// Where the store fails, where another writer has finished a pack in the folder meanwhile, and where this writer
    /// has failed before.
    pub async fn finish(mut self) -> Result<PackSummary, PackError> {
        if self.failed {
            return Err(PackError::WriterFailed);
        }
        self.close().await?;
        let summary = PackSummary::new(std::mem::take(&mut self.finished));
        let location = index::location(&self.folder, PACK_FILE);
        let mut bytes = serde_json::to_vec_pretty(&summary).map_err(json(&location))?;
        bytes.push(b'\n');
        self.publish(&location, bytes.into()).await?;
        Ok(summary)
    }

    /// Gives up: aborts the upload under way and deletes the archives and indexes that this writer has finished.
    ///
    /// # Errors
    ///
    /// Where the store fails; the rest is deleted nevertheless.
    pub async fn discard(mut self) -> Result<(), PackError> {
        let mut result = match self.current.take() {
            Some(current) => current.upload.abort().await,
            None => Ok(()),
        };
        for archive in std::mem::take(&mut self.finished) {
            for name in [archive.name, archive.index] {
                let location = index::location(&self.folder, &name);
                match self.store.delete(&location).await {
                    Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                    Err(source) => {
                        result = result.and(Err(PackError::store("delete", &location)(source)));
                    }
                }
            }
        }
        result
    }

    async fn write(
        &mut self,
        name: String,
        modified_secs: i64,
        content: Bytes,
    ) -> Result<(), PackError> {
        let size = content.len() as u64;
        let headers = headers(&name, size, modified_secs);
        let added = headers.len() as u64 + size.next_multiple_of(BLOCK);
        if self
            .current
            .as_ref()
            .is_some_and(|current| self.is_full(current, &name, added))
        {
            self.close().await?;
        }
        let current = match &mut self.current {
            Some(current) => current,
            none => none.insert(Current::new(&self.store, &self.folder, self.finished.len())),
        };
        let label = if is_label(&name) {
            text(&content).ok()
        } else {
            None
        };
        let offset = current.bytes + headers.len() as u64;
        current.upload.write(&headers).await?;
        current.upload.write(&content).await?;
        current.upload.write(&END[..padding(size)]).await?;
        current.bytes += added;
        current.content_bytes += size;
        current.index_bytes += name.len() + label.as_ref().map_or(0, String::len) + LINE_BYTES;
        self.names.insert(&name);
        current.members.push(Member {
            name,
            offset,
            size,
            modified_secs,
            label,
        });
        Ok(())
    }

    /// Whether `name` belongs into the next archive.
    fn is_full(&self, current: &Current, name: &str, added: u64) -> bool {
        let bytes = current.bytes + added + END.len() as u64;
        let full = bytes > self.settings.archive_bytes || current.index_bytes > NAMES_LIMIT_BYTES;
        let same_sample = |member: &Member| {
            let key = sample_key(name);
            key.is_some() && key == sample_key(&member.name)
        };
        let begun = current.members.iter().rev().take(SAMPLE_LIMIT);
        let begun = begun.take_while(|member| same_sample(member)).count();
        let keep = (1..SAMPLE_LIMIT).contains(&begun);
        full && !current.members.is_empty() && !keep
    }

    /// Ends the current archive and writes its index.
    async fn close(&mut self) -> Result<(), PackError> {
        self.names.clear();
        let Some(mut current) = self.current.take() else {
            return Ok(());
        };
        current.upload.write(&END).await?;
        let bytes = current.bytes + END.len() as u64;
        let location = current.upload.location().clone();
        current.upload.finish().await?;

        label_members(&mut current.members);
        let index_name = current.name.replace(".tar", ".index");
        let lines =
            index::write(&current.name, bytes, &current.members).map_err(json(&location))?;
        let archive = ArchiveSummary {
            name: current.name,
            bytes,
            members: current.members.len() as u64,
            content_bytes: current.content_bytes,
            index: index_name,
            index_bytes: lines.len() as u64,
            index_crc32: crc32(&lines),
        };
        let location = index::location(&self.folder, &archive.index);
        // Before the index is there, so that `discard` finds the archive where writing the index fails.
        self.finished.push(archive);
        let put = self.store.put(&location, lines.into()).await;
        put.map(drop).map_err(PackError::store("write", &location))
    }

    /// Writes `pack.json`, unless another writer was faster. Exclusive, since uploads cannot be shared by tasks.
    async fn publish(&mut self, location: &Path, bytes: Bytes) -> Result<(), PackError> {
        let create = PutOptions::from(PutMode::Create);
        let put = self
            .store
            .put_opts(location, PutPayload::from_bytes(bytes.clone()), create)
            .await;
        match put {
            Ok(_) => Ok(()),
            Err(
                object_store::Error::AlreadyExists { .. }
                | object_store::Error::Precondition { .. },
            ) => {
                // A request that was repeated after a lost answer meets its own file.
                let there = async { self.store.get(location).await?.bytes().await };
                if there.await.is_ok_and(|there| there == bytes) {
                    return Ok(());
                }
                Err(PackError::PackExists {
                    folder: self.folder.to_string(),
                })
            }
            // Stores without conditional writes.
            Err(
                object_store::Error::NotImplemented { .. }
                | object_store::Error::NotSupported { .. },
            ) => {
                let put = self.store.put(location, bytes.into()).await;
                put.map(drop).map_err(PackError::store("write", location))
            }
            Err(source) => Err(PackError::store("write", location)(source)),
        }
    }

    async fn abort_current(&mut self) {
        if let Some(current) = self.current.take() {
            // The error that led here is the one to tell.
            let _ = current.upload.abort().await;
        }
    }
}

impl Current {
    fn new(store: &Arc<dyn ObjectStore>, folder: &Path, number: usize) -> Self {
        let name = format!("pack-{number:05}.tar");
        let location = index::location(folder, &name);
        Self {
            name,
            upload: Upload::new(Arc::clone(store), location),
            bytes: 0,
            content_bytes: 0,
            index_bytes: 0,
            members: Vec::new(),
        }
    }
}

/// Moves the texts of label members to the images of their samples.
fn label_members(members: &mut [Member]) {
    let found = samples(members);
    for image in found.images {
        let label = image
            .label
            .and_then(|label| members.get(label))
            .and_then(|label| label.label.clone());
        if let Some(member) = members.get_mut(image.member) {
            member.label = label;
        }
    }
    for side_file in found.side_files {
        if let Some(member) = members.get_mut(side_file) {
            member.label = None;
        }
    }
}

fn json(location: &Path) -> impl FnOnce(serde_json::Error) -> PackError {
    move |source| {
        let line = source.line() as u64;
        PackError::index(location, IndexFault::Json { line, source })
    }
}
