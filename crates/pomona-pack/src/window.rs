//! A piece of an archive in memory, moved forward by ranged reads.

use std::sync::Arc;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};

use crate::error::PackError;

/// What is read behind a member that was too large to read through: enough for some headers, in case another large
/// member follows.
const AFTER_LARGE: u64 = 64 << 10;

pub(crate) struct Window {
    store: Arc<dyn ObjectStore>,
    location: Path,
    size: u64,
    block: u64,
    start: u64,
    bytes: Bytes,
}

impl Window {
    pub(crate) fn new(store: Arc<dyn ObjectStore>, location: Path, size: u64, block: u64) -> Self {
        Self {
            store,
            location,
            size,
            block,
            start: 0,
            bytes: Bytes::new(),
        }
    }

    pub(crate) fn location(&self) -> &Path {
        &self.location
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// Bytes `offset .. offset + length`, or `None` where the archive ends earlier.
    pub(crate) async fn read(
        &mut self,
        offset: u64,
        length: u64,
    ) -> Result<Option<Bytes>, PackError> {
        let Some(end) = offset.checked_add(length).filter(|end| *end <= self.size) else {
            return Ok(None);
        };
        if let Some(bytes) = self.held(offset, length) {
            return Ok(Some(bytes));
        }
        let held_end = self.start + self.bytes.len() as u64;
        let skipped = offset.saturating_sub(held_end);
        let ahead = if skipped > self.block {
            self.block.min(AFTER_LARGE)
        } else {
            self.block
        };
        let end = end.max(offset.saturating_add(ahead)).min(self.size);
        // Dropped first, so that two pieces are never held at once.
        self.bytes = Bytes::new();
        self.bytes = self
            .store
            .get_range(&self.location, offset..end)
            .await
            .map_err(PackError::store("read", &self.location))?;
        self.start = offset;
        let got = self.bytes.len() as u64;
        if got != end - offset {
            return Err(PackError::ShortRead {
                location: self.location.to_string(),
                offset,
                expected: end - offset,
                got,
            });
        }
        Ok(self.held(offset, length))
    }

    fn held(&self, offset: u64, length: u64) -> Option<Bytes> {
        let from = usize::try_from(offset.checked_sub(self.start)?).ok()?;
        let to = from.checked_add(usize::try_from(length).ok()?)?;
        (to <= self.bytes.len()).then(|| self.bytes.slice(from..to))
    }
}
