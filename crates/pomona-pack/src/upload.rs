//! One object, streamed to the store in parts.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{MultipartUpload, ObjectStore, ObjectStoreExt};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use crate::error::PackError;

/// Bytes of a part. Stores ask for at least 5 MiB, and some for parts of one size.
pub(crate) const PART_BYTES: usize = 8 << 20;

/// Parts on their way at once, besides the one that is being filled.
const IN_FLIGHT: usize = 2;

/// An object that appears whole when [`Upload::finish`] is done, or not at all: an upload that is dropped is aborted.
/// What fits one part goes by a single request.
pub(crate) struct Upload {
    store: Arc<dyn ObjectStore>,
    location: Path,
    part: Vec<u8>,
    parts: Option<Box<dyn MultipartUpload>>,
    tasks: JoinSet<object_store::Result<()>>,
}

impl Upload {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, location: Path) -> Self {
        Self {
            store,
            location,
            part: Vec::new(),
            parts: None,
            tasks: JoinSet::new(),
        }
    }

    pub(crate) fn location(&self) -> &Path {
        &self.location
    }

    pub(crate) async fn write(&mut self, mut bytes: &[u8]) -> Result<(), PackError> {
        while !bytes.is_empty() {
            if self.part.len() == PART_BYTES {
                self.send().await?;
            }
            // Never grown beyond a part by doubling.
            self.part.reserve_exact(PART_BYTES - self.part.len());
            let room = PART_BYTES - self.part.len();
            let (now, later) = bytes.split_at(room.min(bytes.len()));
            self.part.extend_from_slice(now);
            bytes = later;
        }
        Ok(())
    }

    pub(crate) async fn finish(mut self) -> Result<(), PackError> {
        if self.parts.is_none() {
            let part = std::mem::take(&mut self.part);
            self.store
                .put(&self.location, part.into())
                .await
                .map_err(PackError::store("write", &self.location))?;
            return Ok(());
        }
        if !self.part.is_empty() {
            self.send().await?;
        }
        self.wait(0).await?;
        if let Some(parts) = &mut self.parts {
            parts
                .complete()
                .await
                .map_err(PackError::store("write", &self.location))?;
        }
        // Complete: nothing is left to abort.
        self.parts = None;
        Ok(())
    }

    /// Takes back what the store has received.
    pub(crate) async fn abort(mut self) -> Result<(), PackError> {
        self.tasks.shutdown().await;
        match self.parts.take() {
            Some(mut parts) => parts
                .abort()
                .await
                .map_err(PackError::store("abort the upload of", &self.location)),
            None => Ok(()),
        }
    }

    async fn send(&mut self) -> Result<(), PackError> {
        // First, so that the memory of parts is bounded.
        self.wait(IN_FLIGHT - 1).await?;
        let parts = match &mut self.parts {
            Some(parts) => parts,
            none => none.insert(
                self.store
                    .put_multipart(&self.location)
                    .await
                    .map_err(PackError::store("write", &self.location))?,
            ),
        };
        let part = std::mem::take(&mut self.part);
        self.tasks.spawn(parts.put_part(part.into()));
        Ok(())
    }

    /// Waits until at most `most` parts are on their way.
    async fn wait(&mut self, most: usize) -> Result<(), PackError> {
        while self.tasks.len() > most {
            let sent = match self.tasks.join_next().await {
                Some(Ok(sent)) => sent,
                Some(Err(source)) => Err(object_store::Error::JoinError { source }),
                None => break,
            };
            sent.map_err(PackError::store("write", &self.location))?;
        }
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        let Some(mut parts) = self.parts.take() else {
            return;
        };
        let mut tasks = std::mem::take(&mut self.tasks);
        // Without a runtime there is nothing to abort with; buckets are set up to drop unfinished uploads by age.
        if let Ok(runtime) = Handle::try_current() {
            runtime.spawn(async move {
                tasks.shutdown().await;
                // Nobody is left to be told.
                let _ = parts.abort().await;
            });
        }
    }
}
