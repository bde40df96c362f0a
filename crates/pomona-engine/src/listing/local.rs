//! A folder of this machine.

use std::path::{Path as FilePath, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use futures::StreamExt;
use pomona_store::Place;
use tokio::sync::mpsc;
use walkdir::WalkDir;

use super::{ImageListing, ListedImage, ListingFilter, location};
use crate::error::EngineError;
use crate::label::LabelRule;

/// Images handed on at once.
const AT_ONCE: usize = 256;
/// Such groups that wait to be taken.
const AHEAD: usize = 4;

/// The folder's real path, if it can be entered.
pub(super) fn check(place: &Place, file: &FilePath) -> Result<PathBuf, EngineError> {
    let not_a_folder = |reason: String| EngineError::NotAFolder {
        path: place.shown(),
        reason,
    };
    let metadata = std::fs::metadata(file).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => not_a_folder("there is nothing at this path".to_owned()),
        _ => not_a_folder(error.to_string()),
    })?;
    if !metadata.is_dir() {
        return Err(not_a_folder("it is a file".to_owned()));
    }
    let root = std::fs::canonicalize(file).map_err(|error| not_a_folder(error.to_string()))?;
    std::fs::read_dir(&root).map_err(|error| not_a_folder(error.to_string()))?;
    Ok(root)
}

/// Walks the folder on a thread of its own.
pub(super) fn list(
    root: &FilePath,
    name: &str,
    filter: ListingFilter,
    labels: LabelRule,
) -> ImageListing {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let mut images = walk(root.to_owned(), name.to_owned(), filter, labels);
    tokio::task::spawn_blocking(move || {
        loop {
            let group: Vec<_> = images.by_ref().take(AT_ONCE).collect();
            if group.is_empty() || sender.blocking_send(group).is_err() {
                return;
            }
        }
    });
    futures::stream::unfold(receiver, |mut receiver| async move {
        let group = receiver.recv().await?;
        Some((group, receiver))
    })
    .flat_map(|group| futures::stream::iter(group.into_iter().map(Ok)))
    .boxed()
}

/// The path without symbolic links, by which a walk meets the folder, also where it is only made later.
pub(super) fn real(folder: &FilePath) -> PathBuf {
    let through = |there: &FilePath| {
        let rest = folder.strip_prefix(there).ok()?;
        Some(std::fs::canonicalize(there).ok()?.join(rest))
    };
    let mut ancestors = folder.ancestors();
    ancestors
        .find_map(through)
        .unwrap_or_else(|| folder.to_owned())
}

fn walk(
    root: PathBuf,
    root_name: String,
    filter: ListingFilter,
    labels: LabelRule,
) -> impl Iterator<Item = ListedImage> + Send {
    let excluded: Vec<PathBuf> = filter
        .excluded()
        .iter()
        .filter_map(|place| Some(real(place.file()?)))
        .collect();
    WalkDir::new(&root)
        .min_depth(1)
        .follow_links(true)
        // A folder sorts as its name followed by `/`: then the walk gives paths in byte order, as object stores do.
        .sort_by(|one, other| sorted_name(one).cmp(sorted_name(other)))
        .into_iter()
        .filter_entry(move |entry| {
            !entry.file_name().as_encoded_bytes().starts_with(b".")
                && !excluded.iter().any(|folder| folder == entry.path())
        })
        .filter_map(move |entry| {
            let listed = match entry {
                Ok(entry) if entry.file_type().is_dir() => return None,
                Ok(entry) => {
                    let (path, is_unicode) = relative(&root, entry.path());
                    // Before it is looked at: a pattern may leave out most of a large folder.
                    if !filter.may_take(&path) {
                        return None;
                    }
                    describe(&entry, path, is_unicode)
                }
                Err(error) if error.loop_ancestor().is_some() => return None,
                Err(error) => {
                    let path = error.path()?;
                    if is_hidden(path) {
                        return None;
                    }
                    let reason = match error.io_error() {
                        Some(io) if is_dangling(path) => {
                            format!("the link leads nowhere: {io}")
                        }
                        Some(io) => io.to_string(),
                        None => "it cannot be listed".to_owned(),
                    };
                    unlisted(relative(&root, path).0, reason)
                }
            };
            filter.may_take(&listed.path).then(|| ListedImage {
                label: labels.label(&listed.path, &root_name),
                ..listed
            })
        })
}

fn is_hidden(path: &FilePath) -> bool {
    path.file_name()
        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_dangling(path: &FilePath) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_symlink())
}

fn relative(root: &FilePath, path: &FilePath) -> (String, bool) {
    let below = path.strip_prefix(root).unwrap_or(path);
    let mut parts = Vec::new();
    let mut is_unicode = true;
    for part in below.components() {
        let part = part.as_os_str();
        is_unicode &= part.to_str().is_some();
        parts.push(part.to_string_lossy());
    }
    (parts.join("/"), is_unicode)
}

fn unlisted(path: String, reason: String) -> ListedImage {
    ListedImage {
        path,
        problem: Some(reason),
        ..ListedImage::default()
    }
}

/// Its name, with the `/` that follows where it is a folder.
fn sorted_name(entry: &walkdir::DirEntry) -> impl Iterator<Item = &u8> {
    let end: &[u8] = if entry.file_type().is_dir() {
        b"/"
    } else {
        b""
    };
    entry.file_name().as_encoded_bytes().iter().chain(end)
}

fn describe(entry: &walkdir::DirEntry, path: String, is_unicode: bool) -> ListedImage {
    let metadata = match entry.metadata() {
        Ok(metadata) => metadata,
        Err(error) => return unlisted(path, error.to_string()),
    };
    let problem = if !is_unicode {
        Some("its name is not valid Unicode: rename it".to_owned())
    } else if !metadata.is_file() {
        Some("it is neither a file nor a folder".to_owned())
    } else {
        location(&path).err().map(|error| error.to_string())
    };
    ListedImage {
        path,
        size_bytes: metadata.len(),
        last_modified_micros: metadata.modified().map_or(0, micros),
        problem,
        ..ListedImage::default()
    }
}

fn micros(time: SystemTime) -> i64 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_micros()).unwrap_or(i64::MAX),
        Err(before) => {
            i64::try_from(before.duration().as_micros()).map_or(i64::MIN, |micros| -micros)
        }
    }
}
