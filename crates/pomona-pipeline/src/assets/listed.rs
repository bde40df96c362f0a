//! The networks there are.

use std::fs;
use std::io;
use std::path::PathBuf;

use super::cache::verified;
use super::{AssetError, Cache, known_backbones};

/// Where a network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BackboneState {
    /// Inside the program.
    Builtin,
    /// In the cache, as pinned.
    Cached,
    /// In the cache, but not the file that was pinned.
    Damaged,
    /// Known, fetched when first used.
    Remote,
    /// Added by the user.
    Added,
}

/// A network that can be asked for by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedBackbone {
    /// The name.
    pub name: String,
    /// Where it is.
    pub state: BackboneState,
    /// Its file; for one not yet fetched the place it will have; `None` inside the program.
    pub path: Option<PathBuf>,
    /// The file's size.
    pub bytes: u64,
    /// The licence of the weights; `None` where the user added it.
    pub license: Option<&'static str>,
}

/// The known networks, then those added, by name.
///
/// # Errors
///
/// [`AssetError`] where the cache cannot be read.
pub fn list_backbones() -> Result<Vec<ListedBackbone>, AssetError> {
    Cache::from_environment()?.list_backbones()
}

impl Cache {
    /// As the function [`list_backbones`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn list_backbones(&self) -> Result<Vec<ListedBackbone>, AssetError> {
        let mut listed = Vec::new();
        for known in known_backbones() {
            let place = self.known_place(known);
            let state = match known.url {
                None => BackboneState::Builtin,
                Some(_) => match verified(&place, known.sha256) {
                    Ok(true) => BackboneState::Cached,
                    Ok(false) => BackboneState::Remote,
                    Err(AssetError::Mismatch { .. }) => BackboneState::Damaged,
                    Err(error) => return Err(error),
                },
            };
            listed.push(ListedBackbone {
                name: known.name.to_owned(),
                state,
                path: known.url.map(|_| place),
                bytes: known.bytes,
                license: Some(known.license),
            });
        }
        for (name, path) in added(self)? {
            listed.push(ListedBackbone {
                name,
                state: BackboneState::Added,
                bytes: fs::metadata(&path).map_or(0, |metadata| metadata.len()),
                path: Some(path),
                license: None,
            });
        }
        Ok(listed)
    }
}

/// The names there are.
pub(super) fn names(cache: &Cache) -> Result<Vec<String>, AssetError> {
    let known = known_backbones().iter().map(|known| known.name.to_owned());
    Ok(known
        .chain(added(cache)?.into_iter().map(|(name, _)| name))
        .collect())
}

fn added(cache: &Cache) -> Result<Vec<(String, PathBuf)>, AssetError> {
    let folder = cache.added_folder();
    let failed = |source| AssetError::File {
        operation: "read",
        path: folder.clone(),
        source,
    };
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut added = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "onnx")
            && let Some(name) = path.file_stem()
        {
            added.push((name.to_string_lossy().into_owned(), path));
        }
    }
    added.sort();
    Ok(added)
}
