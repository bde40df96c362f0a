//! One header block of a tar archive: ustar, GNU, or the old form without a magic.

use tar::{EntryType, Header};

use crate::error::Damage;

/// The unit of tar archives, in bytes.
pub(crate) const BLOCK: u64 = 512;

/// The same, for lengths in memory.
pub(crate) const BLOCK_LEN: usize = 512;

/// Where a GNU sparse header, and each block that continues it, says whether another block follows.
const SPARSE_CONTINUES: usize = 482;
pub(crate) const SPARSE_BLOCK_CONTINUES: usize = 504;

/// What a header announces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    File,
    Directory,
    HardLink,
    SymbolicLink,
    Device,
    /// `continues`: blocks of the map of holes stand between header and bytes.
    Sparse {
        continues: bool,
    },
    LongName,
    LongLink,
    Extended,
    GlobalExtended,
    /// The label of the volume.
    Volume,
    Unknown(u8),
}

/// A header, read.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// Prefix and name joined, as bytes.
    pub(crate) name: Vec<u8>,
    /// Bytes that follow, before padding, as the size field says.
    pub(crate) size: u64,
    pub(crate) modified_secs: i64,
}

/// Reads a block. `None` is the block of zeros that ends an archive.
pub(crate) fn parse(block: &[u8; BLOCK_LEN]) -> Result<Option<Head>, Damage> {
    if is_zero(block) {
        return Ok(None);
    }
    let header = Header::from_byte_slice(block);
    let old = header.as_old();
    let announced = number(&old.cksum).ok_or(Damage::Checksum)?;
    if !checksums(block).contains(&announced) {
        return Err(Damage::Checksum);
    }
    let size = number(&old.size)
        .and_then(|size| u64::try_from(size).ok())
        .ok_or(Damage::Size)?;
    let modified_secs = number(&old.mtime).unwrap_or(0);
    Ok(Some(Head {
        kind: kind(header, block),
        name: header.path_bytes().into_owned(),
        size,
        modified_secs: i64::try_from(modified_secs).unwrap_or(0),
    }))
}

fn kind(header: &Header, block: &[u8; BLOCK_LEN]) -> Kind {
    match header.entry_type() {
        EntryType::Regular | EntryType::Continuous => Kind::File,
        EntryType::Directory => Kind::Directory,
        EntryType::Link => Kind::HardLink,
        EntryType::Symlink => Kind::SymbolicLink,
        EntryType::Char | EntryType::Block | EntryType::Fifo => Kind::Device,
        EntryType::GNUSparse => Kind::Sparse {
            continues: block[SPARSE_CONTINUES] != 0,
        },
        EntryType::GNULongName => Kind::LongName,
        EntryType::GNULongLink => Kind::LongLink,
        EntryType::XHeader => Kind::Extended,
        EntryType::XGlobalHeader => Kind::GlobalExtended,
        other => match other.as_byte() {
            // Solaris wrote extended headers so before POSIX had them.
            b'X' => Kind::Extended,
            b'V' => Kind::Volume,
            byte => Kind::Unknown(byte),
        },
    }
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|byte| *byte == 0)
}

/// The sum of the bytes with the checksum's own field as spaces: unsigned as POSIX has it, and signed as some old
/// programs wrote it.
fn checksums(block: &[u8; BLOCK_LEN]) -> [i128; 2] {
    let (before, rest) = block.split_at(148);
    let (field, after) = rest.split_at(8);
    let bytes = || before.iter().chain(after);
    let spaces = field.len() as u32 * u32::from(b' ');
    let unsigned: u32 = bytes().map(|byte| u32::from(*byte)).sum();
    // A byte of 128 and above is 256 less when it has a sign.
    let high = bytes().filter(|byte| **byte >= 128).count() as i128;
    let unsigned = i128::from(unsigned + spaces);
    [unsigned, unsigned - 256 * high]
}

/// A number in octal, or in base 256 with the highest bit set (GNU; two's complement). An empty field is 0.
fn number(field: &[u8]) -> Option<i128> {
    let (first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        // The field's own highest bit is the mark; the next one is the sign.
        let start = if first & 0x40 != 0 {
            i128::from(first | 0x80) - 256
        } else {
            i128::from(first & 0x7F)
        };
        // 12 bytes fit into 16.
        return Some(
            rest.iter()
                .fold(start, |value, byte| value << 8 | i128::from(*byte)),
        );
    }
    let end = field
        .iter()
        .position(|byte| *byte == 0)
        .unwrap_or(field.len());
    let digits = field[..end].trim_ascii();
    digits.iter().try_fold(0, |value, digit| match digit {
        b'0'..=b'7' => Some(value << 3 | i128::from(digit - b'0')),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        assert_eq!(number(b"0000644\0"), Some(0o644));
        assert_eq!(number(b"   644 \0"), Some(0o644));
        assert_eq!(number(b"77777777777\0"), Some(0o777_7777_7777));
        assert_eq!(number(b"777777777777"), Some(0o7777_7777_7777));
        assert_eq!(number(b"\0\0\0\0"), Some(0));
        assert_eq!(number(b"12x\0"), None);
        assert_eq!(number(b"-1\0"), None);
        assert_eq!(number(b"\x80\0\0\0\0\0\0\x02\0\0\0\0"), Some(0x2_0000_0000));
        assert_eq!(number(&[0xFF; 12]), Some(-1));
        assert_eq!(
            number(b"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFE"),
            Some(-2)
        );
    }

    #[test]
    fn tells_a_wrong_checksum() {
        let mut header = Header::new_ustar();
        header.set_size(5);
        header.set_cksum();
        let mut block = *header.as_bytes();
        assert_eq!(parse(&block).unwrap().unwrap().size, 5);
        block[0] = 0x81;
        for (sum, fits) in [
            (0, false),
            (0x81, true),
            (0x81 - 256, true),
            (0x81 - 255, false),
        ] {
            let old = i64::from(header.cksum().unwrap());
            let text = format!("{:06o}\0 ", old + sum);
            block[148..156].copy_from_slice(text.as_bytes());
            assert_eq!(parse(&block).is_ok(), fits, "{sum}");
        }
        block[0] ^= 1;
        assert_eq!(parse(&block).unwrap_err(), Damage::Checksum);
        assert!(parse(&[0; BLOCK_LEN]).unwrap().is_none());
    }
}
