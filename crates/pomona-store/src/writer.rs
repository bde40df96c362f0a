//! A file, written piece by piece.

use bytes::Bytes;
use object_store::{Error, MultipartUpload, ObjectStore, PutPayload, PutPayloadMut};
use tokio::task::JoinSet;

use crate::error::StoreError;
use crate::place::Place;

/// Larger files go up in parts of this size.
pub(crate) const PART_BYTES: usize = 8 << 20;
/// Parts on their way at once.
const PARTS_AT_ONCE: usize = 4;

/// A file in the making. It appears whole when it is finished, and not at all otherwise: what went up before an error,
/// or before the writer was dropped, is taken back.
#[derive(Debug)]
pub struct PlaceWriter {
    place: Place,
    waiting: PutPayloadMut,
    upload: Option<Box<dyn MultipartUpload>>,
    parts: JoinSet<Result<(), Error>>,
    has_failed: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("an earlier part of it could not be written")]
struct Failed;

impl PlaceWriter {
    pub(crate) fn new(place: Place) -> Self {
        Self {
            place,
            waiting: PutPayloadMut::new(),
            upload: None,
            parts: JoinSet::new(),
            has_failed: false,
        }
    }

    /// Adds bytes at the end. After an error, the file cannot be finished any more.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn write(&mut self, bytes: impl Into<Bytes>) -> Result<(), StoreError> {
        let mut bytes: Bytes = bytes.into();
        while self.waiting.content_length() + bytes.len() > PART_BYTES {
            let fits = PART_BYTES - self.waiting.content_length();
            self.waiting.push(bytes.split_to(fits));
            if let Err(error) = self.send().await {
                self.take_back().await;
                return Err(self.place.failed(error));
            }
        }
        self.waiting.push(bytes);
        Ok(())
    }

    /// Begins to send a file that is known to become large, before there is anything of it.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn begin_large(&mut self) -> Result<(), StoreError> {
        self.begin().await.map_err(|error| self.place.failed(error))
    }

    async fn begin(&mut self) -> Result<(), Error> {
        if self.upload.is_none() {
            let begun = self
                .place
                .store()
                .put_multipart_opts(self.place.path(), Default::default())
                .await?;
            self.upload = Some(begun);
        }
        Ok(())
    }

    /// Sends what waits as a part.
    async fn send(&mut self) -> Result<(), Error> {
        self.begin().await?;
        while self.parts.len() >= PARTS_AT_ONCE {
            self.part_sent().await?;
        }
        let payload: PutPayload = std::mem::take(&mut self.waiting).freeze();
        if let Some(upload) = &mut self.upload {
            self.parts.spawn(upload.put_part(payload));
        }
        Ok(())
    }

    /// Waits for one of the parts on their way.
    async fn part_sent(&mut self) -> Result<(), Error> {
        match self.parts.join_next().await {
            Some(sent) => sent?,
            None => Ok(()),
        }
    }

    /// Makes the file appear; in a [`known`](Place::known) place a small one as [`Place::write_later`] does.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn finish(mut self) -> Result<(), StoreError> {
        if self.upload.is_none() && !self.has_failed && self.place.is_known() {
            let small: PutPayload = std::mem::take(&mut self.waiting).freeze();
            return self.place.put_later(small.into()).await;
        }
        match self.finished().await {
            Ok(()) => {
                self.upload = None;
                Ok(())
            }
            Err(error) => {
                self.take_back().await;
                Err(self.place.failed(error))
            }
        }
    }

    /// As [`finish`](Self::finish); in a [`known`](Place::known) place a large one is finished in the background too:
    /// [`Place::settle`] waits for it and tells what went wrong.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn finish_later(self) -> Result<(), StoreError> {
        if self.upload.is_none() || self.has_failed {
            return self.finish().await;
        }
        let place = self.place.clone();
        let mut writer = self;
        let finished = async move {
            let done = writer.finished().await;
            match &done {
                Ok(()) => drop(writer.upload.take()),
                Err(_) => writer.take_back().await,
            }
            done
        };
        place.later(finished).await
    }

    async fn finished(&mut self) -> Result<(), Error> {
        if self.has_failed {
            return Err(Error::Generic {
                store: "writer",
                source: Box::new(Failed),
            });
        }
        if self.upload.is_some() {
            if self.waiting.content_length() > 0 {
                self.send().await?;
            }
            while !self.parts.is_empty() {
                self.part_sent().await?;
            }
        }
        match &mut self.upload {
            Some(upload) => upload.complete().await.map(|_| ()),
            None => {
                let payload = std::mem::take(&mut self.waiting).freeze();
                let put =
                    self.place
                        .store()
                        .put_opts(self.place.path(), payload, Default::default());
                put.await.map(|_| ())
            }
        }
    }

    /// Gives it up: nothing stays of it.
    pub async fn abandon(mut self) {
        self.take_back().await;
    }

    async fn take_back(&mut self) {
        self.has_failed = true;
        self.parts.shutdown().await;
        if let Some(mut upload) = self.upload.take() {
            // What cannot be taken back stays invisible.
            let _ = upload.abort().await;
        }
    }
}

impl Drop for PlaceWriter {
    fn drop(&mut self) {
        let Some(mut upload) = self.upload.take() else {
            return;
        };
        let mut parts = std::mem::take(&mut self.parts);
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move {
                parts.shutdown().await;
                let _ = upload.abort().await;
            });
        }
    }
}
