//! How long a fit takes, on seeded features that look like a network's: correlated, and none below 0.
//!
//! `cargo run -p pomona-learn --example fit_rate -- [ROWS] [COLUMNS] [COMPONENTS] [BATCH_ROWS]`
//! prints one line of JSON: seconds_moments (rows summed in batches), seconds_pca (scaler, covariance,
//! eigendecomposition, components), seconds_transform, each the least of
//! three, and what was fitted.
#![expect(
    clippy::print_stdout,
    reason = "the program's result is one line on standard output"
)]

use std::time::Instant;

use pomona_learn::{Components, FitSettings, Moments, Reducer};

/// Hidden causes that the columns share.
const CAUSES: usize = 64;
/// The least of so many times is reported: what other programs take from the machine is not counted.
const REPEATS: usize = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<usize> = std::env::args()
        .skip(1)
        .map(|argument| argument.parse())
        .collect::<Result<_, _>>()?;
    let argument = |at: usize, default| arguments.get(at).copied().unwrap_or(default);
    let (rows, columns) = (argument(0, 20_000), argument(1, 1_280));
    let (components, batch_rows) = (argument(2, 100), argument(3, 256));
    let features = features(rows, columns);

    let settings = FitSettings {
        components: Components::Count(components),
        scale: true,
    };

    let mut least = [f64::INFINITY; 3];
    let mut explained = 0.0;
    for _ in 0..REPEATS {
        let start = Instant::now();
        let mut moments = Moments::new(columns);
        for batch in features.chunks(batch_rows * columns) {
            moments.update(batch)?;
        }
        moments.settle();
        keep_least(&mut least[0], start);

        let start = Instant::now();
        let reducer = Reducer::fit(&moments, &settings)?.reducer;
        keep_least(&mut least[1], start);

        let start = Instant::now();
        reducer.transform(&features, &mut Vec::new())?;
        keep_least(&mut least[2], start);
        explained = reducer.explained_variance_ratio.iter().sum();
    }
    let [seconds_moments, seconds_pca, seconds_transform] = least;

    let json = serde_json::json!({
        "rows": rows,
        "columns": columns,
        "components": components,
        "repeats": REPEATS,
        "seconds_moments": seconds_moments,
        "seconds_pca": seconds_pca,
        "seconds_total": seconds_moments + seconds_pca,
        "seconds_transform": seconds_transform,
        "explained": explained,
    });
    println!("{json}");
    Ok(())
}

fn keep_least(least: &mut f64, start: Instant) {
    *least = least.min(start.elapsed().as_secs_f64());
}

/// max(0, causes · loadings + noise), row-major.
fn features(rows: usize, columns: usize) -> Vec<f32> {
    let mut random = Random(20_260_101);
    let loadings: Vec<f32> = (0..CAUSES * columns)
        .map(|_| random.normal() * 0.3)
        .collect();
    let mut features = Vec::with_capacity(rows * columns);
    let mut row = vec![0.0_f32; columns];
    for _ in 0..rows {
        row.iter_mut()
            .for_each(|value| *value = random.normal() * 0.5);
        for loadings in loadings.chunks_exact(columns) {
            let cause = random.normal();
            for (value, loading) in row.iter_mut().zip(loadings) {
                *value += cause * loading;
            }
        }
        features.extend(row.iter().map(|value| value.max(0.0)));
    }
    features
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Close to a standard normal: the sum of twelve uniforms less six.
    fn normal(&mut self) -> f32 {
        (0..12)
            .map(|_| (self.next() >> 40) as f32 / 16_777_216.0)
            .sum::<f32>()
            - 6.0
    }
}
