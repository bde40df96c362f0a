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

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::careful::Abilities;

    /// Does what it is told and then says that there is no such upload, as a storage that was told twice.
    struct Forgetful {
        store: InMemory,
        is_completing: bool,
    }

    #[async_trait]
    impl MultipartStore for Forgetful {
        async fn create_multipart(&self, path: &Path) -> Result<MultipartId> {
            self.store.create_multipart(path).await
        }

        async fn put_part(
            &self,
            path: &Path,
            id: &MultipartId,
            number: usize,
            data: PutPayload,
        ) -> Result<PartId> {
            self.store.put_part(path, id, number, data).await
        }

        async fn complete_multipart(
            &self,
            path: &Path,
            id: &MultipartId,
            parts: Vec<PartId>,
        ) -> Result<PutResult> {
            if self.is_completing {
                self.store.complete_multipart(path, id, parts).await?;
            }
            Err(Error::NotFound {
                path: path.to_string(),
                source: "there is no such upload".into(),
            })
        }

        async fn abort_multipart(&self, path: &Path, id: &MultipartId) -> Result<()> {
            self.store.abort_multipart(path, id).await
        }
    }

    async fn uploaded(is_completing: bool, before: Option<&'static str>) -> Result<PutResult> {
        let (store, location) = (Arc::new(InMemory::new()), Path::from("features.parquet"));
        if let Some(before) = before {
            store.put(&location, before.into()).await?;
        }
        let forgetful = Arc::new(Forgetful {
            store: store.as_ref().clone(),
            is_completing,
        });
        let careful = Careful::new(store, Abilities::default());
        let mut upload = Upload::begin(careful, forgetful, &location).await?;
        upload.put_part("plums and ".into()).await?;
        upload.put_part("pears".into()).await?;
        upload.complete().await
    }

    #[tokio::test]
    async fn an_upload_that_is_gone_counts_where_its_object_is_there() {
        uploaded(true, None).await.unwrap();
        uploaded(true, Some("an older one")).await.unwrap();
        uploaded(false, None).await.unwrap_err();
        uploaded(false, Some("an older one")).await.unwrap_err();
    }
}
