//! Files of this machine, which appear whole or not at all.

use std::fmt;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, RenameOptions, Result, UploadPart,
};

/// What names of files that are being written begin and end with.
const PREFIX: &str = ".pomona-";
const SUFFIX: &str = ".tmp";
/// Files removed at once.
const REMOVED_AT_ONCE: usize = 16;

/// Whether a file has one of the names under which files are written before they are renamed.
pub(crate) fn is_temporary(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    // Older versions wrote `x.parquet#1` and `.pomona-x.tmp#1`.
    let older = name
        .rsplit_once('#')
        .filter(|(_, number)| is_number(number));
    let name = older.map_or(name, |(name, _)| name);
    (name.starts_with(PREFIX) && name.ends_with(SUFFIX))
        || (older.is_some() && name.ends_with(".parquet"))
}

/// Where files are written before they are renamed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Staging {
    /// In this folder, on the same file system.
    Folder(PathBuf),
    /// Beside the file.
    Beside,
}

/// This machine's files from the root down. A file is written under a temporary name, synced and renamed.
#[derive(Debug)]
pub(crate) struct LocalStore {
    inner: LocalFileSystem,
    staging: Staging,
}

impl LocalStore {
    pub(crate) fn new(staging: Staging) -> Self {
        Self {
            inner: LocalFileSystem::new(),
            staging,
        }
    }

    /// The file at a location. The store below refuses names that end with `#` and digits, which it gives to files that
    /// it writes; here it writes none.
    fn file(&self, location: &Path) -> Result<PathBuf> {
        if cfg!(unix) {
            return Ok(FilePath::new("/").join(location.as_ref()));
        }
        self.inner.path_to_filesystem(location)
    }

    fn staging_for(&self, target: &FilePath) -> PathBuf {
        match &self.staging {
            Staging::Folder(folder) => folder.clone(),
            Staging::Beside => target.parent().unwrap_or(FilePath::new("/")).to_owned(),
        }
    }
}

fn failed(path: &FilePath) -> impl FnOnce(std::io::Error) -> Error + '_ {
    move |source| {
        let path = path.display().to_string();
        match source.kind() {
            std::io::ErrorKind::NotFound => Error::NotFound {
                path,
                source: Box::new(source),
            },
            std::io::ErrorKind::AlreadyExists => Error::AlreadyExists {
                path,
                source: Box::new(source),
            },
            std::io::ErrorKind::PermissionDenied => Error::PermissionDenied {
                path,
                source: Box::new(source),
            },
            _ => Error::Generic {
                store: "file",
                source: Box::new(source),
            },
        }
    }
}

fn make_folder(folder: &FilePath) -> Result<()> {
    std::fs::create_dir_all(folder).map_err(|error| match error.kind() {
        // What is there is no folder.
        std::io::ErrorKind::AlreadyExists => {
            let told = format!("{}: Not a directory", folder.display());
            failed(folder)(std::io::Error::new(std::io::ErrorKind::NotADirectory, told))
        }
        _ => failed(folder)(error),
    })
}

/// A temporary file, with its folder and that of the file that it is to become.
fn staged(staging: &FilePath, target: &FilePath) -> Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any program's files: the process's mask decides.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.prefix(PREFIX).suffix(SUFFIX);
    let mut tries = 0;
    loop {
        make_folder(staging)?;
        if let Some(folder) = target.parent() {
            make_folder(folder)?;
        }
        match builder.tempfile_in(staging) {
            // Somebody removed the empty folder in between.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && tries < 3 => tries += 1,
            made => return made.map_err(failed(target)),
        }
    }
}

/// Gives a temporary file its name, once its bytes are on the disk.
fn named(file: tempfile::NamedTempFile, target: &FilePath, is_new: bool) -> Result<PutResult> {
    file.as_file().sync_data().map_err(failed(target))?;
    let named = if is_new {
        file.persist_noclobber(target)
    } else {
        file.persist(target)
    };
    named.map_err(|error| failed(target)(error.error))?;
    Ok(PutResult {
        e_tag: None,
        version: None,
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await?
}

impl fmt::Display for LocalStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("files of this machine")
    }
}

#[async_trait]
impl ObjectStore for LocalStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        if matches!(options.mode, PutMode::Update(_)) {
            return self.inner.put_opts(location, payload, options).await;
        }
        let target = self.file(location)?;
        let staging = self.staging_for(&target);
        blocking(move || {
            use std::io::Write;
            let mut file = staged(&staging, &target)?;
            for part in payload.iter() {
                file.write_all(part).map_err(failed(&target))?;
            }
            named(file, &target, matches!(options.mode, PutMode::Create))
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        _options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let target = self.file(location)?;
        let staging = self.staging_for(&target);
        let for_staging = target.clone();
        let file = blocking(move || staged(&staging, &for_staging)).await?;
        Ok(Box::new(Upload {
            file: Arc::new(Mutex::new(Some(file))),
            target,
            end: 0,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        if self.inner.path_to_filesystem(location).is_ok() {
            return self.inner.get_opts(location, options).await;
        }
        let (file, location) = (self.file(location)?, location.clone());
        blocking(move || read_opts(&file, location, &options)).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        if self.inner.path_to_filesystem(location).is_ok() {
            return self.inner.get_ranges(location, ranges).await;
        }
        let mut parts = Vec::with_capacity(ranges.len());
        for range in ranges {
            let options = GetOptions::new().with_range(Some(range.clone()));
            parts.push(self.get_opts(location, options).await?.bytes().await?);
        }
        Ok(parts)
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        // Removing a file is quick; naming it is what the store below may refuse.
        let files = Self::new(self.staging.clone());
        locations
            .map(move |location| {
                let file = location.and_then(|location| Ok((files.file(&location)?, location)));
                blocking(move || {
                    let (file, location) = file?;
                    std::fs::remove_file(&file).map_err(failed(&file))?;
                    Ok(location)
                })
            })
            .buffered(REMOVED_AT_ONCE)
            .boxed()
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

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

/// A file whose name the store below refuses.
fn read_opts(file: &FilePath, location: Path, options: &GetOptions) -> Result<GetResult> {
    let opened = std::fs::File::open(file).map_err(failed(file))?;
    let found = opened.metadata().map_err(failed(file))?;
    let modified = found.modified().map_err(failed(file))?;
    let meta = ObjectMeta {
        location,
        last_modified: modified.into(),
        size: found.len(),
        e_tag: None,
        version: None,
    };
    options.check_preconditions(&meta)?;
    let range = match &options.range {
        Some(range) => range.as_range(meta.size).map_err(|source| Error::Generic {
            store: "file",
            source: Box::new(source),
        })?,
        None => 0..meta.size,
    };
    Ok(GetResult {
        payload: GetResultPayload::File(opened, file.to_owned()),
        meta,
        range,
        attributes: Attributes::new(),
    })
}

/// A large file in the making. Dropped, it is gone.
#[derive(Debug)]
struct Upload {
    file: Arc<Mutex<Option<tempfile::NamedTempFile>>>,
    target: PathBuf,
    /// Where the next part begins.
    end: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("it was given up or finished already")]
struct Ended;

impl Ended {
    fn error() -> Error {
        Error::Generic {
            store: "file",
            source: Box::new(Self),
        }
    }
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let start = self.end;
        self.end += data.content_length() as u64;
        let (file, target) = (Arc::clone(&self.file), self.target.clone());
        Box::pin(blocking(move || {
            use std::io::{Seek, SeekFrom, Write};
            let mut file = file.lock().map_err(|_| Ended::error())?;
            let file = file.as_mut().ok_or_else(Ended::error)?;
            file.seek(SeekFrom::Start(start)).map_err(failed(&target))?;
            data.iter()
                .try_for_each(|bytes| file.write_all(bytes))
                .map_err(failed(&target))
        }))
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let (file, target) = (Arc::clone(&self.file), self.target.clone());
        blocking(move || {
            let file = file.lock().map_err(|_| Ended::error())?.take();
            named(file.ok_or_else(Ended::error)?, &target, false)
        })
        .await
    }

    async fn abort(&mut self) -> Result<()> {
        let file = Arc::clone(&self.file);
        blocking(move || {
            // Dropping it removes it.
            file.lock().map_err(|_| Ended::error())?.take();
            Ok(())
        })
        .await
    }
}

/// Removes a file that may be gone already.
pub(crate) async fn delete_if_there(store: &dyn ObjectStore, location: &Path) -> Result<()> {
    match store.delete(location).await {
        Err(Error::NotFound { .. }) => Ok(()),
        other => other,
    }
}
