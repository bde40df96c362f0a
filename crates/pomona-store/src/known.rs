//! A folder whose objects are known: only this process changes it.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result, UploadPart,
};
use tokio::sync::{OwnedRwLockReadGuard, RwLock};
use tokio::task::JoinHandle;

use crate::written::{Written, meta_of};

/// Larger objects are not written in the background.
const LATER_BYTES: usize = 8 << 20;
/// Smaller objects are read whole, whatever part of them is asked for: round trips take longer than their bytes.
const WHOLE_BYTES: u64 = 8 << 20;

/// A store in which the objects below a root are known, because they were listed once and nobody else writes there.
/// Questions about what is there are answered without a request, small objects are read whole once and kept, and can be
/// written in the background.
#[derive(Debug)]
pub(crate) struct Known {
    inner: Arc<dyn ObjectStore>,
    root: Path,
    objects: Arc<Mutex<BTreeMap<Path, ObjectMeta>>>,
    /// What is on its way.
    pending: Written,
    /// What was read. The parts of a Parquet file are asked for one after the other, and its table more than once.
    read: Written,
    tasks: Mutex<Vec<JoinHandle<Result<()>>>>,
    first: First,
}

/// What must be done before anything else is: whoever writes holds it for reading. It says why that failed.
type First = Arc<RwLock<Option<String>>>;

#[derive(Debug, thiserror::Error)]
#[error("what had to be written before could not be: {0}")]
struct FirstFailed(String);

/// Waits for what must be done first.
async fn admitted(first: &First) -> Result<OwnedRwLockReadGuard<Option<String>>> {
    let guard = Arc::clone(first).read_owned().await;
    match &*guard {
        None => Ok(guard),
        Some(reason) => Err(Error::Generic {
            store: "known",
            source: Box::new(FirstFailed(reason.clone())),
        }),
    }
}

impl Known {
    /// Lists what is below `root`.
    pub(crate) async fn list(inner: Arc<dyn ObjectStore>, root: Path) -> Result<Arc<Self>> {
        let objects = inner
            .list(Some(&root))
            .map_ok(|meta| (meta.location.clone(), meta))
            .try_collect()
            .await?;
        Ok(Arc::new(Self {
            inner,
            root,
            objects: Arc::new(Mutex::new(objects)),
            pending: Written::default(),
            read: Written::default(),
            tasks: Mutex::default(),
            first: First::default(),
        }))
    }

    fn is_ours(&self, location: &Path) -> bool {
        location.prefix_matches(&self.root)
    }

    fn find(&self, location: &Path) -> Option<ObjectMeta> {
        self.objects.lock().ok()?.get(location).cloned()
    }

    fn missing(&self, location: &Path) -> Option<Error> {
        (self.is_ours(location) && self.find(location).is_none()).then(|| Error::NotFound {
            path: location.to_string(),
            source: "there is no such object".into(),
        })
    }

    fn below(&self, prefix: &Path) -> Vec<ObjectMeta> {
        self.objects
            .lock()
            .map(|objects| {
                objects
                    .values()
                    .filter(|meta| meta.location.prefix_matches(prefix) && meta.location != *prefix)
                    .cloned()
                    .collect()
            })
            .unwrap_or_default()
    }

    /// Writes an object in the background; [`settle`](Self::settle) waits for it. Whoever reads it meanwhile gets it.
    pub(crate) async fn put_later(self: &Arc<Self>, location: &Path, bytes: Bytes) -> Result<()> {
        if bytes.len() > LATER_BYTES {
            return self.put(location, bytes.into()).await.map(|_| ());
        }
        // Two writes of one object keep their order.
        if self.pending.has(location) {
            self.settle().await?;
        }
        let nothing = PutResult {
            e_tag: None,
            version: None,
        };
        self.read.forget(location);
        insert(
            &self.objects,
            meta_of(location, bytes.len() as u64, &nothing),
        );
        self.pending.keep(location, bytes.clone().into(), &nothing);
        let (known, location) = (Arc::clone(self), location.clone());
        self.later(async move {
            let _first = admitted(&known.first).await?;
            let put = known.inner.put(&location, bytes.into()).await;
            known.pending.forget(&location);
            put.map(|_| ())
        });
        Ok(())
    }

    /// Removes an object and writes another in the background, before everything else that is written from here on.
    pub(crate) async fn put_first(self: &Arc<Self>, gone: &Path, location: &Path, bytes: Bytes) {
        let mut first = Arc::clone(&self.first).write_owned().await;
        let nothing = PutResult {
            e_tag: None,
            version: None,
        };
        let was_there = self
            .objects
            .lock()
            .is_ok_and(|mut objects| objects.remove(gone).is_some());
        for location in [gone, location] {
            self.read.forget(location);
        }
        insert(
            &self.objects,
            meta_of(location, bytes.len() as u64, &nothing),
        );
        self.pending.keep(location, bytes.clone().into(), &nothing);
        let (known, gone, location) = (Arc::clone(self), gone.clone(), location.clone());
        self.later(async move {
            let removed = match was_there {
                true => known.inner.delete(&gone).await,
                false => Ok(()),
            };
            let done = match removed {
                Ok(()) | Err(Error::NotFound { .. }) => {
                    known.inner.put(&location, bytes.into()).await.map(|_| ())
                }
                Err(error) => Err(error),
            };
            known.pending.forget(&location);
            *first = done.as_ref().err().map(ToString::to_string);
            done
        });
    }

    /// Does something in the background; [`settle`](Self::settle) waits for it.
    pub(crate) fn later(&self, work: impl Future<Output = Result<()>> + Send + 'static) {
        let task = tokio::spawn(work);
        if let Ok(mut tasks) = self.tasks.lock() {
            tasks.push(task);
        }
    }

    /// Reads a small object and keeps it; false where it is another's, large, or asked for with conditions.
    async fn keep(&self, location: &Path, options: &GetOptions) -> Result<bool> {
        let is_plain = options.version.is_none()
            && options.if_match.is_none()
            && options.if_none_match.is_none()
            && options.if_modified_since.is_none()
            && options.if_unmodified_since.is_none();
        let found = self
            .find(location)
            .filter(|meta| is_plain && (1..=WHOLE_BYTES).contains(&meta.size));
        let Some(meta) = found.filter(|_| self.is_ours(location)) else {
            return Ok(false);
        };
        if self.read.has(location) {
            return Ok(true);
        }
        // Only an answer to a range tells the size of the whole.
        let all = GetOptions {
            range: Some(GetRange::Offset(0)),
            ..GetOptions::default()
        };
        let bytes = self.inner.get_opts(location, all).await?.bytes().await?;
        // Who changed it meanwhile had no right to: it is read as it is.
        let is_as_known = bytes.len() as u64 == meta.size;
        if is_as_known {
            self.read.keep_object(meta, bytes);
        }
        Ok(is_as_known)
    }

    /// Waits until everything that was to be written later is there.
    pub(crate) async fn settle(&self) -> Result<()> {
        let tasks = self
            .tasks
            .lock()
            .map(|mut tasks| std::mem::take(&mut *tasks))
            .unwrap_or_default();
        let mut outcome = Ok(());
        for task in tasks {
            let ended = task.await.unwrap_or_else(|error| Err(error.into()));
            outcome = outcome.and(ended);
        }
        outcome
    }
}

fn insert(objects: &Mutex<BTreeMap<Path, ObjectMeta>>, meta: ObjectMeta) {
    if let Ok(mut objects) = objects.lock() {
        objects.insert(meta.location.clone(), meta);
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[async_trait]
impl ObjectStore for Known {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let size = payload.content_length() as u64;
        if self.pending.has(location) {
            self.settle().await?;
        }
        let _first = admitted(&self.first).await?;
        let done = self.inner.put_opts(location, payload, options).await?;
        self.read.forget(location);
        if self.is_ours(location) {
            insert(&self.objects, meta_of(location, size, &done));
        }
        Ok(done)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let _first = admitted(&self.first).await?;
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(Upload {
            inner,
            location: location.clone(),
            bytes: 0,
            objects: self.is_ours(location).then(|| Arc::clone(&self.objects)),
            read: self.read.clone(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if let Some(error) = self.missing(location) {
            return Err(error);
        }
        if let Some(answer) = self.pending.get(location, &options) {
            return answer;
        }
        if options.head
            && let Some(meta) = self.find(location).filter(|_| self.is_ours(location))
        {
            options.check_preconditions(&meta)?;
            let range = 0..meta.size;
            return Ok(GetResult {
                payload: GetResultPayload::Stream(stream::empty().boxed()),
                meta,
                range,
                attributes: Attributes::new(),
            });
        }
        if self.keep(location, &options).await?
            && let Some(answer) = self.read.get(location, &options)
        {
            return answer;
        }
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if let Some(answer) = self.pending.ranges(location, ranges) {
            return Ok(answer);
        }
        if self.keep(location, &GetOptions::default()).await?
            && let Some(answer) = self.read.ranges(location, ranges)
        {
            return Ok(answer);
        }
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        let (inner, objects, root) = (
            Arc::clone(&self.inner),
            Arc::clone(&self.objects),
            self.root.clone(),
        );
        let (read, first) = (self.read.clone(), Arc::clone(&self.first));
        locations
            .and_then(move |location| {
                let (inner, objects) = (Arc::clone(&inner), Arc::clone(&objects));
                let first = Arc::clone(&first);
                read.forget(&location);
                let is_ours = location.prefix_matches(&root);
                async move {
                    let is_known = objects
                        .lock()
                        .is_ok_and(|objects| objects.contains_key(&location));
                    if is_ours && !is_known {
                        return Err(Error::NotFound {
                            path: location.to_string(),
                            source: "there is no such object".into(),
                        });
                    }
                    let _first = admitted(&first).await?;
                    inner.delete(&location).await?;
                    if let Ok(mut objects) = objects.lock() {
                        objects.remove(&location);
                    }
                    Ok(location)
                }
            })
            .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match prefix {
            Some(prefix) if self.is_ours(prefix) => {
                stream::iter(self.below(prefix).into_iter().map(Ok)).boxed()
            }
            _ => self.inner.list(prefix),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let Some(prefix) = prefix.filter(|prefix| self.is_ours(prefix)) else {
            return self.inner.list_with_delimiter(prefix).await;
        };
        let mut listed = ListResult {
            common_prefixes: Vec::new(),
            objects: Vec::new(),
        };
        for meta in self.below(prefix) {
            let mut parts: Vec<_> = meta
                .location
                .prefix_match(prefix)
                .into_iter()
                .flatten()
                .collect();
            if parts.len() == 1 {
                listed.objects.push(meta);
            } else if !parts.is_empty() {
                let folder = prefix.clone().join(parts.swap_remove(0));
                if listed.common_prefixes.last() != Some(&folder) {
                    listed.common_prefixes.push(folder);
                }
            }
        }
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.settle().await?;
        let _first = admitted(&self.first).await?;
        self.inner.copy_opts(from, to, options).await?;
        self.read.forget(to);
        if self.is_ours(to) {
            let meta = self.inner.head(to).await?;
            insert(&self.objects, meta);
        }
        Ok(())
    }
}

/// An upload that is known when it is whole.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    location: Path,
    bytes: u64,
    objects: Option<Arc<Mutex<BTreeMap<Path, ObjectMeta>>>>,
    read: Written,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.bytes += data.content_length() as u64;
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.inner.complete().await?;
        self.read.forget(&self.location);
        if let Some(objects) = &self.objects {
            insert(objects, meta_of(&self.location, self.bytes, &done));
        }
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
