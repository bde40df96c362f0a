//! Extended headers of POSIX tar ("pax"): records `LENGTH KEY=VALUE\n`, where LENGTH counts the whole record.

use crate::error::Damage;

/// The records that matter here.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Records {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) size: Option<u64>,
    pub(crate) modified_secs: Option<i64>,
    /// One of GNU's records of sparse files.
    pub(crate) sparse: bool,
}

impl Records {
    /// Adds the records of `bytes`; later ones replace earlier ones. An empty value takes a record back.
    pub(crate) fn read(&mut self, mut bytes: &[u8]) -> Result<(), Damage> {
        // What is left may be padded with NULs by programs that count blocks.
        while !bytes.iter().all(|byte| *byte == 0) {
            let (key, value, rest) = record(bytes).ok_or(Damage::ExtendedHeader)?;
            bytes = rest;
            match key {
                b"path" => self.path = (!value.is_empty()).then(|| value.to_vec()),
                b"size" if value.is_empty() => self.size = None,
                b"size" => self.size = Some(decimal(value).ok_or(Damage::Size)?),
                b"mtime" => self.modified_secs = whole_seconds(value),
                key if key.starts_with(b"GNU.sparse.") => self.sparse = true,
                _ => {}
            }
        }
        Ok(())
    }

    /// These records, and those of `other` where these have none.
    pub(crate) fn or(self, other: &Self) -> Self {
        Self {
            path: self.path.or_else(|| other.path.clone()),
            size: self.size.or(other.size),
            modified_secs: self.modified_secs.or(other.modified_secs),
            sparse: self.sparse || other.sparse,
        }
    }
}

/// The first record's key and value, and what follows it.
fn record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let space = bytes.iter().take(21).position(|byte| *byte == b' ')?;
    let length = usize::try_from(decimal(&bytes[..space])?).ok()?;
    let record = bytes.get(space + 1..length)?;
    let rest = bytes.get(length..)?;
    let record = record.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    Some((&record[..equals], &record[equals + 1..], rest))
}

fn decimal(digits: &[u8]) -> Option<u64> {
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// `-12.5` is −13: the second in which it happened.
fn whole_seconds(value: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(value).ok()?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let seconds: i64 = whole.parse().ok()?;
    let below_zero = whole.starts_with('-') && fraction.bytes().any(|digit| digit != b'0');
    seconds.checked_sub(i64::from(below_zero))
}

/// Appends one record.
pub(crate) fn write(out: &mut Vec<u8>, key: &str, value: &str) {
    // Space, equals sign and newline.
    let payload = key.len() + value.len() + 3;
    let mut length = payload;
    // The length counts its own digits, which may add one more.
    loop {
        let whole = payload + length.to_string().len();
        if whole == length {
            break;
        }
        length = whole;
    }
    out.extend_from_slice(format!("{length} {key}={value}\n").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Records, Damage> {
        let mut records = Records::default();
        records.read(bytes)?;
        Ok(records)
    }

    #[test]
    fn reads_what_it_writes_at_every_length() {
        for length in 0..1100 {
            let value = "ä\n=".repeat(length / 4) + &"a".repeat(length % 4 + 1);
            let mut bytes = Vec::new();
            write(&mut bytes, "path", &value);
            write(&mut bytes, "mtime", "-7");
            let records = read(&bytes).unwrap();
            assert_eq!(records.path.as_deref(), Some(value.as_bytes()));
            assert_eq!(records.modified_secs, Some(-7));
        }
    }

    #[test]
    fn refuses_what_is_no_record() {
        for bytes in [
            &b"5"[..],
            b"99 path=a\n",
            b"0 path=a\n",
            b"3 path=a\n",
            b"99999999999999999999999 path=a\n",
            b"18446744073709551615 path=a\n",
            b"10 path=ab",
            b"+9 path=a\n",
            b"8 patha\n",
        ] {
            assert_eq!(read(bytes), Err(Damage::ExtendedHeader), "{bytes:?}");
        }
        assert_eq!(read(b"11 size=-5\n"), Err(Damage::Size));
    }

    #[test]
    fn seconds_are_rounded_down() {
        for (text, seconds) in [
            ("12", Some(12)),
            ("12.99", Some(12)),
            ("-12.5", Some(-13)),
            ("-12.0", Some(-12)),
            ("-0.5", Some(-1)),
            ("x", None),
        ] {
            assert_eq!(whole_seconds(text.as_bytes()), seconds, "{text}");
        }
    }
}
