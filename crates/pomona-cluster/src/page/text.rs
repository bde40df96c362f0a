//! Numbers as a person reads them.

/// A space that keeps a number and its unit on one line.
const UNIT_SPACE: char = '\u{a0}';

/// A count with commas between thousands: 12503 is "12,503".
pub(super) fn count(n: u64) -> String {
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

/// Bytes in units of 1000: "12.3 MB".
pub(super) fn bytes(n: u64) -> String {
    const UNITS: [&str; 6] = ["B", "kB", "MB", "GB", "TB", "PB"];
    let mut value = n as f64;
    let mut unit = 0;
    while value >= 999.5 && unit + 1 < UNITS.len() {
        value /= 1_000.0;
        unit += 1;
    }
    let name = UNITS.get(unit).copied().unwrap_or_default();
    if unit == 0 || value >= 99.95 {
        format!("{value:.0}{UNIT_SPACE}{name}")
    } else {
        format!("{value:.1}{UNIT_SPACE}{name}")
    }
}

/// Seconds as "0.4 s", "34 s", "2 min 05 s" or "1 h 02 min".
pub(super) fn seconds(secs: f64) -> String {
    if !secs.is_finite() || secs < 0.0 {
        return "–".to_owned();
    }
    if secs < 9.95 {
        return format!("{secs:.1}{UNIT_SPACE}s");
    }
    let whole = secs.round() as u64;
    match whole {
        0..60 => format!("{whole}{UNIT_SPACE}s"),
        60..3_600 => format!(
            "{}{UNIT_SPACE}min {:02}{UNIT_SPACE}s",
            whole / 60,
            whole % 60
        ),
        _ => format!(
            "{}{UNIT_SPACE}h {:02}{UNIT_SPACE}min",
            whole / 3_600,
            whole % 3_600 / 60
        ),
    }
}

/// A rate with as many digits as matter; a dash where there is none.
pub(super) fn rate(per_second: Option<f64>) -> String {
    match per_second {
        Some(rate) if rate.is_finite() && rate > 0.0 => {
            if rate < 99.95 {
                format!("{rate:.1}")
            } else {
                count(rate.round() as u64)
            }
        }
        _ => "–".to_owned(),
    }
}

/// Milliseconds since 1970 as "2026-11-21 17:04:05", UTC (days to dates after Howard Hinnant's `civil_from_days`).
pub(super) fn moment(ms: u64) -> String {
    let secs = ms / 1_000;
    let (days, of_day) = (secs / 86_400, secs % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on.
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 {
        (month + 3, 0)
    } else {
        (month - 9, 1)
    };
    let year = year_of_era + era * 400 + next;
    format!(
        "{year:04}-{month:02}-{day:02} {:02}:{:02}:{:02}",
        of_day / 3_600,
        of_day % 3_600 / 60,
        of_day % 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        assert_eq!(moment(0), "1970-01-01 00:00:00");
        assert_eq!(moment(951_827_696_000), "2000-02-29 12:34:56");
        assert_eq!(moment(1_795_280_645_999), "2026-11-21 17:04:05");
    }

    #[test]
    fn amounts() {
        assert_eq!(bytes(999), "999\u{a0}B");
        assert_eq!(bytes(1_234_567), "1.2\u{a0}MB");
        assert_eq!(seconds(125.0), "2\u{a0}min 05\u{a0}s");
        assert_eq!(seconds(7_322.0), "2\u{a0}h 02\u{a0}min");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(rate(Some(1_234.4)), "1,234");
    }
}
