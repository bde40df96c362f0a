//! Places are opened here.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path as ObjectPath;
use serde::{Deserialize, Serialize};
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use crate::address::Address;
use crate::environment::Environment;
use crate::error::StoreError;
use crate::health::PATIENCE;
use crate::local::{LocalStore, Staging};
use crate::place::Place;
use crate::region::AllowedRegions;
use crate::remote::{self, Opening, Remote};
use crate::service::{Clients, Listener};
use crate::traffic::TrafficReading;

/// What all places are opened with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct StoreSettings {
    /// Patterns of the regions in which data may lie; none allow all.
    pub allowed_regions: Vec<String>,
    /// How S3 encrypts what is written.
    pub encryption: Encryption,
}

/// How S3 encrypts what is written.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Encryption {
    /// As the bucket, or the environment (`AWS_SERVER_SIDE_ENCRYPTION`), says.
    #[default]
    Default,
    /// With keys of S3's own.
    Aes256,
    /// With a key of the key management service.
    Kms {
        /// Its identifier, which is no secret.
        key: String,
    },
}

/// Opens places. Places of one bucket share their connections, their limits and their counts.
pub struct Stores {
    settings: Arc<StoreSettings>,
    allowed: AllowedRegions,
    environment: Environment,
    patience: Duration,
    network: Handle,
    clients: Clients,
    listener: Listener,
    opened: Mutex<HashMap<String, Arc<Remote>>>,
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Stores {
    /// Requests run on `network`. Keys, endpoints and the like come from the environment of this process.
    ///
    /// # Errors
    /// [`StoreError::RegionPattern`].
    pub fn new(settings: StoreSettings, network: Handle) -> Result<Self, StoreError> {
        Self::opening(settings, network, Environment::of_process())
    }

    /// As [`new`](Self::new), with these variables in place of the environment: those that begin with `AWS_`,
    /// `GOOGLE_` and `AZURE_`, `SERVICE_ACCOUNT`, `IDENTITY_ENDPOINT`, and `HOME`, under which profile files lie.
    ///
    /// # Errors
    /// [`StoreError::RegionPattern`].
    pub fn with_environment(
        settings: StoreSettings,
        network: Handle,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, StoreError> {
        Self::opening(settings, network, variables.into_iter().collect())
    }

    fn opening(
        settings: StoreSettings,
        network: Handle,
        environment: Environment,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            allowed: AllowedRegions::new(&settings.allowed_regions)?,
            settings: Arc::new(settings),
            environment,
            patience: PATIENCE,
            network,
            clients: Clients::default(),
            listener: Listener::default(),
            opened: Mutex::default(),
        })
    }

    /// The same, with another time for which a storage may fail altogether before it is given up
    /// ([`Outage::Budget`](crate::Outage::Budget)); a minute at first.
    #[must_use]
    pub fn with_patience(self, patience: Duration) -> Self {
        Self { patience, ..self }
    }

    /// The same, with somebody who is told, in a sentence, when a storage has not answered for some seconds and is still
    /// tried: once each time that it falls silent.
    #[must_use]
    pub fn telling(self, listener: impl Fn(String) + Send + Sync + 'static) -> Self {
        Self {
            listener: Listener(Some(Arc::new(listener))),
            ..self
        }
    }

    /// The place at a path or URL, a folder or a file, there or not. Where only some regions are allowed, that of a
    /// bucket is found out now, before anything in it is read.
    ///
    /// # Errors
    /// Those of the address and of opening the bucket.
    pub async fn place(&self, text: &Path) -> Result<Place, StoreError> {
        match Address::parse(text)? {
            Address::Local(path) => local(&path, Staging::Beside),
            Address::Remote { scheme, root, path } => {
                let url = format!("{scheme}://{root}");
                let mut opened = self.opened.lock().await;
                let remote = match opened.get(&url) {
                    Some(remote) => Arc::clone(remote),
                    None => {
                        let opening = Opening {
                            settings: &self.settings,
                            allowed: &self.allowed,
                            environment: &self.environment,
                            patience: self.patience,
                            network: self.network.clone(),
                            clients: self.clients.clone(),
                            listener: self.listener.clone(),
                        };
                        let remote = remote::open(scheme, &root, opening).await?;
                        let remote = Arc::new(remote);
                        opened.insert(url.clone(), Arc::clone(&remote));
                        remote
                    }
                };
                Ok(Place::remote(
                    url,
                    path,
                    remote,
                    self.network.clone(),
                    Arc::clone(&self.settings),
                ))
            }
        }
    }

    /// Requests so far that failed in a way that may pass, and of those the ones refused because there were too many.
    #[must_use]
    pub fn troubles(&self) -> (u64, u64) {
        // Where a place is being opened just now, nothing is told this time.
        let Ok(opened) = self.opened.try_lock() else {
            return (0, 0);
        };
        opened.values().fold((0, 0), |(failed, throttled), remote| {
            let reading = remote.traffic.read();
            (failed + reading.failed, throttled + reading.throttled)
        })
    }

    /// What went over the network so far, by bucket or host.
    pub async fn traffic(&self) -> Vec<(String, TrafficReading)> {
        let opened = self.opened.lock().await;
        let mut all: Vec<_> = opened
            .iter()
            .map(|(url, remote)| (url.clone(), remote.traffic.read()))
            .collect();
        all.sort_by(|one, other| one.0.cmp(&other.0));
        all
    }
}

/// A place on this machine.
pub(crate) fn local(path: &Path, staging: Staging) -> Result<Place, StoreError> {
    let io = |source| StoreError::Io {
        place: path.display().to_string(),
        source,
    };
    let absolute = absolute(path).map_err(io)?;
    let object =
        ObjectPath::from_absolute_path(&absolute).map_err(|error| StoreError::Address {
            address: path.display().to_string(),
            reason: error.to_string(),
        })?;
    Ok(Place::local(
        path.to_owned(),
        absolute,
        object,
        Arc::new(LocalStore::new(staging)),
    ))
}

/// The path from the root, without links and dots as far as it exists.
fn absolute(path: &Path) -> std::io::Result<PathBuf> {
    let mut existing = std::path::absolute(path)?;
    let mut rest = Vec::new();
    loop {
        match std::fs::canonicalize(&existing) {
            Ok(found) => {
                let below = rest.iter().rev();
                return Ok(below.fold(found, |path, part| path.join(part)));
            }
            Err(error) => match (existing.file_name(), existing.parent()) {
                (Some(name), Some(parent)) => {
                    rest.push(name.to_owned());
                    existing = parent.to_owned();
                }
                _ => return Err(error),
            },
        }
    }
}
