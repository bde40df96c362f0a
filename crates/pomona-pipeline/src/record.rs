//! `run.json`.

use std::collections::BTreeMap;

use pomona_engine::{ClusterReading, CostReading};
use pomona_store::TrafficReading;
use serde::{Deserialize, Serialize};

use crate::outcome::ForecastRecord;
use crate::started::Generation;
use crate::words::WordsRecord;

/// What was done so far in a run folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// Version of the program.
    pub pomona: String,
    /// When the run began, RFC 3339.
    pub started: String,
    /// When its last step ended, RFC 3339.
    pub finished: String,
    /// Where the photos are.
    pub source: String,
    /// The network, its engine and versions; or what the detector of key points was told.
    pub backbone: BTreeMap<String, String>,
    /// What the run was told, by the names of the options.
    pub settings: BTreeMap<String, String>,
    /// Listed objects by status; every status has its entry.
    pub counts: BTreeMap<String, u64>,
    /// The stages, in order.
    pub stages: Vec<StageRecord>,
    /// Images with features, over the seconds of the extraction.
    pub images_per_second: f64,
    /// Where the threads of the extraction spent their time, added up over them; seconds: `prepare` (hashing,
    /// decoding, preparing, resizing) and `network` or `keypoints`.
    #[serde(default)]
    pub thread_seconds: BTreeMap<String, f64>,
    /// The visual words, where features are those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words: Option<WordsRecord>,
    /// Share of the variance that each component explains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub explained_variance_ratio: Vec<f64>,
    /// How the run grew, where it did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generations: Vec<Generation>,
    /// What went over the network, by bucket or host.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub traffic: Vec<TrafficRecord>,
    /// What a cluster did of the run, where one was used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterReading>,
    /// Bytes of photos that this run read.
    #[serde(default)]
    pub bytes_read: u64,
    /// Most memory that the process had, bytes; where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<u64>,
    /// What was spent, where it is known what the machines cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub spent: Option<CostReading>,
    /// What `pomona plan` had forecast, beside what came of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastRecord>,
    /// Sentences that a person should read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What went over the network to one bucket or host.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrafficRecord {
    /// The bucket or host.
    pub place: String,
    /// Requests sent, those included that were sent again.
    pub requests: u64,
    /// Requests that failed in a way that may pass.
    pub failed: u64,
    /// Of those, the ones refused because there were too many.
    pub throttled: u64,
    /// Bytes of answers.
    pub bytes_read: u64,
    /// Bytes of objects sent.
    pub bytes_written: u64,
    /// Seconds that requests took, added up over all of them.
    pub waited_secs: f64,
    /// Most requests in flight at once.
    pub most_in_flight: u64,
    /// Seconds since the place was opened, and requests allowed at once from then on.
    pub limits: Vec<(f64, usize)>,
}

impl TrafficRecord {
    pub(crate) fn of(place: String, reading: TrafficReading) -> Self {
        Self {
            place,
            requests: reading.requests,
            failed: reading.failed,
            throttled: reading.throttled,
            bytes_read: reading.bytes_read,
            bytes_written: reading.bytes_written,
            waited_secs: reading.waited_secs,
            most_in_flight: reading.most_in_flight,
            limits: reading
                .limits
                .iter()
                .map(|at| (at.seconds, at.limit))
                .collect(),
        }
    }
}

/// One stage of a run.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct StageRecord {
    /// Its name.
    pub name: String,
    /// Seconds it took.
    pub seconds: f64,
    /// Items it handled.
    pub items: u64,
}

impl RunRecord {
    /// Adds a stage, or replaces the one of the same name.
    pub(crate) fn set_stage(&mut self, name: &str, seconds: f64, items: u64) {
        let stage = StageRecord {
            name: name.to_owned(),
            seconds,
            items,
        };
        match self.stages.iter_mut().find(|stage| stage.name == name) {
            Some(old) => *old = stage,
            None => self.stages.push(stage),
        }
    }
}

/// Now, RFC 3339 in UTC, to the second.
pub(crate) fn now() -> String {
    let now = jiff::Timestamp::now();
    now.round(jiff::Unit::Second).unwrap_or(now).to_string()
}

#[cfg(test)]
mod tests {
    use pomona_engine::{ExecutorReading, JobReading};

    use super::*;

    #[test]
    fn what_a_cluster_did_is_read_as_it_was_written() {
        let record = RunRecord {
            pomona: "0.1.0".to_owned(),
            cluster: Some(ClusterReading {
                scheduler: "127.0.0.1:50050".to_owned(),
                executors: vec![ExecutorReading {
                    id: "a".to_owned(),
                    images: 12,
                    busy_seconds: 0.125,
                    ..ExecutorReading::default()
                }],
                jobs: vec![JobReading {
                    name: "extract".to_owned(),
                    jobs: 1,
                    ..JobReading::default()
                }],
            }),
            ..RunRecord::default()
        };
        let text = serde_json::to_string(&record).unwrap();
        assert_eq!(serde_json::from_str::<RunRecord>(&text).unwrap(), record);
    }

    #[test]
    fn records_without_a_cluster_are_read_too() {
        let text = serde_json::to_string(&RunRecord::default()).unwrap();
        assert!(!text.contains("cluster"), "{text}");
        let record: RunRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(record.cluster, None);
        // Of another version: less and more than this one knows.
        let text = text.replacen(
            '{',
            r#"{"cluster":{"scheduler":"a:1","jobs":[{"name":"fit","moons":3}]},"#,
            1,
        );
        let cluster = serde_json::from_str::<RunRecord>(&text).unwrap().cluster;
        let cluster = cluster.unwrap();
        assert_eq!(cluster.jobs[0].name, "fit");
        assert!(cluster.executors.is_empty());
    }
}
