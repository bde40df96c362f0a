//! A folder or a file, on this machine or in a bucket.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    Attribute, Error, GetOptions, GetRange, ObjectMeta, ObjectStore, ObjectStoreExt, PutMode,
    PutOptions,
};

use tokio::runtime::Handle;

use crate::error::{StoreError, is_fatal, status};
use crate::known::Known;
use crate::listing::{self, Listing};
use crate::local::{Staging, delete_if_there};
use crate::remote::Remote;
use crate::stores::StoreSettings;
use crate::writer::{PART_BYTES, PlaceWriter};

/// Who wrote an object that must be new.
const MARK: Attribute = Attribute::Metadata(Cow::Borrowed("pomona-write"));
/// Objects asked about or removed at once.
const AT_ONCE: usize = 64;
/// The folder of a place that holds what only programs at work look at: the lock, and files being written.
pub(crate) const WORK_FOLDER: &str = ".pomona";

/// A folder or a file, there or not.
#[derive(Clone)]
pub struct Place {
    shown: String,
    url: String,
    path: Path,
    pub(crate) file: Option<PathBuf>,
    store: Arc<dyn ObjectStore>,
    remote: Option<Arc<Remote>>,
    meta: Option<Arc<ObjectMeta>>,
    pub(crate) known: Option<Arc<Known>>,
    /// Where requests run.
    network: Option<Handle>,
    settings: Option<Arc<StoreSettings>>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Place").field(&self.shown).finish()
    }
}

/// Places are the same where they lie in the same place, however they were typed.
impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.url == other.url && self.path == other.path
    }
}

impl Eq for Place {}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.shown)
    }
}

impl Place {
    pub(crate) fn remote(
        url: String,
        path: Path,
        remote: Arc<Remote>,
        network: Handle,
        settings: Arc<StoreSettings>,
    ) -> Self {
        let shown = if path.as_ref().is_empty() {
            url.clone()
        } else {
            format!("{url}/{path}")
        };
        Self {
            shown,
            url,
            path,
            file: None,
            store: Arc::clone(&remote.store),
            remote: Some(remote),
            meta: None,
            known: None,
            network: Some(network),
            settings: Some(settings),
        }
    }

    pub(crate) fn local(
        shown: PathBuf,
        file: PathBuf,
        path: Path,
        store: Arc<dyn ObjectStore>,
    ) -> Self {
        Self {
            shown: shown.display().to_string(),
            url: "file://".to_owned(),
            path,
            file: Some(file),
            store,
            remote: None,
            meta: None,
            known: None,
            network: None,
            settings: None,
        }
    }

    /// A place of this machine, opened without [`Stores`](crate::Stores).
    ///
    /// # Errors
    /// [`StoreError::Io`] where the current folder cannot be told.
    pub fn of_path(path: &FilePath) -> Result<Self, StoreError> {
        crate::stores::local(path, Staging::Beside)
    }

    /// As a path or URL, for messages. The same as the [`Display`](fmt::Display) form.
    #[must_use]
    pub fn shown(&self) -> PathBuf {
        PathBuf::from(&self.shown)
    }

    /// Where it is on this machine, if it is there.
    #[must_use]
    pub fn file(&self) -> Option<&FilePath> {
        self.file.as_deref()
    }

    /// Whether it is on another machine.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        self.file.is_none()
    }

    /// The store that holds it: a whole bucket, or this machine's files from the root down.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// Where in [`store`](Self::store).
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The URL of [`store`](Self::store), such as `s3://bucket` or `file://`.
    #[must_use]
    pub fn store_url(&self) -> &str {
        &self.url
    }

    /// What it was opened with; the defaults on this machine.
    #[must_use]
    pub fn settings(&self) -> StoreSettings {
        self.settings
            .as_deref()
            .map_or_else(StoreSettings::default, Clone::clone)
    }

    /// A store whose root is this place.
    #[must_use]
    pub fn below(&self) -> Arc<dyn ObjectStore> {
        if self.path.as_ref().is_empty() {
            return Arc::clone(&self.store);
        }
        Arc::new(PrefixStore::new(Arc::clone(&self.store), self.path.clone()))
    }

    /// The last part of its path; of a whole bucket, the bucket's name.
    #[must_use]
    pub fn name(&self) -> String {
        match (&self.file, self.path.filename()) {
            (Some(file), _) => file
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            (None, Some(name)) => name.to_owned(),
            (None, None) => self.url.rsplit('/').next().unwrap_or_default().to_owned(),
        }
    }

    /// What lies below, `/`-separated.
    #[must_use]
    pub fn join(&self, below: &str) -> Self {
        let mut joined = self.clone();
        for part in below.split('/').filter(|part| !part.is_empty()) {
            // Names are taken as they are: `#` and `%` stand for themselves. What cannot be a name is escaped.
            joined.path = match Path::parse(format!("{}/{part}", joined.path)) {
                Ok(path) => path,
                Err(_) => joined.path.join(part),
            };
            if let Some(file) = &mut joined.file {
                file.push(part);
            }
        }
        let slash = if self.shown.ends_with('/') { "" } else { "/" };
        joined.shown = format!("{}{slash}{below}", self.shown);
        joined.meta = None;
        joined
    }

    /// The folder that it is in; of a bucket's root, the root.
    #[must_use]
    pub fn parent(&self) -> Self {
        let mut parent = self.clone();
        let mut parts: Vec<_> = self.path.parts().collect();
        parts.pop();
        parent.path = parts.into_iter().collect();
        parent.meta = None;
        if let Some(file) = &mut parent.file {
            file.pop();
            parent.shown = file.display().to_string();
        } else if parent.path.as_ref().is_empty() {
            parent.shown.clone_from(&self.url);
        } else {
            parent.shown = format!("{}/{}", self.url, parent.path);
        }
        parent
    }

    /// Whether it lies in this folder, or is it.
    #[must_use]
    pub fn is_within(&self, folder: &Self) -> bool {
        self.url == folder.url && self.path.prefix_matches(&folder.path)
    }

    /// The same place as a folder to work in: what is written into it lies under `.pomona/` until it is whole, and
    /// messages show its full path.
    ///
    /// # Errors
    /// [`StoreError::Io`].
    pub fn work_folder(&self) -> Result<Self, StoreError> {
        let Some(file) = &self.file else {
            return Ok(self.clone());
        };
        std::fs::create_dir_all(file).map_err(|source| self.io(source))?;
        let file = std::fs::canonicalize(file).map_err(|source| self.io(source))?;
        let staging = Staging::Folder(file.join(WORK_FOLDER).join("tmp"));
        crate::stores::local(&file, staging)
    }

    /// The same place, in a bucket with everything below it known from here on: for whoever holds its lock, since nobody
    /// else may write there.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn known(&self) -> Result<Self, StoreError> {
        if !self.is_remote() {
            return Ok(self.clone());
        }
        let known = Known::list(Arc::clone(&self.store), self.path.clone())
            .await
            .map_err(|error| self.failed(error))?;
        let mut place = self.clone();
        place.store = Arc::clone(&known) as _;
        place.known = Some(known);
        Ok(place)
    }

    pub(crate) fn io(&self, source: io::Error) -> StoreError {
        StoreError::Io {
            place: self.shown.clone(),
            source,
        }
    }

    /// The error of an operation on this place.
    pub fn failed(&self, source: Error) -> StoreError {
        StoreError::Object {
            place: self.shown.clone(),
            source,
        }
    }

    /// Size and time of the object; none where there is none.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn meta(&self) -> Result<Option<ObjectMeta>, StoreError> {
        if let Some(meta) = &self.meta {
            return Ok(Some(meta.as_ref().clone()));
        }
        if let Some(file) = &self.file
            && !file.is_file()
        {
            return Ok(None);
        }
        match self.store.head(&self.path).await {
            Ok(meta) => Ok(Some(meta)),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Whether there is a file.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn is_file(&self) -> Result<bool, StoreError> {
        if self.path.as_ref().is_empty() {
            return Ok(false);
        }
        Ok(self.meta().await?.is_some())
    }

    /// Whether there is a folder: in a bucket, something below.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn is_folder(&self) -> Result<bool, StoreError> {
        if let Some(file) = &self.file {
            return Ok(file.is_dir());
        }
        let mut first = self.store.list(Some(&self.path));
        match first.next().await {
            Some(Ok(_)) => Ok(true),
            Some(Err(error)) => Err(self.failed(error)),
            None => Ok(false),
        }
    }

    /// The bytes of the file, as many as the storage says that there are.
    ///
    /// # Errors
    /// [`StoreError::Object`], also where there is none.
    pub async fn read(&self) -> Result<Bytes, StoreError> {
        let read = async {
            if self.file.is_some() {
                return self.store.get(&self.path).await?.bytes().await;
            }
            self.read_remote().await
        };
        read.await.map_err(|error| self.failed(error))
    }

    async fn read_remote(&self) -> Result<Bytes, Error> {
        // Only an answer to a range tells the size of the whole.
        let all = GetOptions {
            range: Some(GetRange::Offset(0)),
            ..GetOptions::default()
        };
        let error = match self.store.get_opts(&self.path, all).await {
            Ok(found) => return found.bytes().await,
            Err(error) => error,
        };
        // There is no range of an empty object, and not every web server knows ranges.
        let is_about_range = match status(&error) {
            Some(416) => true,
            Some(_) => false,
            None => matches!(error, Error::Generic { .. }) && !is_fatal(&error),
        };
        if !is_about_range {
            return Err(error);
        }
        self.store.get(&self.path).await?.bytes().await
    }

    /// The bytes of the file; none where there is none.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn read_if_there(&self) -> Result<Option<Bytes>, StoreError> {
        match self.read().await {
            Ok(bytes) => Ok(Some(bytes)),
            Err(StoreError::Object {
                source: Error::NotFound { .. },
                ..
            }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The bytes of the file, piece by piece.
    ///
    /// # Errors
    /// [`StoreError::Object`], also where there is none.
    pub async fn parts(
        &self,
    ) -> Result<futures::stream::BoxStream<'static, Result<Bytes, Error>>, StoreError> {
        match self.store.get(&self.path).await {
            Ok(found) => Ok(found.into_stream()),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Writes the file, whole or not at all.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn write(&self, bytes: impl Into<Bytes>) -> Result<(), StoreError> {
        let bytes = bytes.into();
        if bytes.len() > 2 * PART_BYTES {
            let mut writer = self.writer();
            writer.write(bytes).await?;
            return writer.finish().await;
        }
        self.store
            .put(&self.path, bytes.into())
            .await
            .map(|_| ())
            .map_err(|error| self.failed(error))
    }

    /// Writes the file where there is none; else says so by `false`.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn write_new(&self, bytes: impl Into<Bytes>) -> Result<bool, StoreError> {
        let mut options = PutOptions::from(PutMode::Create);
        let mark = uuid::Uuid::new_v4().to_string();
        if self.keeps_marks() {
            options.attributes.insert(MARK, mark.clone().into());
        }
        let payload = bytes.into().into();
        let error = match self.store.put_opts(&self.path, payload, options).await {
            Ok(_) => return Ok(true),
            Err(error) => error,
        };
        if !self.keeps_marks() {
            return match error {
                Error::AlreadyExists { .. } | Error::Precondition { .. } => Ok(false),
                error => Err(self.failed(error)),
            };
        }
        // It may be there because of an earlier try whose answer was lost: then it carries our mark.
        let found = self
            .store
            .get_opts(&self.path, GetOptions::new().with_head(true))
            .await;
        match (error, found) {
            (_, Ok(found))
                if found
                    .attributes
                    .get(&MARK)
                    .is_some_and(|found| **found == *mark) =>
            {
                Ok(true)
            }
            (Error::AlreadyExists { .. } | Error::Precondition { .. }, _) => Ok(false),
            (error, _) => Err(self.failed(error)),
        }
    }

    /// Whether objects keep what is said of them beside their bytes.
    fn keeps_marks(&self) -> bool {
        ["s3:", "gs:", "az:"]
            .iter()
            .any(|scheme| self.url.starts_with(scheme))
    }

    /// Writes the file piece by piece; it appears at the end.
    #[must_use]
    pub fn writer(&self) -> PlaceWriter {
        PlaceWriter::new(self.clone())
    }

    /// Removes the file, if it is there.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn delete(&self) -> Result<(), StoreError> {
        delete_if_there(self.store.as_ref(), &self.path)
            .await
            .map_err(|error| self.failed(error))
    }

    /// Removes files, some at a time.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn delete_all(places: &[Self]) -> Result<(), StoreError> {
        futures::stream::iter(places.to_vec())
            .map(|place| async move { place.delete().await })
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    /// The files directly in this folder, by name; none where there is no folder.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn files(&self) -> Result<Vec<Self>, StoreError> {
        if let Some(folder) = &self.file
            && !folder.is_dir()
        {
            return Ok(Vec::new());
        }
        let listed = match self.store.list_with_delimiter(Some(&self.path)).await {
            Ok(listed) => listed,
            Err(Error::NotFound { .. }) => return Ok(Vec::new()),
            Err(error) => return Err(self.failed(error)),
        };
        let mut files: Vec<Self> = listed
            .objects
            .into_iter()
            .filter_map(|meta| self.listed(meta))
            .collect();
        files.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(files)
    }

    /// Everything below, in no particular order.
    ///
    /// # Errors
    /// [`StoreError::Object`].
    pub async fn all_below(&self) -> Result<Vec<Self>, StoreError> {
        if let Some(folder) = &self.file
            && !folder.is_dir()
        {
            return Ok(Vec::new());
        }
        let metas: Vec<ObjectMeta> = self
            .store
            .list(Some(&self.path))
            .try_collect()
            .await
            .map_err(|error| self.failed(error))?;
        Ok(metas
            .into_iter()
            .filter_map(|meta| self.listed(meta))
            .collect())
    }

    fn listed(&self, meta: ObjectMeta) -> Option<Self> {
        let below: Vec<String> = meta
            .location
            .prefix_match(&self.path)?
            .map(|part| part.as_ref().to_owned())
            .collect();
        if below.is_empty() {
            return None;
        }
        let mut place = self.join(&below.join("/"));
        place.path = meta.location.clone();
        place.meta = Some(Arc::new(meta));
        Some(place)
    }

    /// Where it is, relative to a folder above it.
    #[must_use]
    pub fn relative_to(&self, folder: &Self) -> Option<String> {
        let parts = self.path.prefix_match(&folder.path)?;
        Some(
            parts
                .map(|part| part.as_ref().to_owned())
                .collect::<Vec<_>>()
                .join("/"),
        )
    }

    /// All objects below, in the byte order of their paths, as they are found.
    #[must_use]
    pub fn list_ordered(&self) -> Listing {
        // Listing goes on beside the work, which may hold all the other threads.
        let _runtime = self.network.as_ref().map(Handle::enter);
        match &self.remote {
            Some(remote) => listing::list_ordered(
                &remote.store,
                remote.pages.as_ref(),
                remote.is_ordered,
                &self.path,
            ),
            None => listing::list_ordered(&self.store, None, false, &self.path),
        }
    }
}
