//! The keys of a bucket in byte order, and pages of them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io;
use std::ops::Bound;
use std::path::Path;
use std::sync::Arc;

use crate::files::Attributes;

/// Keys and what is known of them beyond their files.
pub(crate) type Keys = BTreeMap<String, Option<Arc<Attributes>>>;

/// What is asked of a listing.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Page<'a> {
    pub(crate) prefix: &'a str,
    /// None, or not empty.
    pub(crate) delimiter: Option<&'a str>,
    /// Keys come after this one; a common prefix here stands for all keys below it.
    pub(crate) after: Option<&'a str>,
    pub(crate) limit: usize,
}

/// One line of a listing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Line<T> {
    Object(String, T),
    CommonPrefix(String),
}

/// Finds all files below a bucket's folder. What cannot be read is left out.
pub(crate) fn walk(folder: &Path) -> Keys {
    let mut keys = Vec::new();
    descend(folder, "", &mut keys);
    keys.sort_unstable();
    keys.into_iter().map(|key| (key, None)).collect()
}

fn descend(folder: &Path, prefix: &str, keys: &mut Vec<String>) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let (Some(name), Ok(kind)) = (OsStr::to_str(&name), entry.file_type()) else {
            continue;
        };
        let key = format!("{prefix}{name}");
        if kind.is_dir() {
            descend(&entry.path(), &format!("{key}/"), keys);
        } else if kind.is_file()
            || std::fs::metadata(entry.path()).is_ok_and(|target| target.is_file())
        {
            keys.push(key);
        }
    }
}

/// One page, and whether more follows. `look` gives what is shown of an object; keys it knows nothing of are left out.
pub(crate) fn page<T>(
    keys: &Keys,
    page: Page<'_>,
    mut look: impl FnMut(&str) -> io::Result<Option<T>>,
) -> io::Result<(Vec<Line<T>>, bool)> {
    let mut lines = Vec::new();
    let mut from = Bound::Included(page.prefix.to_owned());
    if let Some(after) = page.after.filter(|after| *after >= page.prefix) {
        let below_prefix = page.delimiter.filter(|delimiter| {
            after.len() > page.prefix.len()
                && after.starts_with(page.prefix)
                && after.ends_with(*delimiter)
        });
        from = match below_prefix.and_then(|_| successor(after)) {
            Some(next) => Bound::Included(next),
            None => Bound::Excluded(after.to_owned()),
        };
    }
    'ranges: loop {
        for (key, _) in keys.range::<str, _>((as_str(&from), Bound::Unbounded)) {
            let Some(rest) = key.strip_prefix(page.prefix) else {
                break 'ranges;
            };
            let folder = page
                .delimiter
                .and_then(|delimiter| rest.find(delimiter).map(|at| at + delimiter.len()));
            if lines.len() >= page.limit {
                return Ok((lines, true));
            }
            match folder {
                Some(length) => {
                    let common = &key[..page.prefix.len() + length];
                    lines.push(Line::CommonPrefix(common.to_owned()));
                    match successor(common) {
                        Some(next) => from = Bound::Included(next),
                        None => break 'ranges,
                    }
                    continue 'ranges;
                }
                None => {
                    if let Some(shown) = look(key)? {
                        lines.push(Line::Object(key.clone(), shown));
                    }
                }
            }
        }
        break;
    }
    Ok((lines, false))
}

fn as_str(bound: &Bound<String>) -> Bound<&str> {
    match bound {
        Bound::Included(key) => Bound::Included(key),
        Bound::Excluded(key) => Bound::Excluded(key),
        Bound::Unbounded => Bound::Unbounded,
    }
}

/// The first text, in byte order, after all that begin with `prefix`. UTF-8 orders bytes as it orders characters.
fn successor(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        // Skips the surrogates, which are no characters.
        let next = if last == '\u{d7ff}' {
            Some('\u{e000}')
        } else {
            char::from_u32(last as u32 + 1)
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(
        keys: &[&str],
        prefix: &str,
        delimiter: Option<&str>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<String> {
        let keys: Keys = keys.iter().map(|key| ((*key).to_owned(), None)).collect();
        let mut shown = Vec::new();
        let mut token = after.map(str::to_owned);
        loop {
            let asked = Page {
                prefix,
                delimiter,
                after: token.as_deref(),
                limit,
            };
            let (lines, more) = page(&keys, asked, |_| Ok(Some(()))).unwrap();
            assert!(lines.len() <= limit);
            shown.extend(lines.into_iter().map(|line| match line {
                Line::Object(key, ()) => key,
                Line::CommonPrefix(prefix) => format!("[{prefix}]"),
            }));
            if !more {
                return shown;
            }
            token = shown
                .last()
                .map(|last| last.trim_matches(['[', ']']).to_owned());
        }
    }

    const KEYS: [&str; 7] = ["a", "a-b", "a/1", "a/2/x", "a0", "é/1", "z"];

    #[test]
    fn pages_of_any_size_give_all_keys_in_byte_order() {
        let mut sorted = KEYS.map(str::to_owned);
        sorted.sort_unstable();
        for limit in 1..=8 {
            assert_eq!(all(&KEYS, "", None, None, limit), sorted);
            assert_eq!(
                all(&KEYS, "", Some("/"), None, limit),
                ["a", "a-b", "[a/]", "a0", "z", "[é/]"]
            );
            assert_eq!(all(&KEYS, "a/", Some("/"), None, limit), ["a/1", "[a/2/]"]);
        }
    }

    #[test]
    fn listings_start_after_a_key() {
        assert_eq!(
            all(&KEYS, "", None, Some("a/1"), 10),
            ["a/2/x", "a0", "z", "é/1"]
        );
        // A key inside a common prefix does not hide the rest of that prefix.
        assert_eq!(
            all(&KEYS, "", Some("/"), Some("a/1"), 10),
            ["[a/]", "a0", "z", "[é/]"]
        );
        assert_eq!(all(&KEYS, "a/", None, Some("0"), 10), ["a/1", "a/2/x"]);
        assert_eq!(all(&KEYS, "b", None, None, 10), Vec::<String>::new());
    }
}
