//! Buckets and objects as folders and files. All calls here are short and block.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use s3s::dto::{ETag, ETagCondition, Timestamp};
use s3s::{S3Error, S3Result, s3_error};

use crate::listing::{Keys, Line, Page, page, walk};

/// Where uploads lie until they become objects, below the root. No bucket can have this name.
const STAGING: &str = ".pomona-bucket";

/// What a client says of an object beside its bytes.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attributes {
    pub(crate) cache_control: Option<String>,
    pub(crate) content_disposition: Option<String>,
    pub(crate) content_encoding: Option<String>,
    pub(crate) content_language: Option<String>,
    pub(crate) content_type: Option<String>,
    pub(crate) metadata: Option<HashMap<String, String>>,
    pub(crate) server_side_encryption: Option<s3s::dto::ServerSideEncryption>,
    pub(crate) kms_key_id: Option<String>,
}

/// What a file says of its object.
#[derive(Debug, Clone)]
pub(crate) struct Stat {
    pub(crate) size: u64,
    /// In whole seconds, as in the headers of S3.
    pub(crate) modified: Timestamp,
    pub(crate) etag: ETag,
}

impl Stat {
    fn of(metadata: &Metadata) -> Self {
        let seconds = Duration::from_secs(u64::try_from(metadata.mtime()).unwrap_or(0));
        let etag = format!(
            "{:x}.{:x}.{:08x}.{:x}",
            metadata.size(),
            metadata.mtime(),
            metadata.mtime_nsec(),
            metadata.ino()
        );
        Self {
            size: metadata.size(),
            modified: Timestamp::from(SystemTime::UNIX_EPOCH + seconds),
            etag: ETag::Strong(etag),
        }
    }
}

/// Conditions on what is to be replaced.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    pub(crate) if_match: Option<ETagCondition>,
    pub(crate) if_none_match: Option<ETagCondition>,
}

impl Conditions {
    fn check(&self, present: Option<&Stat>) -> S3Result<()> {
        let failed = || {
            s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            )
        };
        match (&self.if_match, present) {
            (None, _) | (Some(ETagCondition::Any), Some(_)) => {}
            (Some(ETagCondition::ETag(etag)), Some(stat)) if etag.strong_cmp(&stat.etag) => {}
            (Some(_), Some(_)) => return Err(failed()),
            (Some(_), None) => {
                return Err(s3_error!(NoSuchKey, "The specified key does not exist."));
            }
        }
        match (&self.if_none_match, present) {
            (Some(ETagCondition::Any), Some(_)) => Err(failed()),
            (Some(ETagCondition::ETag(etag)), Some(stat)) if etag.weak_cmp(&stat.etag) => {
                Err(failed())
            }
            _ => Ok(()),
        }
    }
}

/// A file that is not yet an object. Removed when dropped.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) file: File,
    path: PathBuf,
}

impl Drop for Staged {
    fn drop(&mut self) {
        // Once it is an object, it is no longer here.
        let _ = fs::remove_file(&self.path);
    }
}

#[derive(Debug)]
pub(crate) struct Files {
    root: PathBuf,
    staging: PathBuf,
    staged: AtomicU64,
    /// The keys of each bucket that was walked. Held while an object is put in place or removed, so that conditions
    /// hold at that moment.
    buckets: Mutex<HashMap<String, Keys>>,
    /// Nanoseconds since 1970 of the newest object, so that no two objects have the same etag.
    newest: Mutex<u128>,
}

impl Files {
    /// Opens a root and walks its buckets. Uploads that another server left unfinished are removed.
    pub(crate) fn open(root: &Path) -> io::Result<Self> {
        fs::create_dir_all(root)?;
        let root = root.canonicalize()?;
        let staging = root.join(STAGING);
        if staging.exists() {
            fs::remove_dir_all(&staging)?;
        }
        fs::create_dir(&staging)?;
        let files = Self {
            root,
            staging,
            staged: AtomicU64::new(0),
            buckets: Mutex::default(),
            newest: Mutex::new(0),
        };
        files.refresh()?;
        Ok(files)
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// Walks all buckets that hold something, forgetting what was known of keys.
    pub(crate) fn refresh(&self) -> io::Result<()> {
        let mut buckets = self.lock();
        let mut known = std::mem::take(&mut *buckets);
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if name.starts_with('.') || !fs::metadata(entry.path())?.is_dir() {
                continue;
            }
            let mut keys = walk(&entry.path());
            let mut before = known.remove(&name).unwrap_or_default();
            for (key, attributes) in &mut keys {
                *attributes = before.remove(key).flatten();
            }
            // An empty bucket is walked when it is first used: files may be put in by then.
            if !keys.is_empty() {
                buckets.insert(name, keys);
            }
        }
        Ok(())
    }

    /// The folder of a bucket, which need not exist.
    pub(crate) fn bucket_path(&self, bucket: &str) -> S3Result<PathBuf> {
        if s3s::path::check_bucket_name(bucket) {
            Ok(self.root.join(bucket))
        } else {
            Err(s3_error!(
                InvalidBucketName,
                "The specified bucket is not valid."
            ))
        }
    }

    pub(crate) fn check_bucket(&self, bucket: &str) -> S3Result<PathBuf> {
        let path = self.bucket_path(bucket)?;
        if path.is_dir() {
            Ok(path)
        } else {
            Err(s3_error!(
                NoSuchBucket,
                "The specified bucket does not exist"
            ))
        }
    }

    /// Forgets a bucket that was made or removed.
    pub(crate) fn forget_bucket(&self, bucket: &str) {
        self.lock().remove(bucket);
    }

    fn object_path(&self, bucket: &str, key: &str) -> S3Result<PathBuf> {
        let mut path = self.bucket_path(bucket)?;
        for name in key.split('/') {
            if matches!(name, "" | "." | "..") || name.contains('\0') {
                return Err(s3_error!(
                    InvalidArgument,
                    "This server keeps objects in files: no part of a key between slashes may be empty, \".\" or \"..\"."
                ));
            }
            path.push(name);
        }
        Ok(path)
    }

    /// Opens an object for reading.
    pub(crate) fn read(&self, bucket: &str, key: &str) -> S3Result<(File, Stat)> {
        let path = self.object_path(bucket, key)?;
        let opened =
            File::open(&path).and_then(|file| file.metadata().map(|metadata| (file, metadata)));
        match opened {
            Ok((file, metadata)) if metadata.is_file() => Ok((file, Stat::of(&metadata))),
            Ok(_) => Err(no_such_key()),
            Err(error) => Err(self.missing(bucket, error)),
        }
    }

    pub(crate) fn stat(&self, bucket: &str, key: &str) -> S3Result<Stat> {
        let path = self.object_path(bucket, key)?;
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_file() => Ok(Stat::of(&metadata)),
            Ok(_) => Err(no_such_key()),
            Err(error) => Err(self.missing(bucket, error)),
        }
    }

    pub(crate) fn attributes(&self, bucket: &str, key: &str) -> Option<Arc<Attributes>> {
        self.lock().get(bucket)?.get(key)?.clone()
    }

    /// A new file for bytes to come.
    pub(crate) fn stage(&self) -> S3Result<Staged> {
        let number = self.staged.fetch_add(1, Relaxed);
        let path = self.staging.join(format!("object-{number}"));
        let file = File::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(&path)
            .map_err(io_error)?;
        Ok(Staged { file, path })
    }

    /// Whether an object could be put in place now.
    pub(crate) fn check(&self, bucket: &str, key: &str, conditions: &Conditions) -> S3Result<()> {
        self.check_bucket(bucket)?;
        conditions.check(self.present(bucket, key)?.as_ref())
    }

    /// Puts an object in place: whole, and only if the conditions hold at that moment.
    pub(crate) fn commit(
        &self,
        staged: &Staged,
        bucket: &str,
        key: &str,
        conditions: &Conditions,
        attributes: Attributes,
    ) -> S3Result<Stat> {
        let folder = self.check_bucket(bucket)?;
        let path = self.object_path(bucket, key)?;
        let mut buckets = self.lock();
        conditions.check(self.present(bucket, key)?.as_ref())?;
        staged
            .file
            .set_modified(self.next_time())
            .map_err(io_error)?;
        let put = |path: &Path| {
            if let Some(parent) = path.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::rename(&staged.path, path)
        };
        put(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotADirectory
            | io::ErrorKind::IsADirectory
            | io::ErrorKind::AlreadyExists => {
                s3_error!(
                    InvalidRequest,
                    "This server keeps objects in files: a key cannot be the folder of another one."
                )
            }
            _ => io_error(error),
        })?;
        let stat = Stat::of(&staged.file.metadata().map_err(io_error)?);
        let keys = buckets
            .entry(bucket.to_owned())
            .or_insert_with(|| walk(&folder));
        keys.insert(key.to_owned(), Some(Arc::new(attributes)));
        Ok(stat)
    }

    /// Removes an object, if it is there, and the folders that this leaves empty.
    pub(crate) fn remove(
        &self,
        bucket: &str,
        key: &str,
        if_match: Option<ETagCondition>,
    ) -> S3Result<()> {
        let folder = self.check_bucket(bucket)?;
        let path = self.object_path(bucket, key)?;
        let mut buckets = self.lock();
        if if_match.is_some() {
            let conditions = Conditions {
                if_match,
                if_none_match: None,
            };
            conditions.check(self.present(bucket, key)?.as_ref())?;
        }
        if let Some(keys) = buckets.get_mut(bucket) {
            keys.remove(key);
        }
        match fs::remove_file(&path) {
            Ok(()) => {}
            // S3 does not complain about what is not there, and a folder is no object.
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(_) if !path.is_file() => return Ok(()),
            Err(error) => return Err(io_error(error)),
        }
        let parents = path
            .ancestors()
            .skip(1)
            .take_while(|parent| **parent != folder);
        for parent in parents {
            if fs::remove_dir(parent).is_err() {
                break;
            }
        }
        Ok(())
    }

    /// One page of a listing, and whether more follows.
    pub(crate) fn list(&self, bucket: &str, asked: Page<'_>) -> S3Result<(Vec<Line<Stat>>, bool)> {
        let folder = self.check_bucket(bucket)?;
        let mut buckets = self.lock();
        let keys = buckets
            .entry(bucket.to_owned())
            .or_insert_with(|| walk(&folder));
        let mut path = folder.clone();
        page(keys, asked, |key| {
            path.clone_from(&folder);
            path.push(key);
            match fs::metadata(&path) {
                Ok(metadata) => Ok(metadata.is_file().then(|| Stat::of(&metadata))),
                Err(error) if is_missing(&error) => Ok(None),
                Err(error) => Err(error),
            }
        })
        .map_err(io_error)
    }

    fn present(&self, bucket: &str, key: &str) -> S3Result<Option<Stat>> {
        match fs::metadata(self.object_path(bucket, key)?) {
            Ok(metadata) => Ok(metadata.is_file().then(|| Stat::of(&metadata))),
            Err(error) if is_missing(&error) => Ok(None),
            Err(error) => Err(io_error(error)),
        }
    }

    fn missing(&self, bucket: &str, error: io::Error) -> S3Error {
        match self.check_bucket(bucket) {
            Err(no_bucket) => no_bucket,
            Ok(_) if is_missing(&error) => no_such_key(),
            Ok(_) => io_error(error),
        }
    }

    /// The time of day, later than at any call before.
    fn next_time(&self) -> SystemTime {
        let now = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        let mut newest = self.newest.lock().unwrap_or_else(PoisonError::into_inner);
        *newest = now.as_nanos().max(*newest + 1);
        let nanos = *newest;
        SystemTime::UNIX_EPOCH
            + Duration::new(
                (nanos / 1_000_000_000) as u64,
                (nanos % 1_000_000_000) as u32,
            )
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Keys>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.staging);
    }
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}

fn no_such_key() -> S3Error {
    s3_error!(NoSuchKey, "The specified key does not exist.")
}

/// The file system's complaint, for whoever reads the answer.
pub(crate) fn io_error(error: io::Error) -> S3Error {
    match error.kind() {
        io::ErrorKind::InvalidFilename => s3_error!(KeyTooLongError, "Your key is too long"),
        _ => s3_error!(
            InternalError,
            "The file system of this server says: {error}"
        ),
    }
}
