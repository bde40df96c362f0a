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
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions,
    PutPayload, PutResult, Result, UploadPart,
};
use tokio::task::JoinHandle;

use crate::written::{Written, meta_of};

/// Larger objects are not written in the background.
const LATER_BYTES: usize = 8 << 20;

/// A store in which the objects below a root are known, because they were listed once and nobody else writes there.
/// Questions about what is there are answered without a request, and small objects can be written in the background.
#[derive(Debug)]
pub(crate) struct Known {
    inner: Arc<dyn ObjectStore>,
    root: Path,
    objects: Arc<Mutex<BTreeMap<Path, ObjectMeta>>>,
    /// What is on its way.
    pending: Written,
    tasks: Mutex<Vec<JoinHandle<Result<()>>>>,
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
            tasks: Mutex::default(),
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
        insert(
            &self.objects,
            meta_of(location, bytes.len() as u64, &nothing),
        );
        self.pending.keep(location, bytes.clone().into(), &nothing);
        let (known, location) = (Arc::clone(self), location.clone());
        let task = tokio::spawn(async move {
            let put = known.inner.put(&location, bytes.into()).await;
            known.pending.forget(&location);
            put.map(|_| ())
        });
        if let Ok(mut tasks) = self.tasks.lock() {
            tasks.push(task);
        }
        Ok(())
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
        let done = self.inner.put_opts(location, payload, options).await?;
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
        let inner = self.inner.put_multipart_opts(location, options).await?;
        Ok(Box::new(Upload {
            inner,
            location: location.clone(),
            bytes: 0,
            objects: self.is_ours(location).then(|| Arc::clone(&self.objects)),
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
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.pending.ranges(location, ranges) {
            Some(answer) => Ok(answer),
            None => self.inner.get_ranges(location, ranges).await,
        }
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
        locations
            .and_then(move |location| {
                let (inner, objects) = (Arc::clone(&inner), Arc::clone(&objects));
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
        self.inner.copy_opts(from, to, options).await?;
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
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.bytes += data.content_length() as u64;
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.inner.complete().await?;
        if let Some(objects) = &self.objects {
            insert(objects, meta_of(&self.location, self.bytes, &done));
        }
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
