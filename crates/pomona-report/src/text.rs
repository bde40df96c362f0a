//! Numbers and foreign text as a person reads them.

use std::fmt::Write as _;

/// A space that keeps a number and its unit on one line.
const UNIT_SPACE: char = '\u{a0}';

/// A count with commas between thousands: 12503 is "12,503".
pub(crate) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with the word for one or for several: "1 photo", "2 photos".
pub(crate) fn counted(n: u64, one: &str, several: &str) -> String {
    format!(
        "{}{UNIT_SPACE}{}",
        count(n),
        if n == 1 { one } else { several }
    )
}

/// A share in [0, 1] as a percentage. What is not all never reads as all, nor what is something as nothing.
pub(crate) fn percent(share: f64, digits: usize) -> String {
    let step = 10f64.powi(-(i32::try_from(digits).unwrap_or(0)));
    let value = share * 100.0;
    if share > 0.0 && value < step / 2.0 {
        return format!("<{UNIT_SPACE}{step:.digits$}{UNIT_SPACE}%");
    }
    if share < 1.0 && value >= 100.0 - step / 2.0 {
        return format!(">{UNIT_SPACE}{:.digits$}{UNIT_SPACE}%", 100.0 - step);
    }
    format!("{value:.digits$}{UNIT_SPACE}%")
}

/// `part` of `whole` in [0, 1]; 0 of nothing is 0.
pub(crate) fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        0.0
    } else {
        part as f64 / whole as f64
    }
}

/// Seconds as "0.12 s", "34.5 s", "2 min 05 s" or "1 h 02 min".
pub(crate) fn seconds(secs: f64) -> String {
    if secs > 0.0 && secs < 0.005 {
        return format!("<{UNIT_SPACE}0.01{UNIT_SPACE}s");
    }
    if secs < 9.995 {
        return format!("{secs:.2}{UNIT_SPACE}s");
    }
    if secs < 59.95 {
        return format!("{secs:.1}{UNIT_SPACE}s");
    }
    let whole = secs.round() as u64;
    if whole < 3_600 {
        format!(
            "{}{UNIT_SPACE}min {:02}{UNIT_SPACE}s",
            whole / 60,
            whole % 60
        )
    } else {
        let minutes = (secs / 60.0).round() as u64;
        format!(
            "{}{UNIT_SPACE}h {:02}{UNIT_SPACE}min",
            minutes / 60,
            minutes % 60
        )
    }
}

/// A rate with as many digits as matter; a dash where there is none.
pub(crate) fn rate(per_second: f64) -> String {
    if !per_second.is_finite() || per_second <= 0.0 {
        "–".to_owned()
    } else if per_second < 10.0 {
        format!("{per_second:.2}")
    } else if per_second < 99.95 {
        format!("{per_second:.1}")
    } else {
        count(per_second.round() as u64)
    }
}

/// A measured number with as many digits as matter; a dash where it is not finite.
pub(crate) fn measured(value: f64) -> String {
    let size = value.abs();
    let text = if !value.is_finite() {
        return "–".to_owned();
    } else if size >= 1e15 || (size > 0.0 && size < 1e-3) {
        let text = format!("{value:.3e}");
        text.split_once('e').map_or_else(
            || text.clone(),
            |(head, power)| format!("{head} × 10^{power}"),
        )
    } else if size >= 999.5 || size.fract() == 0.0 {
        let whole = count(size.round() as u64);
        if value < 0.0 {
            format!("-{whole}")
        } else {
            whole
        }
    } else if size >= 99.95 {
        format!("{value:.1}")
    } else if size >= 1.0 {
        format!("{value:.2}")
    } else {
        format!("{value:.4}")
    };
    // The minus sign proper, as wide as a plus.
    text.replace('-', "−").replace(' ', "\u{a0}")
}

/// Bytes in decimal units with as many digits as matter: "0 B", "999 B", "1.05 MB", "31.4 GB".
pub(crate) fn bytes(n: u64) -> String {
    if n < 1_000 {
        return format!("{n}{UNIT_SPACE}B");
    }
    let mut value = n as f64;
    let mut unit = "B";
    for larger in ["kB", "MB", "GB", "TB", "PB", "EB"] {
        // 999.5 would be rounded to a thousand.
        if value < 999.5 {
            break;
        }
        value /= 1_000.0;
        unit = larger;
    }
    let digits = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.digits$}{UNIT_SPACE}{unit}")
}

/// A URL as it may be shown, [`shortened`]: without user name, password, query and fragment, where keys and signatures
/// stand. What is no URL is shown as it is.
pub(crate) fn place(url: &str, max: usize) -> String {
    let Some((scheme, rest)) = url.split_once("://") else {
        return shortened(url, max);
    };
    let rest = rest.split(['?', '#']).next().unwrap_or("");
    let (authority, path) = rest
        .find('/')
        .map_or((rest, ""), |slash| rest.split_at(slash));
    let host = authority
        .rsplit_once('@')
        .map_or(authority, |(_, host)| host);
    shortened(&format!("{scheme}://{host}{path}"), max)
}

/// Foreign text as it may be shown: control characters and those that turn the reading direction around are
/// spelt out ("⟨U+202E⟩"), so that a name cannot pass for another one. Escaping is the template's work.
pub(crate) fn shown(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{61c}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
        {
            // Writing to a string cannot fail.
            let _ = write!(out, "⟨U+{:04X}⟩", c as u32);
        } else {
            out.push(c);
        }
    }
    out
}

/// [`shown`] text of at most `max` characters (at least 3): the middle of a longer one gives way to "…", because
/// the ends of a path tell the most.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    let text = shown(text);
    let length = text.chars().count();
    if length <= max {
        return text;
    }
    let head = (max - 1) / 2;
    let tail = max - 1 - head;
    let mut out: String = text.chars().take(head).collect();
    out.push('…');
    out.extend(text.chars().skip(length - tail));
    out
}

/// A time stamp of RFC 3339 as "2026-11-21 04:51 +01:00"; anything else as it is.
pub(crate) fn moment(rfc3339: &str) -> String {
    let text = rfc3339;
    let well_formed = text.is_ascii()
        && text.len() >= 20
        && text
            .bytes()
            .zip(b"dddd-dd-ddTdd:dd:dd".iter())
            .all(|(c, &p)| match p {
                b'd' => c.is_ascii_digit(),
                b'T' => matches!(c, b'T' | b't' | b' '),
                _ => c == p,
            });
    if !well_formed {
        return shown(text);
    }
    let rest = text[19..].trim_start_matches(|c: char| c == '.' || c.is_ascii_digit());
    let zone = if rest.eq_ignore_ascii_case("z") || rest == "+00:00" {
        "UTC"
    } else {
        rest
    };
    format!("{} {} {}", &text[..10], &text[11..16], shown(zone))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_read_well() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(counted(1, "photo", "photos"), "1\u{a0}photo");
        assert_eq!(percent(0.5, 1), "50.0\u{a0}%");
        assert_eq!(percent(0.99999, 1), ">\u{a0}99.9\u{a0}%");
        assert_eq!(percent(0.00001, 1), "<\u{a0}0.1\u{a0}%");
        assert_eq!(percent(1.0, 0), "100\u{a0}%");
        assert_eq!(percent(0.0, 0), "0\u{a0}%");
        assert_eq!(seconds(0.0), "0.00\u{a0}s");
        assert_eq!(seconds(59.96), "1\u{a0}min 00\u{a0}s");
        assert_eq!(seconds(3_599.6), "1\u{a0}h 00\u{a0}min");
        assert_eq!(rate(f64::NAN), "–");
        assert_eq!(rate(203.4), "203");
        assert_eq!(rate(99.97), "100");
        assert_eq!(measured(16_363_121_493.7), "16,363,121,494");
        assert_eq!(measured(123.456), "123.5");
        assert_eq!(measured(12.345), "12.35");
        assert_eq!(measured(0.01234), "0.0123");
        assert_eq!(measured(0.0), "0");
        assert_eq!(measured(-0.0), "0");
        assert_eq!(measured(12.0), "12");
        assert_eq!(measured(-1_234.0), "−1,234");
        assert_eq!(measured(1.5e-9), "1.500\u{a0}×\u{a0}10^−9");
        assert_eq!(measured(f64::MAX), "1.798\u{a0}×\u{a0}10^308");
        assert_eq!(measured(f64::INFINITY), "–");
    }

    #[test]
    fn bytes_read_well() {
        for (n, text) in [
            (0, "0\u{a0}B"),
            (999, "999\u{a0}B"),
            (1_000, "1.00\u{a0}kB"),
            (9_996, "10.0\u{a0}kB"),
            (999_499, "999\u{a0}kB"),
            (999_500, "1.00\u{a0}MB"),
            (31_400_000_000, "31.4\u{a0}GB"),
            (u64::MAX, "18.4\u{a0}EB"),
        ] {
            assert_eq!(bytes(n), text);
        }
    }

    #[test]
    fn urls_are_shown_without_what_is_secret() {
        for (url, text) in [
            ("s3://fruit/photos/", "s3://fruit/photos/"),
            ("https://me:pass@host:9000/a?sig=x#y", "https://host:9000/a"),
            ("https://a@b@host/x@y", "https://host/x@y"),
            ("https://host?sig=x", "https://host"),
            ("photos/why?.jpg", "photos/why?.jpg"),
            ("file:///a/b", "file:///a/b"),
            ("://", "://"),
        ] {
            assert_eq!(place(url, 99), text);
        }
    }

    #[test]
    fn foreign_text_cannot_turn_the_line_around() {
        assert_eq!(shown("a\u{202e}gpj.exe"), "a⟨U+202E⟩gpj.exe");
        assert_eq!(shown("line\nbreak"), "line⟨U+000A⟩break");
        assert_eq!(shown("תפוח"), "תפוח");
    }

    #[test]
    fn long_text_keeps_its_ends() {
        assert_eq!(shortened("abcdefghij", 5), "ab…ij");
        assert_eq!(shortened("abc", 5), "abc");
        assert_eq!(shortened("äöüäöü", 3), "ä…ü");
    }

    #[test]
    fn moments_read_well() {
        assert_eq!(moment("2026-11-21T04:51:25Z"), "2026-11-21 04:51 UTC");
        assert_eq!(
            moment("2026-11-21T04:51:25.123+01:00"),
            "2026-11-21 04:51 +01:00"
        );
        assert_eq!(moment("yesterday"), "yesterday");
        assert_eq!(moment("2026-11-21T04:51:25<b>"), "2026-11-21 04:51 <b>");
        assert_eq!(moment(""), "");
    }
}
