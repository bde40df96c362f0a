//! Rows that were counted before are taken out of a summary again.

use crate::error::LearnError;
use crate::moments::Moments;
use crate::totals::Totals;

/// What is left of a column's sum of squares below this share of what it was is rounding, not spread: two ways to
/// sum the same rows agree to this.
const ROUNDING: f64 = 1e-12;

impl Moments {
    /// Takes out rows that were counted before: the inverse of [`merge`](Self::merge), by the same formula read
    /// backwards (Chan, Golub and LeVeque 1979). With n rows counted, m of them removed, k = n − m left and
    /// δ = mean removed − mean counted:
    ///
    /// ```text
    /// mean     ← mean − δ · m / k
    /// comatrix ← comatrix − comatrix removed − δδᵀ · n·m / k
    /// ```
    ///
    /// `other` may be summed in other batches than the rows were counted in. Removing all rows gives the summary of
    /// none. That the rows were counted cannot be told from sums: removing others gives numbers without meaning,
    /// though finite ones and no negative variance.
    ///
    /// **What it costs.** Removing cancels digits, which merging never does. The error left in a column's variance is
    /// about 1e-15 of the sum of squares *before*, so relative to what is left it grows by the ratio of the two:
    /// taking 1 % of ordinary rows away costs nothing that is seen; of a thousand rows, taking away the one that lay
    /// a million deviations out costs nine digits. The mean's error, in deviations, grows by n / k. Errors of several
    /// removals add up. What remains of a column's sum of squares below 1e-12 of what it was is taken for 0, so that
    /// a column that only the removed rows made vary is constant again; its mean is then 0 or the single-precision
    /// number nearby, if rounding alone parts it from that. Sum the rows afresh before a new fit where this is not
    /// good enough.
    ///
    /// **What stays of the removed rows.** None of the values of a removed row is kept: a summary starts out from the
    /// first row it counted, and starts out from the mean of the rest afterwards.
    ///
    /// # Errors
    /// [`LearnError::Shape`] for another number of columns, or when more rows would be removed than are counted;
    /// [`LearnError::Overflow`] when a variance comes out infinite. The summary is then as it was.
    pub fn subtract(&mut self, other: &Self) -> Result<(), LearnError> {
        if other.columns() != self.columns() {
            return Err(LearnError::Shape {
                operation: "removing rows",
                expected: format!("{} columns", self.columns()),
                got: format!("{} columns", other.columns()),
            });
        }
        if other.count() > self.count() {
            return Err(LearnError::Shape {
                operation: "removing rows",
                expected: format!("at most the {} rows counted", self.count()),
                got: format!("{} rows", other.count()),
            });
        }
        self.settle();
        self.totals_mut().subtract(&other.settled())
    }
}

impl Totals {
    /// Takes out the rows of another summary of the same number of columns and at most as many rows.
    fn subtract(&mut self, other: &Self) -> Result<(), LearnError> {
        if other.count == 0 {
            return Ok(());
        }
        if other.count == self.count {
            *self = Self::new(self.columns);
            return Ok(());
        }
        let columns = self.columns;
        let left = (self.count - other.count) as f64;
        let weight = other.count as f64 / left;
        let factor = (self.count as f64 * weight).sqrt();
        // δ, then δ · √(n·m / k), whose outer product is what the two means being apart added.
        let mut apart = other.difference_from(self);
        let means: Vec<f64> = self
            .shift
            .iter()
            .zip(&apart)
            .map(|(shift, apart)| shift - apart * weight)
            .collect();
        for apart in &mut apart {
            *apart *= factor;
        }
        // A row alone lies at its mean.
        let alone = self.count - other.count == 1;
        let before: Vec<f64> = self.diagonal().collect();
        let sums: Vec<f64> = before
            .iter()
            .zip(other.diagonal())
            .zip(&apart)
            .map(|((own, removed), apart)| {
                let rest = own - removed - apart * apart;
                // What is not finite stays to be seen.
                if rest.is_finite() && (alone || rest <= own * ROUNDING) {
                    0.0
                } else {
                    rest
                }
            })
            .collect();
        if sums.iter().chain(&means).any(|value| !value.is_finite()) {
            return Err(LearnError::Overflow);
        }

        let lengths: Vec<f64> = sums.iter().map(|sum| sum.sqrt()).collect();
        for column in 0..columns {
            let lower = column * columns + column..(column + 1) * columns;
            let cells = self.comatrix[lower.clone()].iter_mut();
            for (at, (cell, removed)) in cells.zip(&other.comatrix[lower]).enumerate() {
                let row = column + at;
                // No two columns go together more closely than each with itself: rounding does not carry it there.
                let most = lengths[row] * lengths[column];
                *cell = (*cell - removed - apart[row] * apart[column]).clamp(-most, most);
            }
            self.comatrix[column * columns + column] = sums[column];
        }
        for (column, mean) in means.into_iter().enumerate() {
            // The origin was a row, perhaps a removed one. The mean takes its place, with what rounding leaves of it.
            let origin = self.origin[column];
            let (mut near, mut rest) = sum_and_rounding(origin, mean);
            if sums[column] == 0.0 && before[column] > 0.0 {
                let noise = ROUNDING * before[column].sqrt() * (1.0 + weight);
                if let Some(constant) = single_within(near, noise) {
                    (near, rest) = (constant, 0.0);
                }
            }
            self.origin[column] = near;
            self.shift[column] = rest;
        }
        self.count -= other.count;
        Ok(())
    }
}

/// The sum of two numbers and what rounding took off it, exactly (Knuth's TwoSum).
fn sum_and_rounding(a: f64, b: f64) -> (f64, f64) {
    let sum = a + b;
    let of_b = sum - a;
    (sum, (a - (sum - of_b)) + (b - of_b))
}

/// Zero or the single-precision number within `noise` of a value.
fn single_within(value: f64, noise: f64) -> Option<f64> {
    if value.abs() <= noise {
        return Some(0.0);
    }
    let single = f64::from(value as f32);
    ((single - value).abs() <= noise).then_some(single)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_rounding_takes_off_is_kept() {
        let (sum, rest) = sum_and_rounding(1e16, 1.25);
        assert_eq!((sum, rest), (1e16 + 2.0, -0.75));
        assert_eq!(sum_and_rounding(0.1, 0.0), (0.1, 0.0));
    }

    #[test]
    fn constants_are_found_within_the_noise_alone() {
        let tenth = f64::from(0.1_f32);
        assert_eq!(single_within(tenth + 1e-14, 1e-12), Some(tenth));
        assert_eq!(single_within(-1e-17, 1e-12), Some(0.0));
        assert_eq!(single_within(0.1, 1e-12), None);
    }
}
