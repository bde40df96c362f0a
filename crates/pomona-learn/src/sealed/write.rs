use sha2::{Digest, Sha256};

use super::read::{body_bytes, read_header};
use super::{
    Entry, HEADER_KEY, Header, MAGIC, MAX_HEADER_BYTES, SEAL_BYTES, SEALED_VERSION, SealedError,
    SealedFile, Section,
};

impl SealedFile {
    /// The file's bytes; the same content gives the same bytes.
    ///
    /// Refuses what [`from_bytes`](Self::from_bytes) would refuse: an unknown version, a header or
    /// sections beyond the limits.
    pub fn to_bytes(&self) -> Result<Vec<u8>, SealedError> {
        if self.version == 0 || self.version > SEALED_VERSION {
            return Err(SealedError::BrokenHeader {
                reason: "its format version is not one this program writes",
            });
        }
        let entries: Vec<_> = self
            .sections
            .iter()
            .map(|(name, section)| Entry {
                name,
                kind: section.kind(),
                values: section.values() as u64,
            })
            .collect();
        let header = serde_json::to_vec_pretty(&Header {
            model: &self.header,
            sections: entries,
        })
        .map_err(SealedError::Unwritable)?;
        let header_bytes = header.len() + 1;
        within(
            "header, in bytes,",
            header_bytes as u64,
            MAX_HEADER_BYTES as u64,
        )?;

        // Reading it back finds what a reader would refuse, nesting included.
        let section_bytes = body_bytes(&read_header(&header)?).unwrap_or(0) as usize;

        let mut file = Vec::with_capacity(64 + header_bytes + section_bytes + SEAL_BYTES);
        file.extend_from_slice(MAGIC);
        file.extend_from_slice(format!("{}\n", self.version).as_bytes());
        file.extend_from_slice(HEADER_KEY);
        file.extend_from_slice(format!("{header_bytes}\n").as_bytes());
        file.extend_from_slice(&header);
        file.push(b'\n');
        for section in self.sections.values() {
            match section {
                Section::F64(values) => values
                    .iter()
                    .for_each(|value| file.extend_from_slice(&value.to_le_bytes())),
                Section::F32(values) => values
                    .iter()
                    .for_each(|value| file.extend_from_slice(&value.to_le_bytes())),
                Section::Bytes(values) => file.extend_from_slice(values),
            }
        }
        let seal = Sha256::digest(&file);
        file.extend_from_slice(&seal);
        Ok(file)
    }
}

/// Refuses a size beyond its limit.
pub(super) fn within(part: &'static str, found: u64, limit: u64) -> Result<(), SealedError> {
    if found > limit {
        return Err(SealedError::TooLarge { part, found, limit });
    }
    Ok(())
}
