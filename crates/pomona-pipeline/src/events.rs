//! What a step says while it works.

use pomona_engine::CostReading;
use pomona_learn::kmeans::PassReport;
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
    /// A pass of the codebook's k-means ended.
    CodebookPass(CodebookPass),
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
    /// Requests over a network that failed and were sent again.
    pub sent_again: u64,
    /// Of those, the ones refused because there were too many.
    pub throttled: u64,
    /// What was spent so far, where it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spent: Option<CostReading>,
    /// What holds the work up most: `fetching`, `preparing`, `network` or `keypoints`.
    pub limited_by: &'static str,
}

/// A pass of k-means.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CodebookPass {
    /// How it went.
    #[serde(flatten)]
    pub report: PassReport,
    /// Most passes that move the centres.
    pub of: u32,
    /// Seconds since the stage began.
    pub seconds: f64,
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
