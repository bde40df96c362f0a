/// Why bytes are no usable model file, or a model could not be made into one.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealedError {
    /// The bytes do not begin as a model file does.
    #[error("not a Pomona model file")]
    NotAModel,
    /// Written by a newer program.
    #[error(
        "the model file has format version {found}, but this program reads versions up to {supported}: \
         use a newer Pomona"
    )]
    NewerVersion {
        /// The file's version, which a program must know to read it.
        found: u32,
        /// The newest version this program reads.
        supported: u32,
    },
    /// The file ends early.
    #[error("the model file is cut short: it has {found} of at least {expected} bytes")]
    Truncated {
        /// Bytes there are.
        found: u64,
        /// Bytes there should be, as far as can be told.
        expected: u64,
    },
    /// The content is not what was sealed.
    #[error("the model file is damaged: its content does not match its seal")]
    SealBroken,
    /// The seal holds, but the header does not say what it must.
    #[error("the model file's header cannot be read: {reason}")]
    BrokenHeader {
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A part is larger than the format allows.
    #[error("the model file's {part} has {found}, of at most {limit}")]
    TooLarge {
        /// The part and its unit, such as "header, in bytes,".
        part: &'static str,
        /// Its size.
        found: u64,
        /// The largest allowed.
        limit: u64,
    },
    /// The header could not be written as JSON.
    #[error("the model's header cannot be written")]
    Unwritable(#[source] serde_json::Error),
}
