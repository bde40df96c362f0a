//! What was just written, or read, is still here.

use std::collections::{HashMap, VecDeque};
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::StreamExt;
use futures::stream;
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{
    Attributes, Error, GetOptions, GetResult, GetResultPayload, ObjectMeta, PutPayload, PutResult,
    Result,
};

/// Bytes that are kept.
const KEPT_BYTES: u64 = 64 << 20;
/// Larger objects are not kept.
const LARGEST_BYTES: u64 = 16 << 20;

/// The objects that this process wrote last: what one step writes the next one reads. The newest are kept, up to 64 MB.
/// A place is worked on by one process at a time, so they are what lies there, as are those that it read there.
#[derive(Clone, Default)]
pub(crate) struct Written {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    objects: HashMap<Path, (ObjectMeta, Bytes)>,
    order: VecDeque<Path>,
    bytes: u64,
}

impl std::fmt::Debug for Written {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Written").finish_non_exhaustive()
    }
}

impl Kept {
    fn remove(&mut self, location: &Path) {
        if let Some((_, bytes)) = self.objects.remove(location) {
            self.bytes -= bytes.len() as u64;
            self.order.retain(|kept| kept != location);
        }
    }
}

impl Written {
    pub(crate) fn keep(&self, location: &Path, payload: PutPayload, put: &PutResult) {
        let size = payload.content_length() as u64;
        if size <= LARGEST_BYTES {
            self.keep_object(meta_of(location, size, put), payload.into());
        }
    }

    /// Keeps an object that was read.
    pub(crate) fn keep_object(&self, meta: ObjectMeta, bytes: Bytes) {
        let Ok(mut kept) = self.kept.lock() else {
            return;
        };
        let location = meta.location.clone();
        kept.remove(&location);
        kept.bytes += bytes.len() as u64;
        kept.order.push_back(location.clone());
        kept.objects.insert(location, (meta, bytes));
        while kept.bytes > KEPT_BYTES
            && let Some(oldest) = kept.order.front().cloned()
        {
            kept.remove(&oldest);
        }
    }

    pub(crate) fn forget(&self, location: &Path) {
        if let Ok(mut kept) = self.kept.lock() {
            kept.remove(location);
        }
    }

    /// Whether the object is kept.
    pub(crate) fn has(&self, location: &Path) -> bool {
        self.find(location).is_some()
    }

    fn find(&self, location: &Path) -> Option<(ObjectMeta, Bytes)> {
        self.kept.lock().ok()?.objects.get(location).cloned()
    }

    pub(crate) fn get(&self, location: &Path, options: &GetOptions) -> Option<Result<GetResult>> {
        if options.version.is_some() {
            return None;
        }
        let (meta, bytes) = self.find(location)?;
        if let Err(error) = options.check_preconditions(&meta) {
            return Some(Err(error));
        }
        let range = match &options.range {
            None => 0..meta.size,
            Some(range) => match range.as_range(meta.size) {
                Ok(range) => range,
                Err(error) => {
                    return Some(Err(Error::Generic {
                        store: "written",
                        source: Box::new(error),
                    }));
                }
            },
        };
        let part = if options.head {
            Bytes::new()
        } else {
            slice(&bytes, &range)?
        };
        Some(Ok(GetResult {
            payload: GetResultPayload::Stream(stream::once(async move { Ok(part) }).boxed()),
            meta,
            range,
            attributes: Attributes::new(),
        }))
    }

    pub(crate) fn ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Option<Vec<Bytes>> {
        let (_, bytes) = self.find(location)?;
        ranges.iter().map(|range| slice(&bytes, range)).collect()
    }
}

/// What a store says of an object that was put just now.
pub(crate) fn meta_of(location: &Path, size: u64, put: &PutResult) -> ObjectMeta {
    ObjectMeta {
        location: location.clone(),
        last_modified: std::time::SystemTime::from(Timestamp::now()).into(),
        size,
        e_tag: put.e_tag.clone(),
        version: put.version.clone(),
    }
}

fn slice(bytes: &Bytes, range: &Range<u64>) -> Option<Bytes> {
    let (start, end) = (
        usize::try_from(range.start).ok()?,
        usize::try_from(range.end).ok()?,
    );
    (start <= end && end <= bytes.len()).then(|| bytes.slice(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put() -> PutResult {
        PutResult {
            e_tag: None,
            version: None,
        }
    }

    #[test]
    fn the_newest_are_kept_within_the_bound_and_the_forgotten_are_gone() {
        let written = Written::default();
        let large = Bytes::from(vec![1; 15 << 20]);
        for number in 0..6 {
            let path = Path::from(format!("{number}"));
            written.keep(&path, large.clone().into(), &put());
        }
        assert!(written.find(&Path::from("1")).is_none());
        assert!(written.find(&Path::from("2")).is_some());
        written.forget(&Path::from("5"));
        assert!(written.find(&Path::from("5")).is_none());
        assert_eq!(
            written.ranges(&Path::from("4"), &[1..3, 0..1]).unwrap(),
            [large.slice(1..3), large.slice(0..1)]
        );
        let beyond = written.ranges(&Path::from("4"), &[0..1, 1..u64::MAX]);
        assert!(beyond.is_none());
    }
}
