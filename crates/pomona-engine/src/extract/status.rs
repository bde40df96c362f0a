//! What became of an object.

use pomona_image::DecodeError;

/// What became of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Features were computed.
    Ok,
    /// The object holds no bytes.
    Empty,
    /// The content is no image of any known format.
    NotAnImage,
    /// The content is an image of a format that is not read.
    UnsupportedFormat,
    /// The content claims a format and breaks its rules.
    Corrupt,
    /// More bytes or pixels than allowed.
    TooLarge,
    /// The object could not be fetched.
    Unreadable,
}

impl Status {
    /// All of them, `Ok` first.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Empty,
        Self::NotAnImage,
        Self::UnsupportedFormat,
        Self::Corrupt,
        Self::TooLarge,
        Self::Unreadable,
    ];

    /// As it stands in the ledger.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Empty => "empty",
            Self::NotAnImage => "not_an_image",
            Self::UnsupportedFormat => "unsupported_format",
            Self::Corrupt => "corrupt",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
        }
    }

    /// The status that the ledger calls `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    pub(super) fn of(error: &DecodeError) -> Self {
        match error {
            DecodeError::Empty => Self::Empty,
            DecodeError::NotAnImage { .. } => Self::NotAnImage,
            DecodeError::UnsupportedFormat { .. } => Self::UnsupportedFormat,
            DecodeError::TooLarge { .. } => Self::TooLarge,
            _ => Self::Corrupt,
        }
    }
}
