//! How many machines?

use serde::{Deserialize, Serialize};

use crate::book::{KnownCpu, Machine, PriceBook};
use crate::forecast::Photos;
use crate::offer::{BOOT_SECS, Offer, offer};
use crate::rehearsal::Rehearsal;
use crate::simulation::{Fleet, Shards, simulate};

/// Share of spot machines that is taken away in an hour, where nothing else is said.
pub const LOST_PER_HOUR: f64 = 0.05;
/// Seconds of silence after which an executor's work is given to others, as the scheduler has it by default.
const SILENCE_SECS: f64 = 20.0;
/// Share of simulated runs that must keep to the deadline: more than is promised, since shards differ by more than a
/// forecast knows.
const KEPT: f64 = 0.98;
const RUNS: u32 = 200;
const SEED: u64 = 20;
/// Shards differ: so many times the mean, in equal parts.
const SHARD_SPREAD: [f64; 9] = [0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1, 1.15, 1.3];
/// Machines are not recommended beyond so many.
const MOST_MACHINES: u32 = 2_000;
/// A worker has at least so many shards, so that the last ones do not keep all the others waiting.
const SHARDS_A_WORKER: f64 = 8.0;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Goal {
    /// To be done in so many seconds.
    Within(f64),
    /// To cost at most so many euros, as early as that allows.
    Budget(f64),
}

/// How many machines of a type a goal needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Size {
    /// What the run takes on them.
    pub offer: Offer,
    /// The time that 95 of 100 runs keep to, where machines are lost at the rate assumed; seconds.
    pub secs_95: f64,
    /// Machines lost in a run, on average.
    pub lost: f64,
}

/// The smallest number of `machine` that meets a deadline in nearly all simulated runs, or the largest that a budget
/// pays for; none where there is none.
///
/// The forecast is taken at its worse end for a deadline: rates are translated with an error.
#[must_use]
pub fn size(
    book: &PriceBook,
    here: Option<KnownCpu<'_>>,
    rehearsal: &Rehearsal,
    photos: Photos,
    machine: &Machine,
    goal: Goal,
    lost_per_hour: f64,
) -> Option<Size> {
    let of = |machines: u32| offer(book, here, rehearsal, photos, machine, machines);
    let first = of(1)?;
    if !first.fits_memory {
        return None;
    }
    let shards = shard_count(rehearsal, photos);
    let useful = (shards as f64 / f64::from(machine.vcpus) / SHARDS_A_WORKER * 4.0).ceil();
    let most = (useful as u32).clamp(1, MOST_MACHINES);
    let sized = |machines: u32| -> Option<Size> {
        let offer = of(machines)?;
        let slow = 1.0 + offer.translation.error;
        let mean = Offer::worker_secs(rehearsal, &offer.translation)
            * (photos.images as f64 / shards.max(1) as f64)
            * slow;
        let secs: Vec<f64> = SHARD_SPREAD.iter().map(|times| mean * times).collect();
        let fleet = Fleet {
            machines,
            workers: machine.vcpus,
            boot_secs: BOOT_SECS,
            lost_per_hour,
            silence_secs: SILENCE_SECS,
            alone_secs: alone_secs(rehearsal, photos, &offer) * slow,
        };
        let played = simulate(
            Shards {
                count: shards,
                secs: &secs,
            },
            fleet,
            RUNS,
            SEED,
        );
        Some(Size {
            secs_95: match goal {
                Goal::Within(_) => played.quantile(KEPT),
                Goal::Budget(_) => played.quantile(0.95),
            },
            lost: played.lost,
            offer,
        })
    };
    match goal {
        Goal::Within(secs) => smallest(most, |machines| {
            sized(machines).filter(|size| size.secs_95 <= secs)
        }),
        Goal::Budget(euros) => {
            // Each machine more is paid for while it starts, so the price rises with their number.
            let affordable = |machines: u32| {
                of(machines)
                    .is_some_and(|offer| offer.eur_spot.unwrap_or(offer.eur_on_demand) <= euros)
            };
            if !affordable(1) {
                return None;
            }
            let (mut low, mut high) = (1, most);
            while low < high {
                let middle = low + (high - low).div_ceil(2);
                if affordable(middle) {
                    low = middle;
                } else {
                    high = middle - 1;
                }
            }
            sized(low)
        }
    }
}

/// The smallest number up to `most` that `fits`, where every larger one fits too.
fn smallest(most: u32, fits: impl Fn(u32) -> Option<Size>) -> Option<Size> {
    let (mut low, mut high) = (1, 1);
    let mut best = loop {
        match fits(high) {
            Some(size) => break size,
            None if high >= most => return None,
            None => {
                low = high + 1;
                high = high.saturating_mul(2).min(most);
            }
        }
    };
    while low < high {
        let middle = low + (high - low) / 2;
        match fits(middle) {
            Some(size) => {
                best = size;
                high = middle;
            }
            None => low = middle + 1,
        }
    }
    Some(best)
}

/// Seconds of the run that further machines do not shorten.
fn alone_secs(rehearsal: &Rehearsal, photos: Photos, offer: &Offer) -> f64 {
    let after: f64 = rehearsal
        .after
        .iter()
        .map(|(_, line)| line.at(photos.images))
        .sum();
    (rehearsal.outside_secs + rehearsal.extract.fixed_secs + after) / offer.translation.general
}

fn shard_count(rehearsal: &Rehearsal, photos: Photos) -> u64 {
    photos
        .images
        .div_ceil(rehearsal.images_in_shard.max(1).into())
        .max(1)
}

/// Images in a shard for so many images and workers: each worker should get some shards, and a shard should take a
/// worker no longer than a minute, so that little is done again when it is lost.
#[must_use]
pub fn recommended_shard_images(images: u64, workers: u32, worker_secs: f64) -> u32 {
    const USUAL: f64 = 256.0;
    const LONGEST_SECS: f64 = 60.0;
    // With many images, larger shards are fewer files.
    const MOST_SHARDS: f64 = 100_000.0;
    let a_worker = images as f64 / f64::from(workers.max(1)) / SHARDS_A_WORKER;
    let longest = LONGEST_SECS / worker_secs.max(1e-6);
    let wanted = (images as f64 / MOST_SHARDS)
        .max(USUAL)
        .min(a_worker)
        .min(longest);
    // A power of two, so that nobody takes it for more exact than it is.
    let power = wanted.max(1.0).log2().floor().clamp(4.0, 16.0);
    1 << power as u32
}
