//! The members of an archive, found by ranged reads.

use std::sync::Arc;

use futures::stream::{self, BoxStream, StreamExt};
use object_store::ObjectStore;
use object_store::path::Path;

use crate::error::{Damage, PackError};
use crate::header::{self, BLOCK, BLOCK_LEN, Head, Kind, SPARSE_BLOCK_CONTINUES};
use crate::member::{Entry, Member, Problem, ProblemKind};
use crate::names::{NAME_LIMIT_BYTES, NameProblem, NameSet, normalise};
use crate::pax::Records;
use crate::window::Window;

/// Programs pad archives to whole records; the largest in use is 1 MiB.
const PADDING_LIMIT: u64 = 1 << 20;

/// The longest extended header that is read. It may hold attributes besides the name.
const EXTENDED_LIMIT: u64 = 1 << 20;

/// How an archive is read.
#[derive(Debug, Clone)]
pub struct ScanSettings {
    /// Bytes read by one request, at least 512. A member larger than this is skipped without being read: where
    /// requests cost next to nothing, as on a disk of this machine, some kilobytes are faster than the default.
    pub block_bytes: u64,
    /// The most entries that an archive may have, problems included.
    pub max_members: u64,
}

impl Default for ScanSettings {
    fn default() -> Self {
        Self {
            block_bytes: 8 << 20,
            max_members: 10_000_000,
        }
    }
}

/// What a whole scan has found.
#[derive(Debug)]
pub struct Scanned {
    /// In the order of the archive.
    pub members: Vec<Member>,
    /// What is not a member, in the order of the archive.
    pub problems: Vec<Problem>,
    /// Why the scan stopped before the end, if it did. The members found until then are good.
    pub error: Option<PackError>,
}

/// Lists the archive at `location`, which has `size` bytes, in its order.
///
/// Understands ustar, GNU and pax archives. Regular files are members; directories are left out; all else is a
/// [`Problem`]. After an error the stream ends.
///
/// Memory: one piece of `block_bytes`, and 16 bytes a member to find names that come twice.
pub fn scan(
    store: Arc<dyn ObjectStore>,
    location: Path,
    size: u64,
    settings: ScanSettings,
) -> BoxStream<'static, Result<Entry, PackError>> {
    let scanner = Scanner {
        window: Window::new(store, location, size, settings.block_bytes.max(BLOCK)),
        max_members: settings.max_members,
        at: 0,
        entries: 0,
        names: NameSet::default(),
        global: Records::default(),
    };
    stream::unfold(Some(scanner), |scanner| async move {
        let mut scanner = scanner?;
        match scanner.next().await {
            Ok(Some((entry, Next::More))) => Some((Ok(entry), Some(scanner))),
            Ok(Some((entry, Next::Done))) => Some((Ok(entry), None)),
            Ok(None) => None,
            Err(error) => Some((Err(error), None)),
        }
    })
    .boxed()
}

/// [`scan`], collected.
pub async fn scan_all(
    store: Arc<dyn ObjectStore>,
    location: Path,
    size: u64,
    settings: ScanSettings,
) -> Scanned {
    let mut found = Scanned {
        members: Vec::new(),
        problems: Vec::new(),
        error: None,
    };
    let mut entries = scan(store, location, size, settings);
    while let Some(entry) = entries.next().await {
        match entry {
            Ok(Entry::Member(member)) => found.members.push(member),
            Ok(Entry::Problem(problem)) => found.problems.push(problem),
            Err(error) => found.error = Some(error),
        }
    }
    found
}

enum Next {
    More,
    Done,
}

/// What headers say about the member that follows them.
#[derive(Default)]
struct Pending {
    /// Where the first of them begins.
    from: Option<u64>,
    long_name: Option<Result<Vec<u8>, NameProblem>>,
    records: Option<Records>,
}

struct Scanner {
    window: Window,
    max_members: u64,
    /// Where the next header begins.
    at: u64,
    entries: u64,
    names: NameSet,
    global: Records,
}

impl Scanner {
    async fn next(&mut self) -> Result<Option<(Entry, Next)>, PackError> {
        let mut pending = Pending::default();
        loop {
            let at = self.at;
            let Some(head) = self.head().await? else {
                if pending.from.is_some() {
                    return Err(self.damaged(at, Damage::Dangling));
                }
                let left = self.after_end(at + BLOCK).await?;
                return Ok(left.map(|problem| (Entry::Problem(problem), Next::Done)));
            };
            let from = *pending.from.get_or_insert(at);
            let data = at + BLOCK;
            match head.kind {
                Kind::LongName => {
                    pending.long_name = Some(self.long_name(at, head.size).await?);
                    self.at = self.after(at, data, head.size)?;
                }
                Kind::Extended => {
                    let mut records = pending.records.take().unwrap_or_default();
                    self.extended(at, head.size, &mut records).await?;
                    pending.records = Some(records);
                    self.at = self.after(at, data, head.size)?;
                }
                Kind::GlobalExtended => {
                    let mut records = std::mem::take(&mut self.global);
                    self.extended(at, head.size, &mut records).await?;
                    self.global = records;
                    self.at = self.after(at, data, head.size)?;
                    if pending.long_name.is_none() && pending.records.is_none() {
                        pending.from = None;
                    }
                }
                Kind::LongLink => self.at = self.after(at, data, head.size)?,
                Kind::Volume => {
                    self.at = self.after(at, data, head.size)?;
                    pending = Pending::default();
                }
                _ => {
                    let pending = std::mem::take(&mut pending);
                    if let Some(entry) = self.entry(at, from, head, pending).await? {
                        self.entries += 1;
                        if self.entries > self.max_members {
                            return Err(PackError::TooManyMembers {
                                archive: self.window.location().to_string(),
                                limit: self.max_members,
                            });
                        }
                        return Ok(Some((entry, Next::More)));
                    }
                }
            }
        }
    }

    /// The header at `self.at`; `None` at the mark that ends the archive.
    async fn head(&mut self) -> Result<Option<Head>, PackError> {
        let at = self.at;
        let Some(bytes) = self.window.read(at, BLOCK).await? else {
            // Beyond the end: only the padding of the last member is cut.
            return Err(if at >= self.window.size() {
                PackError::Unterminated {
                    archive: self.window.location().to_string(),
                    size_bytes: self.window.size(),
                }
            } else {
                self.truncated(at, at.saturating_add(BLOCK))
            });
        };
        let Some(block) = bytes.first_chunk::<BLOCK_LEN>() else {
            return Err(self.truncated(at, at.saturating_add(BLOCK)));
        };
        header::parse(block).map_err(|damage| self.damaged(at, damage))
    }

    /// A file, or what stands there instead of one; `None` for a directory. Moves on behind it.
    async fn entry(
        &mut self,
        at: u64,
        from: u64,
        head: Head,
        pending: Pending,
    ) -> Result<Option<Entry>, PackError> {
        let records = pending.records.unwrap_or_default().or(&self.global);
        let size = records.size.unwrap_or(head.size);
        let mut data = at + BLOCK;
        if let Kind::Sparse { continues: true } = head.kind {
            data = self.behind_sparse_map(at, data).await?;
        }
        // Links, directories and devices have no bytes behind them, whatever their size says (as in GNU tar and in
        // Python's tarfile).
        let stored = match head.kind {
            Kind::HardLink | Kind::SymbolicLink | Kind::Directory | Kind::Device => 0,
            _ => size,
        };
        self.at = self.after(at, data, stored)?;

        let name = match (records.path, pending.long_name) {
            (Some(path), _) => Ok(path),
            (None, Some(long)) => long,
            (None, None) => Ok(head.name),
        };
        let shown = name.as_deref().map(shown).unwrap_or_default();
        let problem = |kind| {
            Ok(Some(Entry::Problem(Problem {
                name: shown.clone(),
                offset: from,
                kind,
            })))
        };
        match head.kind {
            Kind::Directory => return Ok(None),
            // Archives older than ustar have no other way to say so.
            Kind::File if size == 0 && name.as_ref().is_ok_and(|name| name.ends_with(b"/")) => {
                return Ok(None);
            }
            Kind::File if !records.sparse => {}
            Kind::File | Kind::Sparse { .. } => return problem(ProblemKind::Sparse),
            Kind::HardLink => return problem(ProblemKind::HardLink),
            Kind::SymbolicLink => return problem(ProblemKind::SymbolicLink),
            Kind::Device => return problem(ProblemKind::Device),
            Kind::Unknown(byte) => return problem(ProblemKind::UnknownKind(char::from(byte))),
            Kind::LongName
            | Kind::LongLink
            | Kind::Extended
            | Kind::GlobalExtended
            | Kind::Volume => return Ok(None),
        }
        let name = match name.and_then(normal) {
            Ok(name) => name,
            Err(fault) => return problem(ProblemKind::Name(fault)),
        };
        if !self.names.insert(&name) {
            return problem(ProblemKind::Duplicate);
        }
        Ok(Some(Entry::Member(Member {
            name,
            offset: data,
            size,
            modified_secs: records.modified_secs.unwrap_or(head.modified_secs),
            label: None,
        })))
    }

    /// Where the header behind `size` bytes at `data` begins. The header that announced them is at `at`.
    fn after(&self, at: u64, data: u64, size: u64) -> Result<u64, PackError> {
        let end = data.saturating_add(size);
        let next = end.checked_next_multiple_of(BLOCK).unwrap_or(u64::MAX);
        if end > self.window.size() {
            Err(self.truncated(at, end))
        } else {
            Ok(next)
        }
    }

    async fn long_name(
        &mut self,
        at: u64,
        size: u64,
    ) -> Result<Result<Vec<u8>, NameProblem>, PackError> {
        self.after(at, at + BLOCK, size)?;
        // One more for the NUL behind it.
        if size > NAME_LIMIT_BYTES as u64 + 1 {
            return Ok(Err(NameProblem::TooLong {
                limit_bytes: NAME_LIMIT_BYTES,
            }));
        }
        let bytes = self.content(at, size).await?;
        let end = bytes.iter().position(|byte| *byte == 0);
        Ok(Ok(bytes[..end.unwrap_or(bytes.len())].to_vec()))
    }

    async fn extended(
        &mut self,
        at: u64,
        size: u64,
        records: &mut Records,
    ) -> Result<(), PackError> {
        self.after(at, at + BLOCK, size)?;
        if size > EXTENDED_LIMIT {
            let limit_bytes = EXTENDED_LIMIT;
            return Err(self.damaged(at, Damage::ExtendedHeaderTooLong { limit_bytes }));
        }
        let bytes = self.content(at, size).await?;
        records
            .read(&bytes)
            .map_err(|damage| self.damaged(at, damage))
    }

    /// What stands behind the header at `at`.
    async fn content(&mut self, at: u64, size: u64) -> Result<bytes::Bytes, PackError> {
        match self.window.read(at + BLOCK, size).await? {
            Some(bytes) => Ok(bytes),
            None => Err(self.truncated(at, (at + BLOCK).saturating_add(size))),
        }
    }

    /// Where the bytes of a GNU sparse file begin, whose map of holes goes on at `data`.
    async fn behind_sparse_map(&mut self, at: u64, mut data: u64) -> Result<u64, PackError> {
        loop {
            let block = self.window.read(data, BLOCK).await?;
            let Some(block) = block else {
                return Err(self.truncated(at, data.saturating_add(BLOCK)));
            };
            data += BLOCK;
            if block
                .get(SPARSE_BLOCK_CONTINUES)
                .is_none_or(|last| *last == 0)
            {
                return Ok(data);
            }
        }
    }

    /// Looks for something behind the first block of zeros that ends the archive. At most [`PADDING_LIMIT`] bytes are
    /// read; more than that is no padding.
    async fn after_end(&mut self, mut at: u64) -> Result<Option<Problem>, PackError> {
        let size = self.window.size();
        let looked = size.min(at.saturating_add(PADDING_LIMIT));
        let mut found = (looked < size).then_some(at);
        while found.is_none() && at < looked {
            let length = (looked - at).min(BLOCK);
            let Some(bytes) = self.window.read(at, length).await? else {
                break;
            };
            if !header::is_zero(&bytes) {
                found = Some(at);
            }
            at += length;
        }
        Ok(found.map(|offset| Problem {
            name: String::new(),
            offset,
            kind: ProblemKind::AfterEnd {
                bytes: size - offset,
            },
        }))
    }

    fn truncated(&self, offset: u64, needed_bytes: u64) -> PackError {
        PackError::Truncated {
            archive: self.window.location().to_string(),
            offset,
            needed_bytes,
            size_bytes: self.window.size(),
        }
    }

    fn damaged(&self, offset: u64, damage: Damage) -> PackError {
        PackError::Damaged {
            archive: self.window.location().to_string(),
            offset,
            damage,
        }
    }
}

fn normal(name: Vec<u8>) -> Result<String, NameProblem> {
    if name.len() > NAME_LIMIT_BYTES {
        return Err(NameProblem::TooLong {
            limit_bytes: NAME_LIMIT_BYTES,
        });
    }
    let name = String::from_utf8(name).map_err(|_| NameProblem::NotUtf8)?;
    Ok(match normalise(&name)? {
        std::borrow::Cow::Borrowed(_) => name,
        std::borrow::Cow::Owned(normal) => normal,
    })
}

/// A name for people.
fn shown(name: &[u8]) -> String {
    let cut = &name[..name.len().min(NAME_LIMIT_BYTES)];
    String::from_utf8_lossy(cut).into_owned()
}
