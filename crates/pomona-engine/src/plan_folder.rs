//! Folders that plans name.

use std::hash::{Hash, Hasher};
use std::path::Path;

use pomona_store::{Place, StoreSettings, Stores};
use serde::{Deserialize, Serialize};

use crate::error::EngineError;
use crate::services::Services;

/// A folder that a plan reads from or writes into.
///
/// Where the plan was made, it is the place itself. Where a plan arrives from another process, only the address came
/// along: the place is opened there, with that process's own keys.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanFolder {
    /// `file://`, or as `s3://bucket`.
    root: String,
    /// Below that, as it is.
    path: String,
    /// Whether it is a folder to work in.
    is_working: bool,
    /// How it is opened: the regions allowed, and how what is written there is encrypted.
    settings: StoreSettings,
    #[serde(skip)]
    opened: Option<Place>,
}

impl PartialEq for PlanFolder {
    fn eq(&self, other: &Self) -> bool {
        (&self.root, &self.path, self.is_working, &self.settings)
            == (&other.root, &other.path, other.is_working, &other.settings)
    }
}

impl Eq for PlanFolder {}

impl Hash for PlanFolder {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (&self.root, &self.path, self.is_working).hash(state);
    }
}

impl PlanFolder {
    /// A folder to read from.
    #[must_use]
    pub fn of(place: &Place) -> Self {
        Self {
            root: place.store_url().to_owned(),
            path: match place.file() {
                Some(file) => std::path::absolute(file)
                    .unwrap_or_else(|_| file.to_owned())
                    .display()
                    .to_string(),
                None => place.path().to_string(),
            },
            is_working: false,
            settings: place.settings(),
            opened: Some(place.clone()),
        }
    }

    /// A folder to write into.
    #[must_use]
    pub fn working(place: &Place) -> Self {
        Self {
            is_working: true,
            ..Self::of(place)
        }
    }

    /// The place.
    pub(crate) async fn place(&self, services: &Services) -> Result<Place, EngineError> {
        self.in_stores(&*services.stores_with(&self.settings)?)
            .await
    }

    /// How it is opened.
    pub(crate) fn settings(&self) -> &StoreSettings {
        &self.settings
    }

    pub(crate) async fn in_stores(&self, stores: &Stores) -> Result<Place, EngineError> {
        if let Some(place) = &self.opened {
            return Ok(place.clone());
        }
        let place = if self.root == "file://" {
            Place::of_path(Path::new(&self.path))?
        } else {
            stores.place(Path::new(&self.root)).await?.join(&self.path)
        };
        Ok(if self.is_working {
            place.work_folder()?
        } else {
            place
        })
    }
}
