//! A bucket on this machine, and programs that work in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use pomona_testbed::{Bucket, Server};

use crate::place::Place;

/// What every request takes besides its own time.
const DELAY: Duration = Duration::from_millis(30);

/// A server with the buckets `photos` and `runs`.
pub(crate) struct Shop {
    pub(crate) server: Server,
    root: PathBuf,
}

impl Shop {
    /// Opens it in a fresh folder.
    pub(crate) fn open(place: &Place, name: &str) -> Result<Self> {
        let root = place.scratch(name);
        std::fs::create_dir_all(root.join("photos"))?;
        std::fs::create_dir_all(root.join("runs"))?;
        let server = Bucket::builder(&root).delay(DELAY).start()?;
        Ok(Self { server, root })
    }

    pub(crate) fn photos(&self) -> PathBuf {
        self.root.join("photos")
    }

    /// What a run in the bucket left, as files.
    pub(crate) fn run(&self, name: &str) -> PathBuf {
        self.root.join("runs").join(name)
    }

    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        self.server.environment()
    }
}

/// Copies the files of a list into a folder, below the name of the folder that each is in.
pub(crate) fn copy_photos(photos: &[String], to: &Path) -> Result<()> {
    for photo in photos {
        let photo = Path::new(photo);
        let name = photo.file_name().context("a file name")?;
        let label = photo
            .parent()
            .and_then(Path::file_name)
            .context("a folder's name")?;
        let folder = to.join(label);
        std::fs::create_dir_all(&folder)?;
        std::fs::copy(photo, folder.join(name))?;
    }
    Ok(())
}

/// Everything a run wrote but what tells times.
pub(crate) fn contents(folder: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    const TIMES: [&str; 3] = ["run.json", "report.html", "started.json"];
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in std::fs::read_dir(&next)? {
            let path = entry?.path();
            let name = path
                .strip_prefix(folder)
                .context("a path below the folder")?
                .display()
                .to_string();
            if path.is_dir() {
                open.push(path);
            } else if !TIMES.contains(&name.as_str()) {
                found.insert(name, std::fs::read(&path)?);
            }
        }
    }
    Ok(found)
}

/// Arguments of a run with two workers.
pub(crate) fn arguments(command: &str, photos: &str, out: &str) -> Vec<String> {
    ["--json", command, photos, "--out", out, "--workers", "2"]
        .map(str::to_owned)
        .into()
}
