//! How many shards become one plan, and how many plans are run at once.

use std::time::{Duration, Instant};

use pomona_engine::Shard;

use crate::run::Context;

/// Most shards in one job of a cluster: its scheduler holds what is listed of them, and sends it on.
pub const SHARDS_A_JOB: usize = 256;
/// Most images in one job of a cluster.
pub const IMAGES_A_JOB: usize = 100_000;
/// Jobs of one run on a cluster at once: while one ends, others keep all executors at work.
pub const JOBS_AT_ONCE: usize = 3;
/// How long the first job of a cluster waits for more shards.
const PATIENCE: Duration = Duration::from_millis(150);

/// Gathers shards into plans.
///
/// In this process a plan is one shard: what is done again after a kill is then as little as it can be. A job of a
/// cluster has its cost, and its partitions are what is done again, so it takes what was listed so far.
pub(super) struct Batching {
    is_remote: bool,
    plans: usize,
    gathered: Vec<Shard>,
    images: usize,
    since: Instant,
}

impl Batching {
    pub(super) fn of(context: &Context) -> Self {
        let is_remote = context.runner.is_remote();
        Self {
            is_remote,
            // Two shards at a time at least, so that one is fetched and written while another is worked on; no more than
            // a shard a worker, since that is what is done again after the process was killed.
            plans: if is_remote {
                JOBS_AT_ONCE
            } else {
                context.workers.max(2)
            },
            gathered: Vec::new(),
            images: 0,
            since: Instant::now(),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.gathered.is_empty()
    }

    /// Whether another shard can be taken while so many plans are run.
    pub(super) fn has_room(&self, running: usize) -> bool {
        if self.is_remote {
            !self.is_full()
        } else {
            self.gathered.is_empty() && running < self.plans
        }
    }

    fn is_full(&self) -> bool {
        self.gathered.len() >= SHARDS_A_JOB || self.images >= IMAGES_A_JOB
    }

    pub(super) fn push(&mut self, shard: Shard) {
        if self.gathered.is_empty() {
            self.since = Instant::now();
        }
        self.images += shard.images.len();
        self.gathered.push(shard);
    }

    /// The shards of the next plan, where one is to be run beside so many; `more` says whether more shards may come.
    pub(super) fn next(&mut self, running: usize, more: bool) -> Option<Vec<Shard>> {
        if self.gathered.is_empty() || running >= self.plans {
            return None;
        }
        let is_time = !self.is_remote
            || !more
            || self.is_full()
            || (running == 0 && self.since.elapsed() >= PATIENCE);
        if !is_time {
            return None;
        }
        self.images = 0;
        Some(std::mem::take(&mut self.gathered))
    }
}
