//! How long a run may take, and what it may cost.

use std::time::Instant;

use pomona_engine::{CostReading, Runner};

/// How long a run may take, and what it may cost. What is left then is for the same command, given again.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Bounds {
    /// Most seconds until no new shard is begun.
    pub secs: Option<f64>,
    /// Most euros.
    pub euros: Option<f64>,
    /// What an hour of this machine costs, in euros. On a cluster the scheduler's price counts.
    pub euros_per_hour: Option<f64>,
}

/// A bound that was reached.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Reached {
    /// So many minutes were allowed.
    Minutes(f64),
    /// So many euros were allowed.
    Euros(f64),
}

impl std::fmt::Display for Reached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Minutes(minutes) => write!(f, "--max-minutes {minutes}"),
            Self::Euros(euros) => write!(f, "--max-eur {euros}"),
        }
    }
}

impl Bounds {
    /// What was spent since `began`: what the scheduler says on a cluster, else this machine's price by the time.
    pub(crate) fn spent(&self, began: Instant, runner: &dyn Runner) -> Option<CostReading> {
        if runner.is_remote() {
            return runner.spent();
        }
        self.euros_per_hour.map(|price| CostReading {
            amount: price * began.elapsed().as_secs_f64() / 3600.0,
            currency: "EUR".to_owned(),
        })
    }

    /// The bound that was reached, if one was.
    pub(crate) fn reached(&self, began: Instant, runner: &dyn Runner) -> Option<Reached> {
        if let Some(secs) = self.secs
            && began.elapsed().as_secs_f64() >= secs
        {
            return Some(Reached::Minutes(secs / 60.0));
        }
        let euros = self.euros?;
        let spent = self.spent(began, runner)?;
        (spent.currency == "EUR" && spent.amount >= euros).then_some(Reached::Euros(euros))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use pomona_engine::Embedded;

    use super::*;

    #[test]
    fn time_and_money_are_bounds_of_their_own() {
        let runner = Embedded { workers: 1 };
        let began = Instant::now()
            .checked_sub(Duration::from_secs(90))
            .unwrap_or_else(Instant::now);
        let minute = Bounds {
            secs: Some(60.0),
            ..Bounds::default()
        };
        assert_eq!(minute.reached(began, &runner), Some(Reached::Minutes(1.0)));
        assert_eq!(minute.reached(Instant::now(), &runner), None);
        // 90 seconds at 40 euros an hour are one euro.
        let euros = |euros| Bounds {
            euros: Some(euros),
            euros_per_hour: Some(40.0),
            ..Bounds::default()
        };
        assert_eq!(
            euros(0.9).reached(began, &runner),
            Some(Reached::Euros(0.9))
        );
        assert_eq!(euros(1.1).reached(began, &runner), None);
        let spent = euros(1.0).spent(began, &runner).unwrap();
        assert!((spent.amount - 1.0).abs() < 0.05, "{spent:?}");
        assert_eq!(Bounds::default().reached(began, &runner), None);
        assert_eq!(Bounds::default().spent(began, &runner), None);
    }
}
