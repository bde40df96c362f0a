//! What an image more can take at all. Two short runs differ by noise too, and a slow network leaves them so short that
//! the noise, times a hundred, would be the forecast.

use std::time::Instant;

use pomona_forecast::Line;
use pomona_learn::Moments;
use pomona_pipeline::RunRecord;

/// Extractions that differ by so many seconds tell what an image more takes.
const TELLING_SECS: f64 = 4.0;
/// What an extraction takes beside its threads' work on images, at most, as a factor; 1.02 to 1.04 in long runs.
const BESIDE: f64 = 1.06;
/// More features than this are not tried.
const MOST_TRIED: usize = 8_192;
/// Rows of a trial.
const ROWS: usize = Moments::BLOCK_ROWS;
/// How far reading rows, and a busy machine, may be above a trial.
const ABOVE_TRIAL: f64 = 1.5;
/// Multiplications of a reduction in a second, at least.
const PRODUCTS_A_SEC: f64 = 4e9;
/// Values read or written in a second, at least.
const VALUES_A_SEC: f64 = 25e6;
/// The same as text.
const TEXTS_A_SEC: f64 = 2e6;

/// The time of the extraction, whose threads worked for so many seconds on the larger run's images.
pub(super) fn of_extraction(
    line: Line,
    few: u64,
    many: (u64, f64),
    thread_secs: f64,
    workers: u32,
) -> Line {
    let each = thread_secs / f64::from(workers.max(1)) / many.0.max(1) as f64;
    if each <= 0.0 || many.0.saturating_sub(few) as f64 * each >= TELLING_SECS {
        return line;
    }
    line.between(many, each, each * BESIDE)
}

/// The time of a step after it.
pub(super) fn of_step(
    line: Line,
    name: &str,
    many: (u64, f64),
    most_of_fit: f64,
    record: &RunRecord,
    features: usize,
) -> Line {
    let features = features as f64;
    let components = record.explained_variance_ratio.len() as f64;
    let most = match name {
        "fit" => most_of_fit,
        "reduce" => features * components / PRODUCTS_A_SEC + (features + components) / VALUES_A_SEC,
        "write" => (components + 4.0) / TEXTS_A_SEC,
        _ => return line,
    };
    line.between(many, 0.0, most)
}

/// Seconds that summing up one row of so many features takes, tried here. Some rows more of a fit take no more; that a
/// few take less than many is the decomposition's, which stops growing with them.
pub(super) fn of_fit(features: usize) -> f64 {
    if features == 0 || features > MOST_TRIED {
        return f64::INFINITY;
    }
    let rows: Vec<f32> = (0..ROWS * features)
        .map(|at| (at.wrapping_mul(2_654_435_761) >> 8) as u16 as f32)
        .collect();
    let mut moments = Moments::new(features);
    let mut secs = f64::INFINITY;
    // The first takes its memory.
    for _ in 0..2 {
        let began = Instant::now();
        if moments.update(&rows).is_err() {
            return f64::INFINITY;
        }
        secs = secs.min(began.elapsed().as_secs_f64());
    }
    ABOVE_TRIAL * (secs / ROWS as f64 + features as f64 / VALUES_A_SEC)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_extractions_are_told_by_their_threads() {
        // 131 images more took 3.8 s more, of which 0.9 s were the machine's.
        let line = Line::through((124, 3.5), (255, 7.3));
        let bounded = of_extraction(line, 124, (255, 7.3), 11.2, 2);
        let each = 11.2 / 2.0 / 255.0;
        assert!((bounded.per_image_secs - each * BESIDE).abs() < 1e-12);
        assert!((bounded.at(255) - 7.3).abs() < 1e-9);
        let long = Line::through((124, 0.6), (3_000, 8.6));
        assert_eq!(of_extraction(long, 124, (3_000, 8.6), 15.0, 2), long);
    }

    #[test]
    fn noise_of_short_steps_is_not_multiplied() {
        let record = RunRecord {
            explained_variance_ratio: vec![0.01; 100],
            ..RunRecord::default()
        };
        let most_of_fit = of_fit(256);
        assert!(most_of_fit > 0.0 && most_of_fit < 1.0);
        assert!(of_fit(1 << 20).is_infinite());
        for (name, few, many) in [
            ("fit", 1.2, 1.9),
            ("reduce", 0.05, 0.16),
            ("write", 0.01, 0.09),
        ] {
            let line = Line::through((124, few), (255, many));
            let bounded = of_step(line, name, (255, many), 1e-4, &record, 2_048);
            assert!(bounded.at(12_503) < line.at(12_503) / 2.0, "{name}");
            assert!((bounded.at(255) - many).abs() < 1e-9, "{name}");
        }
        let words = Line::through((124, 1.0), (255, 2.0));
        assert_eq!(
            of_step(words, "words", (255, 2.0), 1e-4, &record, 2_048),
            words
        );
    }
}
