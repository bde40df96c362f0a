//! Why bytes did not become an image.

use std::fmt;

use crate::format::Format;

/// Why bytes did not become an image.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// There are no bytes.
    #[error("the file is empty")]
    Empty,
    /// The content is no image of any kind known here.
    #[error("the content is not an image{}", looks_like.map(|what| format!(" (it looks like {what})")).unwrap_or_default())]
    NotAnImage {
        /// What it seems to be instead, such as "a web page".
        looks_like: Option<&'static str>,
    },
    /// An image, of a format or a variant of a format that is not decoded here.
    #[error("{format} is not supported; convert the photo to JPEG or PNG")]
    UnsupportedFormat {
        /// The format as people call it, such as "HEIC".
        format: &'static str,
    },
    /// The file starts like an image and cannot be decoded as one.
    #[error("the {format} data is damaged: {damage}")]
    Corrupt {
        /// The format the content starts as.
        format: Format,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The image is over a limit; nothing was allocated for its pixels.
    #[error("{excess}")]
    TooLarge {
        /// Which limit, and by how much.
        excess: Excess,
    },
}

/// What is wrong with a damaged file.
#[derive(Debug)]
#[non_exhaustive]
pub enum Damage {
    /// The file ends before the image does.
    Truncated,
    /// The image has no width or no height.
    NoPixels,
    /// The decoder met something that no encoder writes, and has words for it that people can read.
    Stated(String),
    /// The decoder met something that no encoder writes. Its error is for programmers and kept out of messages.
    Invalid(Box<dyn std::error::Error + Send + Sync>),
    /// The decoder failed in a way its authors did not foresee.
    DecoderFailed,
}

impl fmt::Display for Damage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Truncated => formatter.write_str("the file ends early"),
            Damage::NoPixels => formatter.write_str("it has no pixels"),
            Damage::Stated(reason) => formatter.write_str(reason),
            Damage::Invalid(_) => formatter.write_str("its parts contradict each other"),
            Damage::DecoderFailed => formatter.write_str("the decoder could not make sense of it"),
        }
    }
}

/// The limit that an image is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Excess {
    /// The file is too long.
    Bytes {
        /// Length of the file, in bytes.
        size_bytes: u64,
        /// The limit, in bytes.
        max_bytes: u64,
    },
    /// The image has too many pixels.
    Pixels {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The limit on width × height.
        max_pixels: u64,
    },
    /// Decoding would take more memory than an image of its size should.
    Memory,
    /// A progressive JPEG with more scans than any encoder writes.
    Scans {
        /// The limit.
        max_scans: u32,
    },
}

impl fmt::Display for Excess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Excess::Bytes {
                size_bytes,
                max_bytes,
            } => write!(
                formatter,
                "the file has {size_bytes} bytes, the limit is {max_bytes}"
            ),
            Excess::Pixels {
                width,
                height,
                max_pixels,
            } => write!(
                formatter,
                "the image has {width} x {height} pixels, the limit is {max_pixels} in all"
            ),
            Excess::Memory => formatter
                .write_str("decoding would take more memory than an image of its size should"),
            Excess::Scans { max_scans } => {
                write!(
                    formatter,
                    "the image has more than {max_scans} progressive scans"
                )
            }
        }
    }
}

impl DecodeError {
    pub(crate) fn truncated(format: Format) -> Self {
        DecodeError::Corrupt {
            format,
            damage: Damage::Truncated,
        }
    }

    pub(crate) fn stated(format: Format, reason: impl Into<String>) -> Self {
        DecodeError::Corrupt {
            format,
            damage: Damage::Stated(reason.into()),
        }
    }

    /// A decoder's error: "ends early" where running out of bytes is at the bottom of it.
    pub(crate) fn invalid(
        format: Format,
        reason: impl std::error::Error + Send + Sync + 'static,
    ) -> Self {
        let mut cause: Option<&dyn std::error::Error> = Some(&reason);
        while let Some(error) = cause {
            let is_end = error
                .downcast_ref::<std::io::Error>()
                .is_some_and(|error| error.kind() == std::io::ErrorKind::UnexpectedEof);
            if is_end {
                return Self::truncated(format);
            }
            cause = error.source();
        }
        DecodeError::Corrupt {
            format,
            damage: Damage::Invalid(Box::new(reason)),
        }
    }
}
