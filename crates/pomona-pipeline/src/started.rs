//! `started.json`: how a run was begun, and how it grew.

use std::collections::BTreeMap;

use pomona_learn::Drift;
use serde::{Deserialize, Serialize};

/// How a run was begun, and how it grew.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Started {
    /// Everything that decides what its shards hold.
    pub(crate) settings: BTreeMap<String, String>,
    /// The generation that is being worked on, or was last: each is a listing that found something new.
    #[serde(default)]
    pub(crate) generation: u32,
    /// The generation's first shard. Those before it are of earlier generations.
    #[serde(default)]
    pub(crate) first_shard: u32,
    /// What the model was fitted with, once it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) fitted: Option<BTreeMap<String, String>>,
    /// Objects of the generations that ended, by status.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) counts: BTreeMap<String, u64>,
    /// Images that were forgotten since the last generation ended.
    #[serde(default)]
    pub(crate) forgotten: u64,
    /// The generations that ended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) history: Vec<Generation>,
    /// The command that began or last went on with the run, word by word.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) command: Vec<String>,
}

/// A listing that found something new, and what came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Its number, from 0.
    pub number: u32,
    /// When its extraction ended, RFC 3339.
    pub when: String,
    /// Images that were not there before.
    pub new: u64,
    /// Images that were there with another content, or could not be fetched before.
    pub changed: u64,
    /// Images that were there and are no more.
    pub vanished: u64,
    /// Images that were forgotten since the generation before.
    #[serde(default)]
    pub forgotten: u64,
    /// Shards that it added.
    pub shards: u64,
    /// How far its images lie from what the model was fitted on, where there was one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub drift: Option<Drift>,
}
