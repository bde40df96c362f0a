//! Runs on machines that come, go and differ, played through with dice.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

/// More shards than this are played in bundles.
const MOST_PIECES: u64 = 20_000;
/// Machines of one type differ in speed by so much (standard deviation of the logarithm): neighbours, clocks.
const SPREAD: f64 = 0.08;

/// The work.
#[derive(Debug, Clone, Copy)]
pub struct Shards<'a> {
    /// How many shards.
    pub count: u64,
    /// Seconds that one worker took for a shard, as recorded; each shard takes one of them at random.
    pub secs: &'a [f64],
}

/// The machines.
#[derive(Debug, Clone, Copy)]
pub struct Fleet {
    /// Machines wanted at any time.
    pub machines: u32,
    /// Workers of each.
    pub workers: u32,
    /// Seconds from asking for a machine until it works; each takes between 0.7 and 1.6 times as long.
    pub boot_secs: f64,
    /// Machines taken away an hour, as a share of those there are.
    pub lost_per_hour: f64,
    /// Seconds until it is noticed that one is gone, and its shards are given to others.
    pub silence_secs: f64,
    /// Seconds before the first shard and after the last that no machine shortens.
    pub alone_secs: f64,
}

/// What came of each run.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// Seconds to the end, sorted.
    pub secs: Vec<f64>,
    /// Hours of machines that are paid for, on average.
    pub machine_hours: f64,
    /// Machines lost, on average.
    pub lost: f64,
}

impl Simulated {
    /// The share of runs that took no longer.
    #[must_use]
    pub fn within(&self, secs: f64) -> f64 {
        self.secs.partition_point(|&took| took <= secs) as f64 / self.secs.len().max(1) as f64
    }

    /// The time that the share of runs, between 0 and 1, kept to.
    #[must_use]
    pub fn quantile(&self, share: f64) -> f64 {
        let last = self.secs.len().saturating_sub(1);
        let place = (share.clamp(0.0, 1.0) * last as f64).ceil() as usize;
        self.secs.get(place).copied().unwrap_or(f64::INFINITY)
    }
}

/// Plays `runs` runs. The same seed gives the same.
#[must_use]
pub fn simulate(shards: Shards<'_>, fleet: Fleet, runs: u32, seed: u64) -> Simulated {
    let mut secs = Vec::with_capacity(runs as usize);
    let (mut hours, mut lost) = (0.0, 0.0);
    for run in 0..runs {
        let dice = StdRng::seed_from_u64(seed.wrapping_mul(1_000_003).wrapping_add(run.into()));
        let played = Play::new(shards, fleet, dice).play();
        secs.push(played.secs);
        hours += played.machine_secs / 3600.0;
        lost += f64::from(played.lost);
    }
    secs.sort_by(f64::total_cmp);
    Simulated {
        secs,
        machine_hours: hours / f64::from(runs.max(1)),
        lost: lost / f64::from(runs.max(1)),
    }
}

struct Played {
    secs: f64,
    machine_secs: f64,
    lost: u32,
}

/// A machine from its start to its loss.
struct Life {
    asked_for: f64,
    ends: f64,
    slowness: f64,
    /// Whether its loss was noticed, and another machine asked for.
    is_replaced: bool,
}

/// Something that happens at a time.
struct Event {
    at: f64,
    what: What,
}

enum What {
    /// A worker of a life looks for work.
    Free { life: usize },
    /// Shards of a machine that is gone are given to others.
    Returned { pieces: u64 },
}

impl PartialEq for Event {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Event {}

impl PartialOrd for Event {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Event {
    /// The earliest first.
    fn cmp(&self, other: &Self) -> Ordering {
        other.at.total_cmp(&self.at)
    }
}

struct Play<'a> {
    shards: Shards<'a>,
    fleet: Fleet,
    dice: StdRng,
    /// Shards that are worked on together.
    bundle: f64,
    waiting: u64,
    undone: u64,
    lives: Vec<Life>,
    events: BinaryHeap<Event>,
    /// Workers that found nothing to do, by their life.
    idle: Vec<usize>,
    lost: u32,
    ended: f64,
}

impl<'a> Play<'a> {
    fn new(shards: Shards<'a>, fleet: Fleet, dice: StdRng) -> Self {
        let pieces = shards.count.clamp(1, MOST_PIECES);
        let mut play = Self {
            bundle: shards.count as f64 / pieces as f64,
            waiting: pieces,
            undone: pieces,
            shards,
            fleet,
            dice,
            lives: Vec::new(),
            events: BinaryHeap::new(),
            idle: Vec::new(),
            lost: 0,
            ended: 0.0,
        };
        for _ in 0..fleet.machines.max(1) {
            play.start(0.0);
        }
        play
    }

    /// Asks for a machine.
    fn start(&mut self, at: f64) {
        let boots = self.fleet.boot_secs * self.dice.random_range(0.7..1.6);
        let lives = if self.fleet.lost_per_hour > 0.0 {
            // Exponential: as likely to go in any minute as in any other.
            -(1.0 - self.dice.random::<f64>()).ln() * 3600.0 / self.fleet.lost_per_hour
        } else {
            f64::INFINITY
        };
        let slowness = (SPREAD * self.normal()).exp();
        let life = self.lives.len();
        self.lives.push(Life {
            asked_for: at,
            ends: at + boots + lives,
            slowness,
            is_replaced: false,
        });
        for _ in 0..self.fleet.workers.max(1) {
            self.events.push(Event {
                at: at + boots,
                what: What::Free { life },
            });
        }
    }

    /// A number of the standard normal distribution (Box and Muller).
    fn normal(&mut self) -> f64 {
        let (one, two): (f64, f64) = (self.dice.random(), self.dice.random());
        (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * two).cos()
    }

    fn piece_secs(&mut self) -> f64 {
        if self.shards.secs.is_empty() {
            return 0.0;
        }
        // A bundle's time varies less than a shard's.
        let draws = (self.bundle.round() as usize).clamp(1, 8);
        let sum: f64 = (0..draws)
            .map(|_| {
                let place = self.dice.random_range(0..self.shards.secs.len());
                self.shards.secs.get(place).copied().unwrap_or_default()
            })
            .sum();
        sum / draws as f64 * self.bundle
    }

    fn play(mut self) -> Played {
        while self.undone > 0
            && let Some(event) = self.events.pop()
        {
            match event.what {
                What::Free { life } => self.look_for_work(life, event.at),
                What::Returned { pieces } => {
                    self.waiting += pieces;
                    for life in std::mem::take(&mut self.idle) {
                        self.events.push(Event {
                            at: event.at,
                            what: What::Free { life },
                        });
                    }
                }
            }
        }
        let end = self.ended;
        Played {
            secs: end + self.fleet.alone_secs,
            machine_secs: self
                .lives
                .iter()
                .map(|life| (life.ends.min(end + self.fleet.alone_secs) - life.asked_for).max(0.0))
                .sum(),
            lost: self.lost,
        }
    }

    fn look_for_work(&mut self, life: usize, at: f64) {
        let Some(&Life { ends, slowness, .. }) = self.lives.get(life) else {
            return;
        };
        if at >= ends {
            self.gone(life);
            return;
        }
        if self.waiting == 0 {
            self.idle.push(life);
            return;
        }
        self.waiting -= 1;
        let done = at + self.piece_secs() * slowness;
        if done <= ends {
            self.undone -= 1;
            self.ended = self.ended.max(done);
            self.events.push(Event {
                at: done,
                what: What::Free { life },
            });
        } else {
            self.events.push(Event {
                at: ends + self.fleet.silence_secs,
                what: What::Returned { pieces: 1 },
            });
            self.gone(life);
        }
    }

    /// A machine was taken away: the first of its workers to notice has another one started.
    fn gone(&mut self, life: usize) {
        let Some(gone) = self.lives.get_mut(life) else {
            return;
        };
        // Once, however many workers it had.
        if gone.is_replaced {
            return;
        }
        gone.is_replaced = true;
        let ends = gone.ends;
        self.lost += 1;
        self.start(ends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fleet(machines: u32, lost_per_hour: f64) -> Fleet {
        Fleet {
            machines,
            workers: 4,
            boot_secs: 90.0,
            lost_per_hour,
            silence_secs: 20.0,
            alone_secs: 5.0,
        }
    }

    #[test]
    fn without_losses_the_work_is_divided_by_the_workers() {
        let shards = Shards {
            count: 4_000,
            secs: &[2.0],
        };
        let played = simulate(shards, fleet(10, 0.0), 50, 1);
        // 8,000 seconds of work on 40 workers, a start of about 90 and 5 seconds alone.
        let median = played.quantile(0.5);
        assert!((280.0..320.0).contains(&median), "{median}");
        assert_eq!(played.lost, 0.0);
        assert!((played.machine_hours - 10.0 * median / 3600.0).abs() < 0.05);
    }

    #[test]
    fn losses_cost_time_and_all_work_is_done_all_the_same() {
        let shards = Shards {
            count: 20_000,
            secs: &[1.0, 2.0, 6.0],
        };
        let calm = simulate(shards, fleet(10, 0.0), 40, 7);
        let rough = simulate(shards, fleet(10, 2.0), 40, 7);
        assert!(rough.lost > 3.0, "{}", rough.lost);
        assert!(rough.quantile(0.5) > calm.quantile(0.5) * 1.02);
        assert!(rough.secs.iter().all(|secs| secs.is_finite()));
        // The expected work alone takes so long on all workers at once.
        assert!(rough.secs[0] > 20_000.0 * 3.0 / 40.0 * 0.8);
    }

    #[test]
    fn machines_that_die_all_the_time_still_end_where_a_shard_fits_into_their_lives() {
        let shards = Shards {
            count: 50,
            secs: &[30.0],
        };
        let played = simulate(shards, fleet(2, 20.0), 20, 3);
        assert!(
            played
                .secs
                .iter()
                .all(|secs| secs.is_finite() && *secs > 100.0)
        );
    }

    #[test]
    fn the_same_seed_gives_the_same() {
        let shards = Shards {
            count: 300,
            secs: &[1.0, 3.0],
        };
        let play = |seed| simulate(shards, fleet(3, 0.5), 20, seed);
        assert_eq!(play(5), play(5));
        assert_ne!(play(5), play(6));
    }

    #[test]
    fn millions_of_shards_are_played_in_bundles() {
        let shards = Shards {
            count: 2_000_000,
            secs: &[1.0, 2.0],
        };
        let played = simulate(shards, fleet(500, 0.05), 3, 3);
        let median = played.quantile(0.5);
        assert!((1_500.0..1_900.0).contains(&median), "{median}");
    }

    #[test]
    fn quantiles_and_shares_agree() {
        let played = Simulated {
            secs: vec![1.0, 2.0, 3.0, 4.0, 5.0],
            machine_hours: 0.0,
            lost: 0.0,
        };
        assert_eq!(played.quantile(0.0), 1.0);
        assert_eq!(played.quantile(1.0), 5.0);
        assert_eq!(played.quantile(0.5), 3.0);
        assert_eq!(played.within(3.0), 0.6);
        assert_eq!(played.within(0.5), 0.0);
    }
}
