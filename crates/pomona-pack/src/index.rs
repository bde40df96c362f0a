//! The files that make a folder of archives a pack.
//!
//! `pack.json` lists the archives, and is written last. Beside each archive `NAME.tar` lies `NAME.index`: lines of
//! JSON, the first about the archive, each of the others one [`Member`] in the order of the archive.

use std::collections::HashSet;

use object_store::path::Path;
use serde::{Deserialize, Serialize};

use crate::crc32::crc32;
use crate::error::IndexFault;
use crate::header::BLOCK;
use crate::member::Member;
use crate::names::{NameSet, normalise};

/// The file that is there when a pack is whole.
pub const PACK_FILE: &str = "pack.json";

/// The version of the format of `pack.json` and of the indexes.
pub const PACK_VERSION: u32 = 1;

/// The longest index that is read, in bytes. Written ones are far shorter.
pub(crate) const INDEX_LIMIT_BYTES: u64 = 128 << 20;

/// The longest `pack.json` that is read, in bytes: that of about a million archives.
pub(crate) const PACK_LIMIT_BYTES: u64 = 256 << 20;

const PACK_FORMAT: &str = "pomona-pack";
const INDEX_FORMAT: &str = "pomona-pack-index";

/// What `pack.json` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackSummary {
    /// `pomona-pack`.
    format: String,
    /// [`PACK_VERSION`].
    pub version: u32,
    /// Members in all archives.
    pub members: u64,
    /// Bytes of all members.
    pub content_bytes: u64,
    /// Bytes of all archives.
    pub archive_bytes: u64,
    /// In the order in which they were written.
    pub archives: Vec<ArchiveSummary>,
}

/// What `pack.json` says about one archive.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArchiveSummary {
    /// The archive's name in the folder.
    pub name: String,
    /// Its length in bytes.
    pub bytes: u64,
    /// Its members.
    pub members: u64,
    /// Bytes of its members.
    pub content_bytes: u64,
    /// The index's name in the folder.
    pub index: String,
    /// The index's length in bytes.
    pub index_bytes: u64,
    /// The index's CRC-32, as in zlib.
    pub index_crc32: u32,
}

/// The first line of an index.
#[derive(Serialize, Deserialize)]
struct IndexHead {
    format: String,
    version: u32,
    archive: String,
    bytes: u64,
    members: u64,
}

/// As much of a file as tells whether the rest can be read.
#[derive(Deserialize)]
pub(crate) struct Version {
    pub(crate) format: String,
    pub(crate) version: u64,
}

impl Version {
    /// Whether it is this program's file at all.
    pub(crate) fn is_pack(&self) -> bool {
        self.format == PACK_FORMAT
    }
}

impl PackSummary {
    pub(crate) fn new(archives: Vec<ArchiveSummary>) -> Self {
        let sum =
            |of: fn(&ArchiveSummary) -> u64| archives.iter().map(of).fold(0, u64::saturating_add);
        Self {
            format: PACK_FORMAT.to_owned(),
            version: PACK_VERSION,
            members: sum(|archive| archive.members),
            content_bytes: sum(|archive| archive.content_bytes),
            archive_bytes: sum(|archive| archive.bytes),
            archives,
        }
    }

    /// Whether the parts agree with each other.
    pub(crate) fn check(&self) -> Result<(), IndexFault> {
        let mut names = HashSet::new();
        for archive in &self.archives {
            for name in [&archive.name, &archive.index] {
                let plain = normalise(name).is_ok_and(|normal| normal == *name);
                if !plain || name.contains('/') || !names.insert(name) {
                    return Err(IndexFault::Name { line: 1 });
                }
            }
        }
        if Self::new(self.archives.clone()) == *self {
            Ok(())
        } else {
            Err(IndexFault::Totals)
        }
    }
}

/// The location of a file of the pack in `folder`.
pub(crate) fn location(folder: &Path, name: &str) -> Path {
    folder.clone().join(name)
}

/// An index's bytes.
pub(crate) fn write(
    archive: &str,
    bytes: u64,
    members: &[Member],
) -> Result<Vec<u8>, serde_json::Error> {
    let head = IndexHead {
        format: INDEX_FORMAT.to_owned(),
        version: PACK_VERSION,
        archive: archive.to_owned(),
        bytes,
        members: members.len() as u64,
    };
    let mut out = serde_json::to_vec(&head)?;
    out.push(b'\n');
    for member in members {
        serde_json::to_writer(&mut out, member)?;
        out.push(b'\n');
    }
    Ok(out)
}

/// The members of `archive`, checked against each other and against its size.
pub(crate) fn read(bytes: &[u8], archive: &ArchiveSummary) -> Result<Vec<Member>, IndexFault> {
    let found = bytes.len() as u64;
    if found != archive.index_bytes {
        return Err(IndexFault::Length {
            listed: archive.index_bytes,
            found,
        });
    }
    if crc32(bytes) != archive.index_crc32 {
        return Err(IndexFault::Checksum);
    }
    let mut lines = bytes
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .zip(1..);
    let (head, _) = lines.next().ok_or(IndexFault::Empty)?;
    let head: IndexHead =
        serde_json::from_slice(head).map_err(|source| IndexFault::Json { line: 1, source })?;
    if head.format != INDEX_FORMAT
        || head.version != PACK_VERSION
        || head.archive != archive.name
        || head.bytes != archive.bytes
    {
        return Err(IndexFault::OtherArchive);
    }
    let mut members: Vec<Member> = Vec::new();
    let mut names = NameSet::default();
    let mut free = 0;
    for (line, number) in lines {
        let member: Member = serde_json::from_slice(line).map_err(|source| IndexFault::Json {
            line: number,
            source,
        })?;
        free = behind(&member, free, archive.bytes).ok_or(IndexFault::Place { line: number })?;
        if !normalise(&member.name).is_ok_and(|normal| normal == member.name) {
            return Err(IndexFault::Name { line: number });
        }
        if !names.insert(&member.name) {
            return Err(IndexFault::Duplicate { line: number });
        }
        members.push(member);
    }
    let found = members.len() as u64;
    for announced in [head.members, archive.members] {
        if announced != found {
            return Err(IndexFault::Count { announced, found });
        }
    }
    let content = members.iter().map(|member| member.size).sum::<u64>();
    if content != archive.content_bytes {
        return Err(IndexFault::Totals);
    }
    Ok(members)
}

/// Where the next header may begin, if `member` has its header at `free` or later and ends inside the archive.
fn behind(member: &Member, free: u64, archive_bytes: u64) -> Option<u64> {
    let end = member
        .offset
        .checked_add(member.size)?
        .checked_next_multiple_of(BLOCK)?;
    let fits = member.offset.is_multiple_of(BLOCK)
        && member.offset >= free.checked_add(BLOCK)?
        // The two blocks of zeros that end an archive.
        && end.checked_add(2 * BLOCK)? <= archive_bytes;
    fits.then_some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ARCHIVE_BYTES: u64 = 10_240;

    fn member(name: &str, offset: u64, size: u64) -> Member {
        Member {
            name: name.to_owned(),
            offset,
            size,
            modified_secs: 0,
            label: None,
        }
    }

    /// What reading gives of an index whose length and checksum are right.
    fn read_back(members: &[Member], announced: u64) -> Result<Vec<Member>, IndexFault> {
        let bytes = write("a.tar", ARCHIVE_BYTES, members).unwrap();
        let archive = ArchiveSummary {
            name: "a.tar".to_owned(),
            bytes: ARCHIVE_BYTES,
            members: announced,
            content_bytes: members
                .iter()
                .fold(0, |sum: u64, member| sum.saturating_add(member.size)),
            index: "a.index".to_owned(),
            index_bytes: bytes.len() as u64,
            index_crc32: crc32(&bytes),
        };
        read(&bytes, &archive)
    }

    #[test]
    fn members_fit_their_archive() {
        // The last one ends right before the end of the archive.
        let good = [
            member("a\nb.jpg", 512, 0),
            member("b.jpg", 1024, 1),
            member("c.jpg", 2048, ARCHIVE_BYTES - 2048 - 1024),
        ];
        assert_eq!(read_back(&good, 3).unwrap(), good);
        for wrong in [
            member("d.jpg", 0, 1),
            member("d.jpg", 513, 1),
            member("d.jpg", 512, ARCHIVE_BYTES - 512 - 1023),
            member("d.jpg", 512, u64::MAX - 512),
            member("d.jpg", u64::MAX - 511, 0),
        ] {
            let refused = read_back(std::slice::from_ref(&wrong), 1);
            let told = matches!(refused, Err(IndexFault::Place { line: 2 }));
            assert!(told, "{wrong:?}: {refused:?}");
        }
        // On the header of the next one, and on the bytes of the one before.
        for offset in [1024, 1536] {
            let refused = read_back(
                &[
                    good[0].clone(),
                    member("d", 1024, 513),
                    member("e", offset, 1),
                ],
                3,
            );
            assert!(matches!(refused, Err(IndexFault::Place { line: 4 })));
        }
    }

    #[test]
    fn names_and_counts_are_checked() {
        for name in ["../a", "/a", "a\\b", ""] {
            let refused = read_back(&[member(name, 512, 1)], 1);
            assert!(
                matches!(refused, Err(IndexFault::Name { line: 2 })),
                "{name}"
            );
        }
        let twice = read_back(&[member("a", 512, 1), member("a", 1536, 1)], 2);
        assert!(matches!(twice, Err(IndexFault::Duplicate { line: 3 })));
        let fewer = read_back(&[member("a", 512, 1)], 2);
        assert!(matches!(
            fewer,
            Err(IndexFault::Count {
                announced: 2,
                found: 1
            })
        ));
    }
}
