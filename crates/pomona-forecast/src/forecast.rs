//! A whole run on this machine.

use serde::{Deserialize, Serialize};

use crate::rehearsal::Rehearsal;

/// What is to be worked on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Photos {
    /// Photos.
    pub images: u64,
    /// Their bytes, those left out that are larger than allowed.
    pub bytes: u64,
    /// Requests that list and read them.
    pub requests: u64,
    /// Whether the numbers are estimated from a part of the listing.
    pub is_estimate: bool,
}

/// What holds a run up most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Fetching photos.
    Fetching,
    /// Decoding and preparing them.
    Decoding,
    /// The network, or finding key points.
    Model,
    /// Fitting: components or the codebook.
    Fitting,
    /// Writing results and the report.
    Writing,
}

impl Limit {
    /// As a person reads it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Fetching => "fetching",
            Self::Decoding => "decoding",
            Self::Model => "the model",
            Self::Fitting => "fitting",
            Self::Writing => "writing",
        }
    }
}

/// Seconds of one stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageForecast {
    /// Its name in `run.json`.
    pub name: String,
    /// Seconds.
    pub secs: f64,
}

/// A run on this machine, as it is expected.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// What it works on.
    pub photos: Photos,
    /// Values in a row of features.
    pub feature_count: usize,
    /// Workers it has.
    pub workers: u32,
    /// Seconds from the command to its end.
    pub total_secs: f64,
    /// Its stages, in order.
    pub stages: Vec<StageForecast>,
    /// Images a second while features are worked out.
    pub images_per_second: f64,
    /// Most memory, bytes.
    pub peak_memory_bytes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// What holds it up most.
    pub limit: Limit,
}

/// Stages that write.
const WRITING: [&str; 3] = ["reduce", "write", "report"];

impl Forecast {
    /// What a rehearsal says of a run over `photos` on the same machine.
    #[must_use]
    pub fn here(rehearsal: &Rehearsal, photos: Photos) -> Self {
        let worked = rehearsal.extract.at(photos.images);
        let fetched = rehearsal
            .transfer
            .map_or(0.0, |transfer| transfer.secs(photos.images, photos.bytes));
        let extract = worked.max(fetched);
        let mut stages = vec![StageForecast {
            name: "extract".to_owned(),
            secs: extract,
        }];
        stages.extend(rehearsal.after.iter().map(|(name, line)| StageForecast {
            name: name.clone(),
            secs: line.at(photos.images),
        }));
        let total_secs =
            rehearsal.outside_secs + stages.iter().map(|stage| stage.secs).sum::<f64>();
        Self {
            photos,
            feature_count: rehearsal.feature_count,
            workers: rehearsal.workers,
            total_secs,
            images_per_second: photos.images as f64 / extract.max(1e-9),
            peak_memory_bytes: rehearsal.memory.at(photos.images, 0),
            bytes_written: (rehearsal.written_per_image * photos.images as f64) as u64,
            limit: limit(&stages, fetched > worked, rehearsal.network_share),
            stages,
        }
    }
}

/// The largest of what the stages are spent on.
pub(crate) fn limit(stages: &[StageForecast], is_fetching: bool, network_share: f64) -> Limit {
    let secs = |wanted: &dyn Fn(&str) -> bool| -> f64 {
        stages
            .iter()
            .filter(|stage| wanted(&stage.name))
            .map(|stage| stage.secs)
            .sum()
    };
    let extract = secs(&|name| name == "extract");
    let writing = secs(&|name| WRITING.contains(&name));
    let fitting = secs(&|name| name != "extract" && !WRITING.contains(&name));
    let (model, decoding, fetching) = if is_fetching {
        (0.0, 0.0, extract)
    } else {
        (
            extract * network_share,
            extract * (1.0 - network_share),
            0.0,
        )
    };
    [
        (model, Limit::Model),
        (decoding, Limit::Decoding),
        (fetching, Limit::Fetching),
        (fitting, Limit::Fitting),
        (writing, Limit::Writing),
    ]
    .into_iter()
    .max_by(|one, other| one.0.total_cmp(&other.0))
    .map_or(Limit::Model, |(_, limit)| limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rehearsal::{Line, MemoryLine, Transfer};

    fn rehearsal() -> Rehearsal {
        Rehearsal {
            workers: 2,
            images: 2_000,
            feature_count: 1_280,
            outside_secs: 0.25,
            extract: Line {
                fixed_secs: 0.15,
                per_image_secs: 0.003,
            },
            after: vec![
                (
                    "fit".to_owned(),
                    Line {
                        fixed_secs: 0.2,
                        per_image_secs: 1e-5,
                    },
                ),
                (
                    "report".to_owned(),
                    Line {
                        fixed_secs: 0.1,
                        per_image_secs: 0.0,
                    },
                ),
            ],
            network_share: 0.93,
            memory: MemoryLine {
                bytes: 340_000_000,
                images: 2_000,
                per_image: 1_000.0,
                growth_at_most: 96_000_000,
                per_worker: 60_000_000,
            },
            written_per_image: 9_000.0,
            transfer: None,
            images_in_shard: 256,
        }
    }

    #[test]
    fn stages_add_up_to_the_whole() {
        let photos = Photos {
            images: 10_000,
            bytes: 50_000_000,
            requests: 10_000,
            is_estimate: false,
        };
        let forecast = Forecast::here(&rehearsal(), photos);
        // 0.25 + (0.15 + 30) + (0.2 + 0.1) + 0.1
        assert!((forecast.total_secs - 30.8).abs() < 1e-9, "{forecast:?}");
        assert_eq!(forecast.peak_memory_bytes, 348_000_000);
        assert_eq!(forecast.limit, Limit::Model);
        assert_eq!(forecast.bytes_written, 90_000_000);
    }

    #[test]
    fn a_slow_network_holds_the_run_up() {
        let mut slow = rehearsal();
        slow.transfer = Some(Transfer {
            request_secs: 0.5,
            in_flight: 96,
            bytes_per_sec: None,
        });
        let photos = Photos {
            images: 10_000,
            bytes: 50_000_000,
            ..Photos::default()
        };
        let forecast = Forecast::here(&slow, photos);
        assert_eq!(forecast.limit, Limit::Fetching);
        assert!((forecast.stages[0].secs - 10_000.0 * 0.5 / 96.0).abs() < 1e-9);
        slow.transfer = Some(Transfer {
            request_secs: 0.01,
            in_flight: 96,
            bytes_per_sec: Some(1_000_000.0),
        });
        assert!((Forecast::here(&slow, photos).stages[0].secs - 50.0).abs() < 1e-9);
    }

    #[test]
    fn what_holds_it_up_is_the_largest_part() {
        let stage = |name: &str, secs| StageForecast {
            name: name.to_owned(),
            secs,
        };
        let of = |extract, fit, write, share| {
            limit(
                &[
                    stage("extract", extract),
                    stage("fit", fit),
                    stage("write", write),
                ],
                false,
                share,
            )
        };
        assert_eq!(of(10.0, 1.0, 1.0, 0.9), Limit::Model);
        assert_eq!(of(10.0, 1.0, 1.0, 0.2), Limit::Decoding);
        assert_eq!(of(1.0, 10.0, 1.0, 0.5), Limit::Fitting);
        assert_eq!(of(1.0, 2.0, 10.0, 0.5), Limit::Writing);
    }
}
