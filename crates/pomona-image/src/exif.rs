//! Which way up a photo was taken, from EXIF, without ever failing the photo.

/// EXIF value "as stored".
pub(crate) const UPRIGHT: u8 = 1;

const TAG_ORIENTATION: u16 = 0x0112;

/// More directory entries than any camera writes; a broken count is not followed further.
const MAX_ENTRIES: u64 = 4096;

/// The orientation (1..=8) in the first directory of a TIFF-shaped block, classic or BigTIFF.
///
/// An EXIF block is such a block; the marker `Exif\0\0` before it is skipped. `None` where the block is broken, has
/// no orientation, or holds a value outside 1..=8.
pub(crate) fn orientation(block: &[u8]) -> Option<u8> {
    let block = block.strip_prefix(b"Exif\0\0").unwrap_or(block);
    let value = FirstDirectory::open(block)?.value(TAG_ORIENTATION)?;
    u8::try_from(value)
        .ok()
        .filter(|value| (1..=8).contains(value))
}

/// The first directory of a TIFF-shaped block.
pub(crate) struct FirstDirectory<'a> {
    reader: Reader<'a>,
    entries: u64,
    count: u64,
    entry_bytes: u64,
    value_at: u64,
}

impl<'a> FirstDirectory<'a> {
    /// `None` where the block does not start as TIFF or the directory lies outside it.
    pub(crate) fn open(block: &'a [u8]) -> Option<Self> {
        let little = match block.get(..2)? {
            b"II" => true,
            b"MM" => false,
            _ => return None,
        };
        let reader = Reader { block, little };
        // Classic: offset at 4, count of 2 bytes, entries of 12. BigTIFF: offset at 8, count of 8, entries of 20.
        let (directory, count_bytes, entry_bytes, value_at) = match reader.unsigned(2, 2)? {
            42 => (reader.unsigned(4, 4)?, 2, 12, 8),
            43 => (reader.unsigned(8, 8)?, 8, 20, 12),
            _ => return None,
        };
        Some(Self {
            count: reader.unsigned(directory, count_bytes)?.min(MAX_ENTRIES),
            entries: directory.checked_add(count_bytes)?,
            reader,
            entry_bytes,
            value_at,
        })
    }

    /// The number that a tag holds: its first, of a type of 1, 2 or 4 bytes without sign.
    pub(crate) fn value(&self, tag: u16) -> Option<u64> {
        let (at, bytes) = self.place(tag)?;
        self.reader.unsigned(at, bytes)
    }

    /// Where that number stands in the block, and its length in bytes. Only for numbers kept in the entry itself.
    pub(crate) fn place(&self, tag: u16) -> Option<(u64, u64)> {
        for index in 0..self.count {
            let entry = self.entries.checked_add(index * self.entry_bytes)?;
            if self.reader.unsigned(entry, 2)? == u64::from(tag) {
                let bytes = match self.reader.unsigned(entry.checked_add(2)?, 2)? {
                    1 => 1,
                    // SHORT, what the standard asks for in most tags; some writers use BYTE or LONG.
                    3 => 2,
                    4 => 4,
                    _ => return None,
                };
                return Some((entry.checked_add(self.value_at)?, bytes));
            }
        }
        None
    }
}

struct Reader<'a> {
    block: &'a [u8],
    little: bool,
}

impl Reader<'_> {
    /// An unsigned number of `bytes` (1 to 8) bytes at `at`, in the block's byte order.
    fn unsigned(&self, at: u64, bytes: u64) -> Option<u64> {
        let start = usize::try_from(at).ok()?;
        let digits = self
            .block
            .get(start..start.checked_add(usize::try_from(bytes).ok()?)?)?;
        let shift_in = |number: u64, digit: &u8| (number << 8) | u64::from(*digit);
        Some(if self.little {
            digits.iter().rev().fold(0, shift_in)
        } else {
            digits.iter().fold(0, shift_in)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_byte_orders_and_bigtiff() {
        let little = b"Exif\0\0II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        assert_eq!(orientation(little), Some(6));
        let big = b"MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x08\0\0\0\0\0\0";
        assert_eq!(orientation(big), Some(8));
        let mut bigtiff = b"II\x2b\0\x08\0\0\0\x10\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0".to_vec();
        bigtiff.extend_from_slice(b"\x12\x01\x03\0\x01\0\0\0\0\0\0\0\x03\0\0\0\0\0\0\0");
        assert_eq!(orientation(&bigtiff), Some(3));
    }

    #[test]
    fn broken_blocks_say_nothing() {
        let good = b"II\x2a\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x06\0\0\0\0\0\0\0";
        for length in 0..19 {
            assert_eq!(orientation(&good[..length]), None, "{length}");
        }
        let mut nine = *good;
        nine[18] = 9;
        assert_eq!(orientation(&nine), None);
        let mut far = *good;
        far[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(orientation(&far), None);
    }
}
