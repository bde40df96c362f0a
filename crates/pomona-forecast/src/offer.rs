//! The same run on machines that can be rented.

use serde::{Deserialize, Serialize};

use crate::book::{Cpu, KnownCpu, Machine, PriceBook};
use crate::forecast::{Limit, Photos, StageForecast, limit};
use crate::rehearsal::Rehearsal;

/// Seconds from asking for a machine until it works, as they are counted: the providers say "a minute or two".
pub const BOOT_SECS: f64 = 90.0;
/// The least time that is paid for, seconds.
const LEAST_PAID_SECS: f64 = 60.0;
/// Objects that a shard becomes: features, thumbnails, ledger and components.
const WRITES_A_SHARD: f64 = 4.0;
/// Share of a machine's memory that a run may take.
const USABLE_MEMORY: f64 = 0.9;

/// How a rate here becomes a rate there.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Translation {
    /// Speed of a virtual processor there in the network ÷ that of one here.
    pub matrix: f64,
    /// The same for decoding, preparing and everything else.
    pub general: f64,
    /// The time may be by this share less or more. These are judgements, not measurements: the further the processors
    /// are from each other, the larger.
    pub error: f64,
}

impl Translation {
    /// From `here`, where it is known, to `there`.
    #[must_use]
    pub fn between(here: Option<KnownCpu<'_>>, there: KnownCpu<'_>) -> Self {
        let Some(here) = here else {
            return Self {
                matrix: 1.0,
                general: 1.0,
                error: 0.6,
            };
        };
        let error = if here.name == there.name {
            0.15
        } else if here.cpu.isa == there.cpu.isa {
            0.3
        } else {
            0.4
        };
        Self {
            matrix: there.cpu.matrix_gflops / here.cpu.matrix_gflops,
            general: there.cpu.general / here.cpu.general,
            error,
        }
    }
}

/// What a run takes on some machines of one type.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Offer {
    /// The type's name.
    pub name: String,
    /// Who rents it out.
    pub provider: String,
    /// Where it stands.
    pub region: String,
    /// How many of them.
    pub machines: u32,
    /// Virtual processors of each.
    pub vcpus: u32,
    /// Seconds until the run is done, the start of the machines included.
    pub total_secs: f64,
    /// At least so many.
    pub low_secs: f64,
    /// At most so many.
    pub high_secs: f64,
    /// Images a second, all machines together.
    pub images_per_second: f64,
    /// Euros for the machines and for requests to storage.
    pub eur_on_demand: f64,
    /// The same for machines that may be taken away, where there is a price.
    pub eur_spot: Option<f64>,
    /// Most memory of one machine, bytes.
    pub peak_memory_bytes: u64,
    /// Whether that fits.
    pub fits_memory: bool,
    /// Energy, kilowatt-hours, where a factor is known.
    pub kwh: Option<f64>,
    /// Grams of CO₂ equivalent, where a factor is known.
    pub co2_grams: Option<f64>,
    /// What holds it up most.
    pub limit: Limit,
    /// How rates were translated.
    pub translation: Translation,
}

impl Offer {
    /// Seconds of the extraction alone for one worker of the machine and one image.
    #[must_use]
    pub fn worker_secs(rehearsal: &Rehearsal, translation: &Translation) -> f64 {
        let share = rehearsal.network_share.clamp(0.0, 1.0);
        rehearsal.worker_secs() * (share / translation.matrix + (1.0 - share) / translation.general)
    }
}

/// What a run over `photos` takes on each machine type of the book that is `wanted`, in its order.
#[must_use]
pub fn offers(
    book: &PriceBook,
    here: Option<KnownCpu<'_>>,
    rehearsal: &Rehearsal,
    photos: Photos,
    machines: u32,
    wanted: &dyn Fn(&Machine) -> bool,
) -> Vec<Offer> {
    book.machine
        .iter()
        .filter(|machine| wanted(machine))
        .filter_map(|machine| offer(book, here, rehearsal, photos, machine, machines))
        .collect()
}

/// What a run takes on so many machines of one type; none where the book does not know the type's processor.
#[must_use]
pub fn offer(
    book: &PriceBook,
    here: Option<KnownCpu<'_>>,
    rehearsal: &Rehearsal,
    photos: Photos,
    machine: &Machine,
    machines: u32,
) -> Option<Offer> {
    let (name, cpu) = book.cpu.get_key_value(&machine.cpu)?;
    let translation = Translation::between(here, KnownCpu { name, cpu });
    let machines = machines.max(1);
    let worker_secs = Offer::worker_secs(rehearsal, &translation);
    let images = photos.images as f64;
    let workers = f64::from(machine.vcpus) * f64::from(machines);
    // The last shard is worked on by one worker, half of it alone on average; there are no more workers than shards.
    let shard_secs = worker_secs * f64::from(rehearsal.images_in_shard.max(1)).min(images);
    let worked =
        images * worker_secs / workers + shard_secs / 2.0 * f64::from(u8::from(machines > 1));
    let worked = worked.max(shard_secs.min(images * worker_secs / f64::from(machine.vcpus)));
    let fetched = machine.network_gbit.map_or(0.0, |gbit| {
        photos.bytes as f64 / (gbit * 1e9 / 8.0 * f64::from(machines))
    });
    let mut stages = vec![StageForecast {
        name: "extract".to_owned(),
        secs: rehearsal.extract.fixed_secs / translation.general + worked.max(fetched),
    }];
    stages.extend(rehearsal.after.iter().map(|(name, line)| StageForecast {
        name: name.clone(),
        secs: line.at(photos.images) / translation.general,
    }));
    let run_secs = rehearsal.outside_secs / translation.general
        + stages.iter().map(|stage| stage.secs).sum::<f64>();
    let paid_hours = (BOOT_SECS + run_secs).max(LEAST_PAID_SECS) / 3600.0 * f64::from(machines);
    let shards = images / f64::from(rehearsal.images_in_shard.max(1));
    let requests = requests_price(book, machine, photos, shards);
    let eur = |price: f64| book.euros(price * paid_hours + requests);
    let kwh = power(cpu, machine).map(|watts| {
        let pue = book.pue.get(&machine.provider).copied().unwrap_or(1.0);
        watts * paid_hours / 1000.0 * pue
    });
    let more_workers = i64::from(machine.vcpus) - i64::from(rehearsal.workers);
    // Features and components are brought together by whoever asked for the run; executors hold what they work on.
    let rows = if machines > 1 {
        rehearsal.images
    } else {
        photos.images
    };
    let peak_memory_bytes = rehearsal.memory.at(rows, more_workers);
    Some(Offer {
        name: machine.name.clone(),
        provider: machine.provider.clone(),
        region: machine.region.clone(),
        machines,
        vcpus: machine.vcpus,
        total_secs: BOOT_SECS + run_secs,
        low_secs: BOOT_SECS + run_secs * (1.0 - translation.error),
        high_secs: BOOT_SECS + run_secs * (1.0 + translation.error),
        images_per_second: images / worked.max(fetched).max(1e-9),
        eur_on_demand: eur(machine.on_demand),
        eur_spot: machine.spot.map(eur),
        peak_memory_bytes,
        fits_memory: peak_memory_bytes as f64
            <= machine.memory_gib * f64::from(1 << 30) * USABLE_MEMORY,
        kwh,
        co2_grams: kwh
            .zip(book.grid.get(&machine.region))
            .map(|(kwh, grams)| kwh * grams),
        limit: limit(&stages, fetched > worked, rehearsal.network_share),
        translation,
    })
}

/// Watts of a machine at full load.
fn power(cpu: &Cpu, machine: &Machine) -> Option<f64> {
    cpu.watts_full.map(|watts| watts * f64::from(machine.vcpus))
}

/// What reading photos and writing shards cost in requests, in the book's currency.
fn requests_price(book: &PriceBook, machine: &Machine, photos: Photos, shards: f64) -> f64 {
    let Some(storage) = book.storage_in(&machine.provider, &machine.region) else {
        return 0.0;
    };
    let reads = photos.requests as f64 * storage.per_1000_reads.unwrap_or(0.0);
    let writes = shards * WRITES_A_SHARD * storage.per_1000_writes.unwrap_or(0.0);
    (reads + writes) / 1000.0
}
