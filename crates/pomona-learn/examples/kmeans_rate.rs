//! How long a codebook takes to learn from a file of descriptors.
//!
//! `cargo run -p pomona-learn --example kmeans_rate -- FILE [WORDS] [SEED] [THREADS] [MAX_PASSES] [DISTANCE]
//! [SAMPLE_ROWS] [BATCH_ROWS]`, with 0 for the last two's defaults. FILE holds n×32 bytes and nothing else. Prints
//! one line of JSON: seconds (seeding and all passes, the least of three), inertia (of the final centres over
//! all rows), and how it went. `tools/figures/sklearn_kmeans.py` does the same with scikit-learn.
#![expect(
    clippy::print_stdout,
    reason = "the program's result is one line on standard output"
)]

use std::time::Instant;

use pomona_learn::kmeans::{DESCRIPTOR_BYTES, KMeansSettings, fit, row_key};

/// The least of so many times is reported: what other programs take from the machine is not counted.
const REPEATS: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let file = arguments.first().ok_or("which file?")?;
    let number = |at: usize, default: u64| match arguments.get(at) {
        Some(argument) => argument.parse(),
        None => Ok(default),
    };
    let given = |value: u64| (value > 0).then_some(value);
    let threads = number(3, 2)? as usize;
    let settings = KMeansSettings {
        words: number(1, 1_000)? as usize,
        seed: number(2, 0)?,
        max_passes: number(4, 300)? as u32,
        distance: arguments
            .get(5)
            .map_or(Ok(Default::default()), |name| name.parse())?,
        sample_rows: given(number(6, 0)?).map(|rows| rows as usize),
        batch_rows: given(number(7, 0)?),
        ..KMeansSettings::default()
    };
    let descriptors = std::fs::read(file)?;
    let rows = descriptors.len() / DESCRIPTOR_BYTES;
    let keys: Vec<u64> = (0..rows)
        .map(|row| row_key("descriptors", row as u32))
        .collect();

    let mut seconds = f64::INFINITY;
    let mut clustering = None;
    for _ in 0..REPEATS {
        let start = Instant::now();
        clustering = Some(fit(&descriptors, &keys, &settings, threads)?);
        seconds = seconds.min(start.elapsed().as_secs_f64());
    }
    let clustering = clustering.ok_or("nothing was fitted")?;
    let json = serde_json::json!({
        "rows": rows,
        "threads": threads,
        "repeats": REPEATS,
        "settings": settings,
        "words": clustering.codebook.words(),
        "passes": clustering.passes.len(),
        "stop": clustering.stop,
        "seconds": seconds,
        "inertia": clustering.inertia,
    });
    println!("{json}");
    Ok(())
}
