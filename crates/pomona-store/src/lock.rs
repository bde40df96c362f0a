//! One process at a time.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions, PutResult, UpdateVersion};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::error::StoreError;
use crate::place::Place;

/// A lock in a bucket that was not renewed for so long is given up.
const EXPIRY: Duration = Duration::from_secs(60);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(15);
/// Clocks of two machines may differ by so much.
const CLOCKS: Duration = Duration::from_secs(30);

/// The right to work on a place, until it is dropped or the process ends.
///
/// On this machine the operating system keeps it, and frees it when the process ends, however it ends. In a bucket it is
/// an object that is put only where none is, renewed while work goes on, and given up a minute after it was last
/// renewed; at once where its holder was a process of this machine that is no more.
#[derive(Debug)]
pub struct RunLock {
    kind: std::sync::Mutex<Option<Kind>>,
}

#[derive(Debug)]
enum Kind {
    Local {
        file: File,
        place: Place,
    },
    Remote {
        place: Place,
        renewal: JoinHandle<()>,
        is_lost: Arc<AtomicBool>,
    },
}

/// What a lock says of its holder.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Holder {
    id: String,
    process: u32,
    machine: String,
    since: String,
    until: String,
}

impl Holder {
    fn this_process() -> Self {
        let mut holder = Self {
            id: uuid::Uuid::new_v4().to_string(),
            process: std::process::id(),
            machine: machine(),
            since: Timestamp::now().to_string(),
            until: String::new(),
        };
        holder.renew();
        holder
    }

    fn renew(&mut self) {
        self.until = (Timestamp::now() + EXPIRY).to_string();
    }

    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// Whether nobody holds the lock any more.
    fn is_gone(&self) -> bool {
        let is_of_this_machine = !self.machine.is_empty() && self.machine == machine();
        if is_of_this_machine && is_dead(self.process) {
            return true;
        }
        self.until
            .parse::<Timestamp>()
            .is_ok_and(|until| Timestamp::now() > until + CLOCKS)
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "process {} since {}", self.process, self.since)?;
        if !self.until.is_empty() {
            write!(f, "; if it died, the lock is given up after {}", self.until)?;
        }
        Ok(())
    }
}

/// This start of this machine; empty where that cannot be told.
fn machine() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id")
        .map(|id| id.trim().to_owned())
        .unwrap_or_default()
}

fn is_dead(process: u32) -> bool {
    cfg!(target_os = "linux") && !std::path::Path::new(&format!("/proc/{process}")).exists()
}

#[cfg(unix)]
fn is_same_file(file: &File, path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let (Ok(one), Ok(other)) = (file.metadata(), std::fs::metadata(path)) else {
        return false;
    };
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

#[cfg(not(unix))]
fn is_same_file(_file: &File, path: &std::path::Path) -> bool {
    path.exists()
}

impl RunLock {
    /// Takes the lock of a place; `lost` is called if it is lost while work goes on.
    ///
    /// # Errors
    /// [`StoreError::Locked`] where another process holds it.
    pub async fn take(
        place: &Place,
        lost: impl Fn(StoreError) + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        match place.file() {
            Some(_) => Self::take_local(place),
            None => Self::take_remote(place, Arc::new(lost)).await,
        }
    }

    fn take_local(place: &Place) -> Result<Self, StoreError> {
        let lock = place.work_area().join("lock");
        let io = |source| StoreError::Io {
            place: lock.to_string(),
            source,
        };
        let Some(path) = lock.file() else {
            return Err(io(std::io::ErrorKind::Unsupported.into()));
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(io)?;
        }
        let mut file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(io)?;
        match file.try_lock() {
            // Its last holder may have removed it between the opening and the locking.
            Ok(()) if !is_same_file(&file, path) => {
                return Err(StoreError::Locked {
                    place: place.to_string(),
                    holder: "it ended at this moment".to_owned(),
                });
            }
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let _ = file.read_to_string(&mut text);
                let holder = serde_json::from_str::<Holder>(&text).map_or_else(
                    |_| "its process does not say which it is".to_owned(),
                    |holder| holder.to_string(),
                );
                return Err(StoreError::Locked {
                    place: place.to_string(),
                    holder,
                });
            }
            // A file system without locks: then nobody can be kept out.
            Err(TryLockError::Error(error)) if error.kind() == std::io::ErrorKind::Unsupported => {}
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        let holder = Holder {
            until: String::new(),
            ..Holder::this_process()
        };
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(&holder.bytes()))
            .map_err(io)?;
        Ok(Self {
            kind: std::sync::Mutex::new(Some(Kind::Local {
                file,
                place: place.clone(),
            })),
        })
    }

    async fn take_remote(
        place: &Place,
        lost: Arc<dyn Fn(StoreError) + Send + Sync>,
    ) -> Result<Self, StoreError> {
        let lock = place.work_area().join("lock");
        let mut holder = Holder::this_process();
        let mut version = put(&lock, &holder, PutMode::Create).await;
        // The answer may have been lost, or the holder have died: look, and try once more.
        if matches!(
            version,
            Err(Error::AlreadyExists { .. } | Error::Precondition { .. })
        ) {
            let (found, etag) = look(&lock).await?;
            version = match found {
                Some(found) if found.id == holder.id => Ok(etag),
                Some(found) if !found.is_gone() => {
                    return Err(StoreError::Locked {
                        place: place.to_string(),
                        holder: found.to_string(),
                    });
                }
                Some(_) => {
                    holder.renew();
                    put(&lock, &holder, PutMode::Update(etag)).await
                }
                None => put(&lock, &holder, PutMode::Create).await,
            };
        }
        let version = version.map_err(|error| match error {
            Error::AlreadyExists { .. } | Error::Precondition { .. } => StoreError::Locked {
                place: place.to_string(),
                holder: "another process took the lock at the same moment".to_owned(),
            },
            error => lock.failed(error),
        })?;
        let is_lost = Arc::new(AtomicBool::new(false));
        let renewal = tokio::spawn(renew(
            place.clone(),
            lock,
            holder,
            version,
            Arc::clone(&is_lost),
            lost,
        ));
        Ok(Self {
            kind: std::sync::Mutex::new(Some(Kind::Remote {
                place: place.clone(),
                renewal,
                is_lost,
            })),
        })
    }

    /// Gives the lock up. Doing so twice is no different from once.
    pub async fn release(&self) {
        let kind = self.kind.lock().ok().and_then(|mut kind| kind.take());
        match kind {
            None => {}
            Some(Kind::Local { file, place }) => {
                // Removed before it is unlocked: nobody can hold what is removed here.
                let _ = place.work_area().join("lock").delete().await;
                let _ = file.unlock();
                place.remove_empty_work_folder();
            }
            Some(Kind::Remote {
                place,
                renewal,
                is_lost,
            }) => {
                renewal.abort();
                if !is_lost.load(Ordering::Relaxed) {
                    // One that cannot be removed expires.
                    let _ = place.work_area().join("lock").delete().await;
                }
            }
        }
    }
}

async fn put(lock: &Place, holder: &Holder, mode: PutMode) -> Result<UpdateVersion, Error> {
    let PutResult { e_tag, version } = lock
        .store()
        .put_opts(lock.path(), holder.bytes().into(), PutOptions::from(mode))
        .await?;
    Ok(UpdateVersion { e_tag, version })
}

/// Who holds the lock, and the version to replace it by.
async fn look(lock: &Place) -> Result<(Option<Holder>, UpdateVersion), StoreError> {
    let none = UpdateVersion {
        e_tag: None,
        version: None,
    };
    let found = match lock.store().get(lock.path()).await {
        Ok(found) => found,
        Err(Error::NotFound { .. }) => return Ok((None, none)),
        Err(error) => return Err(lock.failed(error)),
    };
    let version = UpdateVersion {
        e_tag: found.meta.e_tag.clone(),
        version: found.meta.version.clone(),
    };
    let bytes = found.bytes().await.map_err(|error| lock.failed(error))?;
    let holder = serde_json::from_slice(&bytes).unwrap_or_else(|_| Holder {
        id: String::new(),
        process: 0,
        machine: String::new(),
        since: "an unknown time".to_owned(),
        until: String::new(),
    });
    Ok((Some(holder), version))
}

async fn renew(
    place: Place,
    lock: Place,
    mut holder: Holder,
    mut version: UpdateVersion,
    is_lost: Arc<AtomicBool>,
    lost: Arc<dyn Fn(StoreError) + Send + Sync>,
) {
    let mut tick = tokio::time::interval(RENEWAL);
    tick.tick().await;
    loop {
        tick.tick().await;
        holder.renew();
        match put(&lock, &holder, PutMode::Update(version.clone())).await {
            Ok(next) => version = next,
            // An answer that was lost leaves our own newer version there.
            Err(
                Error::Precondition { .. } | Error::NotFound { .. } | Error::AlreadyExists { .. },
            ) => match look(&lock).await {
                Ok((Some(found), next)) if found.id == holder.id => version = next,
                Ok((found, _)) => {
                    is_lost.store(true, Ordering::Relaxed);
                    lost(StoreError::LockLost {
                        place: place.to_string(),
                        reason: found.map_or_else(
                            || "somebody removed it".to_owned(),
                            |found| format!("held by {found}"),
                        ),
                    });
                    return;
                }
                Err(_) => {}
            },
            // It may pass: the next renewal tries again, well before the lock expires.
            Err(_) => {}
        }
    }
}
