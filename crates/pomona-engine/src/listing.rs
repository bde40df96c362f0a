//! Which objects are there, in which order?

use std::path::{Path as FilePath, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path as ObjectPath;
use walkdir::WalkDir;

use crate::error::EngineError;
use crate::label::LabelRule;

/// One object under the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedImage {
    /// Path relative to the root, `/`-separated.
    pub path: String,
    /// What the label rule gives for it.
    pub label: Option<String>,
    /// Size in bytes.
    pub size_bytes: u64,
    /// Time of the last change, microseconds since 1970-01-01 UTC.
    pub last_modified_micros: i64,
    /// Why this object can be listed but not read, where that is known already.
    pub problem: Option<String>,
}

/// Which objects of a source are listed.
#[derive(Debug, Clone, Default)]
pub struct ListingFilter {
    globs: Option<GlobSet>,
    excluded: Vec<PathBuf>,
}

impl ListingFilter {
    /// Takes the objects that match at least one of `globs`, or all where there are none.
    ///
    /// A pattern without `/` is matched against the file's name, one with `/` against the relative path;
    /// `*` stays within a folder, `**` crosses folders. `excluded` folders (absolute) are not entered.
    ///
    /// # Errors
    /// [`EngineError::Glob`].
    pub fn new(globs: &[String], excluded: Vec<PathBuf>) -> Result<Self, EngineError> {
        let wrong = |pattern: &str| {
            let pattern = pattern.to_owned();
            move |source| EngineError::Glob { pattern, source }
        };
        let globs = if globs.is_empty() {
            None
        } else {
            let mut set = GlobSetBuilder::new();
            for pattern in globs {
                let anywhere = if pattern.contains('/') {
                    pattern.trim_start_matches('/').to_owned()
                } else {
                    format!("**/{pattern}")
                };
                set.add(
                    GlobBuilder::new(&anywhere)
                        .literal_separator(true)
                        .build()
                        .map_err(wrong(pattern))?,
                );
            }
            Some(set.build().map_err(wrong(&globs.join(" ")))?)
        };
        Ok(Self { globs, excluded })
    }

    fn takes(&self, path: &str) -> bool {
        self.globs.as_ref().is_none_or(|globs| globs.is_match(path))
    }
}

/// A place that holds photos.
#[derive(Debug, Clone)]
pub struct ImageSource {
    root: PathBuf,
    name: String,
    store: Arc<dyn ObjectStore>,
}

impl ImageSource {
    /// A folder on this machine.
    ///
    /// # Errors
    /// [`EngineError::NotAFolder`] where it is missing, is not a folder or cannot be entered.
    pub fn folder(path: &FilePath) -> Result<Self, EngineError> {
        let not_a_folder = |reason: String| EngineError::NotAFolder {
            path: path.to_owned(),
            reason,
        };
        let metadata = std::fs::metadata(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                not_a_folder("there is nothing at this path".to_owned())
            }
            _ => not_a_folder(error.to_string()),
        })?;
        if !metadata.is_dir() {
            return Err(not_a_folder("it is a file".to_owned()));
        }
        let root = std::fs::canonicalize(path).map_err(|error| not_a_folder(error.to_string()))?;
        std::fs::read_dir(&root).map_err(|error| not_a_folder(error.to_string()))?;
        let store = LocalFileSystem::new_with_prefix(&root)?;
        let name = root
            .file_name()
            .map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        Ok(Self {
            root,
            name,
            store: Arc::new(store),
        })
    }

    /// The store whose root is this source's root.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn ObjectStore> {
        &self.store
    }

    /// The absolute root.
    #[must_use]
    pub fn root(&self) -> &FilePath {
        &self.root
    }

    /// Lists the objects in the byte order of their paths, one by one, as the walk finds them.
    ///
    /// Hidden files and folders (a name that starts with `.`) are skipped, symbolic links are followed and a link
    /// that leads back to a folder above it is not entered. What is there but cannot be read (a dangling link, a
    /// folder without permission, a name that is not Unicode) is listed with its [`ListedImage::problem`].
    pub fn list(
        &self,
        filter: ListingFilter,
        labels: LabelRule,
    ) -> impl Iterator<Item = ListedImage> + Send + use<> {
        let root = self.root.clone();
        let root_name = self.name.clone();
        let excluded = filter.excluded.clone();
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
                        if !filter.takes(&path) {
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
                filter.takes(&listed.path).then(|| ListedImage {
                    label: labels.label(&listed.path, &root_name),
                    ..listed
                })
            })
    }
}

/// Where in the source's store the object at `path` lies.
pub(crate) fn location(path: &str) -> Result<ObjectPath, object_store::Error> {
    Ok(ObjectPath::parse(path)?)
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
        label: None,
        size_bytes: 0,
        last_modified_micros: 0,
        problem: Some(reason),
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
        label: None,
        size_bytes: metadata.len(),
        last_modified_micros: metadata.modified().map_or(0, micros),
        problem,
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

#[cfg(test)]
mod tests {
    use super::*;

    fn touch(root: &FilePath, path: &str) {
        let file = root.join(path);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, b"x").unwrap();
    }

    fn paths(root: &FilePath, globs: &[&str], excluded: Vec<PathBuf>) -> Vec<String> {
        let globs: Vec<String> = globs.iter().map(|&glob| glob.to_owned()).collect();
        let filter = ListingFilter::new(&globs, excluded).unwrap();
        ImageSource::folder(root)
            .unwrap()
            .list(filter, LabelRule::default())
            .map(|image| image.path)
            .collect()
    }

    #[test]
    fn paths_come_in_byte_order_and_hidden_ones_do_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in [
            "b/1.jpg",
            "a.jpg",
            "a/2.jpg",
            "a-b/3.jpg",
            "a/.x.jpg",
            ".git/4.jpg",
            "a/z/5.png",
            "é.jpg",
        ] {
            touch(root, path);
        }
        std::fs::create_dir(root.join("empty")).unwrap();
        let found = paths(root, &[], vec![]);
        let mut sorted = found.clone();
        sorted.sort();
        assert_eq!(found, sorted);
        assert_eq!(
            found,
            [
                "a-b/3.jpg",
                "a.jpg",
                "a/2.jpg",
                "a/z/5.png",
                "b/1.jpg",
                "é.jpg"
            ]
        );
    }

    #[test]
    fn globs_add_up_and_folders_can_be_left_out() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        for path in ["a/1.jpg", "a/2.png", "b/3.jpg", "b/c/4.jpg", "out/5.jpg"] {
            touch(root, path);
        }
        assert_eq!(
            paths(root, &["*.png", "b/*.jpg"], vec![]),
            ["a/2.png", "b/3.jpg"]
        );
        let out = std::fs::canonicalize(root.join("out")).unwrap();
        assert_eq!(
            paths(root, &["*.jpg"], vec![out]),
            ["a/1.jpg", "b/3.jpg", "b/c/4.jpg"]
        );
        assert!(matches!(
            ListingFilter::new(&["a[".to_owned()], vec![]),
            Err(EngineError::Glob { .. })
        ));
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_loops_survived_and_dangling_ones_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        touch(root, "a/1.jpg");
        std::os::unix::fs::symlink("..", root.join("a/up")).unwrap();
        std::os::unix::fs::symlink("a", root.join("twin")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling.jpg")).unwrap();
        let images: Vec<_> = ImageSource::folder(root)
            .unwrap()
            .list(ListingFilter::default(), LabelRule::default())
            .collect();
        let paths: Vec<_> = images.iter().map(|image| image.path.as_str()).collect();
        assert_eq!(paths, ["a/1.jpg", "dangling.jpg", "twin/1.jpg"]);
        assert!(
            images[1]
                .problem
                .as_ref()
                .unwrap()
                .contains("leads nowhere")
        );
        assert_eq!(images[2].label.as_deref(), Some("twin"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_name_that_is_not_unicode_keeps_its_row() {
        use std::os::unix::ffi::OsStrExt;
        let folder = tempfile::tempdir().unwrap();
        let name = std::ffi::OsStr::from_bytes(b"k\xffwi.jpg");
        std::fs::write(folder.path().join(name), b"x").unwrap();
        let images: Vec<_> = ImageSource::folder(folder.path())
            .unwrap()
            .list(ListingFilter::default(), LabelRule::default())
            .collect();
        assert_eq!(images.len(), 1);
        assert!(images[0].problem.as_ref().unwrap().contains("Unicode"));
    }

    #[test]
    fn a_missing_folder_and_a_file_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        touch(folder.path(), "file");
        let missing = ImageSource::folder(&folder.path().join("no"))
            .unwrap_err()
            .to_string();
        let file = ImageSource::folder(&folder.path().join("file"))
            .unwrap_err()
            .to_string();
        assert!(missing.contains("nothing at this path") && file.contains("is a file"));
    }
}
