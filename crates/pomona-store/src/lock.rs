//! One process at a time.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use object_store::{Error, ObjectStoreExt, PutMode, PutOptions, PutResult, UpdateVersion};
use serde::{Deserialize, Serialize};
use tokio::task::JoinHandle;

use crate::careful::ForAll;
use crate::error::StoreError;
use crate::place::Place;

/// A lock in a bucket that was not renewed for so long is given up.
const EXPIRY: Duration = Duration::from_secs(60);
/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(15);
/// Where a store replaces without a condition, all that do so at once are done after this time.
const SETTLING: Duration = Duration::from_secs(1);
/// A lock that was seen so lately needs not be looked at again before it is given up: nobody takes one in that time.
const JUST_SEEN: Duration = Duration::from_secs(1);
/// Tries where the last holder leaves at the same moment.
const RACES: u32 = 20;
/// Clocks of two machines may differ by so much.
const CLOCKS: SignedDuration = SignedDuration::from_secs(30);

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
        lock: Place,
        id: String,
        renewal: JoinHandle<()>,
        is_lost: Arc<AtomicBool>,
        /// When it was last seen to be this process's.
        seen: Option<Instant>,
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

    /// Whether nobody holds the lock any more. One that does not say until when it is held was held when it was last
    /// written.
    fn is_gone(&self, written: Option<Timestamp>) -> bool {
        let is_of_this_machine = !self.machine.is_empty() && self.machine == machine();
        if is_of_this_machine && is_dead(self.process) {
            return true;
        }
        self.until
            .parse::<Timestamp>()
            .ok()
            .or_else(|| written?.checked_add(EXPIRY).ok())
            .is_some_and(|until| Timestamp::now().duration_since(until) > CLOCKS)
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

/// This start of this machine, and the numbering of processes that this one sees: those of two containers on one machine
/// have nothing to do with each other. Empty where that cannot be told.
fn machine() -> String {
    let start = std::fs::read_to_string("/proc/sys/kernel/random/boot_id");
    let processes = std::fs::read_link("/proc/self/ns/pid");
    match (start, processes) {
        (Ok(start), Ok(processes)) => format!("{} {}", start.trim(), processes.display()),
        _ => String::new(),
    }
}

fn is_dead(process: u32) -> bool {
    let is_seen = |process| std::path::Path::new(&format!("/proc/{process}")).exists();
    // Where the first process is hidden, so may be others that live.
    cfg!(target_os = "linux") && is_seen(1) && !is_seen(process)
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
        Self::take_for(place, RENEWAL, lost).await
    }

    /// The same for a lock that is renewed, where it has to be, as often as this: well within the minute that it lasts.
    ///
    /// # Errors
    /// As [`RunLock::take`].
    pub async fn take_for(
        place: &Place,
        renewal: Duration,
        lost: impl Fn(StoreError) + Send + Sync + 'static,
    ) -> Result<Self, StoreError> {
        match place.file() {
            Some(_) => Self::take_local(place),
            None => Self::take_remote(place, renewal, Arc::new(lost)).await,
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
        let make_folder = || path.parent().map_or(Ok(()), std::fs::create_dir_all);
        make_folder().map_err(io)?;
        let mut tries = 0;
        let mut file = loop {
            let mut file = match File::options()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
            {
                // Its last holder has just removed the folder.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound && tries < RACES => {
                    tries += 1;
                    make_folder().map_err(io)?;
                    continue;
                }
                opened => opened.map_err(io)?,
            };
            match file.try_lock() {
                // Its last holder has removed it between the opening and the locking: that is nobody's lock.
                Ok(()) if !is_same_file(&file, path) && tries < RACES => tries += 1,
                Ok(()) => break file,
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
                Err(TryLockError::Error(error))
                    if error.kind() == std::io::ErrorKind::Unsupported =>
                {
                    break file;
                }
                Err(TryLockError::Error(error)) => return Err(io(error)),
            }
        };
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
        every: Duration,
        lost: Arc<dyn Fn(StoreError) + Send + Sync>,
    ) -> Result<Self, StoreError> {
        let lock = place.work_area().join("lock");
        let mut holder = Holder::this_process();
        let version = match put(&lock, &holder, PutMode::Create).await {
            Ok(version) => version,
            Err(error) => match (look(&lock).await, error) {
                // The answer was lost.
                (Ok(Some(found)), _) if found.holder.id == holder.id => found.version,
                (Ok(found), Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                    let former = match found {
                        None => None,
                        Some(found) if found.is_gone() => Some(found),
                        Some(found) => {
                            return Err(StoreError::Locked {
                                place: place.to_string(),
                                holder: found.holder.to_string(),
                            });
                        }
                    };
                    holder.renew();
                    Self::take_from(place, &lock, &holder, former).await?
                }
                (Err(error), Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                    return Err(error);
                }
                (_, error) => return Err(lock.failed(error)),
            },
        };
        let is_lost = Arc::new(AtomicBool::new(false));
        let id = holder.id.clone();
        let renewal = tokio::spawn(renew(
            place.clone(),
            lock.clone(),
            holder,
            version,
            every,
            Arc::clone(&is_lost),
            lost,
        ));
        Ok(Self {
            kind: std::sync::Mutex::new(Some(Kind::Remote {
                lock,
                id,
                renewal,
                is_lost,
                seen: None,
            })),
        })
    }

    /// Takes a lock that nobody holds any more, unless another takes it first.
    async fn take_from(
        place: &Place,
        lock: &Place,
        holder: &Holder,
        former: Option<Found>,
    ) -> Result<UpdateVersion, StoreError> {
        let taken = match former {
            None => put(lock, holder, PutMode::Create).await,
            Some(former) => replace(lock, holder, former.version, &former.holder.id).await,
        };
        let error = match taken {
            Ok(version) => return Ok(version),
            Err(error) => error,
        };
        match (look(lock).await, error) {
            (Ok(Some(found)), _) if found.holder.id == holder.id => Ok(found.version),
            (found, Error::AlreadyExists { .. } | Error::Precondition { .. }) => {
                Err(StoreError::Locked {
                    place: place.to_string(),
                    holder: found.ok().flatten().map_or_else(
                        || "another process took the lock at the same moment".to_owned(),
                        |found| found.holder.to_string(),
                    ),
                })
            }
            (_, error) => Err(lock.failed(error)),
        }
    }

    /// Looks whether the lock is still this process's: a [`release`](Self::release) right after it then needs not.
    pub async fn confirm(&self) {
        let ours = match self.kind.lock().ok().as_deref() {
            Some(Some(Kind::Remote { lock, id, .. })) => (lock.clone(), id.clone()),
            _ => return,
        };
        let (lock, own) = ours;
        if let Ok(Some(found)) = look(&lock).await
            && found.holder.id == own
            && let Ok(mut kind) = self.kind.lock()
            && let Some(Kind::Remote { seen, .. }) = kind.as_mut()
        {
            *seen = Some(Instant::now());
        }
    }

    /// Gives the lock up. Doing so twice is no different from once.
    pub async fn release(&self) {
        let kind = self.kind.lock().ok().and_then(|mut kind| kind.take());
        if let Some(kind) = kind {
            kind.release().await;
        }
    }
}

impl Drop for RunLock {
    fn drop(&mut self) {
        let Some(kind) = self.kind.lock().ok().and_then(|mut kind| kind.take()) else {
            return;
        };
        match (kind, tokio::runtime::Handle::try_current()) {
            (kind @ Kind::Remote { .. }, Ok(runtime)) => {
                runtime.spawn(kind.release());
            }
            // Without a runtime the lock expires.
            (Kind::Remote { renewal, .. }, Err(_)) => renewal.abort(),
            (Kind::Local { file, place }, _) => release_local(&file, &place),
        }
    }
}

impl Kind {
    async fn release(self) {
        match self {
            Self::Local { file, place } => release_local(&file, &place),
            Self::Remote {
                lock,
                id,
                renewal,
                is_lost,
                seen,
            } => {
                renewal.abort();
                // A renewal on its way finds no lock to renew; another's lock stays. One that cannot be removed expires.
                let is_ours = match seen {
                    _ if is_lost.load(Ordering::Relaxed) => false,
                    Some(seen) if seen.elapsed() < JUST_SEEN => true,
                    _ => matches!(look(&lock).await, Ok(Some(found)) if found.holder.id == id),
                };
                if is_ours {
                    let _ = lock.delete().await;
                }
            }
        }
    }
}

fn release_local(file: &File, place: &Place) {
    if let Some(path) = place.work_area().join("lock").file()
        && is_same_file(file, path)
    {
        // Removed before it is unlocked: nobody can hold what is removed here.
        let _ = std::fs::remove_file(path);
    }
    let _ = file.unlock();
    place.remove_empty_work_folder();
}

async fn put(lock: &Place, holder: &Holder, mode: PutMode) -> Result<UpdateVersion, Error> {
    let mut options = PutOptions::from(mode);
    options.extensions.insert(ForAll);
    let PutResult { e_tag, version } = lock
        .store()
        .put_opts(lock.path(), holder.bytes().into(), options)
        .await?;
    Ok(UpdateVersion { e_tag, version })
}

/// Replaces the lock that another holder, or an earlier one of the same, left.
async fn replace(
    lock: &Place,
    holder: &Holder,
    version: UpdateVersion,
    former: &str,
) -> Result<UpdateVersion, Error> {
    match put(lock, holder, PutMode::Update(version)).await {
        // Such as HDFS: what is replaced cannot be a condition.
        Err(Error::NotImplemented { .. } | Error::NotSupported { .. }) => {}
        replaced => return replaced,
    }
    is_held_by(lock, former).await?;
    let replaced = put(lock, holder, PutMode::Overwrite).await?;
    if former != holder.id {
        // Of several that replace it now, the last one has it.
        tokio::time::sleep(SETTLING).await;
        is_held_by(lock, &holder.id).await?;
    }
    Ok(replaced)
}

async fn is_held_by(lock: &Place, id: &str) -> Result<(), Error> {
    match look(lock).await {
        Ok(Some(found)) if found.holder.id == id => Ok(()),
        Ok(_) => Err(Error::Precondition {
            path: lock.to_string(),
            source: "another process holds it".into(),
        }),
        Err(StoreError::Object { source, .. }) => Err(source),
        Err(other) => Err(Error::Generic {
            store: "lock",
            source: Box::new(other),
        }),
    }
}

/// A lock that is there.
struct Found {
    holder: Holder,
    written: Option<Timestamp>,
    /// To replace it by.
    version: UpdateVersion,
}

impl Found {
    fn is_gone(&self) -> bool {
        self.holder.is_gone(self.written)
    }
}

/// The lock, if there is one.
async fn look(lock: &Place) -> Result<Option<Found>, StoreError> {
    let found = match lock.store().get(lock.path()).await {
        Ok(found) => found,
        Err(Error::NotFound { .. }) => return Ok(None),
        Err(error) => return Err(lock.failed(error)),
    };
    let version = UpdateVersion {
        e_tag: found.meta.e_tag.clone(),
        version: found.meta.version.clone(),
    };
    let written = Timestamp::from_second(found.meta.last_modified.timestamp()).ok();
    let bytes = found.bytes().await.map_err(|error| lock.failed(error))?;
    let holder = serde_json::from_slice(&bytes).unwrap_or_else(|_| Holder {
        id: String::new(),
        process: 0,
        machine: String::new(),
        since: "an unknown time".to_owned(),
        until: String::new(),
    });
    Ok(Some(Found {
        holder,
        written,
        version,
    }))
}

async fn renew(
    place: Place,
    lock: Place,
    mut holder: Holder,
    mut version: UpdateVersion,
    every: Duration,
    is_lost: Arc<AtomicBool>,
    lost: Arc<dyn Fn(StoreError) + Send + Sync>,
) {
    loop {
        tokio::time::sleep(every).await;
        holder.renew();
        let renewed = replace(&lock, &holder, version.clone(), &holder.id);
        let looked = match tokio::time::timeout(RENEWAL, renewed).await {
            Ok(Ok(next)) => {
                version = next;
                continue;
            }
            Ok(Err(
                Error::Precondition { .. } | Error::NotFound { .. } | Error::AlreadyExists { .. },
            )) => look(&lock).await,
            // It may pass: the next renewal tries again, before the lock expires.
            Ok(Err(_)) | Err(_) => continue,
        };
        let found = match looked {
            // An answer that was lost leaves our own newer lock there.
            Ok(Some(found)) if found.holder.id == holder.id => {
                version = found.version;
                continue;
            }
            Ok(found) => found,
            Err(_) => continue,
        };
        is_lost.store(true, Ordering::Relaxed);
        lost(StoreError::LockLost {
            place: place.to_string(),
            reason: found.map_or_else(
                || "somebody removed it".to_owned(),
                |found| format!("held by {}", found.holder),
            ),
        });
        return;
    }
}

#[cfg(test)]
mod tests {
    use object_store::local::LocalFileSystem;

    use super::*;
    use crate::remote::Remote;

    /// A store that puts where nothing is, and replaces without a condition, as HDFS does.
    fn place(folder: &std::path::Path) -> Place {
        let store = LocalFileSystem::new_with_prefix(folder).unwrap();
        let remote = Remote::plain(store, Arc::default());
        Place::remote(
            "hdfs://host".to_owned(),
            "run".into(),
            Arc::new(remote),
            tokio::runtime::Handle::current(),
            Arc::default(),
        )
    }

    #[tokio::test]
    async fn a_store_without_conditions_has_locks_too() {
        let folder = tempfile::tempdir().unwrap();
        let (ours, theirs) = (place(folder.path()), place(folder.path()));
        let lock = RunLock::take(&ours, |_| {}).await.unwrap();
        let refused = RunLock::take(&theirs, |_| {}).await.unwrap_err();
        assert!(matches!(refused, StoreError::Locked { .. }), "{refused}");

        let path = ours.work_area().join("lock");
        let mut holder = look(&path).await.unwrap().unwrap().holder;
        let none = UpdateVersion {
            e_tag: None,
            version: None,
        };
        let id = holder.id.clone();
        replace(&path, &holder, none.clone(), &id).await.unwrap();
        let path_of_theirs = theirs.work_area().join("lock");
        holder.until = "2020-01-01T00:00:00Z".to_owned();
        holder.machine.clear();
        put(&path_of_theirs, &holder, PutMode::Overwrite)
            .await
            .unwrap();
        // Expired: two want it, one gets it, and the first may not renew it any more.
        let third = place(folder.path());
        let (one, other) = tokio::join!(
            RunLock::take(&theirs, |_| {}),
            RunLock::take(&third, |_| {}),
        );
        assert!(one.is_ok() != other.is_ok());
        let renewed = replace(&path, &holder, none, &id).await;
        assert!(matches!(renewed, Err(Error::Precondition { .. })));
        lock.release().await;
        assert!(look(&path).await.unwrap().is_some(), "the new one stays");
    }
}
