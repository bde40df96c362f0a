//! A pack, listed without reading its archives.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};

use crate::error::{IndexFault, PackError};
use crate::index::{
    self, ArchiveSummary, INDEX_LIMIT_BYTES, PACK_FILE, PACK_LIMIT_BYTES, PACK_VERSION,
    PackSummary, Version,
};
use crate::member::Member;

/// Indexes fetched at once by [`Pack::archives`].
const FETCHES: usize = 8;

/// A finished pack.
#[derive(Debug, Clone)]
pub struct Pack {
    store: Arc<dyn ObjectStore>,
    folder: Path,
    summary: Arc<PackSummary>,
}

/// One archive of a pack.
#[derive(Debug, Clone)]
pub struct Archive {
    /// What the store says about the archive; its size is the one in `pack.json`.
    pub meta: ObjectMeta,
    /// Its members, in its order.
    pub members: Vec<Member>,
}

/// Reads `pack.json` in `folder`.
///
/// # Errors
///
/// [`PackError::NoPack`] where there is none; otherwise what is wrong with it.
pub async fn read_index(store: Arc<dyn ObjectStore>, folder: Path) -> Result<Pack, PackError> {
    let location = index::location(&folder, PACK_FILE);
    let bytes = match fetch(store.as_ref(), &location, PACK_LIMIT_BYTES).await {
        Err(PackError::Store {
            source: object_store::Error::NotFound { .. },
            ..
        }) => {
            return Err(PackError::NoPack {
                folder: folder.to_string(),
            });
        }
        read => read?,
    };
    let json = |source: serde_json::Error| {
        let line = source.line() as u64;
        PackError::index(&location, IndexFault::Json { line, source })
    };
    let version: Version = serde_json::from_slice(&bytes).map_err(json)?;
    if !version.is_pack() || version.version != u64::from(PACK_VERSION) {
        return Err(PackError::Version {
            location: location.to_string(),
            found: version.version,
            known: PACK_VERSION,
        });
    }
    let summary: PackSummary = serde_json::from_slice(&bytes).map_err(json)?;
    summary
        .check()
        .map_err(|fault| PackError::index(&location, fault))?;
    Ok(Pack {
        store,
        folder,
        summary: Arc::new(summary),
    })
}

impl Pack {
    /// What `pack.json` says.
    pub fn summary(&self) -> &PackSummary {
        &self.summary
    }

    /// The location of one of its archives.
    pub fn location(&self, archive: &ArchiveSummary) -> Path {
        index::location(&self.folder, &archive.name)
    }

    /// One archive with its members, checked against the archive's size in the store.
    ///
    /// # Errors
    ///
    /// Where the archive is gone or has another size, and where its index is not the one that was written.
    pub async fn archive(&self, archive: &ArchiveSummary) -> Result<Archive, PackError> {
        let location = self.location(archive);
        let index = index::location(&self.folder, &archive.index);
        let (meta, bytes) = futures::future::try_join(
            async {
                let meta = self.store.head(&location).await;
                meta.map_err(PackError::store("read", &location))
            },
            fetch(self.store.as_ref(), &index, INDEX_LIMIT_BYTES),
        )
        .await?;
        if meta.size != archive.bytes {
            return Err(PackError::ArchiveChanged {
                archive: location.to_string(),
                listed_bytes: archive.bytes,
                found_bytes: meta.size,
            });
        }
        let members =
            index::read(&bytes, archive).map_err(|fault| PackError::index(&index, fault))?;
        Ok(Archive { meta, members })
    }

    /// All archives in order, a few of them fetched ahead.
    pub fn archives(&self) -> BoxStream<'static, Result<Archive, PackError>> {
        let pack = self.clone();
        stream::iter(0..self.summary.archives.len())
            .map(move |place| {
                let pack = pack.clone();
                async move {
                    match pack.summary.archives.get(place) {
                        Some(archive) => Some(pack.archive(archive).await),
                        None => None,
                    }
                }
            })
            .buffered(FETCHES)
            .filter_map(futures::future::ready)
            .boxed()
    }
}

/// A whole object, unless it is longer than `limit`.
async fn fetch(store: &dyn ObjectStore, location: &Path, limit: u64) -> Result<Bytes, PackError> {
    let object = store
        .get(location)
        .await
        .map_err(PackError::store("read", location))?;
    let found = object.meta.size;
    if found > limit {
        return Err(PackError::index(
            location,
            IndexFault::TooLong { found, limit },
        ));
    }
    object
        .bytes()
        .await
        .map_err(PackError::store("read", location))
}
