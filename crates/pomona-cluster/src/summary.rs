//! What a scheduler tells about jobs and executors, as JSON and in its history.
//!
//! Times are milliseconds since 1970-01-01 UTC.

use serde::{Deserialize, Serialize};

/// Where a job stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum JobPhase {
    /// Its plan is being cut into stages.
    Queued,
    /// Its tasks are handed out.
    Running,
    /// Everything is done.
    Finished,
    /// It came to an end by an error.
    Failed,
    /// Somebody cancelled it.
    Cancelled,
}

impl JobPhase {
    /// Whether nothing about the job changes any more.
    pub fn is_over(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Cancelled)
    }

    /// The word that people and JSON see.
    pub fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Finished => "finished",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Shards of a job: partitions of those stages that read no other stage.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shards {
    /// All of them; 0 while the job is queued.
    pub total: u64,
    /// Done.
    pub done: u64,
    /// In work now.
    pub running: u64,
    /// Attempts that came to nothing, in all stages. Tasks that a draining executor handed back are none.
    pub attempts_failed: u64,
    /// Partitions given up because every executor that worked on them was lost.
    pub set_aside: Vec<u32>,
}

/// Photos of a job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Images {
    /// Rows written.
    pub done: u64,
    /// Photos that could not be read.
    pub failed: u64,
}

/// Money, as the scheduler was told what an executor costs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// In whole units of the currency.
    pub amount: f64,
    /// As the scheduler was told, such as `EUR`.
    pub currency: String,
}

/// A job in a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobSummary {
    /// Identifier.
    pub id: String,
    /// Name that the client gave, at most 300 characters of it.
    pub name: String,
    /// Where it stands.
    pub state: JobPhase,
    /// Why it failed.
    #[serde(default)]
    pub error: Option<String>,
    /// When it came.
    pub queued_ms: u64,
    /// When its first task could be handed out.
    #[serde(default)]
    pub started_ms: Option<u64>,
    /// When it ended.
    #[serde(default)]
    pub ended_ms: Option<u64>,
    /// Its shards.
    #[serde(default)]
    pub shards: Shards,
    /// Its photos, as far as shards are done.
    #[serde(default)]
    pub images: Images,
    /// Bytes fetched from storage, as far as shards are done.
    #[serde(default)]
    pub bytes_read: u64,
    /// Photos done and failed a second since it started.
    #[serde(default)]
    pub images_per_second: Option<f64>,
    /// What is left, by the shards of the last minute; unknown before the first.
    #[serde(default)]
    pub seconds_left: Option<f64>,
    /// Seconds of executors spent on it. Those that were there while several jobs ran count for each in equal parts.
    #[serde(default)]
    pub executor_seconds: f64,
    /// What those cost.
    #[serde(default)]
    pub cost: Option<Cost>,
}

impl JobSummary {
    /// A job of which no more is known than that it was accepted.
    pub(crate) fn queued(id: &str, name: &str, queued_ms: u64) -> Self {
        Self {
            id: id.to_owned(),
            name: shortened(name, 300),
            state: JobPhase::Queued,
            error: None,
            queued_ms,
            started_ms: None,
            ended_ms: None,
            shards: Shards::default(),
            images: Images::default(),
            bytes_read: 0,
            images_per_second: None,
            seconds_left: None,
            executor_seconds: 0.0,
            cost: None,
        }
    }
}

/// A job with its stages and executors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct JobDetail {
    /// The job in a line.
    #[serde(flatten)]
    pub summary: JobSummary,
    /// Its stages, in order of their numbers.
    #[serde(default)]
    pub stages: Vec<StageSummary>,
    /// Executors that did something for it, most tasks first.
    #[serde(default)]
    pub executors: Vec<ExecutorShare>,
}

/// A stage: tasks that run the same plan, each on partitions of its own.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StageSummary {
    /// Number within the job.
    pub id: u64,
    /// `waiting`, `ready`, `running`, `finished` or `failed`.
    pub state: String,
    /// Partitions to be done; 0 while unknown.
    pub tasks: u64,
    /// Partitions done.
    pub done: u64,
    /// Partitions in work.
    pub running: u64,
    /// Wall-clock seconds from the first task handed out to the last report.
    pub seconds: f64,
    /// Seconds of work, over all tasks done.
    pub busy_seconds: f64,
    /// The same for each executor, by its identifier: of those with the most work, 200 at most.
    #[serde(default)]
    pub busy_seconds_by_executor: std::collections::BTreeMap<String, f64>,
    /// What its operators counted, the outermost first, over all tasks reported, those done twice too.
    pub operators: Vec<OperatorSums>,
}

/// What one operator of a stage counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct OperatorSums {
    /// Name of the operator.
    pub name: String,
    /// Sums by the metric's name. Times end in `_seconds`.
    pub metrics: std::collections::BTreeMap<String, f64>,
}

/// What one executor did for a job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExecutorShare {
    /// Identifier.
    pub id: String,
    /// Host it says it is reached at.
    pub host: String,
    /// Tasks done.
    pub tasks_done: u64,
    /// Tasks in work.
    pub tasks_running: u64,
    /// Photos done and failed.
    pub images: u64,
    /// Seconds of work in tasks done.
    pub busy_seconds: f64,
}

/// An executor as the scheduler sees it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExecutorSummary {
    /// Identifier.
    pub id: String,
    /// Host it says it is reached at.
    pub host: String,
    /// Port of its shuffle data.
    pub port: u32,
    /// `alive`, `draining`, `left` (it said so) or `lost`.
    pub state: String,
    /// Whether it takes no new task because it is about to leave.
    pub draining: bool,
    /// Tasks it can run at a time.
    pub slots: u32,
    /// Of those, free when it last asked.
    pub free: u32,
    /// When it was first seen.
    pub first_seen_ms: u64,
    /// When it last asked for work.
    pub last_seen_ms: u64,
    /// Tasks done.
    pub tasks_done: u64,
    /// Photos done and failed.
    pub images: u64,
    /// Seconds of work in tasks done.
    pub busy_seconds: f64,
}

/// What an autoscaler needs, such as KEDA's `metrics-api` scaler.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Scaling {
    /// Tasks that could run now if there were room.
    pub pending_tasks: u64,
    /// Tasks in work.
    pub running_tasks: u64,
    /// Slots of executors that take work.
    pub slots: u64,
    /// Executors that would run all of those tasks at once, by the slots that executors have now (1 where there are none).
    pub wanted_executors: u64,
    /// What an hour of one executor costs, where the scheduler was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub executor_hour: Option<Cost>,
}

/// The beginning of a text, with `…` where something was left out.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}
