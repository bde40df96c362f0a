//! `run.json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

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
    /// Sentences that a person should read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
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
