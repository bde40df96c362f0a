//! What will a run take, and what will it cost?
//!
//! A [`Rehearsal`] is what was measured of a small run on this machine. From it follows a [`Forecast`] for a whole run
//! here, an [`Offer`] for each machine type of a [`PriceBook`], and a [`Size`]: how many machines meet a deadline or a
//! budget. Nothing here does I/O; all times are seconds, all sizes bytes, all prices euros unless a name says otherwise.

mod book;
mod error;
mod forecast;
mod offer;
mod rehearsal;
mod simulation;
mod size;

pub use book::{Cpu, KnownCpu, Machine, PriceBook, Storage};
pub use error::ForecastError;
pub use forecast::{Forecast, Limit, Photos, StageForecast};
pub use offer::{BOOT_SECS, Offer, Translation, offer, offers};
pub use rehearsal::{Line, MemoryLine, Rehearsal, Transfer};
pub use simulation::{Fleet, Shards, Simulated, simulate};
pub use size::{Goal, LOST_PER_HOUR, Size, recommended_shard_images, size};
