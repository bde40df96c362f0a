//! Names of members: relative, `/`-separated, and never a way out.

use std::borrow::Cow;

use thiserror::Error;

/// The longest name of a member, in bytes.
pub const NAME_LIMIT_BYTES: usize = 4096;

/// Why a member cannot go by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NameProblem {
    /// Nothing is left of the name, as with `.` or `/`.
    #[error("the name is empty")]
    Empty,
    /// A component is `..`.
    #[error("the name has a component “..”")]
    Parent,
    /// It holds a backslash, which some systems read as a separator.
    #[error("the name has a backslash")]
    Backslash,
    /// It begins with a drive, as in `C:`.
    #[error("the name begins with a drive letter")]
    Drive,
    /// It holds a NUL byte.
    #[error("the name has a NUL byte")]
    Nul,
    /// It is longer than the limit.
    #[error("the name is longer than {limit_bytes} bytes")]
    TooLong {
        /// The limit.
        limit_bytes: usize,
    },
    /// It is not UTF-8.
    #[error("the name is not UTF-8")]
    NotUtf8,
}

/// The name in its one spelling: no leading `/` (as GNU tar strips it), no `.` and no empty components.
///
/// # Errors
///
/// A name that could mean another place on some system, or that is longer than [`NAME_LIMIT_BYTES`].
pub fn normalise(name: &str) -> Result<Cow<'_, str>, NameProblem> {
    if name.len() > NAME_LIMIT_BYTES {
        return Err(NameProblem::TooLong {
            limit_bytes: NAME_LIMIT_BYTES,
        });
    }
    if name.contains('\0') {
        return Err(NameProblem::Nul);
    }
    if name.contains('\\') {
        return Err(NameProblem::Backslash);
    }
    let needless = |part: &str| part.is_empty() || part == ".";
    if name.split('/').any(|part| part == "..") {
        return Err(NameProblem::Parent);
    }
    let Some(first) = name.split('/').find(|part| !needless(part)) else {
        return Err(NameProblem::Empty);
    };
    if let [letter, b':', ..] = first.as_bytes()
        && letter.is_ascii_alphabetic()
    {
        return Err(NameProblem::Drive);
    }
    if !name.split('/').any(needless) {
        return Ok(Cow::Borrowed(name));
    }
    let parts: Vec<&str> = name.split('/').filter(|part| !needless(part)).collect();
    Ok(Cow::Owned(parts.join("/")))
}

/// Names seen so far, told apart by 128 bits of two keyed hashes: 16 bytes a name, however long it is.
#[derive(Default)]
pub(crate) struct NameSet {
    keys: [std::hash::RandomState; 2],
    seen: std::collections::HashSet<u128>,
}

impl NameSet {
    /// Adds a name, and says whether it is new.
    pub(crate) fn insert(&mut self, name: &str) -> bool {
        self.seen.insert(self.hash(name))
    }

    pub(crate) fn contains(&self, name: &str) -> bool {
        self.seen.contains(&self.hash(name))
    }

    pub(crate) fn clear(&mut self) {
        self.seen.clear();
    }

    fn hash(&self, name: &str) -> u128 {
        use std::hash::BuildHasher;
        let [high, low] = &self.keys;
        u128::from(high.hash_one(name)) << 64 | u128::from(low.hash_one(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_spelling_for_each_name() {
        for (name, normal) in [
            ("a/b.jpg", "a/b.jpg"),
            ("./a//b.jpg", "a/b.jpg"),
            ("/etc/a.jpg", "etc/a.jpg"),
            ("a/./b/", "a/b"),
            ("...", "..."),
            ("ä:b", "ä:b"),
            ("a/c:b", "a/c:b"),
            ("a\nb", "a\nb"),
        ] {
            assert_eq!(normalise(name).as_deref(), Ok(normal), "{name}");
        }
    }

    #[test]
    fn no_way_out() {
        for (name, problem) in [
            ("../a", NameProblem::Parent),
            ("a/../b", NameProblem::Parent),
            ("a/..", NameProblem::Parent),
            ("..\\a", NameProblem::Backslash),
            ("a\\b", NameProblem::Backslash),
            ("C:a", NameProblem::Drive),
            ("/./c:/a", NameProblem::Drive),
            ("a\0b", NameProblem::Nul),
            ("", NameProblem::Empty),
            ("/./", NameProblem::Empty),
        ] {
            assert_eq!(normalise(name), Err(problem), "{name}");
        }
        assert!(normalise(&"a".repeat(NAME_LIMIT_BYTES)).is_ok());
        assert!(normalise(&"a".repeat(NAME_LIMIT_BYTES + 1)).is_err());
    }
}
