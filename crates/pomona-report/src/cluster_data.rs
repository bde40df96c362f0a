//! What a report tells of the cluster that a run was worked on: plain data, filled by the caller.
//!
//! Numbers that are not finite are shown as a dash.

/// What a cluster did for a run.
#[derive(Debug, Clone, Default)]
pub struct ClusterData {
    /// The scheduler, as `HOST:PORT`.
    pub scheduler: String,
    /// The executors, in the order to show. At most [`MAX_EXECUTORS`] are shown.
    pub executors: Vec<ClusterExecutor>,
    /// What the cluster was asked for, first one first. At most [`MAX_STEPS`] are shown.
    pub steps: Vec<ClusterStep>,
    /// What it cost, and the currency; none where the price of executors is not known.
    pub cost: Option<(f64, String)>,
}

/// What one executor did.
#[derive(Debug, Clone, Default)]
pub struct ClusterExecutor {
    /// Its identifier.
    pub id: String,
    /// Its host.
    pub host: String,
    /// Tasks done.
    pub tasks: u64,
    /// Photos worked on, those that failed too.
    pub photos: u64,
    /// Seconds of work, added up over its tasks.
    pub busy_seconds: f64,
}

/// Jobs of one name.
#[derive(Debug, Clone, Default)]
pub struct ClusterStep {
    /// What they were for.
    pub name: String,
    /// How many jobs.
    pub jobs: u64,
    /// Whether all of them came to their end as they should.
    pub finished: bool,
    /// Shards of them all.
    pub shards: u64,
    /// Of those, given up because executors ended while they worked on them.
    pub set_aside: u64,
    /// Attempts that came to nothing.
    pub attempts_failed: u64,
    /// Seconds from coming to end, added up over the jobs.
    pub seconds: f64,
    /// Of those, seconds until a first task could be handed out.
    pub waited_seconds: f64,
    /// The stages, by their numbers.
    pub stages: Vec<ClusterStage>,
}

/// A stage, added up over the jobs of a step.
#[derive(Debug, Clone, Default)]
pub struct ClusterStage {
    /// Number within the job.
    pub id: u64,
    /// Tasks done.
    pub tasks: u64,
    /// Seconds from the first task to the last one's end.
    pub seconds: f64,
    /// Seconds of work, added up over its tasks.
    pub busy_seconds: f64,
    /// The same for each executor, as far as it is known: index into [`ClusterData::executors`], and seconds. Indices
    /// beyond those are left out.
    pub work: Vec<(usize, f64)>,
}

/// Most executors shown.
pub const MAX_EXECUTORS: usize = 50;
/// Most steps shown.
pub const MAX_STEPS: usize = 50;
/// Most stages shown of a step.
pub const MAX_STAGES: usize = 20;
/// Most executors whose work is told by stage.
pub const MAX_WORKERS: usize = 12;
