//! A folder that appears whole or not at all.

use crate::error::DemoError;
use crate::pictures::PICTURES;
use crate::scene::Part;
use crate::troubles;
use std::fs;
use std::path::{Path, PathBuf};

/// Tells a folder of demonstration photos from others. Hidden, so that it is not taken for a photo.
const MARKER: &str = ".pomona-demo";

/// Names the file or folder that an error is about.
pub(crate) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> DemoError {
    let path = path.to_owned();
    move |source| DemoError::Io { path, source }
}

/// A folder being written under a temporary name beside its place. Dropped before [`finish`](Self::finish), it
/// leaves nothing behind.
pub(crate) struct NewFolder {
    place: PathBuf,
    temporary: tempfile::TempDir,
}

impl NewFolder {
    /// Starts a folder for `place`, which must be free, an empty folder, or one that this crate wrote.
    pub(crate) fn start(place: &Path) -> Result<Self, DemoError> {
        let place = std::path::absolute(place).map_err(at(place))?;
        check_place(&place)?;
        let Some(parent) = place.parent() else {
            return Err(DemoError::Occupied { path: place });
        };
        fs::create_dir_all(parent).map_err(at(parent))?;
        let temporary = tempfile::Builder::new()
            .prefix(".pomona-demo-")
            .tempdir_in(parent)
            .map_err(at(parent))?;
        let folder = Self { place, temporary };
        // A temporary folder is closed to other people; the one inside it, which is kept, is like any other.
        fs::create_dir(folder.path()).map_err(at(&folder.path()))?;
        Ok(folder)
    }

    /// Where to write for now.
    pub(crate) fn path(&self) -> PathBuf {
        self.temporary.path().join("new")
    }

    /// Puts the folder in its place, instead of an older one.
    pub(crate) fn finish(self) -> Result<(), DemoError> {
        let marker = self.path().join(MARKER);
        fs::write(&marker, "Photos rendered by Pomona for demonstration.\n")
            .map_err(at(&marker))?;
        // Once more, because rendering takes a while.
        check_place(&self.place)?;
        let old = self.temporary.path().join("old");
        let replaced = self.place.exists();
        if replaced {
            fs::rename(&self.place, &old).map_err(at(&self.place))?;
        }
        if let Err(source) = fs::rename(self.path(), &self.place) {
            if replaced {
                fs::rename(&old, &self.place).map_err(at(&self.place))?;
            }
            return Err(DemoError::Io {
                path: self.place,
                source,
            });
        }
        Ok(())
    }
}

/// Refuses a place where something would be lost.
fn check_place(place: &Path) -> Result<(), DemoError> {
    let occupied = || DemoError::Occupied {
        path: place.to_owned(),
    };
    match fs::symlink_metadata(place) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(at(place)(error)),
        Ok(metadata) if !metadata.is_dir() => return Err(occupied()),
        Ok(_) => {}
    }
    let is_empty = fs::read_dir(place).map_err(at(place))?.next().is_none();
    if is_empty {
        return Ok(());
    }
    if !place.join(MARKER).is_file() {
        return Err(occupied());
    }
    check_files(place, Path::new(""))
}

/// Refuses a folder of demonstration photos that holds anything else.
fn check_files(place: &Path, inside: &Path) -> Result<(), DemoError> {
    let folder = place.join(inside);
    for entry in fs::read_dir(&folder).map_err(at(&folder))? {
        let entry = entry.map_err(at(&folder))?;
        let file = inside.join(entry.file_name());
        if entry.file_type().map_err(at(&entry.path()))?.is_dir() {
            check_files(place, &file)?;
        } else if !is_ours(&file) {
            return Err(DemoError::ForeignFile {
                path: place.to_owned(),
                file,
            });
        }
    }
    Ok(())
}

/// Whether a file, relative to the folder, has a name that this crate gives.
fn is_ours(file: &Path) -> bool {
    if file == Path::new(MARKER) || troubles::names().any(|name| file == Path::new(name)) {
        return true;
    }
    let parts: Vec<&str> = file.iter().filter_map(|part| part.to_str()).collect();
    let [part, label, name] = parts[..] else {
        return false;
    };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|c| c.is_ascii_digit());
    [Part::Training, Part::Test]
        .iter()
        .any(|p| p.folder() == part)
        && PICTURES.iter().any(|picture| picture.label == label)
        && name
            .strip_suffix(".jpg")
            .and_then(|stem| stem.split_once('_'))
            .is_some_and(|(photo, size)| number(photo) && number(size))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_its_own_are_known() {
        for ours in [
            ".pomona-demo",
            "Training/Banana/000_100.jpg",
            "Test/Apple Red/12345_64.jpg",
            "Troubles/Pear/empty.jpg",
        ] {
            assert!(is_ours(Path::new(ours)), "{ours}");
        }
        for foreign in [
            "Training/Banana/mine.jpg",
            "Training/Banana/1_2_3.jpg",
            "Training/Rabbit/000_100.jpg",
            "000_100.jpg",
            "Troubles/mine.jpg",
            "_.jpg",
        ] {
            assert!(!is_ours(Path::new(foreign)), "{foreign}");
        }
    }
}
