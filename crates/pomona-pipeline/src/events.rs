//! What a step says while it works.

use serde::Serialize;

/// Something worth telling.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// A stage begins.
    StageStarted {
        /// Its name.
        stage: &'static str,
    },
    /// Work goes on.
    Progress(Progress),
    /// A stage ended.
    StageFinished {
        /// Its name.
        stage: &'static str,
        /// Seconds it took.
        seconds: f64,
        /// Items it handled.
        items: u64,
    },
    /// Something a person should know.
    Note {
        /// One sentence.
        text: String,
    },
}

/// How far a stage is.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Progress {
    /// Items that worked out.
    pub done: u64,
    /// Items that did not.
    pub failed: u64,
    /// Items found so far.
    pub listed: u64,
    /// Whether there are no more to be found.
    pub listing_ended: bool,
    /// Items a second since the stage began.
    pub per_second: f64,
    /// Seconds left at that rate; unknown while items are still being found.
    pub seconds_left: Option<f64>,
    /// What holds the work up most: `fetching`, `preparing` or `network`.
    pub limited_by: &'static str,
}

/// Takes events; may be called from any thread.
pub trait Observer: Send + Sync {
    /// Called for each event, in the order in which they happen.
    fn event(&self, event: &Event);
}

/// Says nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn event(&self, _event: &Event) {}
}
