//! From Ballista's execution graph and the tally to what people see of a job.

use std::collections::{BTreeMap, HashMap, HashSet};

use ballista_core::serde::protobuf::failed_task::FailedReason;
use ballista_core::serde::protobuf::{job_status::Status, task_status};
use ballista_scheduler::state::execution_graph::ExecutionGraph;
use ballista_scheduler::state::execution_stage::{ExecutionStage, TaskInfo};
use datafusion::physical_plan::ExecutionPlan;
use pomona_engine::EngineError;

use super::Price;
use super::tally::{JobTally, Task, now_ms};
use crate::summary::{
    Cost, ExecutorShare, Images, JobDetail, JobPhase, JobSummary, OperatorSums, StageSummary,
    shortened,
};

/// Characters of an error that are kept.
const LONGEST_ERROR: usize = 4_000;
/// Executors whose part in a stage is told.
const MOST_BUSY: usize = 200;

/// What is known of a job now. The time it takes grows with the tasks that were handed out.
pub(crate) fn summarise(
    graph: &(dyn ExecutionGraph + Send + Sync),
    job: &JobTally,
    price: Option<&Price>,
) -> JobDetail {
    let mut summary = job.queued.clone();
    state(graph, job, &mut summary);
    let readers: HashSet<usize> = graph
        .stages()
        .values()
        .flat_map(|stage| stage.output_links().iter().copied())
        .collect();
    let mut sums = Sums::default();
    let mut stages = Vec::with_capacity(graph.stages().len());
    let mut ids: Vec<_> = graph.stages().keys().copied().collect();
    ids.sort_unstable();
    for id in ids {
        let Some(stage) = graph.stages().get(&id) else {
            continue;
        };
        let counted = sums.add(id, stage, job);
        if !readers.contains(&id) {
            summary.shards.total += counted.tasks;
            summary.shards.done += counted.done;
            summary.shards.running += counted.running;
        }
        stages.push(counted);
    }
    summary.shards.attempts_failed = sums.attempts_failed;
    summary.shards.set_aside = job.set_aside.clone();
    summary.images = sums.images;
    summary.bytes_read = sums.bytes_read;
    rates(&mut summary, job, &stages);
    summary.executor_seconds = job.executor_seconds;
    summary.cost = price.map(|price| Cost {
        amount: price.per_executor_hour * job.executor_seconds / 3_600.0,
        currency: price.currency.clone(),
    });
    let mut executors: Vec<_> = sums.executors.into_values().collect();
    executors.sort_by(|a, b| {
        (b.tasks_done, b.tasks_running, &a.id).cmp(&(a.tasks_done, a.tasks_running, &b.id))
    });
    JobDetail {
        summary,
        stages,
        executors,
    }
}

fn state(graph: &(dyn ExecutionGraph + Send + Sync), job: &JobTally, summary: &mut JobSummary) {
    summary.started_ms = Some(graph.start_time()).filter(|&started| started > 0);
    summary.ended_ms = Some(graph.end_time()).filter(|&ended| ended > 0);
    summary.state = match &graph.status().status {
        None | Some(Status::Queued(_)) => JobPhase::Queued,
        Some(Status::Running(_)) => JobPhase::Running,
        Some(Status::Successful(_)) => JobPhase::Finished,
        Some(Status::Failed(_)) if job.cancelled => JobPhase::Cancelled,
        Some(Status::Failed(failed)) => {
            summary.error = Some(shortened(
                EngineError::own_words(&failed.error).trim(),
                LONGEST_ERROR,
            ));
            JobPhase::Failed
        }
    };
}

fn rates(summary: &mut JobSummary, job: &JobTally, stages: &[StageSummary]) {
    let Some(started) = summary.started_ms else {
        return;
    };
    let until = summary.ended_ms.unwrap_or_else(now_ms);
    let secs = until.saturating_sub(started) as f64 / 1_000.0;
    let images = summary.images.done + summary.images.failed;
    if secs > 0.0 && images > 0 {
        summary.images_per_second = Some(images as f64 / secs);
    }
    if summary.state == JobPhase::Running {
        let left: u64 = stages
            .iter()
            .map(|stage| stage.tasks.saturating_sub(stage.done))
            .sum();
        summary.seconds_left = job.tasks_per_second().map(|rate| left as f64 / rate);
    }
}

#[derive(Default)]
struct Sums {
    images: Images,
    bytes_read: u64,
    attempts_failed: u64,
    executors: HashMap<String, ExecutorShare>,
}

impl Sums {
    fn add(&mut self, id: usize, stage: &ExecutionStage, job: &JobTally) -> StageSummary {
        let number = u32::try_from(id).unwrap_or(u32::MAX);
        let (state, partitions) = match stage {
            // How many is decided when what it reads is there.
            ExecutionStage::UnResolved(_) => ("waiting", 0),
            ExecutionStage::Resolved(stage) => ("ready", stage.partitions),
            ExecutionStage::Running(stage) => ("running", stage.partitions),
            ExecutionStage::Successful(stage) => ("finished", stage.partitions),
            ExecutionStage::Failed(stage) => ("failed", stage.partitions),
        };
        let mut counted = StageSummary {
            id: id as u64,
            state: state.to_owned(),
            tasks: partitions as u64,
            done: 0,
            running: 0,
            seconds: 0.0,
            busy_seconds: 0.0,
            busy_seconds_by_executor: BTreeMap::new(),
            operators: operators(stage.plan(), job.operators.get(&number)),
        };
        let (mut first_ms, mut last_ms) = (u128::MAX, 0);
        let mut busy: HashMap<&str, f64> = HashMap::new();
        for info in stage.task_infos().unwrap_or_default() {
            let task = u32::try_from(info.task_id)
                .ok()
                .and_then(|task| job.tasks.get(&(number, task)));
            first_ms = first_ms.min(info.scheduled_time);
            last_ms = last_ms.max(info.finish_time);
            self.add_task(info, task, &mut counted);
            if let (Some(task), task_status::Status::Successful(_)) = (task, &info.task_status) {
                *busy.entry(&task.executor).or_default() += task.busy_ms as f64 / 1_000.0;
            }
        }
        let mut busy: Vec<_> = busy.into_iter().collect();
        busy.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(b.0)));
        counted.busy_seconds_by_executor = busy
            .into_iter()
            .take(MOST_BUSY)
            .map(|(executor, seconds)| (executor.to_owned(), seconds))
            .collect();
        if matches!(stage, ExecutionStage::Running(_)) && counted.running > 0 {
            last_ms = u128::from(now_ms());
        }
        counted.seconds = last_ms.saturating_sub(first_ms) as f64 / 1_000.0;
        counted
    }

    fn add_task(&mut self, info: &TaskInfo, task: Option<&Task>, counted: &mut StageSummary) {
        // A task may have several partitions; those are what was asked for.
        let partitions = info.global_input_partition_ids.len() as u64;
        match &info.task_status {
            task_status::Status::Running(_) => {
                counted.running += partitions;
                if let Some(share) = self.share(task) {
                    share.tasks_running += 1;
                }
            }
            task_status::Status::Successful(_) => {
                counted.done += partitions;
                let Some(task) = task else { return };
                let busy_seconds = task.busy_ms as f64 / 1_000.0;
                counted.busy_seconds += busy_seconds;
                self.images.done += task.images_done;
                self.images.failed += task.images_failed;
                self.bytes_read += task.bytes_read;
                if let Some(share) = self.share(Some(task)) {
                    share.tasks_done += 1;
                    share.images += task.images_done + task.images_failed;
                    share.busy_seconds += busy_seconds;
                }
            }
            task_status::Status::Failed(failed) => {
                // Ballista ends so what was in work when a job ends.
                let is_stopped = matches!(failed.failed_reason, Some(FailedReason::TaskKilled(_)))
                    && !failed.retryable;
                if !is_stopped && task.is_none_or(|task| !task.blameless) {
                    self.attempts_failed += 1;
                }
            }
        }
    }

    fn share(&mut self, task: Option<&Task>) -> Option<&mut ExecutorShare> {
        let task = task?;
        Some(
            self.executors
                .entry(task.executor.to_string())
                .or_insert_with(|| ExecutorShare {
                    id: task.executor.to_string(),
                    host: task.host.to_string(),
                    tasks_done: 0,
                    tasks_running: 0,
                    images: 0,
                    busy_seconds: 0.0,
                }),
        )
    }
}

/// Names of the operators that report something, in the order in which executors report, and their sums.
fn operators(
    plan: &dyn ExecutionPlan,
    sums: Option<&Vec<BTreeMap<String, f64>>>,
) -> Vec<OperatorSums> {
    let Some(sums) = sums else {
        return Vec::new();
    };
    let mut names = Vec::new();
    let mut open = vec![plan];
    while let Some(plan) = open.pop() {
        if plan.metrics().is_some() {
            names.push(plan.name());
        }
        open.extend(
            plan.children()
                .into_iter()
                .rev()
                .map(|child| child.as_ref()),
        );
    }
    // Names are told only where they are sure to be those of the sums.
    let is_same = names.len() == sums.len();
    sums.iter()
        .enumerate()
        .map(|(at, metrics)| OperatorSums {
            name: match names.get(at).filter(|_| is_same) {
                Some(name) => (*name).to_owned(),
                None => format!("operator {at}"),
            },
            metrics: metrics.clone(),
        })
        .collect()
}
