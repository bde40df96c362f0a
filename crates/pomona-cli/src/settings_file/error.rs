//! What can be wrong with a settings file.

use std::io;

use thiserror::Error;

/// Why the command line and the settings file together give no settings.
///
/// `at` is the place, such as `pomona.toml line 3`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub(crate) enum SettingsError {
    /// What clap says of the command line, help and version included.
    #[error(transparent)]
    CommandLine(#[from] clap::Error),
    /// The file cannot be opened or read.
    #[error("the settings file {path} cannot be read")]
    Unreadable { path: String, source: io::Error },
    /// Larger than any settings file.
    #[error("the settings file {path} is larger than {limit_bytes} bytes")]
    TooLarge { path: String, limit_bytes: u64 },
    /// Not text, or not TOML.
    #[error("{at}: {message}")]
    NotToml { at: String, message: String },
    /// No command, or not this one, has such a setting.
    #[error("{at}: `{key}` is not a setting of {of}")]
    Unknown {
        at: String,
        key: String,
        of: String,
        hint: Option<String>,
    },
    /// A table that is named after no command.
    #[error("{at}: there is no command `{table}`")]
    UnknownCommand {
        at: String,
        table: String,
        hint: Option<String>,
    },
    /// Right key, wrong kind of value.
    #[error("{at}: {key} = {value}: {wanted} is wanted")]
    WrongType {
        at: String,
        key: String,
        value: String,
        wanted: &'static str,
    },
    /// Refused as it would be on the command line.
    #[error("{at}: {key} = {value}: {reason}")]
    Refused {
        at: String,
        key: String,
        value: String,
        reason: String,
        hint: Option<String>,
    },
    /// The same setting under its name and another.
    #[error("{at}: `{key}` is the same setting as `{other}` in line {line}")]
    Twice {
        at: String,
        key: String,
        other: String,
        line: usize,
    },
    /// Two settings that exclude each other.
    #[error("{at}: `{key}` cannot be used with {other}")]
    Conflict {
        at: String,
        key: String,
        other: String,
    },
    /// A flag that says what to do now, not how.
    #[error("{at}: `{key}` cannot be set in a file")]
    NotInFile { at: String, key: String },
    /// A key that would hold a secret. Its value is nowhere in the message.
    #[error("{at}: `{key}`: keys and passwords are not settings")]
    Secret { at: String, key: String },
}

impl SettingsError {
    /// What to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        let fixed = match self {
            Self::Unknown { hint, .. }
            | Self::UnknownCommand { hint, .. }
            | Self::Refused { hint, .. } => return hint.clone(),
            Self::CommandLine(_) | Self::WrongType { .. } => return None,
            Self::Unreadable { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                "the file is named by --settings or by POMONA_SETTINGS"
            }
            Self::Unreadable { .. } => {
                "make it a readable file, or name another one with --settings FILE"
            }
            Self::TooLarge { .. } => "name a settings file with --settings FILE",
            Self::NotToml { .. } => {
                "lines read `key = value`; texts stand in quotes, and a table such as [run] holds what is for one command"
            }
            Self::Twice { .. } => "leave one of them out",
            Self::Conflict { .. } => {
                "leave one of them out, of the file or of the command line, or name another file with --settings"
            }
            Self::NotInFile { .. } => "give it on the command line",
            Self::Secret { .. } => {
                "take it out: keys come from the cloud's standard chain (environment, profile file, role)"
            }
        };
        Some(fixed.to_owned())
    }
}
