//! What the report tells of the cluster.

use std::collections::HashMap;

use pomona_engine::ClusterReading;
use pomona_report::{ClusterData, ClusterExecutor, ClusterStage, ClusterStep};

/// What a cluster did, the busiest executor first, and jobs of one name together.
pub(crate) fn cluster(reading: &ClusterReading) -> ClusterData {
    let mut executors: Vec<_> = reading.executors.iter().collect();
    executors.sort_by(|a, b| {
        b.busy_seconds
            .total_cmp(&a.busy_seconds)
            .then_with(|| a.id.cmp(&b.id))
    });
    let places: HashMap<&str, usize> = executors
        .iter()
        .enumerate()
        .map(|(at, executor)| (executor.id.as_str(), at))
        .collect();
    let steps = reading.steps();
    // One scheduler tells one currency.
    let cost = steps
        .iter()
        .filter_map(|step| step.cost.clone())
        .reduce(|mut sum, more| {
            sum.amount += more.amount;
            sum
        });
    ClusterData {
        scheduler: reading.scheduler.clone(),
        executors: executors
            .iter()
            .map(|executor| ClusterExecutor {
                id: executor.id.clone(),
                host: executor.host.clone(),
                tasks: executor.tasks_done,
                photos: executor.images,
                busy_seconds: executor.busy_seconds,
            })
            .collect(),
        steps: steps
            .into_iter()
            .map(|step| ClusterStep {
                finished: step.is_finished(),
                name: step.name,
                jobs: step.jobs,
                shards: step.shards,
                set_aside: step.set_aside,
                attempts_failed: step.attempts_failed,
                seconds: step.seconds,
                waited_seconds: step.waited_seconds,
                stages: step
                    .stages
                    .into_iter()
                    .map(|stage| ClusterStage {
                        id: stage.id,
                        tasks: stage.tasks,
                        seconds: stage.seconds,
                        busy_seconds: stage.busy_seconds,
                        work: stage
                            .busy_seconds_by_executor
                            .iter()
                            .filter_map(|(id, busy)| Some((*places.get(id.as_str())?, *busy)))
                            .collect(),
                    })
                    .collect(),
            })
            .collect(),
        cost: cost.map(|cost| (cost.amount, cost.currency)),
    }
}
