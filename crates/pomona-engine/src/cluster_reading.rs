//! What a cluster did for a runner.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::runner::EXTRACT_JOB;

/// Jobs listed one by one; further ones are added up by their names.
const MOST_JOBS: usize = 400;
/// Executors listed one by one; further ones are added up as [`OTHERS`].
const MOST_EXECUTORS: usize = 1_000;
/// Stages times executors whose work is told apart, over all jobs.
const MOST_SHARES: usize = 20_000;
/// Stands for executors that are not listed one by one, and for names of jobs that are too many.
const OTHERS: &str = "others";
/// The state of a job that came to its end as it should.
const FINISHED: &str = "finished";

/// What a cluster did for the plans of one runner.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ClusterReading {
    /// The scheduler, as `HOST:PORT`.
    pub scheduler: String,
    /// Executors that did something, over all jobs; at most 1,001.
    pub executors: Vec<ExecutorReading>,
    /// Jobs in the order in which they ended. Of more than 400 the earlier ones are one entry for each name.
    pub jobs: Vec<JobReading>,
}

/// What one executor did, over all jobs.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ExecutorReading {
    /// Identifier, or `others` for those that are too many to list.
    pub id: String,
    /// Host it says it is reached at.
    pub host: String,
    /// Tasks done.
    pub tasks_done: u64,
    /// Images worked on, those that could not be read too, in the jobs called [`EXTRACT_JOB`].
    pub images: u64,
    /// Seconds of work, added up over its tasks.
    pub busy_seconds: f64,
}

/// One job, or several of one name added up.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct JobReading {
    /// Identifier, of the first where it stands for several.
    pub id: String,
    /// Its name: what it was for.
    pub name: String,
    /// How many jobs this stands for.
    pub jobs: u64,
    /// `finished`, `failed`, `cancelled`, or `unknown` where the scheduler did not tell; of several, what became of
    /// the last one that did not finish.
    pub state: String,
    /// Partitions of the stages that nothing else reads.
    pub shards: u64,
    /// Of those, done.
    pub shards_done: u64,
    /// Of those, given up because executors ended while they worked on them.
    pub set_aside: u64,
    /// Attempts that came to nothing.
    pub attempts_failed: u64,
    /// Rows written for images that could be read.
    pub images_done: u64,
    /// Images that could not be read.
    pub images_failed: u64,
    /// Bytes fetched from storage.
    pub bytes_read: u64,
    /// Seconds from its coming to its end.
    pub seconds: f64,
    /// Of those, seconds until its first task could be handed out.
    pub waited_seconds: f64,
    /// What it cost, where the scheduler was told the price of executors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<CostReading>,
    /// Its stages, by their numbers.
    pub stages: Vec<StageReading>,
}

/// Money.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CostReading {
    /// In whole units of the currency.
    pub amount: f64,
    /// As the scheduler was told, such as `EUR`.
    pub currency: String,
}

/// A stage of a job.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct StageReading {
    /// Number within the job, from 1.
    pub id: u64,
    /// Tasks done.
    pub tasks: u64,
    /// Seconds from the first task handed out to the last one's end.
    pub seconds: f64,
    /// Seconds of work, added up over its tasks.
    pub busy_seconds: f64,
    /// The same for each executor, as far as it is known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub busy_seconds_by_executor: BTreeMap<String, f64>,
}

impl ClusterReading {
    /// Adds a job that is over, and what executors did for it.
    pub fn add(&mut self, mut job: JobReading, executors: Vec<ExecutorReading>) {
        for mut share in executors {
            if job.name != EXTRACT_JOB {
                // Other jobs go over the same images again.
                share.images = 0;
            }
            self.add_share(share);
        }
        let told: usize = self.jobs.iter().map(JobReading::shares).sum();
        if told + job.shares() > MOST_SHARES {
            for stage in &mut job.stages {
                stage.busy_seconds_by_executor.clear();
            }
        }
        self.jobs.push(job);
        if self.jobs.len() > MOST_JOBS {
            self.fold();
        }
    }

    fn add_share(&mut self, share: ExecutorReading) {
        let known = |executors: &[ExecutorReading], id: &str| {
            executors.iter().position(|executor| executor.id == id)
        };
        let at = match known(&self.executors, &share.id) {
            None if self.executors.len() < MOST_EXECUTORS => {
                self.executors.push(share);
                return;
            }
            None => known(&self.executors, OTHERS).unwrap_or_else(|| {
                self.executors.push(ExecutorReading {
                    id: OTHERS.to_owned(),
                    ..ExecutorReading::default()
                });
                self.executors.len() - 1
            }),
            Some(at) => at,
        };
        if let Some(executor) = self.executors.get_mut(at) {
            executor.tasks_done += share.tasks_done;
            executor.images += share.images;
            executor.busy_seconds += share.busy_seconds;
        }
    }

    /// Makes room: of the earlier half of the jobs those of one name become one entry.
    fn fold(&mut self) {
        let later = self.jobs.split_off(self.jobs.len() / 2);
        let mut folded = by_name(std::mem::take(&mut self.jobs));
        // Names without end leave no room.
        if folded.len() > MOST_JOBS / 4 {
            for job in &mut folded {
                OTHERS.clone_into(&mut job.name);
            }
            folded = by_name(folded);
        }
        folded.extend(later);
        self.jobs = folded;
    }

    /// The jobs, those of one name added up, in the order in which the first of each ended.
    #[must_use]
    pub fn steps(&self) -> Vec<JobReading> {
        by_name(self.jobs.clone())
    }
}

fn by_name(jobs: Vec<JobReading>) -> Vec<JobReading> {
    let mut steps: Vec<JobReading> = Vec::new();
    for job in jobs {
        match steps.iter_mut().find(|step| step.name == job.name) {
            Some(step) => step.merge(job),
            None => steps.push(job),
        }
    }
    steps
}

impl JobReading {
    /// Whether it came to its end as it should; of several, whether all did.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.state == FINISHED
    }

    fn shares(&self) -> usize {
        self.stages
            .iter()
            .map(|stage| stage.busy_seconds_by_executor.len())
            .sum()
    }

    fn merge(&mut self, other: Self) {
        self.jobs += other.jobs;
        if !other.is_finished() {
            self.state = other.state;
        }
        self.shards += other.shards;
        self.shards_done += other.shards_done;
        self.set_aside += other.set_aside;
        self.attempts_failed += other.attempts_failed;
        self.images_done += other.images_done;
        self.images_failed += other.images_failed;
        self.bytes_read += other.bytes_read;
        self.seconds += other.seconds;
        self.waited_seconds += other.waited_seconds;
        match (&mut self.cost, other.cost) {
            (Some(cost), Some(more)) => cost.amount += more.amount,
            (cost @ None, more) => *cost = more,
            (Some(_), None) => {}
        }
        for stage in other.stages {
            match self.stages.iter_mut().find(|known| known.id == stage.id) {
                Some(known) => known.merge(stage),
                None => self.stages.push(stage),
            }
        }
    }
}

impl StageReading {
    fn merge(&mut self, other: Self) {
        self.tasks += other.tasks;
        self.seconds += other.seconds;
        self.busy_seconds += other.busy_seconds;
        for (executor, seconds) in other.busy_seconds_by_executor {
            *self.busy_seconds_by_executor.entry(executor).or_default() += seconds;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(name: &str, executor: &str) -> (JobReading, Vec<ExecutorReading>) {
        let stage = StageReading {
            id: 1,
            tasks: 2,
            seconds: 0.75,
            busy_seconds: 1.0,
            busy_seconds_by_executor: [(executor.to_owned(), 1.0)].into(),
        };
        let job = JobReading {
            id: format!("{name}-{executor}"),
            name: name.to_owned(),
            jobs: 1,
            state: FINISHED.to_owned(),
            shards: 2,
            shards_done: 2,
            images_done: 9,
            images_failed: 1,
            seconds: 1.5,
            cost: Some(CostReading {
                amount: 0.25,
                currency: "EUR".to_owned(),
            }),
            stages: vec![stage],
            ..JobReading::default()
        };
        let share = ExecutorReading {
            id: executor.to_owned(),
            host: "127.0.0.1".to_owned(),
            tasks_done: 2,
            images: 10,
            busy_seconds: 1.0,
        };
        (job, vec![share])
    }

    #[test]
    fn images_are_those_of_the_extraction() {
        let mut reading = ClusterReading::default();
        for (name, executor) in [(EXTRACT_JOB, "a"), (EXTRACT_JOB, "b"), ("reduce", "a")] {
            let (job, shares) = job(name, executor);
            reading.add(job, shares);
        }
        let told: Vec<_> = reading
            .executors
            .iter()
            .map(|e| (e.id.as_str(), e.tasks_done, e.images, e.busy_seconds))
            .collect();
        assert_eq!(told, [("a", 4, 10, 2.0), ("b", 2, 10, 1.0)]);
        let steps = reading.steps();
        assert_eq!(
            steps
                .iter()
                .map(|step| (step.name.as_str(), step.jobs, step.images_done))
                .collect::<Vec<_>>(),
            [(EXTRACT_JOB, 2, 18), ("reduce", 1, 9)]
        );
        assert_eq!(steps[0].cost.as_ref().unwrap().amount, 0.5);
        let stage = &steps[0].stages[0];
        assert_eq!((stage.tasks, stage.seconds), (4, 1.5));
        assert_eq!(
            stage.busy_seconds_by_executor,
            [("a".to_owned(), 1.0), ("b".to_owned(), 1.0)].into()
        );
    }

    #[test]
    fn what_is_kept_is_bounded_and_still_adds_up() {
        let mut reading = ClusterReading::default();
        const JOBS: u64 = 3_000;
        for number in 0..JOBS {
            let name = match number {
                0..1_000 => EXTRACT_JOB.to_owned(),
                1_000..2_000 => format!("name {number}"),
                _ => "pass".to_owned(),
            };
            let (mut job, shares) = job(&name, &format!("executor {number}"));
            if number == 2_000 {
                job.stages[0].busy_seconds_by_executor = (0..MOST_SHARES)
                    .map(|number| (number.to_string(), 1.0))
                    .collect();
            }
            reading.add(job, shares);
            assert!(reading.jobs.len() <= MOST_JOBS);
        }
        let sum = |value: fn(&JobReading) -> u64| reading.jobs.iter().map(value).sum::<u64>();
        assert_eq!(sum(|job| job.jobs), JOBS);
        assert_eq!(sum(|job| job.images_failed), JOBS);
        assert!(reading.jobs.iter().map(JobReading::shares).sum::<usize>() <= MOST_SHARES);
        assert_eq!(reading.executors.len(), MOST_EXECUTORS + 1);
        let others = reading.executors.last().unwrap();
        assert_eq!((others.id.as_str(), others.tasks_done), (OTHERS, 4_000));
        let images: u64 = reading.executors.iter().map(|e| e.images).sum();
        assert_eq!(images, 10_000);
    }

    #[test]
    fn what_did_not_finish_is_told_of_several() {
        let mut reading = ClusterReading::default();
        for state in ["finished", "failed", "finished"] {
            let (mut job, shares) = job("pass", "a");
            state.clone_into(&mut job.state);
            reading.add(job, shares);
        }
        assert_eq!(reading.steps()[0].state, "failed");
    }
}
