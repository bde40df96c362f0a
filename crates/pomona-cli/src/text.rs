//! Numbers and tables for people.

/// Text from elsewhere, without what would steer a terminal.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// Rows of cells, in columns; the first `left` of them to the left, others to the right.
pub(crate) fn table(left: usize, rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            rows.iter()
                .filter_map(|row| row.get(column))
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            if column > 0 {
                line.push_str("  ");
            }
            let space = " ".repeat(width.saturating_sub(cell.chars().count()));
            if column < left {
                line.push_str(cell);
                line.push_str(&space);
            } else {
                line.push_str(&space);
                line.push_str(cell);
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Seconds as "34 s", "2 min 05 s" or "1 h 02 min".
pub(crate) fn seconds(secs: f64) -> String {
    if !secs.is_finite() || secs < 0.0 {
        return "–".to_owned();
    }
    let whole = secs.round() as u64;
    match whole {
        _ if secs < 9.95 => format!("{secs:.1} s"),
        0..60 => format!("{whole} s"),
        60..3_600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3_600, whole % 3_600 / 60),
    }
}

/// Bytes as "812 B", "12.1 kB", "62.3 MB", in powers of a thousand.
pub(crate) fn bytes(count: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if count < 1_000 {
        return format!("{count} B");
    }
    let mut number = count as f64;
    let mut name = "B";
    for unit in UNITS {
        if number < 999.95 {
            break;
        }
        number /= 1_000.0;
        name = unit;
    }
    format!("{number:.1} {name}")
}

/// A whole number with commas between thousands.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many of what `one` is one of, in English that adds an s.
pub(crate) fn counted(number: u64, one: &str) -> String {
    let more = if number == 1 { "" } else { "s" };
    format!("{} {one}{more}", grouped(number))
}

/// Money: cents matter once there are some.
pub(crate) fn euros(amount: f64) -> String {
    let digits = if amount < 1.0 { 4 } else { 2 };
    format!("{amount:.digits$} €")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_short() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(999), "999 B");
        assert_eq!(bytes(1_000), "1.0 kB");
        assert_eq!(bytes(999_949), "999.9 kB");
        assert_eq!(bytes(999_950), "1.0 MB");
        assert_eq!(bytes(62_300_000), "62.3 MB");
        assert_eq!(bytes(u64::MAX), "18446.7 PB");
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(999), "999");
        assert_eq!(grouped(1_000), "1,000");
        assert_eq!(grouped(12_503_001), "12,503,001");
        assert_eq!(counted(0, "photo"), "0 photos");
        assert_eq!(counted(1, "photo"), "1 photo");
        assert_eq!(counted(1_142, "photo"), "1,142 photos");
        assert_eq!(euros(0.0123), "0.0123 €");
        assert_eq!(euros(12.345), "12.35 €");
    }
}
