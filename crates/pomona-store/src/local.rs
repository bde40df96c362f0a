//! Files of this machine, which appear whole or not at all.

use std::fmt;
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult,
    RenameOptions, Result, UploadPart,
};

/// What names of files that are being written begin and end with.
const PREFIX: &str = ".pomona-";
const SUFFIX: &str = ".tmp";

/// Whether a file has one of the names under which files are written before they are renamed.
pub(crate) fn is_temporary(name: &str) -> bool {
    (name.starts_with(PREFIX) && name.ends_with(SUFFIX)) || name.contains(".parquet#")
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
    std::fs::create_dir_all(folder).map_err(failed(folder))
}

fn temporary(folder: &FilePath) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any program's files: the process's mask decides.
        builder.permissions(std::fs::Permissions::from_mode(0o666));
    }
    builder.prefix(PREFIX).suffix(SUFFIX).tempfile_in(folder)
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
        let target = self.inner.path_to_filesystem(location)?;
        let staging = self.staging_for(&target);
        blocking(move || {
            use std::io::Write;
            make_folder(&staging)?;
            if let Some(folder) = target.parent() {
                make_folder(folder)?;
            }
            let mut file = temporary(&staging).map_err(failed(&target))?;
            for part in payload.iter() {
                file.write_all(part).map_err(failed(&target))?;
            }
            file.as_file().sync_data().map_err(failed(&target))?;
            let persisted = match options.mode {
                PutMode::Create => file.persist_noclobber(&target),
                _ => file.persist(&target),
            };
            persisted.map_err(|error| failed(&target)(error.error))?;
            Ok(PutResult {
                e_tag: None,
                version: None,
            })
        })
        .await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        let target = self.inner.path_to_filesystem(location)?;
        let staging = self.staging_for(&target);
        let name = format!("{PREFIX}{}{SUFFIX}", uuid::Uuid::new_v4().simple());
        let staged = staging.join(name);
        let (folder, parent) = (staging, target.parent().map(FilePath::to_owned));
        blocking(move || {
            make_folder(&folder)?;
            parent.as_deref().map_or(Ok(()), make_folder)
        })
        .await?;
        let from = Path::from_absolute_path(&staged)?;
        Ok(Box::new(Upload {
            inner: self.inner.put_multipart_opts(&from, options).await?,
            staged,
            target,
        }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
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

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

/// A large file in the making.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    staged: PathBuf,
    target: PathBuf,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.inner.complete().await?;
        let (staged, target) = (self.staged.clone(), self.target.clone());
        blocking(move || {
            let synced = std::fs::File::open(&staged)
                .and_then(|file| file.sync_data())
                .and_then(|()| std::fs::rename(&staged, &target));
            synced.map_err(|error| {
                let _ = std::fs::remove_file(&staged);
                failed(&target)(error)
            })
        })
        .await?;
        Ok(PutResult {
            e_tag: None,
            ..done
        })
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}

/// Removes a file that may be gone already.
pub(crate) async fn delete_if_there(store: &dyn ObjectStore, location: &Path) -> Result<()> {
    match store.delete(location).await {
        Err(Error::NotFound { .. }) => Ok(()),
        other => other,
    }
}
