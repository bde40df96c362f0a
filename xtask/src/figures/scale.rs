//! A scheduler and 100 million images that do not exist.

use anyhow::{Result, ensure};

use super::{Figure, Measured};
use crate::cluster::Cluster;
use crate::place::Place;
use crate::process::{json, number, run};

const IMAGES: u64 = 100_000_000;
const IMAGES_A_SHARD: u64 = 1_000;
const MOST_BYTES: u64 = 2_000_000_000;
const MOST_SECONDS: f64 = 60.0;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let example = place.example("pomona-cluster", "many_images")?;
    let cluster = Cluster::start(place, "scale", 0, &[], 20)?;
    let arguments = [
        cluster.address.clone(),
        IMAGES.to_string(),
        IMAGES_A_SHARD.to_string(),
        cluster.scheduler().id().to_string(),
    ];
    let told = json(&run(&example, &arguments)?)?;
    let of = |key: &str| number(&told, key);
    let shards = (IMAGES / IMAGES_A_SHARD) as f64;
    ensure!(
        of("tasks")? >= shards,
        "fewer tasks than shards were handed out: {told}"
    );
    let peak_bytes = cluster.scheduler().peak_bytes();
    ensure!(peak_bytes > 0, "the scheduler's memory cannot be read");
    let planning = of("planning_seconds")?;
    Ok(Measured::Figures(vec![
        Figure::new(
            "most memory of the scheduler over 100 million images in shards of 1,000",
            "≤ 2 GB",
            format!("{:.0} MB", peak_bytes as f64 / 1e6),
            peak_bytes <= MOST_BYTES,
        ),
        Figure::new(
            "planning all their jobs, the transfer of the plans included",
            "≤ 60 s",
            format!(
                "{planning:.1} s in {} jobs, {:.2} s the longest, on {:.1} s of the scheduler's processor time; {:.1} GB of plans",
                of("jobs")?,
                of("longest_planning_seconds")?,
                of("planning_processor_seconds")?,
                of("plan_bytes")? / 1e9
            ),
            planning <= MOST_SECONDS,
        ),
        Figure::told(
            "all their tasks handed out to executors that do nothing",
            "-",
            format!(
                "{:.0} s, {:.0} tasks a second, on {:.0} s of the scheduler's processor time; listing {:.1} s and encoding {:.1} s on the client",
                of("seconds")?,
                of("tasks_per_second")?,
                cluster.scheduler().processor_seconds(),
                of("listing_seconds")?,
                of("encoding_seconds")?
            ),
        ),
    ]))
}
