use std::collections::BTreeMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use super::write::within;
use super::{
    Entry, HEADER_KEY, Header, Kind, MAGIC, MAX_HEADER_BYTES, MAX_NAME_BYTES, MAX_SECTION_BYTES,
    MAX_SECTIONS, SEAL_BYTES, SEALED_VERSION, SealedError, SealedFile, Section,
};

/// The header as read: the caller's JSON and the list of sections.
pub(super) type ReadHeader = Header<Value, String>;

impl SealedFile {
    /// The content of a model file.
    ///
    /// Takes memory in proportion to `bytes`, whatever their header claims. A file of any older version
    /// stays readable.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, SealedError> {
        let rest = after(bytes, MAGIC, bytes.len())
            .map_err(|cut| cut.unwrap_or(SealedError::NotAModel))?;
        let (version, rest) =
            number_line(rest, bytes.len()).map_err(|cut| cut.unwrap_or(SealedError::NotAModel))?;
        let version = match u32::try_from(version) {
            Ok(0) => return Err(SealedError::NotAModel),
            Ok(version) if version <= SEALED_VERSION => version,
            newer => {
                return Err(SealedError::NewerVersion {
                    found: newer.unwrap_or(u32::MAX),
                    supported: SEALED_VERSION,
                });
            }
        };
        let rest = after(rest, HEADER_KEY, bytes.len())
            .map_err(|cut| cut.unwrap_or(SealedError::SealBroken))?;
        let (header_bytes, rest) =
            number_line(rest, bytes.len()).map_err(|cut| cut.unwrap_or(SealedError::SealBroken))?;
        within("header, in bytes,", header_bytes, MAX_HEADER_BYTES as u64)?;
        let start = bytes.len() - rest.len();
        let Some((header, rest)) = rest.split_at_checked(header_bytes as usize) else {
            return Err(cut_short(
                bytes.len(),
                start + header_bytes as usize + SEAL_BYTES,
            ));
        };
        let header = read_header(header);
        let body_bytes = header.as_ref().ok().and_then(body_bytes);

        let (content, seal) = bytes.split_at(bytes.len().saturating_sub(SEAL_BYTES));
        if rest.len() < SEAL_BYTES || Sha256::digest(content).as_slice() != seal {
            let expected = body_bytes
                .unwrap_or(0)
                .saturating_add((bytes.len() - rest.len() + SEAL_BYTES) as u64);
            return Err(if expected > bytes.len() as u64 {
                SealedError::Truncated {
                    found: bytes.len() as u64,
                    expected,
                }
            } else {
                SealedError::SealBroken
            });
        }

        let header = header?;
        let body = &rest[..rest.len() - SEAL_BYTES];
        if body_bytes != Some(body.len() as u64) {
            return Err(SealedError::BrokenHeader {
                reason: "its sections do not add up to the file's length",
            });
        }
        Ok(Self {
            version,
            header: header.model,
            sections: sections(header.sections, body)?,
        })
    }
}

/// Why parsing stopped: the file's end came too early, or (`None`) something else stands there.
type Stopped = Option<SealedError>;

fn cut_short(found: usize, expected: usize) -> SealedError {
    SealedError::Truncated {
        found: found as u64,
        expected: expected as u64,
    }
}

/// What follows `prefix`.
fn after<'a>(rest: &'a [u8], prefix: &[u8], file_bytes: usize) -> Result<&'a [u8], Stopped> {
    match rest.strip_prefix(prefix) {
        Some(rest) => Ok(rest),
        None if !(rest.is_empty() && file_bytes == 0) && prefix.starts_with(rest) => {
            Err(Some(cut_short(
                file_bytes,
                file_bytes + prefix.len() - rest.len() + SEAL_BYTES,
            )))
        }
        None => Err(None),
    }
}

/// A decimal number of at most ten digits and the line's end.
fn number_line(rest: &[u8], file_bytes: usize) -> Result<(u64, &[u8]), Stopped> {
    let digits = rest
        .iter()
        .take(10)
        .take_while(|byte| byte.is_ascii_digit())
        .count();
    let number = rest[..digits]
        .iter()
        .fold(0, |number, digit| number * 10 + u64::from(digit - b'0'));
    match rest[digits..].first() {
        Some(b'\n') if digits > 0 => Ok((number, &rest[digits + 1..])),
        Some(_) => Err(None),
        None => Err(Some(cut_short(file_bytes, file_bytes + 1 + SEAL_BYTES))),
    }
}

/// Parses the header and checks it against the limits.
pub(super) fn read_header(header: &[u8]) -> Result<ReadHeader, SealedError> {
    let header: ReadHeader =
        serde_json::from_slice(header).map_err(|_| SealedError::BrokenHeader {
            reason: "it is not the JSON of a model, or is nested too deeply",
        })?;
    within(
        "number of sections",
        header.sections.len() as u64,
        MAX_SECTIONS as u64,
    )?;
    for entry in &header.sections {
        within(
            "section name, in bytes,",
            entry.name.len() as u64,
            MAX_NAME_BYTES as u64,
        )?;
        let bytes = entry.values.saturating_mul(entry.kind.value_bytes());
        within("section, in bytes,", bytes, MAX_SECTION_BYTES)?;
    }
    Ok(header)
}

/// Bytes of all sections together.
pub(super) fn body_bytes(header: &ReadHeader) -> Option<u64> {
    header.sections.iter().try_fold(0_u64, |sum, entry| {
        sum.checked_add(entry.values.checked_mul(entry.kind.value_bytes())?)
    })
}

/// Cuts the body, whose length has been checked, into its sections.
fn sections(
    entries: Vec<Entry<String>>,
    body: &[u8],
) -> Result<BTreeMap<String, Section>, SealedError> {
    let mut rest = body;
    let mut sections = BTreeMap::new();
    for entry in entries {
        let bytes = (entry.values * entry.kind.value_bytes()) as usize;
        let (now, later) = rest
            .split_at_checked(bytes)
            .ok_or(SealedError::SealBroken)?;
        let section = match entry.kind {
            Kind::F64 => Section::F64(numbers(now, f64::from_le_bytes)),
            Kind::F32 => Section::F32(numbers(now, f32::from_le_bytes)),
            Kind::Bytes => Section::Bytes(now.to_vec()),
        };
        if sections.insert(entry.name, section).is_some() {
            return Err(SealedError::BrokenHeader {
                reason: "two sections have the same name",
            });
        }
        rest = later;
    }
    Ok(sections)
}

fn numbers<const N: usize, T>(bytes: &[u8], of: fn([u8; N]) -> T) -> Vec<T> {
    bytes
        .as_chunks::<N>()
        .0
        .iter()
        .map(|chunk| of(*chunk))
        .collect()
}
