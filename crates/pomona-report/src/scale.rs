//! From values to places on the page.

use crate::text::count;

/// One axis of a plot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    /// An axis from `from` to `to` on the page, wide enough for all `values` (finite ones) and a little more.
    pub(crate) fn over(values: impl Iterator<Item = f64>, from: f64, to: f64) -> Self {
        let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), v| {
            (l.min(v), h.max(v))
        });
        let (low, high) = if low > high { (0.0, 0.0) } else { (low, high) };
        // Values that differ only by rounding have no scale of their own, and a range below what can be divided
        // into steps has none at all.
        let differ = high - low > (low.abs().max(high.abs()) * 1e-12).max(1e-290);
        let margin = if differ {
            (high - low) * 0.04
        } else {
            low.abs().max(1.0) * 0.5
        };
        Self {
            low: low - margin,
            high: high + margin,
            from,
            to,
        }
    }

    /// An axis from `from` to `to` on the page that starts at 0 and ends a little beyond `most`.
    pub(crate) fn from_zero(most: f64, from: f64, to: f64) -> Self {
        Self {
            low: 0.0,
            high: if (1e-290..1e300).contains(&most) {
                most * 1.03
            } else {
                1.0
            },
            from,
            to,
        }
    }

    /// Where a value lies on the page.
    pub(crate) fn place(&self, value: f64) -> f64 {
        self.from + (value - self.low) / (self.high - self.low) * (self.to - self.from)
    }

    /// Round values along the axis, about six, with their places and texts.
    pub(crate) fn ticks(&self) -> Vec<(f64, String)> {
        let rough = (self.high - self.low) / 6.0;
        let power = 10f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0]
            .into_iter()
            .map(|m| m * power)
            .find(|s| *s >= rough)
            .unwrap_or(power * 10.0);
        let first = (self.low / step).ceil();
        let last = (self.high / step).floor();
        let plain = (1e-3..1e6).contains(&step) && self.low.abs().max(self.high.abs()) < 1e6;
        let digits = (-step.log10().floor()).clamp(0.0, 6.0) as usize;
        (0..=((last - first).clamp(0.0, 20.0) as i32))
            .map(|i| (first + f64::from(i)) * step)
            .map(|value| {
                let text = if plain {
                    format!("{value:.digits$}")
                } else {
                    format!("{value:.1e}")
                };
                let text = if text.trim_start_matches(['-', '0', '.']).is_empty() {
                    "0".to_owned()
                } else {
                    text
                };
                // The minus sign proper, as wide as a plus.
                let text = if plain { thousands(&text) } else { text };
                (self.place(value), text.replace('-', "−"))
            })
            .collect()
    }
}

/// A decimal number with commas between the thousands of its whole part.
fn thousands(text: &str) -> String {
    let (sign, rest) = text
        .strip_prefix('-')
        .map_or(("", text), |rest| ("-", rest));
    let (whole, fraction) = rest
        .find('.')
        .map_or((rest, ""), |point| rest.split_at(point));
    whole.parse().map_or_else(
        |_| text.to_owned(),
        |whole| format!("{sign}{}{fraction}", count(whole)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_order_and_stay_inside() {
        let axis = Axis::over([-3.0, 5.0, 1.0].into_iter(), 400.0, 20.0);
        assert!(axis.place(-3.0) < 400.0 && axis.place(5.0) > 20.0);
        assert!(axis.place(-3.0) > axis.place(1.0));
        let texts: Vec<String> = axis.ticks().into_iter().map(|t| t.1).collect();
        assert_eq!(texts, ["−2", "0", "2", "4"]);
    }

    #[test]
    fn an_axis_from_zero_holds_its_values() {
        let axis = Axis::from_zero(12_000.0, 250.0, 10.0);
        assert_eq!(axis.place(0.0), 250.0);
        assert!(axis.place(12_000.0) > 10.0);
        let texts: Vec<String> = axis.ticks().into_iter().map(|t| t.1).collect();
        assert_eq!(texts, ["0", "5,000", "10,000"]);
        for most in [0.0, f64::NAN, f64::INFINITY, f64::MAX, 5e-324, -1.0, 1e299] {
            let axis = Axis::from_zero(most, 250.0, 10.0);
            assert_eq!(axis.place(0.0), 250.0, "{most}");
            let ticks = axis.ticks();
            assert!(ticks.len() > 1, "{most}");
            assert!(
                ticks.iter().all(|(p, _)| (10.0..=250.0).contains(p)),
                "{most}: {ticks:?}"
            );
        }
    }

    #[test]
    fn thousands_are_set_apart() {
        assert_eq!(thousands("1234567"), "1,234,567");
        assert_eq!(thousands("-1000.50"), "-1,000.50");
        assert_eq!(thousands("12"), "12");
    }

    #[test]
    fn ticks_exist_for_any_range() {
        for values in [
            vec![],
            vec![0.0],
            vec![7.0, 7.0],
            vec![f64::from(f32::MIN), f64::from(f32::MAX)],
            vec![1e-30, 2e-30],
            vec![0.0, f64::from_bits(1)],
            vec![0.0, f64::MIN_POSITIVE],
            vec![1.0, 1.0 + f64::EPSILON],
            vec![1e300, 1e300 * (1.0 + f64::EPSILON)],
        ] {
            let axis = Axis::over(values.iter().copied(), 0.0, 100.0);
            let ticks = axis.ticks();
            assert!(!ticks.is_empty() && ticks.len() <= 21, "{values:?}");
            assert!(
                ticks
                    .iter()
                    .all(|(p, _)| (-1e-6..=100.0 + 1e-6).contains(p)),
                "{values:?}: {ticks:?}"
            );
        }
    }
}
