//! The bytes of a model file.
//!
//! ```text
//! POMONA MODEL 1\n                      format version, decimal
//! header_bytes 512\n                    length of the header that follows, decimal
//! { "model": …, "sections": [ … ] }\n   the header: JSON, indented, so that `head` shows it
//! …                                     the sections' bytes, in the order of the list, without gaps
//! 32 bytes                              SHA-256 of everything before
//! ```
//!
//! Each entry of `sections` is `{"name": …, "type": "f64" | "f32" | "bytes", "values": n}`; numbers are
//! little-endian.

mod error;
mod read;
mod write;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use error::SealedError;

/// The format version this program writes, and the newest it reads.
pub const SEALED_VERSION: u32 = 1;

const MAGIC: &[u8] = b"POMONA MODEL ";
const HEADER_KEY: &[u8] = b"header_bytes ";
const SEAL_BYTES: usize = 32;
/// 16 MiB: a header is for reading; numbers belong in sections.
const MAX_HEADER_BYTES: usize = 16 << 20;
const MAX_SECTIONS: usize = 4096;
const MAX_NAME_BYTES: usize = 256;
/// 16 GiB.
const MAX_SECTION_BYTES: u64 = 16 << 30;

/// What a model file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct SealedFile {
    /// Format version, at least 1 and at most [`SEALED_VERSION`].
    pub version: u32,
    /// What is readable without a program.
    pub header: serde_json::Value,
    /// Arrays by name.
    pub sections: BTreeMap<String, Section>,
}

/// One array of a model file.
#[derive(Debug, Clone, PartialEq)]
pub enum Section {
    /// Doubles.
    F64(Vec<f64>),
    /// Singles.
    F32(Vec<f32>),
    /// Bytes.
    Bytes(Vec<u8>),
}

impl SealedFile {
    /// A file of the current version without sections.
    pub fn new(header: serde_json::Value) -> Self {
        Self {
            version: SEALED_VERSION,
            header,
            sections: BTreeMap::new(),
        }
    }

    /// The doubles of a section of that name and type.
    pub fn f64s(&self, name: &str) -> Option<&[f64]> {
        match self.sections.get(name) {
            Some(Section::F64(values)) => Some(values),
            _ => None,
        }
    }

    /// The singles of a section of that name and type.
    pub fn f32s(&self, name: &str) -> Option<&[f32]> {
        match self.sections.get(name) {
            Some(Section::F32(values)) => Some(values),
            _ => None,
        }
    }

    /// The bytes of a section of that name and type.
    pub fn bytes(&self, name: &str) -> Option<&[u8]> {
        match self.sections.get(name) {
            Some(Section::Bytes(values)) => Some(values),
            _ => None,
        }
    }
}

/// The header as it stands in the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header<M, S> {
    model: M,
    sections: Vec<Entry<S>>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry<S> {
    name: S,
    #[serde(rename = "type")]
    kind: Kind,
    values: u64,
}

#[derive(Serialize, Deserialize, Clone, Copy)]
#[serde(rename_all = "lowercase")]
enum Kind {
    F64,
    F32,
    Bytes,
}

impl Kind {
    fn value_bytes(self) -> u64 {
        match self {
            Self::F64 => 8,
            Self::F32 => 4,
            Self::Bytes => 1,
        }
    }
}

impl Section {
    fn kind(&self) -> Kind {
        match self {
            Self::F64(_) => Kind::F64,
            Self::F32(_) => Kind::F32,
            Self::Bytes(_) => Kind::Bytes,
        }
    }

    fn values(&self) -> usize {
        match self {
            Self::F64(values) => values.len(),
            Self::F32(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }
}
