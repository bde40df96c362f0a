//! Where results wait to be fetched: a folder of the executor's own, and nothing of it remains.

use std::fs::{self, File};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use crate::error::ClusterError;

/// Folders of executors begin with this.
const PREFIX: &str = "pomona-executor-";
/// How often the removal of a folder is tried, while others may still write.
const REMOVALS: usize = 5;
const BETWEEN_REMOVALS: Duration = Duration::from_millis(50);

/// An executor's folder. Dropping it removes it.
#[derive(Debug)]
pub(super) struct WorkFolder {
    path: PathBuf,
    text: String,
    /// Locked for as long as the executor lives, which is how others know that it does.
    _lock: File,
}

impl WorkFolder {
    /// A folder of this executor's own in `parent`, or in the system's temporary folder. What executors that are gone
    /// have left there is removed.
    pub(super) fn make(parent: Option<&Path>) -> Result<Self, ClusterError> {
        let parent = parent.map_or_else(std::env::temp_dir, Path::to_owned);
        fs::create_dir_all(&parent).map_err(ClusterError::file(&parent))?;
        let parent = std::path::absolute(&parent).map_err(ClusterError::file(&parent))?;
        // One at a time, else a folder could be swept before it is locked. Where folders cannot be locked, they are
        // not swept either.
        let turn = File::open(&parent).map_err(ClusterError::file(&parent))?;
        if turn.lock().is_ok() {
            sweep(&parent);
        }
        let path = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir_in(&parent)
            .map_err(ClusterError::file(&parent))?
            .keep();
        let lock = File::open(&path).map_err(ClusterError::file(&path))?;
        let _ = lock.try_lock();
        let folder = Self {
            // Ballista wants folders as text.
            text: path.to_string_lossy().into_owned(),
            path,
            _lock: lock,
        };
        if Path::new(&folder.text) != folder.path {
            return Err(ClusterError::Setting {
                name: "--work-folder",
                value: folder.text.clone(),
                expected: "its name must be valid Unicode",
            });
        }
        fs::create_dir(folder.spill()).map_err(ClusterError::file(&folder.path))?;
        Ok(folder)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where operators put what does not fit into memory.
    pub(super) fn spill(&self) -> PathBuf {
        self.path.join("spill")
    }

    /// The room left, in bytes; `None` where that cannot be found out.
    pub(super) fn free_bytes(&self) -> Option<u64> {
        free_bytes(&self.path)
    }

    /// Removes the results of a job, or of some stages of it. It blocks.
    pub(super) fn remove_job(&self, job_id: &str, stages: &[u32]) {
        // The name comes over the network: it must stay within the folder.
        let mut components = Path::new(job_id).components();
        if !matches!(
            (components.next(), components.next()),
            (Some(Component::Normal(_)), None)
        ) {
            return;
        }
        let job = self.path.join(job_id);
        if job == self.spill() {
            return;
        }
        // What cannot be removed now goes with the folder.
        if stages.is_empty() {
            let _ = fs::remove_dir_all(&job);
        } else {
            for stage in stages {
                let _ = fs::remove_dir_all(job.join(stage.to_string()));
            }
        }
    }
}

impl WorkFolder {
    /// Removes the folder, though others may still hold it. It blocks, for a moment when a task that was given up is
    /// still writing.
    pub(super) fn remove(&self) {
        for _attempt in 0..REMOVALS {
            match fs::remove_dir_all(&self.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    std::thread::sleep(BETWEEN_REMOVALS);
                }
                _ => break,
            }
        }
    }
}

impl Drop for WorkFolder {
    fn drop(&mut self) {
        // The next executor in the same place removes what remains.
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Removes the folders of executors that are gone. What cannot be removed is left.
fn sweep(parent: &Path) {
    let Ok(entries) = fs::read_dir(parent) else {
        return;
    };
    for entry in entries.flatten() {
        let ours = entry
            .file_name()
            .to_str()
            .is_some_and(|name| name.starts_with(PREFIX));
        if !ours {
            continue;
        }
        let path = entry.path();
        if File::open(&path).is_ok_and(|folder| folder.try_lock().is_ok()) {
            let _ = fs::remove_dir_all(&path);
        }
    }
}

/// Bytes that can still be written below a folder that is there; none where the system does not tell.
#[cfg(unix)]
#[must_use]
pub fn free_bytes(path: &Path) -> Option<u64> {
    use std::ffi::CString;
    use std::mem::MaybeUninit;
    use std::os::unix::ffi::OsStrExt;

    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    let mut found = MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: the path is a C string and the structure is large enough for what is written into it.
    let result = unsafe { libc::statvfs(path.as_ptr(), found.as_mut_ptr()) };
    if result != 0 {
        return None;
    }
    // SAFETY: a result of 0 says that the structure was filled in.
    let found = unsafe { found.assume_init() };
    #[expect(
        clippy::useless_conversion,
        reason = "the widths of these fields differ between platforms"
    )]
    Some(u64::from(found.f_bavail).saturating_mul(u64::from(found.f_frsize)))
}

/// Bytes that can still be written below a folder; nobody tells here.
#[cfg(not(unix))]
#[must_use]
pub fn free_bytes(_path: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_executor_that_is_gone_has_left_is_removed() {
        let parent = tempfile::tempdir().unwrap();
        let left = parent.path().join(format!("{PREFIX}gone"));
        fs::create_dir_all(left.join("job")).unwrap();
        fs::create_dir(parent.path().join("somebody-else")).unwrap();
        let one = WorkFolder::make(Some(parent.path())).unwrap();
        let other = WorkFolder::make(Some(parent.path())).unwrap();
        assert!(!left.exists());
        assert!(
            one.path().is_dir() && other.path().is_dir(),
            "those at work are left alone"
        );
        drop((one, other));
        let names: Vec<_> = parent
            .path()
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["somebody-else"]);
    }

    #[test]
    fn a_job_is_removed_and_nothing_beside_it() {
        let parent = tempfile::tempdir().unwrap();
        let folder = WorkFolder::make(Some(parent.path())).unwrap();
        for path in ["job/1/0", "job/2/0", "other/1"] {
            fs::create_dir_all(folder.path().join(path)).unwrap();
        }
        let outside = parent.path().join("outside");
        fs::create_dir(&outside).unwrap();
        for name in [
            "",
            ".",
            "..",
            "../outside",
            "other/1",
            "spill",
            outside.to_str().unwrap(),
        ] {
            folder.remove_job(name, &[]);
        }
        assert!(outside.is_dir() && folder.spill().is_dir());
        assert!(folder.path().join("other/1").is_dir());

        folder.remove_job("job", &[1]);
        assert!(!folder.path().join("job/1").exists() && folder.path().join("job/2").is_dir());
        folder.remove_job("job", &[]);
        assert!(!folder.path().join("job").exists());
        assert!(folder.free_bytes().is_some_and(|bytes| bytes > 0));
    }
}
