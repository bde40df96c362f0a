//! The bytes of headers, the same ones for the same member on every machine.

use tar::{EntryType, Header};

use crate::header::{BLOCK, BLOCK_LEN};
use crate::pax;

/// The most that the octal size and time fields hold: eleven digits.
const OCTAL_LIMIT: u64 = 0o777_7777_7777;

const NAME_FIELD: usize = 100;
const PREFIX_FIELD: usize = 155;

/// The blocks of zeros that end an archive.
pub(crate) const END: [u8; 2 * BLOCK_LEN] = [0; 2 * BLOCK_LEN];

/// The header of a regular file: ustar, with an extended header before it where the name is longer than ustar's
/// fields or not ASCII, or where a number does not fit.
pub(crate) fn headers(name: &str, size: u64, modified_secs: i64) -> Vec<u8> {
    let mut records = Vec::new();
    let split = if name.is_ascii() { split(name) } else { None };
    if split.is_none() {
        pax::write(&mut records, "path", name);
    }
    if size > OCTAL_LIMIT {
        pax::write(&mut records, "size", &size.to_string());
    }
    let modified = u64::try_from(modified_secs)
        .ok()
        .filter(|secs| *secs <= OCTAL_LIMIT);
    if modified.is_none() {
        pax::write(&mut records, "mtime", &modified_secs.to_string());
    }

    let mut out = Vec::with_capacity(BLOCK_LEN);
    if !records.is_empty() {
        // As Python's tarfile calls it; readers that know extended headers do not look at the name.
        let header = header(
            ("", "././@PaxHeader"),
            records.len() as u64,
            0,
            EntryType::XHeader,
        );
        out.extend_from_slice(&header);
        out.append(&mut records);
        out.resize(out.len() + padding(out.len() as u64), 0);
    }
    let plain;
    let fields = match split {
        Some(fields) => fields,
        None => {
            // For readers that do not know extended headers.
            plain = name
                .chars()
                .map(|letter| if letter.is_ascii() { letter } else { '?' })
                .take(NAME_FIELD)
                .collect::<String>();
            ("", plain.as_str())
        }
    };
    out.extend_from_slice(&header(
        fields,
        if size > OCTAL_LIMIT { 0 } else { size },
        modified.unwrap_or(0),
        EntryType::Regular,
    ));
    out
}

/// Zeros that fill the last block of `length` bytes.
pub(crate) fn padding(length: u64) -> usize {
    // At most 511.
    usize::try_from(length.next_multiple_of(BLOCK) - length).unwrap_or(0)
}

/// Prefix and name, as ustar's two fields join them with `/`.
fn split(name: &str) -> Option<(&str, &str)> {
    if name.len() <= NAME_FIELD {
        return Some(("", name));
    }
    let (at, _) = name
        .match_indices('/')
        .find(|(at, _)| name.len() - at - 1 <= NAME_FIELD)?;
    (at <= PREFIX_FIELD).then(|| (&name[..at], &name[at + 1..]))
}

fn header(
    (prefix, name): (&str, &str),
    size: u64,
    modified_secs: u64,
    kind: EntryType,
) -> [u8; BLOCK_LEN] {
    let mut header = Header::new_ustar();
    put(&mut header.as_old_mut().name, name);
    if let Some(ustar) = header.as_ustar_mut() {
        put(&mut ustar.prefix, prefix);
    }
    header.set_entry_type(kind);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(modified_secs);
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}

fn put(field: &mut [u8], text: &str) {
    for (place, byte) in field.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_split_where_ustar_can_hold_them() {
        let long = "a".repeat(100);
        assert_eq!(split(&long), Some(("", long.as_str())));
        assert_eq!(split(&format!("b{long}")), None);
        assert_eq!(split(&format!("b/{long}")), Some(("b", long.as_str())));
        let prefix = "b".repeat(155);
        let name = format!("{prefix}/{long}");
        assert_eq!(split(&name), Some((prefix.as_str(), long.as_str())));
        assert_eq!(split(&format!("b{name}")), None);
        assert_eq!(
            split(&format!("b/{}", "c/".repeat(80))),
            Some((
                "b/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c/c",
                "c/".repeat(50).as_str()
            ))
        );
    }

    #[test]
    fn headers_are_whole_blocks() {
        for length in 1..1500 {
            let headers = headers(&"a".repeat(length), 1, 1);
            assert!(headers.len().is_multiple_of(BLOCK_LEN), "{length}");
        }
    }
}
