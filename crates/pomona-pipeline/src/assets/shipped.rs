//! What executors were sent for the plans that they work on.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{AssetError, Cache};

/// How long what was sent is kept.
const KEPT: Duration = Duration::from_secs(7 * 24 * 3600);

/// The folder in the user's cache for networks, models and the like that plans need, each under its hash, which is
/// checked before each use. What is older than a week is removed.
///
/// # Errors
///
/// [`AssetError::NoCache`] where the environment names no folder.
pub fn shipped_folder() -> Result<PathBuf, AssetError> {
    let folder = Cache::from_environment()?.folder().join("shipped");
    remove_old(&folder, SystemTime::now());
    Ok(folder)
}

fn remove_old(folder: &Path, now: SystemTime) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let modified = entry.metadata().and_then(|metadata| metadata.modified());
        let age = modified.map(|modified| now.duration_since(modified).unwrap_or_default());
        if age.is_ok_and(|age| age > KEPT) {
            // Another executor may be faster.
            let _ = fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_old_goes_and_what_is_new_stays() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("asset");
        fs::write(&file, "bytes").unwrap();
        remove_old(folder.path(), SystemTime::now());
        assert!(file.exists());
        remove_old(folder.path(), SystemTime::now() + KEPT * 2);
        assert!(!file.exists());
        remove_old(&folder.path().join("missing"), SystemTime::now());
    }
}
