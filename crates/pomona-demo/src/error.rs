//! What can keep the demonstration photos from being written.

use std::path::PathBuf;

/// Why the demonstration photos were not written. The folder is as it was before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DemoError {
    /// There is something at the place that is not a folder of demonstration photos.
    #[error("{} is there already and is not a folder of demonstration photos; choose another place", path.display())]
    Occupied {
        /// The place asked for.
        path: PathBuf,
    },
    /// A folder of demonstration photos holds a file that is none.
    #[error("{} holds {}, which would be lost; move it away first", path.display(), file.display())]
    ForeignFile {
        /// The folder of demonstration photos.
        path: PathBuf,
        /// The file, relative to it.
        file: PathBuf,
    },
    /// A setting is out of its range.
    #[error("{setting} is {value}, but must be from {least} to {most}")]
    Setting {
        /// Name of the setting.
        setting: &'static str,
        /// Its value.
        value: usize,
        /// Least value allowed.
        least: usize,
        /// Largest value allowed.
        most: usize,
    },
    /// A picture inside the program could not be decoded.
    #[error("the picture of {label} could not be decoded")]
    Picture {
        /// What it shows.
        label: &'static str,
        /// The decoder's reason.
        source: image::ImageError,
    },
    /// A photo could not be encoded.
    #[error("a photo of {label} could not be encoded")]
    Encode {
        /// What it shows.
        label: &'static str,
        /// The encoder's reason.
        source: pomona_image::EncodeError,
    },
    /// The pixels of a photo do not fit its size.
    #[error("a photo of {label} could not be drawn")]
    Shape {
        /// What it shows.
        label: &'static str,
        /// What does not fit.
        source: pomona_image::ShapeError,
    },
    /// A file or folder could not be read or written.
    #[error("{} could not be written or read", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
}
