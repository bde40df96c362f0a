//! What a scheduler tells of a job, as the record of a run keeps it.

use pomona_engine::{CostReading, ExecutorReading, JobReading, StageReading};

use crate::summary::JobDetail;

/// A job as it was last seen.
pub(crate) fn job_of(detail: &JobDetail) -> JobReading {
    let job = &detail.summary;
    let since =
        |from: u64, to: Option<u64>| to.map_or(0.0, |to| to.saturating_sub(from) as f64 / 1_000.0);
    JobReading {
        id: job.id.clone(),
        name: job.name.clone(),
        jobs: 1,
        state: job.state.word().to_owned(),
        shards: job.shards.total,
        shards_done: job.shards.done,
        set_aside: job.shards.set_aside.len() as u64,
        attempts_failed: job.shards.attempts_failed,
        images_done: job.images.done,
        images_failed: job.images.failed,
        bytes_read: job.bytes_read,
        seconds: since(job.queued_ms, job.ended_ms),
        waited_seconds: since(job.queued_ms, job.started_ms),
        cost: job.cost.as_ref().map(|cost| CostReading {
            amount: cost.amount,
            currency: cost.currency.clone(),
        }),
        stages: detail
            .stages
            .iter()
            .map(|stage| StageReading {
                id: stage.id,
                tasks: stage.done,
                seconds: stage.seconds,
                busy_seconds: stage.busy_seconds,
                busy_seconds_by_executor: stage.busy_seconds_by_executor.clone(),
            })
            .collect(),
    }
}

/// What executors did for a job.
pub(crate) fn executors_of(detail: &JobDetail) -> Vec<ExecutorReading> {
    detail
        .executors
        .iter()
        .filter(|share| share.tasks_done > 0)
        .map(|share| ExecutorReading {
            id: share.id.clone(),
            host: share.host.clone(),
            tasks_done: share.tasks_done,
            images: share.images,
            busy_seconds: share.busy_seconds,
        })
        .collect()
}

/// A job of which no more is known than that it was accepted.
pub(crate) fn unknown(id: &str, name: &str) -> JobReading {
    JobReading {
        id: id.to_owned(),
        name: name.to_owned(),
        jobs: 1,
        state: "unknown".to_owned(),
        ..JobReading::default()
    }
}
