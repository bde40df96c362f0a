//! What is done to a cluster and when, drawn from a seed.

use std::time::Duration;

/// One blow, to one of two executors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blow {
    /// SIGKILL; another executor comes in its place.
    Kill,
    /// SIGSTOP, and SIGCONT when it has long been given up.
    Freeze,
    /// Its network goes, and comes back when it has long been given up.
    CutOff,
    /// SIGTERM.
    Drain,
    /// Another executor comes.
    Join,
}

impl Blow {
    pub(super) const ALL: [Self; 5] = [
        Self::Kill,
        Self::Freeze,
        Self::CutOff,
        Self::Drain,
        Self::Join,
    ];

    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill",
            Self::Freeze => "freeze",
            Self::CutOff => "cut off",
            Self::Drain => "drain",
            Self::Join => "join",
        }
    }
}

/// A blow, when it falls, and on whom.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) blow: Blow,
    /// Of the time that an undisturbed run takes.
    pub(super) moment: f64,
    /// The executor, 0 or 1. Only the first can be cut off.
    pub(super) victim: usize,
    /// Until the other half of it: the executor that comes in its place, or its own return.
    pub(super) pause: Duration,
}

/// Numbers from a seed (SplitMix64, Steele, Lea and Flood 2014).
struct Draw(u64);

impl Draw {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// At least 0, less than 1.
    fn part(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, count: usize) -> usize {
        (self.part() * count as f64) as usize
    }
}

/// The events of a run, in their order. Every kind comes first in one run of five, so that all are drawn.
pub(super) fn drawn(seed: u64, timeout: Duration) -> Vec<Event> {
    let mut draw = Draw(seed);
    let mut events = Vec::new();
    let count = 1 + draw.below(2);
    for number in 0..count {
        let blow = if number == 0 {
            Blow::ALL[(seed % 5) as usize]
        } else {
            Blow::ALL[draw.below(5)]
        };
        let pause = match blow {
            Blow::Freeze | Blow::CutOff => timeout.mul_f64(1.2 + 0.6 * draw.part()),
            _ => Duration::from_secs_f64(0.2 + 1.3 * draw.part()),
        };
        events.push(Event {
            blow,
            moment: 0.05 + 0.75 * draw.part(),
            victim: draw.below(2),
            pause,
        });
    }
    events.sort_by(|one, other| one.moment.total_cmp(&other.moment));
    // Where one is cut off, what else happens happens to the other; one that leaves cannot be hit again.
    let is_cut = events.iter().any(|event| event.blow == Blow::CutOff);
    let first = events.first().map(|event| (event.blow, event.victim));
    for (number, event) in events.iter_mut().enumerate() {
        event.victim = match (event.blow, first) {
            (Blow::CutOff, _) => 0,
            _ if is_cut => 1,
            (_, Some((Blow::Drain, victim))) if number > 0 => 1 - victim,
            _ => event.victim,
        };
    }
    events
}
