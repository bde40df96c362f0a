//! Object stores for the parts of plans that are DataFusion's own, such as reading Parquet.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use url::Url;

use crate::error::EngineError;
use crate::services::Services;

/// Opens the store of a URL when a plan first asks for it, with the keys of this process.
pub struct PlanStores {
    services: Arc<Services>,
    opened: Mutex<HashMap<String, Arc<dyn ObjectStore>>>,
}

impl std::fmt::Debug for PlanStores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlanStores").finish_non_exhaustive()
    }
}

impl PlanStores {
    /// For plans that come from elsewhere.
    #[must_use]
    pub fn new(services: Arc<Services>) -> Self {
        Self {
            services,
            opened: Mutex::default(),
        }
    }
}

/// The part of a URL that names a store.
fn root(url: &Url) -> String {
    let before_path = &url[..url::Position::BeforePath];
    before_path.to_owned()
}

impl ObjectStoreRegistry for PlanStores {
    fn register_store(
        &self,
        url: &Url,
        store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.insert(root(url), store)
    }

    fn deregister_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        opened.remove(&root(url)).ok_or_else(|| {
            EngineError::codec(format!("no store of {} is open", root(url))).into_datafusion()
        })
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let root = root(url);
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(store) = opened.get(&root) {
            return Ok(Arc::clone(store));
        }
        let store = if url.scheme() == "file" {
            Arc::new(LocalFileSystem::new()) as _
        } else {
            self.services
                .store_of(&root)
                .map_err(EngineError::into_datafusion)?
        };
        opened.insert(root, Arc::clone(&store));
        Ok(store)
    }
}

/// For processes that look at plans and run none: any store can be named, none is opened, and nothing is in them.
#[derive(Debug, Default)]
pub struct UnopenedStores;

impl ObjectStoreRegistry for UnopenedStores {
    fn register_store(
        &self,
        _url: &Url,
        _store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, _url: &Url) -> Result<Arc<dyn ObjectStore>> {
        Ok(Arc::new(InMemory::new()))
    }
}
