//! A store over a network: answers are checked for their length, expired credentials are renewed, and what was just
//! written is not fetched again.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::multipart::MultipartStore;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, Result,
};
use rand::RngExt;

use crate::error::{Outage, find, status};
use crate::profile::ProfileCredentials;
use crate::resumed::{BrokeOff, resumed};
use crate::upload::Upload;
use crate::written::Written;

/// Ranges of at most so many bytes are read whole and checked for their length before they are handed on.
const CHECKED_BYTES: u64 = 4 << 20;
/// Tries after answers that were not whole, or refused for expired credentials.
const TRIES: u32 = 8;
const FIRST_WAIT_MILLIS: u64 = 50;
const LONGEST_WAIT_MILLIS: u64 = 2_000;
/// Objects removed at once.
const REMOVED_AT_ONCE: usize = 32;

/// Marks what is put for other processes to see and change: it is always fetched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForAll;

/// What a store can do besides what every store can.
#[derive(Clone, Default)]
pub(crate) struct Abilities {
    pub(crate) pages: Option<Arc<dyn PaginatedListStore>>,
    pub(crate) parts: Option<Arc<dyn MultipartStore>>,
    pub(crate) credentials: Option<Arc<ProfileCredentials>>,
}

/// A store over a network. Clones are the same store.
#[derive(Clone)]
pub(crate) struct Careful {
    inner: Arc<dyn ObjectStore>,
    abilities: Abilities,
    written: Written,
}

impl fmt::Debug for Careful {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Careful")
            .field(&self.inner.to_string())
            .finish()
    }
}

impl Careful {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, abilities: Abilities) -> Self {
        Self {
            inner,
            abilities,
            written: Written::default(),
        }
    }

    /// Runs a request, again where its credentials had expired or its answer was not whole.
    pub(crate) async fn attempt<T, F>(&self, request: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        self.attempt_where(request, |_| false).await
    }

    /// As [`attempt`](Self::attempt), for a request that may be carried out twice: again also where its answer was
    /// lost.
    pub(crate) async fn attempt_twice<T, F>(&self, request: impl FnMut() -> F) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        self.attempt_where(request, |error| {
            find::<Outage>(error).is_none()
                && find::<HttpError>(error).is_some_and(|error| {
                    matches!(
                        error.kind(),
                        HttpErrorKind::Timeout | HttpErrorKind::Interrupted
                    )
                })
        })
        .await
    }

    async fn attempt_where<T, F>(
        &self,
        mut request: impl FnMut() -> F,
        passes: impl Fn(&Error) -> bool,
    ) -> Result<T>
    where
        F: Future<Output = Result<T>>,
    {
        let mut tries = 0;
        loop {
            let asked = Instant::now();
            let error = match request().await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            let is_expired = find::<Outage>(&error) == Some(&Outage::Expired);
            let is_passing = is_expired || find::<BrokeOff>(&error).is_some() || passes(&error);
            if !is_passing || tries == TRIES {
                return Err(error);
            }
            if is_expired && let Some(credentials) = &self.abilities.credentials {
                credentials.refuse(asked).await;
            }
            pause(tries).await;
            tries += 1;
        }
    }

    /// An answer whose length is what it says.
    async fn whole(&self, location: &Path, options: &GetOptions) -> Result<GetResult> {
        self.attempt(|| async {
            let answer = self.inner.get_opts(location, options.clone()).await?;
            checked(answer, options).await
        })
        .await
    }

    /// The part of an object from somewhere on, as long as it is the same object.
    pub(crate) async fn rest(&self, meta: &ObjectMeta, range: Range<u64>) -> Result<GetResult> {
        let options = GetOptions {
            range: Some(range.into()),
            if_match: meta.e_tag.clone(),
            version: meta.version.clone(),
            ..GetOptions::default()
        };
        self.attempt(|| self.inner.get_opts(&meta.location, options.clone()))
            .await
    }
}

/// Waits before the next try; longer before later ones, with jitter.
pub(crate) async fn pause(tries: u32) {
    let most = (FIRST_WAIT_MILLIS << (tries + 1).min(16)).min(LONGEST_WAIT_MILLIS);
    let wait = rand::rng().random_range(most / 2..=most);
    tokio::time::sleep(Duration::from_millis(wait)).await;
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
    let payload = match payload {
        GetResultPayload::Stream(parts) => {
            let parts: Vec<Bytes> = parts.try_collect().await?;
            let bytes = match <[Bytes; 1]>::try_from(parts) {
                Ok([whole]) => whole,
                Err(parts) => parts.concat().into(),
            };
            let got = bytes.len() as u64;
            if got != expected {
                return Err(BrokeOff { expected, got }.into());
            }
            GetResultPayload::Stream(stream::once(async move { Ok(bytes) }).boxed())
        }
        payload => payload,
    };
    Ok(GetResult {
        payload,
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
impl PaginatedListStore for Careful {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> Result<PaginatedListResult> {
        let Some(pages) = &self.abilities.pages else {
            return Err(Error::NotSupported {
                source: "it does not list page by page".into(),
            });
        };
        self.attempt(|| pages.list_paginated(prefix, options.clone()))
            .await
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
        let done = self
            .attempt(|| {
                self.inner
                    .put_opts(location, payload.clone(), options.clone())
            })
            .await?;
        // What is put only where nothing was may be another's by the time it is read.
        let is_kept = options.extensions.get::<ForAll>().is_none();
        if is_kept && matches!(options.mode, PutMode::Overwrite) {
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
        let is_plain = options.attributes.is_empty() && options.tags.encoded().is_empty();
        match &self.abilities.parts {
            Some(parts) if is_plain => {
                let upload = Upload::begin(self.clone(), Arc::clone(parts), location).await?;
                Ok(Box::new(upload))
            }
            _ => {
                self.attempt(|| self.inner.put_multipart_opts(location, options.clone()))
                    .await
            }
        }
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if let Some(answer) = self.written.get(location, &options) {
            return answer;
        }
        let answer = match self.whole(location, &options).await {
            // An answer to HEAD has no room for the reason: a GET has.
            Err(error) if options.head && status(&error) == Some(400) => {
                let options = GetOptions {
                    head: false,
                    range: Some((0..1).into()),
                    ..options.clone()
                };
                match self.whole(location, &options).await {
                    Err(other) if status(&other) == Some(416) => return Err(error),
                    other => other?,
                }
            }
            other => other?,
        };
        Ok(if options.head {
            answer
        } else {
            resumed(self.clone(), answer, CHECKED_BYTES)
        })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if let Some(answer) = self.written.ranges(location, ranges) {
            return Ok(answer);
        }
        let length = |range: &Range<u64>| range.end.saturating_sub(range.start);
        self.attempt(|| async {
            let parts = self.inner.get_ranges(location, ranges).await?;
            for (part, range) in parts.iter().zip(ranges) {
                let (expected, got) = (length(range), part.len() as u64);
                if got != expected {
                    return Err(BrokeOff { expected, got }.into());
                }
            }
            Ok(parts)
        })
        .await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        locations
            .map(move |location| {
                let store = store.clone();
                async move {
                    let location = location?;
                    store.written.forget(&location);
                    let mut tries = 0;
                    let removed = store
                        .attempt_twice(|| {
                            tries += 1;
                            store.inner.delete(&location)
                        })
                        .await;
                    match removed {
                        // The first try had removed it.
                        Err(Error::NotFound { .. }) if tries > 1 => Ok(location),
                        other => other.map(|()| location),
                    }
                }
            })
            .buffered(REMOVED_AT_ONCE)
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        if self.abilities.pages.is_none() {
            return self.inner.list(prefix);
        }
        let prefix = match prefix {
            Some(prefix) if !prefix.as_ref().is_empty() => format!("{prefix}/"),
            _ => String::new(),
        };
        let first = Some(PaginatedListOptions::default());
        let state = (self.clone(), prefix, first);
        stream::try_unfold(state, |(store, prefix, options)| async move {
            let Some(options) = options else {
                return Ok(None);
            };
            let page = store.list_paginated(Some(&prefix), options).await?;
            let next = page.page_token.map(|token| PaginatedListOptions {
                page_token: Some(token),
                ..PaginatedListOptions::default()
            });
            let objects = stream::iter(page.result.objects.into_iter().map(Ok));
            Ok::<_, Error>(Some((objects, (store, prefix, next))))
        })
        .try_flatten()
        .boxed()
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
