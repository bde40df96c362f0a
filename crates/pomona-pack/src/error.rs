//! What can go wrong with packs.

use thiserror::Error;

use crate::names::NameProblem;

/// Why an archive, an index or a pack could not be read or written.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PackError {
    /// The store refused or failed.
    #[error("cannot {action} {location}")]
    Store {
        /// What was tried: `read`, `write` and so on.
        action: &'static str,
        /// The object or folder.
        location: String,
        /// What the store says.
        #[source]
        source: object_store::Error,
    },
    /// The store gave fewer bytes than it has listed.
    #[error(
        "{location} gave {got} bytes at byte {offset} where {expected} are listed: was it replaced meanwhile?"
    )]
    ShortRead {
        /// The object.
        location: String,
        /// Where the read began.
        offset: u64,
        /// Bytes asked for.
        expected: u64,
        /// Bytes that came.
        got: u64,
    },
    /// The archive ends inside a header or a member.
    #[error(
        "{archive} is cut off: it ends at byte {size_bytes}, but what begins at byte {offset} goes on to byte {needed_bytes}"
    )]
    Truncated {
        /// The archive.
        archive: String,
        /// Where the header begins of what is cut.
        offset: u64,
        /// Where that would end.
        needed_bytes: u64,
        /// Where the archive ends.
        size_bytes: u64,
    },
    /// The archive ends behind a member, without the mark that ends an archive. Members may be missing.
    #[error(
        "{archive} may be cut off: it ends at byte {size_bytes} without the mark that ends an archive"
    )]
    Unterminated {
        /// The archive.
        archive: String,
        /// Where the archive ends.
        size_bytes: u64,
    },
    /// Bytes that no tar archive has in that place.
    #[error("{archive} is damaged at byte {offset}: {damage}")]
    Damaged {
        /// The archive.
        archive: String,
        /// Where the header begins that cannot be read.
        offset: u64,
        /// What is wrong with it.
        damage: Damage,
    },
    /// The archive has more entries than the limit.
    #[error("{archive} has more than {limit} members")]
    TooManyMembers {
        /// The archive.
        archive: String,
        /// The limit.
        limit: u64,
    },
    /// A setting out of its range.
    #[error("{setting} is {value}, which is not in {least} to {most}")]
    Setting {
        /// The setting's name.
        setting: &'static str,
        /// Its value.
        value: u64,
        /// The least value allowed.
        least: u64,
        /// The greatest value allowed.
        most: u64,
    },
    /// A name that cannot be written.
    #[error("cannot pack {name}: {problem}")]
    Name {
        /// The name as given.
        name: String,
        /// What is wrong with it.
        problem: NameProblem,
    },
    /// A name that the archive has already.
    #[error("cannot pack {name} twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// The folder holds a finished pack already.
    #[error("{folder} holds a pack already: choose another folder, or remove it first")]
    PackExists {
        /// The folder.
        folder: String,
    },
    /// The folder holds no finished pack.
    #[error("{folder} holds no finished pack: there is no pack.json")]
    NoPack {
        /// The folder.
        folder: String,
    },
    /// A pack written by another version of this program.
    #[error("{location} has format version {found}; this program reads version {known}")]
    Version {
        /// The file.
        location: String,
        /// The version that the file has.
        found: u64,
        /// The version that is known.
        known: u32,
    },
    /// An index or `pack.json` that cannot be what was written.
    #[error("{location} cannot be used as the index of a pack")]
    Index {
        /// The file.
        location: String,
        /// What is wrong with it.
        #[source]
        fault: IndexFault,
    },
    /// An archive whose size is not the one in its pack.
    #[error(
        "{archive} has {found_bytes} bytes, but pack.json lists {listed_bytes}: it was changed after it was packed"
    )]
    ArchiveChanged {
        /// The archive.
        archive: String,
        /// The size in `pack.json`.
        listed_bytes: u64,
        /// The size in the store.
        found_bytes: u64,
    },
    /// A writer that has failed before is used again.
    #[error("packing has failed before: start over with a new writer")]
    WriterFailed,
}

/// What is wrong with a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Damage {
    /// The checksum does not fit.
    #[error("the checksum of the header does not fit (is it a tar archive, and not compressed?)")]
    Checksum,
    /// The size cannot be read.
    #[error("the size in the header is not a number")]
    Size,
    /// An extended header cannot be read.
    #[error("the extended header cannot be read")]
    ExtendedHeader,
    /// An extended header is longer than the limit.
    #[error("the extended header is longer than {limit_bytes} bytes")]
    ExtendedHeaderTooLong {
        /// The limit.
        limit_bytes: u64,
    },
    /// A long name or an extended header stands before no member.
    #[error("an extended header stands before the end of the archive instead of before a member")]
    Dangling,
}

/// What is wrong with an index or with `pack.json`.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum IndexFault {
    /// It is not the JSON that was expected.
    #[error("line {line} is not as this program writes it")]
    Json {
        /// The line, from 1.
        line: u64,
        /// What the parser says.
        #[source]
        source: serde_json::Error,
    },
    /// Its first line is missing.
    #[error("it is empty")]
    Empty,
    /// It belongs to another archive.
    #[error("it belongs to another archive")]
    OtherArchive,
    /// Its length is not the one in `pack.json`.
    #[error("it has {found} bytes, but pack.json lists {listed}")]
    Length {
        /// The length in `pack.json`.
        listed: u64,
        /// The length in the store.
        found: u64,
    },
    /// It is longer than any index that is written.
    #[error("it has {found} bytes, more than the limit of {limit}")]
    TooLong {
        /// Its length.
        found: u64,
        /// The limit.
        limit: u64,
    },
    /// Its checksum is not the one in `pack.json`.
    #[error("its checksum is not the one in pack.json")]
    Checksum,
    /// The number of members is not the one that it announces.
    #[error("it lists {found} members and announces {announced}")]
    Count {
        /// Announced.
        announced: u64,
        /// Found.
        found: u64,
    },
    /// The totals of `pack.json` are not the sums of its archives.
    #[error("its totals are not the sums of its archives")]
    Totals,
    /// A member lies outside the archive, or on another member.
    #[error("line {line}: the member does not fit its place in the archive")]
    Place {
        /// The line, from 1.
        line: u64,
    },
    /// A member's or an archive's name is not one that is written.
    #[error("line {line}: the name is not one that this program writes")]
    Name {
        /// The line, from 1.
        line: u64,
    },
    /// A member's name comes twice.
    #[error("line {line}: the name comes twice")]
    Duplicate {
        /// The line, from 1.
        line: u64,
    },
}

impl PackError {
    pub(crate) fn store(
        action: &'static str,
        location: &object_store::path::Path,
    ) -> impl FnOnce(object_store::Error) -> Self {
        let location = location.to_string();
        move |source| Self::Store {
            action,
            location,
            source,
        }
    }

    pub(crate) fn index(location: &object_store::path::Path, fault: IndexFault) -> Self {
        Self::Index {
            location: location.to_string(),
            fault,
        }
    }
}
