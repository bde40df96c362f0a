//! A store over a network: answers are checked for their length, expired credentials are renewed, and what was just
//! written is not fetched again.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    Result,
};
use rand::RngExt;

use crate::error::{Outage, find};
use crate::profile::ProfileCredentials;
use crate::written::Written;

/// Ranges of at most so many bytes are read whole and checked for their length before they are handed on.
const CHECKED_BYTES: u64 = 4 << 20;
/// Tries after answers that were not whole, or refused for expired credentials.
const TRIES: u32 = 6;
const FIRST_WAIT_MILLIS: u64 = 50;

#[derive(Debug)]
pub(crate) struct Careful {
    inner: Arc<dyn ObjectStore>,
    credentials: Option<Arc<ProfileCredentials>>,
    written: Written,
}

#[derive(Debug, thiserror::Error)]
#[error("the answer broke off: {got} of {expected} bytes came")]
struct BrokeOff {
    expected: u64,
    got: u64,
}

impl Careful {
    pub(crate) fn new(
        inner: Arc<dyn ObjectStore>,
        credentials: Option<Arc<ProfileCredentials>>,
    ) -> Self {
        Self {
            inner,
            credentials,
            written: Written::default(),
        }
    }

    /// Runs a request, again where its credentials had expired or its answer was not whole.
    async fn attempt<T, F>(&self, mut request: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut tries = 0;
        loop {
            let error = match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let is_expired = find::<Outage>(&error) == Some(&Outage::Expired);
            let is_passing = is_expired || find::<BrokeOff>(&error).is_some();
            tries += 1;
            if !is_passing || tries > TRIES {
                return Err(error);
            }
            if is_expired && let Some(credentials) = &self.credentials {
                credentials.refuse().await;
            }
            let most = FIRST_WAIT_MILLIS << tries;
            let wait = rand::rng().random_range(most / 2..=most);
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
    }
}

/// Reads a small answer whole and checks its length.
async fn checked(answer: GetResult, options: &GetOptions) -> Result<GetResult> {
    let expected = answer.range.end - answer.range.start;
    if options.head || expected > CHECKED_BYTES {
        return Ok(answer);
    }
    let GetResult {
        payload,
        meta,
        range,
        attributes,
    } = answer;
    let bytes = match payload {
        GetResultPayload::Stream(parts) => {
            let parts: Vec<Bytes> = parts.try_collect().await?;
            match <[Bytes; 1]>::try_from(parts) {
                Ok([whole]) => whole,
                Err(parts) => parts.concat().into(),
            }
        }
        payload => {
            return Ok(GetResult {
                payload,
                meta,
                range,
                attributes,
            });
        }
    };
    let got = bytes.len() as u64;
    if got != expected {
        return Err(Error::Generic {
            store: "remote",
            source: Box::new(BrokeOff { expected, got }),
        });
    }
    Ok(GetResult {
        payload: GetResultPayload::Stream(stream::once(async move { Ok(bytes) }).boxed()),
        meta,
        range,
        attributes,
    })
}

impl fmt::Display for Careful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Careful {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.written.forget(location);
        let mut tries = 0;
        let done = self
            .attempt(|| {
                tries += 1;
                self.inner
                    .put_opts(location, payload.clone(), options.clone())
            })
            .await?;
        // What is put only where nothing was may be another's by the time it is read.
        if matches!(options.mode, PutMode::Overwrite) {
            self.written.keep(location, payload, &done);
        }
        Ok(done)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.written.forget(location);
        self.attempt(|| self.inner.put_multipart_opts(location, options.clone()))
            .await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if let Some(answer) = self.written.get(location, &options) {
            return answer;
        }
        self.attempt(|| async {
            let answer = self.inner.get_opts(location, options.clone()).await?;
            checked(answer, &options).await
        })
        .await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if let Some(answer) = self.written.ranges(location, ranges) {
            return Ok(answer);
        }
        let expected: u64 = ranges.iter().map(|range| range.end - range.start).sum();
        self.attempt(|| async {
            let parts = self.inner.get_ranges(location, ranges).await?;
            let got = parts.iter().map(|part| part.len() as u64).sum();
            if got != expected {
                return Err(Error::Generic {
                    store: "remote",
                    source: Box::new(BrokeOff { expected, got }),
                });
            }
            Ok(parts)
        })
        .await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let written = self.written.clone();
        let locations = locations.inspect_ok(move |location| written.forget(location));
        self.inner.delete_stream(locations.boxed())
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.attempt(|| self.inner.list_with_delimiter(prefix))
            .await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.written.forget(to);
        self.attempt(|| self.inner.copy_opts(from, to, options.clone()))
            .await
    }
}
