//! What of a settings file may be shown to people, and how.

use std::path::Path;

/// Most characters of a value that a message shows.
const SHOWN_CHARS: usize = 100;
/// What names a secret, in lower case without separators.
const SECRET_WORDS: [&str; 4] = ["secret", "password", "token", "accesskey"];

/// Whether a name is that of a secret.
pub(super) fn is_secret(name: &str) -> bool {
    let plain: String = name
        .chars()
        .filter(|c| c.is_alphanumeric())
        .flat_map(char::to_lowercase)
        .collect();
    SECRET_WORDS.iter().any(|word| plain.contains(word))
}

/// Whether a value holds a secret: an address with a password, or one that is signed.
pub(super) fn holds_secret(value: &str) -> bool {
    let Some((scheme, rest)) = value.split_once("://") else {
        return false;
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let query = rest.split_once('?').map_or("", |(_, query)| query);
    // In `abfss://container@account` nothing is secret.
    let signed_in = authority
        .rsplit_once('@')
        .is_some_and(|(user, _)| user.contains(':') || scheme.contains("http"));
    signed_in
        || query.split('&').any(|pair| {
            let name = pair.split('=').next().unwrap_or_default().to_lowercase();
            let signs = ["signature", "credential"];
            is_secret(&name) || name == "sig" || signs.iter().any(|word| name.contains(word))
        })
}

/// Without what would move a terminal's cursor.
pub(super) fn printable(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .collect()
}

pub(super) fn shown_value(source: &str) -> String {
    if holds_secret(source) {
        return "…".to_owned();
    }
    let mut shown: String = printable(source).chars().take(SHOWN_CHARS).collect();
    if source.chars().count() > SHOWN_CHARS {
        shown.push('…');
    }
    shown
}

pub(super) fn shown_path(path: &Path) -> String {
    printable(&path.to_string_lossy())
}
