//! The folder that keeps what was fetched.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tempfile::NamedTempFile;

use super::AssetError;

/// The user's cache of libraries and networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    folder: PathBuf,
    offline: bool,
}

impl Cache {
    /// In `folder`, made when first written to. Fetches nothing where `offline`.
    #[must_use]
    pub fn new(folder: PathBuf, offline: bool) -> Self {
        Self { folder, offline }
    }

    /// `POMONA_CACHE`, else `pomona` in the folder this system has for caches. Offline where `POMONA_OFFLINE` is set
    /// to anything but `0`.
    ///
    /// # Errors
    ///
    /// [`AssetError::NoCache`] where the environment names no folder.
    pub fn from_environment() -> Result<Self, AssetError> {
        Self::locate(&|name| std::env::var_os(name))
    }

    fn locate(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self, AssetError> {
        let set = |name| variable(name).filter(|value| !value.is_empty());
        let folder = |name| set(name).map(PathBuf::from);
        let system = || {
            if cfg!(windows) {
                folder("LOCALAPPDATA")
            } else if cfg!(target_os = "macos") {
                folder("HOME").map(|home| home.join("Library/Caches"))
            } else {
                // A relative XDG_CACHE_HOME is to be ignored, says the specification.
                folder("XDG_CACHE_HOME")
                    .filter(|folder| folder.is_absolute())
                    .or_else(|| folder("HOME").map(|home| home.join(".cache")))
            }
        };
        Ok(Self {
            folder: folder("POMONA_CACHE")
                .or_else(|| system().map(|folder| folder.join("pomona")))
                .ok_or(AssetError::NoCache)?,
            offline: set("POMONA_OFFLINE").is_some_and(|value| value != "0"),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Fails where nothing may be fetched.
    pub(super) fn expect_online(&self, what: &str) -> Result<(), AssetError> {
        if self.offline {
            return Err(AssetError::Offline {
                what: what.to_owned(),
            });
        }
        Ok(())
    }

    /// A file to write to, in the folder of `place`, that is deleted unless it is kept.
    pub(super) fn temporary(place: &Path) -> Result<NamedTempFile, AssetError> {
        let folder = place.parent().unwrap_or(Path::new("."));
        let failed = |source| AssetError::File {
            operation: "write to",
            path: folder.to_owned(),
            source,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        NamedTempFile::new_in(folder).map_err(failed)
    }

    /// Gives a written file its name; a file of that name is replaced whole.
    pub(super) fn keep(file: NamedTempFile, place: &Path) -> Result<(), AssetError> {
        let failed = |source| AssetError::File {
            operation: "write",
            path: place.to_owned(),
            source,
        };
        file.as_file().sync_all().map_err(failed)?;
        file.persist(place)
            .map(drop)
            .map_err(|error| failed(error.error))
    }

    /// Writes a file whole or not at all.
    pub(super) fn write(place: &Path, content: &[u8]) -> Result<(), AssetError> {
        let mut file = Self::temporary(place)?;
        file.write_all(content).map_err(|source| AssetError::File {
            operation: "write",
            path: place.to_owned(),
            source,
        })?;
        Self::keep(file, place)
    }
}

/// SHA-256 in hexadecimal of all that is left to read.
pub(super) fn sha256(mut from: impl Read) -> io::Result<String> {
    let mut hasher = Sha256::new();
    let mut buffer = vec![0; 1 << 18];
    loop {
        let read = from.read(&mut buffer)?;
        if read == 0 {
            break;
        }
        hasher.update(&buffer[..read]);
    }
    Ok(hasher
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect())
}

/// Whether a file is there and is the one pinned; an error where it is another.
pub(super) fn verified(path: &Path, expected: &'static str) -> Result<bool, AssetError> {
    let failed = |source| AssetError::File {
        operation: "read",
        path: path.to_owned(),
        source,
    };
    let file = match fs::File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(error) => return Err(failed(error)),
    };
    let found = sha256(file).map_err(failed)?;
    if found == expected {
        return Ok(true);
    }
    Err(AssetError::Mismatch {
        path: path.to_owned(),
        expected,
        found,
    })
}

pub(super) fn read(path: &Path) -> Result<Vec<u8>, AssetError> {
    fs::read(path).map_err(|source| AssetError::File {
        operation: "read",
        path: path.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn located(variables: &[(&str, &str)]) -> Result<Cache, AssetError> {
        Cache::locate(&|name| {
            let (_, value) = variables.iter().find(|(variable, _)| *variable == name)?;
            Some(value.into())
        })
    }

    #[test]
    fn the_cache_is_where_the_environment_says() {
        let cache = located(&[("POMONA_CACHE", "/c"), ("HOME", "/h")]).unwrap();
        assert_eq!(cache, Cache::new("/c".into(), false));
        assert!(matches!(located(&[]), Err(AssetError::NoCache)));
        let offline = located(&[("POMONA_CACHE", "/c"), ("POMONA_OFFLINE", "1")]).unwrap();
        assert!(offline.expect_online("x").is_err());
        let online = located(&[("POMONA_CACHE", "/c"), ("POMONA_OFFLINE", "0")]).unwrap();
        assert!(online.expect_online("x").is_ok());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_follows_xdg() {
        let folder = |variables| located(variables).unwrap().folder;
        assert_eq!(folder(&[("HOME", "/h")]), Path::new("/h/.cache/pomona"));
        let xdg = [("HOME", "/h"), ("XDG_CACHE_HOME", "/x")];
        assert_eq!(folder(&xdg), Path::new("/x/pomona"));
        let relative = [("HOME", "/h"), ("XDG_CACHE_HOME", "x")];
        assert_eq!(folder(&relative), Path::new("/h/.cache/pomona"));
    }

    #[test]
    fn files_are_verified_by_content() {
        const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("deep/abc");
        assert!(!verified(&place, ABC).unwrap());
        Cache::write(&place, b"abc").unwrap();
        assert!(verified(&place, ABC).unwrap());
        Cache::write(&place, b"abd").unwrap();
        assert!(matches!(
            verified(&place, ABC),
            Err(AssetError::Mismatch { .. })
        ));
        assert_eq!(fs::read_dir(place.parent().unwrap()).unwrap().count(), 1);
    }
}
