//! What the operators and functions of a plan need of the process that they run in.

use std::any::{Any, TypeId};
use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use datafusion::execution::TaskContext;
use object_store::ObjectStore;
use pomona_store::{StoreSettings, Stores};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use crate::error::EngineError;
use crate::extract::Extractor;
use crate::plan_folder::PlanFolder;

/// Where assets lie in the folder of a run, under what `pomona clean` empties.
const ASSETS: &str = ".pomona/assets";
/// Things made of assets that are kept: a plan needs one or two.
const KEPT: usize = 8;

/// Bytes that a plan needs beside itself, by what they hold: weights, models.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Asset {
    /// SHA-256 of the bytes, hex.
    pub sha256: String,
    /// The folder of the run that keeps them.
    pub folder: PlanFolder,
}

/// Makes the extractor that a plan describes.
pub type MakeExtractor =
    dyn Fn(&str, &Services) -> Result<Arc<Extractor>, EngineError> + Send + Sync;

/// What a process gives to the plans that run in it. Sessions carry it in their configuration.
pub struct Services {
    stores: Arc<Stores>,
    fetch: Handle,
    worker: Option<Worker>,
}

/// Something made of an asset or a description, by its type and its hash.
type Made = ((TypeId, String), Arc<dyn Any + Send + Sync>);

/// What only a process has that works for others.
struct Worker {
    assets: PathBuf,
    make_extractor: Box<MakeExtractor>,
    made: Mutex<VecDeque<Made>>,
    /// Other stores than the process's own, by how they were opened.
    stores: Mutex<VecDeque<(StoreSettings, Arc<Stores>)>>,
}

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Services")
            .field("works_for_others", &self.worker.is_some())
            .finish_non_exhaustive()
    }
}

impl Services {
    /// For plans that are made and run in one process. Requests run on `fetch`.
    #[must_use]
    pub fn new(stores: Arc<Stores>, fetch: Handle) -> Self {
        Self {
            stores,
            fetch,
            worker: None,
        }
    }

    /// The same for a process that works for others: assets are kept in the folder `assets`, extractors made by
    /// `make_extractor`.
    #[must_use]
    pub fn for_others(self, assets: PathBuf, make_extractor: Box<MakeExtractor>) -> Self {
        Self {
            worker: Some(Worker {
                assets,
                make_extractor,
                made: Mutex::default(),
                stores: Mutex::default(),
            }),
            ..self
        }
    }

    /// Those of the session that a plan runs in.
    pub(crate) fn of(context: &TaskContext) -> Result<Arc<Self>, EngineError> {
        context
            .session_config()
            .get_extension::<Self>()
            .ok_or(EngineError::NoServices)
    }

    /// Where places are opened that are to be opened with these settings. A process that works for others opens them as
    /// the plan says, with its own keys; all other processes have one way.
    pub(crate) fn stores_with(&self, settings: &StoreSettings) -> Result<Arc<Stores>, EngineError> {
        let Some(worker) = &self.worker else {
            return Ok(Arc::clone(&self.stores));
        };
        if *settings == StoreSettings::default() {
            return Ok(Arc::clone(&self.stores));
        }
        let mut stores = lock(&worker.stores);
        if let Some((_, found)) = stores.iter().find(|(known, _)| known == settings) {
            return Ok(Arc::clone(found));
        }
        let new = Arc::new(Stores::new(settings.clone(), self.fetch.clone())?);
        if stores.len() >= KEPT {
            stores.pop_front();
        }
        stores.push_back((settings.clone(), Arc::clone(&new)));
        Ok(new)
    }

    /// Where requests run.
    pub(crate) fn fetch(&self) -> &Handle {
        &self.fetch
    }

    /// The extractor that a plan describes.
    pub(crate) fn extractor(&self, description: &str) -> Result<Arc<Extractor>, EngineError> {
        let worker = self.worker.as_ref().ok_or(EngineError::NoServices)?;
        let hash = hex_sha256(description.as_bytes());
        self.made(&hash, || {
            let made = (worker.make_extractor)(description, self)?;
            Ok(made)
        })
    }

    /// What an asset holds, read once in this process. Blocks: it is called by functions, which cannot wait otherwise.
    pub(crate) fn asset<T: Any + Send + Sync>(
        &self,
        asset: &Asset,
        read: impl FnOnce(&[u8]) -> Result<T, EngineError>,
    ) -> Result<Arc<T>, EngineError> {
        self.made(&asset.sha256, || {
            let file = self.asset_file(asset)?;
            let bytes = std::fs::read(&file).map_err(|source| EngineError::Io {
                path: file.clone(),
                source,
            })?;
            Ok(Arc::new(read(&bytes)?))
        })
    }

    /// The file of this machine that holds an asset: fetched where it is not there, and verified. Blocks.
    ///
    /// # Errors
    /// [`EngineError::Asset`] where it cannot be had or is damaged.
    pub fn asset_file(&self, asset: &Asset) -> Result<PathBuf, EngineError> {
        let worker = self.worker.as_ref().ok_or(EngineError::NoServices)?;
        let failed = |reason: String| EngineError::Asset {
            sha256: asset.sha256.clone(),
            reason,
        };
        if asset.sha256.len() != 64 || !asset.sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(failed("that is no SHA-256".to_owned()));
        }
        let file = worker.assets.join(&asset.sha256);
        if let Ok(bytes) = std::fs::read(&file)
            && hex_sha256(&bytes) == asset.sha256
        {
            return Ok(file);
        }
        let bytes = self
            .fetched(asset)
            .map_err(|error| failed(error.to_string()))?;
        if hex_sha256(&bytes) != asset.sha256 {
            return Err(failed("what is there has another hash".to_owned()));
        }
        let io = |error: std::io::Error| failed(error.to_string());
        std::fs::create_dir_all(&worker.assets).map_err(io)?;
        let part = worker
            .assets
            .join(format!("{}.{}", asset.sha256, uuid_like()));
        std::fs::write(&part, &bytes).map_err(io)?;
        std::fs::rename(&part, &file).map_err(io)?;
        Ok(file)
    }

    fn fetched(&self, asset: &Asset) -> Result<Bytes, EngineError> {
        let stores = self.stores_with(asset.folder.settings())?;
        let asset = asset.clone();
        self.wait_for(async move {
            let folder = asset.folder.in_stores(&stores).await?;
            Ok(asset_place(&folder, &asset.sha256).read().await?)
        })
    }

    /// The store at a root such as `s3://bucket`. Blocks.
    pub(crate) fn store_of(&self, root: &str) -> Result<Arc<dyn ObjectStore>, EngineError> {
        let (stores, root) = (Arc::clone(&self.stores), PathBuf::from(root));
        self.wait_for(async move { Ok(Arc::clone(stores.place(&root).await?.store())) })
    }

    /// Waits for a request on a thread that cannot do anything else meanwhile.
    fn wait_for<T: Send + 'static>(
        &self,
        request: impl Future<Output = Result<T, EngineError>> + Send + 'static,
    ) -> Result<T, EngineError> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.fetch.spawn(async move {
            // Whoever asked is gone only where its thread was.
            let _ = sender.send(request.await);
        });
        receiver
            .recv()
            .map_err(|error| EngineError::Threads(Box::new(error)))?
    }

    fn made<T: Any + Send + Sync>(
        &self,
        hash: &str,
        make: impl FnOnce() -> Result<Arc<T>, EngineError>,
    ) -> Result<Arc<T>, EngineError> {
        let worker = self.worker.as_ref().ok_or(EngineError::NoServices)?;
        let key = (TypeId::of::<T>(), hash.to_owned());
        // Held while it is made: whoever needs the same waits for it.
        let mut made = lock(&worker.made);
        if let Some((_, found)) = made.iter().find(|(known, _)| *known == key)
            && let Ok(found) = Arc::clone(found).downcast::<T>()
        {
            return Ok(found);
        }
        let new = make()?;
        if made.len() >= KEPT {
            made.pop_front();
        }
        made.push_back((key, Arc::clone(&new) as _));
        Ok(new)
    }
}

/// Puts bytes where processes that work on a plan find them, unless they are there.
///
/// # Errors
/// Those of the store.
pub async fn put_asset(folder: &pomona_store::Place, bytes: Bytes) -> Result<Asset, EngineError> {
    let sha256 = hex_sha256(&bytes);
    let place = asset_place(folder, &sha256);
    if !place.is_file().await? {
        place.write(bytes).await?;
    }
    Ok(Asset {
        sha256,
        folder: PlanFolder::working(folder),
    })
}

/// Removes what was put for the processes that work on plans.
///
/// # Errors
/// Those of the store.
pub async fn remove_assets(folder: &pomona_store::Place) -> Result<(), EngineError> {
    let all = folder.join(ASSETS).all_below().await?;
    Ok(pomona_store::Place::delete_all(&all).await?)
}

fn asset_place(folder: &pomona_store::Place, sha256: &str) -> pomona_store::Place {
    folder.join(ASSETS).join(sha256)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn hex_sha256(bytes: &[u8]) -> String {
    use fmt::Write as _;
    Sha256::digest(bytes)
        .iter()
        .fold(String::with_capacity(64), |mut hex, byte| {
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}

/// Tells the files of two threads or processes apart while they are written.
fn uuid_like() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{}-{next}", std::process::id())
}
