//! Which objects are there, in which order?

mod filter;
mod local;
mod packs;
mod remote;
pub(crate) mod rows;
#[cfg(test)]
mod tests;

use std::path::Path as FilePath;
use std::sync::Arc;

use futures::stream::BoxStream;
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;
use pomona_store::Place;

pub use filter::ListingFilter;

use self::packs::Packs;
use crate::error::EngineError;
use crate::label::LabelRule;
use crate::plan_folder::PlanFolder;

/// One object under the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListedImage {
    /// Path relative to the root, `/`-separated.
    pub path: String,
    /// What the label rule gives for it.
    pub label: Option<String>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Time of the last change, microseconds since 1970-01-01 UTC.
    pub last_modified_micros: i64,
    /// What the store says of its content; none for files of this machine.
    pub etag: Option<String>,
    /// Where its bytes are, if they are a part of a larger object.
    pub part: Option<Part>,
    /// Why this object can be listed but not read, where that is known already.
    pub problem: Option<String>,
}

/// Bytes of a larger object: a member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// The archive, relative to the root.
    pub archive: Arc<str>,
    /// Where in it the bytes begin.
    pub offset: u64,
}

/// Images in the byte order of their paths, as they are found.
pub type ImageListing = BoxStream<'static, Result<ListedImage, EngineError>>;

/// A place that holds photos.
#[derive(Debug, Clone)]
pub struct ImageSource {
    place: Place,
    name: String,
    store: Arc<dyn ObjectStore>,
    /// The only object that is listed, where the source is one archive.
    archive: Option<ListedImage>,
}

impl ImageSource {
    /// A folder on this machine, or below the root of a bucket, or an archive.
    ///
    /// # Errors
    /// [`EngineError::NotAFolder`] where a folder of this machine is missing, is no folder or cannot be entered, and
    /// those of the store.
    pub async fn open(place: Place) -> Result<Self, EngineError> {
        if packs::is_archive(&place.name())
            && let Some(meta) = place.meta().await?
        {
            let folder = place.parent();
            return Ok(Self {
                name: folder.name(),
                store: folder.below(),
                archive: Some(ListedImage {
                    path: place.name(),
                    size_bytes: meta.size,
                    ..ListedImage::default()
                }),
                place,
            });
        }
        let place = match place.file() {
            Some(file) => Place::of_path(&local::check(&place, file)?)?,
            None => place,
        };
        Ok(Self {
            name: place.name(),
            store: place.below(),
            archive: None,
            place,
        })
    }

    /// A folder on this machine.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub async fn folder(path: &FilePath) -> Result<Self, EngineError> {
        Self::open(Place::of_path(path)?).await
    }

    /// The store whose root is this source's root.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The same root, as plans name it.
    #[must_use]
    pub fn folder_of_plans(&self) -> PlanFolder {
        PlanFolder::of(&match &self.archive {
            Some(_) => self.place.parent(),
            None => self.place.clone(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Lists the objects in the byte order of their paths, one by one, as they are found.
    ///
    /// Hidden files and folders (a name that starts with `.`) are skipped. On this machine symbolic links are followed
    /// and a link that leads back to a folder above it is not entered. What is there but cannot be read (a dangling
    /// link, a folder without permission, a name that is not Unicode) is listed with its [`ListedImage::problem`].
    /// Members of archives (`.tar`) are images of their own.
    #[must_use]
    pub fn list(&self, filter: ListingFilter, labels: LabelRule) -> ImageListing {
        let packs = Packs {
            store: Arc::clone(&self.store),
            root_name: self.name.clone(),
            is_remote: self.place.is_remote(),
            filter: filter.clone(),
            labels: labels.clone(),
        };
        if let Some(archive) = &self.archive {
            return packs.of_one(archive.clone());
        }
        packs.expand(match self.place.file() {
            Some(root) => local::list(root, &self.name, filter, labels),
            None => remote::list(&self.place, &self.name, filter, labels),
        })
    }
}

/// Where in the source's store the object at `path` lies.
pub(crate) fn location(path: &str) -> Result<ObjectPath, object_store::Error> {
    Ok(ObjectPath::parse(path)?)
}
