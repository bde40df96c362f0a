//! A store in memory that counts, and fails where it is told to.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, UploadPart,
};

#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Bytes read by ranges, and the requests for them.
    pub(crate) bytes_read: AtomicU64,
    pub(crate) reads: AtomicU64,
    /// Calls for several ranges at once.
    pub(crate) range_calls: AtomicU64,
    pub(crate) uploads: AtomicU64,
    pub(crate) parts: AtomicU64,
    pub(crate) completed: AtomicU64,
    pub(crate) aborted: AtomicU64,
    /// Names in the order in which they became visible.
    pub(crate) written: Mutex<Vec<String>>,
    /// The request to write with this number fails, counting parts, from 1; 0 for none.
    pub(crate) failing_write: AtomicU64,
    writes: AtomicU64,
}

impl Counts {
    fn write(&self) -> Result<()> {
        let number = self.writes.fetch_add(1, Ordering::SeqCst) + 1;
        if number == self.failing_write.load(Ordering::SeqCst) {
            return Err(object_store::Error::Generic {
                store: "test",
                source: "no space".into(),
            });
        }
        Ok(())
    }
}

#[derive(Debug, Default)]
pub(crate) struct Counting {
    inner: InMemory,
    pub(crate) counts: Arc<Counts>,
}

impl fmt::Display for Counting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

#[derive(Debug)]
struct CountingUpload {
    inner: Box<dyn MultipartUpload>,
    counts: Arc<Counts>,
    name: String,
}

#[async_trait::async_trait]
impl MultipartUpload for CountingUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.counts.parts.fetch_add(1, Ordering::SeqCst);
        if let Err(error) = self.counts.write() {
            return Box::pin(futures::future::ready(Err(error)));
        }
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        self.counts.write()?;
        self.counts.completed.fetch_add(1, Ordering::SeqCst);
        self.counts.written.lock().unwrap().push(self.name.clone());
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.counts.aborted.fetch_add(1, Ordering::SeqCst);
        self.inner.abort().await
    }
}

#[async_trait::async_trait]
impl ObjectStore for Counting {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.counts.write()?;
        let name = location.to_string();
        self.counts.written.lock().unwrap().push(name);
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.counts.write()?;
        self.counts.uploads.fetch_add(1, Ordering::SeqCst);
        Ok(Box::new(CountingUpload {
            inner: self.inner.put_multipart_opts(location, opts).await?,
            counts: Arc::clone(&self.counts),
            name: location.to_string(),
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let result = self.inner.get_opts(location, options).await?;
        self.count(result.range.end - result.range.start);
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.counts.range_calls.fetch_add(1, Ordering::SeqCst);
        for range in ranges {
            self.count(range.end - range.start);
        }
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

impl Counting {
    fn count(&self, bytes: u64) {
        self.counts.bytes_read.fetch_add(bytes, Ordering::SeqCst);
        self.counts.reads.fetch_add(1, Ordering::SeqCst);
    }
}
