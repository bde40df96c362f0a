//! From values to places on the page.

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
        let margin = if high > low {
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
                (self.place(value), text.replace('-', "−"))
            })
            .collect()
    }
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
    fn ticks_exist_for_any_range() {
        for values in [
            vec![],
            vec![0.0],
            vec![7.0, 7.0],
            vec![f64::from(f32::MIN), f64::from(f32::MAX)],
            vec![1e-30, 2e-30],
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
