//! Which share of requests goes wrong, and how.

use std::str::FromStr;
use std::time::Duration;

use rand::RngExt as _;
use rand::rngs::StdRng;
use serde::Serialize;

use crate::Operation;

/// One way for a request to go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// 503 `SlowDown`; nothing was done.
    SlowDown,
    /// 429 `TooManyRequests`; nothing was done.
    TooManyRequests,
    /// 500 `InternalError`; nothing was done.
    InternalError,
    /// No answer for [`Faults::hang`], then the connection closes; nothing was done.
    Timeout,
    /// The connection is reset (TCP RST) before an answer; nothing was done.
    Reset,
    /// The request is carried out and the connection reset instead of the answer. Writes only.
    LostAnswer,
    /// The headers promise the whole body, about half of it comes, the connection closes. Reads and listings only.
    TruncatedBody,
    /// A complete answer whose body is about half the object and whose length says so. Reads of objects only.
    WrongLength,
    /// 400 `ExpiredToken`; nothing was done.
    ExpiredToken,
}

impl FaultKind {
    /// All kinds, in the order of their declaration.
    pub const ALL: [Self; 9] = [
        Self::SlowDown,
        Self::TooManyRequests,
        Self::InternalError,
        Self::Timeout,
        Self::Reset,
        Self::LostAnswer,
        Self::TruncatedBody,
        Self::WrongLength,
        Self::ExpiredToken,
    ];

    /// The name on the command line, such as `slow-down`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::SlowDown => "slow-down",
            Self::TooManyRequests => "too-many-requests",
            Self::InternalError => "internal-error",
            Self::Timeout => "timeout",
            Self::Reset => "reset",
            Self::LostAnswer => "lost-answer",
            Self::TruncatedBody => "truncated-body",
            Self::WrongLength => "wrong-length",
            Self::ExpiredToken => "expired-token",
        }
    }

    /// Whether requests of this operation can go wrong in this way.
    #[must_use]
    pub fn applies_to(self, operation: Operation) -> bool {
        match self {
            Self::LostAnswer => operation.is_write(),
            Self::TruncatedBody => {
                matches!(operation, Operation::GetObject | Operation::ListObjects)
            }
            Self::WrongLength => operation == Operation::GetObject,
            _ => true,
        }
    }
}

impl FromStr for FaultKind {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|kind| kind.name() == name)
            .ok_or_else(|| {
                let known: Vec<&str> = Self::ALL.iter().map(|kind| kind.name()).collect();
                format!(
                    "there is no fault \"{name}\"; known are {}",
                    known.join(", ")
                )
            })
    }
}

/// Probabilities of faults, in [0, 1], drawn once a request.
///
/// Where a drawn kind cannot apply to a request, another of the kinds switched on takes its place, so that the share of
/// requests that fail is the same for all operations that some kind applies to.
#[derive(Debug, Clone, PartialEq)]
pub struct Faults {
    probabilities: [f64; FaultKind::ALL.len()],
    hang: Duration,
}

impl Faults {
    /// No faults.
    #[must_use]
    pub fn none() -> Self {
        Self {
            probabilities: [0.0; FaultKind::ALL.len()],
            hang: Duration::from_secs(2),
        }
    }

    /// `share` of all requests, in equal parts of every kind.
    #[must_use]
    pub fn mix(share: f64) -> Self {
        Self::of(&FaultKind::ALL, share)
    }

    /// `share` of all requests, in equal parts of the kinds given.
    #[must_use]
    pub fn of(kinds: &[FaultKind], share: f64) -> Self {
        let part = share / kinds.len().max(1) as f64;
        kinds
            .iter()
            .fold(Self::none(), |faults, kind| faults.with(*kind, part))
    }

    /// Sets the probability of one kind.
    #[must_use]
    pub fn with(mut self, kind: FaultKind, probability: f64) -> Self {
        self.probabilities[kind as usize] = if probability.is_finite() {
            probability.clamp(0.0, 1.0)
        } else {
            0.0
        };
        self
    }

    /// How long [`FaultKind::Timeout`] keeps a request waiting before its connection closes. Two seconds at first.
    #[must_use]
    pub fn hang(mut self, time: Duration) -> Self {
        self.hang = time;
        self
    }

    pub(crate) fn hang_time(&self) -> Duration {
        self.hang
    }

    pub(crate) fn draw(&self, random: &mut StdRng, operation: Operation) -> Option<FaultKind> {
        let share: f64 = self.probabilities.iter().sum();
        if share <= 0.0 || random.random::<f64>() >= share {
            return None;
        }
        let applicable = || {
            FaultKind::ALL
                .into_iter()
                .filter(|kind| kind.applies_to(operation))
                .map(|kind| (kind, self.probabilities[kind as usize]))
                .filter(|(_, probability)| *probability > 0.0)
        };
        let mut left = random.random::<f64>()
            * applicable()
                .map(|(_, probability)| probability)
                .sum::<f64>();
        let mut drawn = None;
        for (kind, probability) in applicable() {
            drawn = Some(kind);
            left -= probability;
            if left < 0.0 {
                break;
            }
        }
        drawn
    }
}

impl Default for Faults {
    fn default() -> Self {
        Self::none()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::SeedableRng as _;

    use super::*;

    fn draws(faults: &Faults, operation: Operation) -> BTreeMap<FaultKind, usize> {
        let mut random = StdRng::seed_from_u64(1);
        let mut counts = BTreeMap::new();
        for kind in (0..10_000).filter_map(|_| faults.draw(&mut random, operation)) {
            *counts.entry(kind).or_insert(0) += 1;
        }
        counts
    }

    #[test]
    fn the_share_is_kept_for_every_operation() {
        for operation in [
            Operation::GetObject,
            Operation::PutObject,
            Operation::ListObjects,
            Operation::HeadObject,
        ] {
            let drawn = draws(&Faults::mix(0.1), operation);
            let sum: usize = drawn.values().sum();
            // Four standard deviations of a binomial of 10,000 draws at 0.1 are 120.
            assert!(
                (880..=1120).contains(&sum),
                "{operation:?}: {sum} of 10,000"
            );
            assert!(drawn.keys().all(|kind| kind.applies_to(operation)));
            let kinds = FaultKind::ALL
                .iter()
                .filter(|kind| kind.applies_to(operation))
                .count();
            assert_eq!(drawn.len(), kinds, "every kind that applies is drawn");
        }
    }

    #[test]
    fn kinds_are_switched_on_alone() {
        let faults = Faults::of(&[FaultKind::WrongLength], 1.0);
        assert_eq!(
            draws(&faults, Operation::GetObject),
            BTreeMap::from([(FaultKind::WrongLength, 10_000)])
        );
        assert!(draws(&faults, Operation::PutObject).is_empty());
    }

    #[test]
    fn names_are_read_back() {
        for kind in FaultKind::ALL {
            assert_eq!(kind.name().parse(), Ok(kind));
        }
        assert!(
            "slowdown"
                .parse::<FaultKind>()
                .unwrap_err()
                .contains("slow-down")
        );
    }
}
