//! What an archive is found to hold.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::names::NameProblem;

/// A regular file inside an archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Relative, `/`-separated, unique in its archive, as [`normalise`](crate::normalise) spells it.
    pub name: String,
    /// Where its bytes begin in the archive; a multiple of 512.
    pub offset: u64,
    /// Its length in bytes.
    pub size: u64,
    /// When it was changed last, in whole seconds since 1970 (rounded down); 0 where the archive does not say.
    pub modified_secs: i64,
    /// The text of its sample's label, for images, where an index gives it or
    /// [`label_images`](crate::label_images) has read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
}

/// What stands at one place of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A file that can be read.
    Member(Member),
    /// Something that cannot, and why.
    Problem(Problem),
}

/// Something in an archive that is not listed as a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Its name as the archive has it, for people only: it may lead anywhere. What is not UTF-8 is replaced, and a
    /// long name is cut.
    pub name: String,
    /// Where its header begins in the archive, in bytes.
    pub offset: u64,
    /// Why it is not a member.
    pub kind: ProblemKind,
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if !self.name.is_empty() {
            write!(f, "{}: ", self.name)?;
        }
        write!(f, "{} (at byte {})", self.kind, self.offset)
    }
}

/// Why something is not a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ProblemKind {
    /// A hard link to another member.
    #[error("a hard link, which is not followed")]
    HardLink,
    /// A symbolic link.
    #[error("a symbolic link, which is not followed")]
    SymbolicLink,
    /// A device, a pipe or the like.
    #[error("a device or pipe, which holds nothing to read")]
    Device,
    /// A file with holes, whose bytes are not in one piece.
    #[error("a sparse file, whose bytes are not stored in one piece")]
    Sparse,
    /// An entry of a kind that this program does not know.
    #[error("an entry of an unknown kind ({0})")]
    UnknownKind(char),
    /// A name that no member can go by.
    #[error("{0}")]
    Name(NameProblem),
    /// An earlier member has the same name; the earlier one is kept.
    #[error("an earlier member has the same name")]
    Duplicate,
    /// Bytes after the mark that ends the archive, as where archives were joined one behind the other.
    #[error("{bytes} bytes after the end of the archive are not read")]
    AfterEnd {
        /// How many.
        bytes: u64,
    },
}
