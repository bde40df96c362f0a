//! Writing in the background.

use bytes::Bytes;
use object_store::Error;

use crate::error::StoreError;
use crate::place::Place;

impl Place {
    /// Writes the file; in a [`known`](Self::known) place in the background: [`settle`](Self::settle) waits for it.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn write_later(&self, bytes: impl Into<Bytes>) -> Result<(), StoreError> {
        if self.is_known() {
            self.put_later(bytes.into()).await
        } else {
            self.write(bytes).await
        }
    }

    /// Removes another file, then writes this one. In a [`known`](Self::known) place both happen in the background, and
    /// everything else that is written or removed there waits for them; where they fail, it fails too.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn write_first(
        &self,
        removed: &Self,
        bytes: impl Into<Bytes>,
    ) -> Result<(), StoreError> {
        match &self.known {
            Some(known) => {
                known
                    .put_first(removed.path(), self.path(), bytes.into())
                    .await;
                Ok(())
            }
            None => {
                removed.delete().await?;
                self.write(bytes).await
            }
        }
    }

    pub(crate) fn is_known(&self) -> bool {
        self.known.is_some()
    }

    /// In a known place, writes the file in the background.
    pub(crate) async fn put_later(&self, bytes: Bytes) -> Result<(), StoreError> {
        match &self.known {
            Some(known) => known
                .put_later(self.path(), bytes)
                .await
                .map_err(|error| self.failed(error)),
            None => Ok(()),
        }
    }

    /// In a known place, does something in the background that [`settle`](Self::settle) waits for.
    pub(crate) async fn later(
        &self,
        work: impl Future<Output = Result<(), Error>> + Send + 'static,
    ) -> Result<(), StoreError> {
        match &self.known {
            Some(known) => known.later(work),
            None => work.await.map_err(|error| self.failed(error))?,
        }
        Ok(())
    }

    /// Waits until everything that was to be written later is there.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn settle(&self) -> Result<(), StoreError> {
        match &self.known {
            Some(known) => known.settle().await.map_err(|error| self.failed(error)),
            None => Ok(()),
        }
    }
}
