//! What was measured of a small run.

use serde::{Deserialize, Serialize};

/// Seconds as a straight line over the number of images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Seconds that are the same for any number.
    pub fixed_secs: f64,
    /// Seconds for each image.
    pub per_image_secs: f64,
}

impl Line {
    /// Through two measurements `(images, seconds)`, the second of more images. Neither part of it is negative.
    #[must_use]
    pub fn through(few: (u64, f64), many: (u64, f64)) -> Self {
        let more = many.0.saturating_sub(few.0);
        let per_image_secs = if more == 0 {
            many.1 / many.0.max(1) as f64
        } else {
            ((many.1 - few.1) / more as f64).max(0.0)
        };
        // More per image than the larger measurement had in all would be a negative rest.
        let per_image_secs = per_image_secs.min(many.1 / many.0.max(1) as f64);
        Self {
            fixed_secs: (many.1 - per_image_secs * many.0 as f64).max(0.0),
            per_image_secs,
        }
    }

    /// The line through the same larger measurement, each image within bounds that are known otherwise.
    #[must_use]
    pub fn between(self, many: (u64, f64), least: f64, most: f64) -> Self {
        let all = many.1 / many.0.max(1) as f64;
        let per_image_secs = self.per_image_secs.max(least).min(most).min(all);
        Self {
            fixed_secs: (many.1 - per_image_secs * many.0 as f64).max(0.0),
            per_image_secs,
        }
    }

    /// Seconds for so many images.
    #[must_use]
    pub fn at(&self, images: u64) -> f64 {
        self.fixed_secs + self.per_image_secs * images as f64
    }
}

/// Most memory, as it grows with the images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryLine {
    /// Most bytes that the rehearsal took.
    pub bytes: u64,
    /// Its images.
    pub images: u64,
    /// Bytes that each further image takes to the end: its row in what is listed, and its components where they are
    /// sorted in memory.
    pub per_image: f64,
    /// Most bytes of [`per_image`](Self::per_image) that are ever held.
    pub growth_at_most: u64,
    /// Bytes that a further worker takes.
    pub per_worker: u64,
}

impl MemoryLine {
    /// Most bytes for so many images and workers, where the rehearsal had `workers`.
    #[must_use]
    pub fn at(&self, images: u64, more_workers: i64) -> u64 {
        let growth = self.per_image * images.saturating_sub(self.images) as f64;
        let growth = (growth as u64).min(self.growth_at_most);
        let workers = self.per_worker.saturating_mul(more_workers.unsigned_abs());
        let bytes = self.bytes.saturating_add(growth);
        if more_workers < 0 {
            bytes.saturating_sub(workers)
        } else {
            bytes.saturating_add(workers)
        }
    }
}

/// How photos came over a network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Transfer {
    /// Seconds from a request to the end of its answer, on average.
    pub request_secs: f64,
    /// Requests that a run has in flight at once.
    pub in_flight: u32,
    /// Bytes a second, where enough was moved to tell.
    pub bytes_per_sec: Option<f64>,
}

impl Transfer {
    /// Seconds to fetch so much.
    #[must_use]
    pub fn secs(&self, images: u64, bytes: u64) -> f64 {
        let requests = images as f64 * self.request_secs / f64::from(self.in_flight.max(1));
        let bytes = self
            .bytes_per_sec
            .map_or(0.0, |rate| bytes as f64 / rate.max(1.0));
        requests.max(bytes)
    }
}

/// What was measured of a small run on this machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rehearsal {
    /// Workers that it had.
    pub workers: u32,
    /// Its images, all distinct or not.
    pub images: u64,
    /// Values in a vector of features, or words.
    pub feature_count: usize,
    /// Seconds of the process outside all stages.
    pub outside_secs: f64,
    /// From photos to features.
    pub extract: Line,
    /// The stages after it, in order.
    pub after: Vec<(String, Line)>,
    /// Share of the extraction's time on its threads that is spent in the network: the rest is decoding and preparing.
    pub network_share: f64,
    /// Its memory.
    pub memory: MemoryLine,
    /// Bytes written for each image.
    pub written_per_image: f64,
    /// How photos came, where they came over a network.
    pub transfer: Option<Transfer>,
    /// Images that a shard of the run will have.
    pub images_in_shard: u32,
}

impl Rehearsal {
    /// Seconds that one worker takes for an image.
    #[must_use]
    pub fn worker_secs(&self) -> f64 {
        self.extract.per_image_secs * f64::from(self.workers.max(1))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_goes_through_what_was_measured() {
        let line = Line::through((100, 1.5), (1_100, 6.5));
        assert!((line.per_image_secs - 0.005).abs() < 1e-12);
        assert!((line.fixed_secs - 1.0).abs() < 1e-12);
        assert!((line.at(10_000) - 51.0).abs() < 1e-9);
    }

    #[test]
    fn a_second_measurement_that_was_faster_leaves_no_negative_time() {
        let line = Line::through((100, 2.0), (1_000, 1.0));
        assert_eq!(line.per_image_secs, 0.0);
        assert_eq!(line.fixed_secs, 1.0);
        let line = Line::through((900, 0.0), (1_000, 10.0));
        assert_eq!(line.fixed_secs, 0.0);
        assert!((line.at(1_000) - 10.0).abs() < 1e-9);
    }

    proptest! {
        #[test]
        fn a_line_never_gives_less_for_more(few in 0_u64..1000, more in 1_u64..1000, a in 0.0..100.0, b in 0.0..100.0) {
            let line = Line::through((few, a), (few + more, b));
            prop_assert!(line.fixed_secs >= 0.0 && line.per_image_secs >= 0.0);
            prop_assert!((line.at(few + more) - b).abs() < 1e-6);
            let bounded = line.between((few + more, b), 0.001, 0.01);
            prop_assert!((bounded.at(few + more) - b).abs() < 1e-6);
            prop_assert!(bounded.per_image_secs <= 0.01);
        }

        #[test]
        fn memory_grows_up_to_its_bound(images in 0_u64..10_000_000, workers in -1_i64..64) {
            let memory = MemoryLine {
                bytes: 300_000_000,
                images: 1_000,
                per_image: 2_500.0,
                growth_at_most: 100_000_000,
                per_worker: 60_000_000,
            };
            let bytes = memory.at(images, workers);
            prop_assert!(bytes <= 400_000_000 + 64 * 60_000_000);
            prop_assert!(memory.at(images + 1, workers) >= bytes);
        }
    }
}
