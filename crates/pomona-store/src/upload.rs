//! A large object, sent in parts.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{
    Error, MultipartId, MultipartUpload, ObjectStoreExt, PutPayload, PutResult, Result, UploadPart,
};

use crate::careful::Careful;

/// Signed requests are refused where clocks differ by more.
const CLOCKS: Duration = Duration::from_secs(15 * 60);

/// A large object in the making: parts go up again where credentials had expired, and an answer to the last request
/// that was lost is made up for.
pub(crate) struct Upload {
    store: Careful,
    by_parts: Arc<dyn MultipartStore>,
    location: Path,
    id: MultipartId,
    sent: Arc<Mutex<Vec<Option<PartId>>>>,
    bytes: u64,
    began: Timestamp,
}

impl std::fmt::Debug for Upload {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Upload").field(&self.location).finish()
    }
}

#[derive(Debug, thiserror::Error)]
#[error("a part of it was not sent")]
struct PartMissing;

impl Upload {
    pub(crate) async fn begin(
        store: Careful,
        by_parts: Arc<dyn MultipartStore>,
        location: &Path,
    ) -> Result<Self> {
        let began = Timestamp::now();
        let id = store
            .attempt(|| by_parts.create_multipart(location))
            .await?;
        Ok(Self {
            store,
            by_parts,
            location: location.clone(),
            id,
            sent: Arc::default(),
            bytes: 0,
            began,
        })
    }

    /// The object, if this upload made it: it has this length and is as young.
    async fn made(&self) -> Option<PutResult> {
        let meta = self.store.head(&self.location).await.ok()?;
        let oldest = self.began.as_second() - CLOCKS.as_secs() as i64;
        let is_made = meta.size == self.bytes && meta.last_modified.timestamp() >= oldest;
        is_made.then_some(PutResult {
            e_tag: meta.e_tag,
            version: meta.version,
        })
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.bytes += data.content_length() as u64;
        let number = match self.sent.lock() {
            Ok(mut sent) => {
                sent.push(None);
                sent.len() - 1
            }
            Err(_) => usize::MAX,
        };
        let (store, by_parts) = (self.store.clone(), Arc::clone(&self.by_parts));
        let (location, id, sent) = (
            self.location.clone(),
            self.id.clone(),
            Arc::clone(&self.sent),
        );
        Box::pin(async move {
            let part = store
                .attempt(|| by_parts.put_part(&location, &id, number, data.clone()))
                .await?;
            if let Ok(mut sent) = sent.lock()
                && let Some(place) = sent.get_mut(number)
            {
                *place = Some(part);
            }
            Ok(())
        })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let parts: Option<Vec<PartId>> = self
            .sent
            .lock()
            .ok()
            .and_then(|sent| sent.iter().cloned().collect());
        let Some(parts) = parts else {
            return Err(Error::Generic {
                store: "remote",
                source: Box::new(PartMissing),
            });
        };
        let completed = self
            .store
            .attempt(|| {
                self.by_parts
                    .complete_multipart(&self.location, &self.id, parts.clone())
            })
            .await;
        match completed {
            // The upload is gone where an earlier try completed it and its answer was lost.
            Err(error @ Error::NotFound { .. }) => self.made().await.ok_or(error),
            other => other,
        }
    }

    async fn abort(&mut self) -> Result<()> {
        let aborted = self
            .store
            .attempt_twice(|| self.by_parts.abort_multipart(&self.location, &self.id))
            .await;
        match aborted {
            Err(Error::NotFound { .. }) => Ok(()),
            other => other,
        }
    }
}
