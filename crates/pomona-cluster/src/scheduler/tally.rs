//! What was handed out to whom, and what came of it.
//!
//! Ballista keeps the truth about which partitions are done. This keeps what it does not: photos by executor, who was
//! at work on what when it was lost, and which tasks an executor never heard of.

mod executor;
mod sums;

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ballista_core::serde::protobuf::{
    ExecutorRegistration, TaskDefinition, TaskStatus, task_status,
};

use self::executor::Executor;
use self::sums::add;
use crate::summary::{ExecutorSummary, JobSummary};

/// Rates are taken over this time.
const RATE_WINDOW_MS: u64 = 60_000;
/// An executor that asks for work again and again, with all slots free, has none of the tasks that were handed to it
/// longer ago than this.
const FORGOTTEN_MS: u64 = 3_000;
/// How long an executor that left is still listed.
const LEFT_SHOWN_MS: u64 = 600_000;
/// Attempts at one partition that are looked at.
const MOST_ATTEMPTS: u32 = 64;
/// Operators of a stage that are summed.
const MOST_OPERATORS: usize = 256;
/// More partitions than this in a stage, and Ballista is not given the tasks' metrics: it rewrites all of a stage's
/// metrics at every task.
const METRICS_PARTITIONS: u32 = 1_024;

/// Milliseconds since 1970-01-01 UTC.
pub(crate) fn now_ms() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(0))
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Tally {
    inner: Mutex<Inner>,
    timeout_ms: u64,
}

#[derive(Debug, Default)]
struct Inner {
    jobs: HashMap<String, JobTally>,
    executors: HashMap<String, Executor>,
    totals: Totals,
    accrued_ms: u64,
}

/// Sums since the scheduler started.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Totals {
    pub(crate) tasks_done: u64,
    pub(crate) tasks_failed: u64,
    pub(crate) tasks_forgotten: u64,
    pub(crate) shards_set_aside: u64,
    pub(crate) images_done: u64,
    pub(crate) images_failed: u64,
    pub(crate) bytes_read: u64,
    pub(crate) executors_lost: u64,
}

/// A task: the job, the stage, and the task's place in the stage's list of tasks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct TaskKey {
    pub(crate) job: Arc<str>,
    pub(crate) stage: u32,
    pub(crate) task: u32,
}

/// What is kept of a job until it is over.
#[derive(Debug)]
pub(crate) struct JobTally {
    id: Arc<str>,
    pub(crate) queued: JobSummary,
    pub(crate) cancelled: bool,
    pub(crate) tasks: HashMap<(u32, u32), Task>,
    /// The last task for a partition of a stage.
    latest: HashMap<(u32, u32), u32>,
    pub(crate) operators: BTreeMap<u32, Vec<BTreeMap<String, f64>>>,
    pub(crate) set_aside: Vec<u32>,
    pub(crate) executor_seconds: f64,
    /// Tasks done at moments of the last minute.
    pub(crate) samples: VecDeque<(u64, u64)>,
    pub(crate) tasks_done: u64,
    /// Whether partitions of a stage stand each for itself.
    of_shards: HashMap<u32, bool>,
}

/// A task that was handed out.
#[derive(Debug, Clone)]
pub(crate) struct Task {
    pub(crate) executor: Arc<str>,
    pub(crate) host: Arc<str>,
    pub(crate) attempt: u32,
    pub(crate) partitions: Box<[u32]>,
    handed_ms: u64,
    pub(crate) reported: bool,
    /// It was reported as failed.
    failed: bool,
    /// It came to nothing by nobody's fault.
    pub(crate) blameless: bool,
    previous: Option<u32>,
    pub(crate) images_done: u64,
    pub(crate) images_failed: u64,
    pub(crate) bytes_read: u64,
    pub(crate) busy_ms: u64,
}

/// What to do about a task that Ballista wants to hand out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HandOut {
    /// Give it to the executor.
    Give,
    /// As many executors were lost over its partition as are too many.
    SetAside,
}

impl Tally {
    pub(crate) fn new(executor_timeout: Duration) -> Self {
        Self {
            inner: Mutex::default(),
            timeout_ms: u64::try_from(executor_timeout.as_millis()).unwrap_or(u64::MAX),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Counts stay usable whatever a thread that held them came to.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A job was accepted.
    pub(crate) fn queued(&self, id: &str, name: &str, queued_ms: u64) {
        let job = JobTally {
            id: id.into(),
            queued: JobSummary::queued(id, name, queued_ms),
            cancelled: false,
            tasks: HashMap::new(),
            latest: HashMap::new(),
            operators: BTreeMap::new(),
            set_aside: Vec::new(),
            executor_seconds: 0.0,
            samples: VecDeque::new(),
            tasks_done: 0,
            of_shards: HashMap::new(),
        };
        let mut inner = self.lock();
        inner.accrue(now_ms(), self.timeout_ms);
        inner.jobs.insert(id.to_owned(), job);
    }

    /// Somebody wants a job to end.
    pub(crate) fn cancelled(&self, id: &str) {
        if let Some(job) = self.lock().jobs.get_mut(id) {
            job.cancelled = true;
        }
    }

    /// Reads what is kept of a job.
    pub(crate) fn with_job<T>(&self, id: &str, read: impl FnOnce(&JobTally) -> T) -> Option<T> {
        let mut inner = self.lock();
        inner.accrue(now_ms(), self.timeout_ms);
        inner.jobs.get(id).map(read)
    }

    /// Jobs that are not over, newest first.
    pub(crate) fn open_jobs(&self) -> Vec<JobSummary> {
        let mut jobs: Vec<_> = self
            .lock()
            .jobs
            .values()
            .map(|job| job.queued.clone())
            .collect();
        jobs.sort_by(|a, b| (b.queued_ms, &b.id).cmp(&(a.queued_ms, &a.id)));
        jobs
    }

    /// Forgets a job that is over.
    pub(crate) fn over(&self, id: &str) {
        let mut inner = self.lock();
        if inner.jobs.remove(id).is_some() {
            for executor in inner.executors.values_mut() {
                executor.out.retain(|task| &*task.job != id);
            }
        }
    }

    /// An executor asks for work. Gives back whether it may have some, and tasks that it was handed and has not.
    pub(crate) fn seen(
        &self,
        executor: &ExecutorRegistration,
        host: &str,
        slots: u32,
        free: u32,
        reports: bool,
    ) -> Seen {
        let now = now_ms();
        let mut inner = self.lock();
        let mut is_new = false;
        let known = inner
            .executors
            .entry(executor.id.clone())
            .or_insert_with(|| {
                is_new = true;
                Executor::new(host, executor.port, slots, now)
            });
        known.last_seen_ms = now;
        known.lost = false;
        known.free = free.min(slots);
        let is_idle = free >= slots && !reports;
        let idle_since = known.idle_since_ms.filter(|_| is_idle).unwrap_or(now);
        known.idle_since_ms = is_idle.then_some(idle_since);
        let (takes_work, has_left) = (!known.draining, known.left);
        let forgotten = if is_idle && now.saturating_sub(idle_since) >= FORGOTTEN_MS {
            inner.forgotten(&executor.id, now)
        } else {
            Vec::new()
        };
        Seen {
            is_new,
            takes_work,
            has_left,
            forgotten,
        }
    }

    /// An executor is about to leave, or has left: neither what it had in work nor results that went with it are held
    /// against anything.
    pub(crate) fn draining(&self, executor: &str, has_left: bool) {
        let mut inner = self.lock();
        let Some(known) = inner.executors.get_mut(executor) else {
            return;
        };
        known.draining = true;
        known.left |= has_left;
        if has_left {
            known.out.clear();
            let tasks = inner
                .jobs
                .values_mut()
                .flat_map(|job| job.tasks.values_mut());
            for task in tasks.filter(|task| &*task.executor == executor && !task.failed) {
                task.blameless = true;
            }
        }
    }

    /// Takes note of a report and gives back what of it Ballista may see: nothing where the task was never handed to
    /// this executor or has been reported before, since Ballista would count it twice.
    pub(crate) fn reported(&self, executor: &str, mut status: TaskStatus) -> Option<TaskStatus> {
        let key = TaskKey {
            job: status.job_id.as_str().into(),
            stage: status.stage_id,
            task: status.task_id,
        };
        let mut inner = self.lock();
        let inner = &mut *inner;
        if let Some(known) = inner.executors.get_mut(executor) {
            known.out.remove(&key);
        }
        let job = inner.jobs.get_mut(&*key.job)?;
        let task = job.tasks.get_mut(&(key.stage, key.task))?;
        if task.reported || &*task.executor != executor || task.attempt != status.stage_attempt_num
        {
            return None;
        }
        match &status.status {
            None | Some(task_status::Status::Running(_)) => return None,
            Some(task_status::Status::Failed(_)) => {
                task.reported = true;
                task.failed = true;
                inner.totals.tasks_failed += 1;
                return Some(status);
            }
            Some(task_status::Status::Successful(_)) => {}
        }
        task.reported = true;
        task.busy_ms = status.end_exec_time.saturating_sub(status.start_exec_time);
        let sums = job.operators.entry(key.stage).or_default();
        for (at, operator) in status.metrics.iter().take(MOST_OPERATORS).enumerate() {
            if sums.len() <= at {
                sums.push(BTreeMap::new());
            }
            if let Some(sums) = sums.get_mut(at) {
                add(sums, operator, task);
            }
        }
        job.tasks_done += 1;
        let images = task.images_done.saturating_add(task.images_failed);
        inner.totals.tasks_done += 1;
        inner.totals.images_done += task.images_done;
        inner.totals.images_failed += task.images_failed;
        inner.totals.bytes_read += task.bytes_read;
        if let Some(known) = inner.executors.get_mut(executor) {
            known.tasks_done += 1;
            known.images += images;
            known.busy_ms += task.busy_ms;
        }
        // The highest partition handed out tells how wide the stage is, near enough: partitions go out in order.
        if task
            .partitions
            .iter()
            .any(|&partition| partition >= METRICS_PARTITIONS)
        {
            status.metrics = Vec::new();
        }
        Some(status)
    }

    /// Takes note of a task that Ballista gives to an executor, unless `most` executors were lost over it before.
    pub(crate) fn hand_out(&self, executor: &str, task: &TaskDefinition, most: u32) -> HandOut {
        let now = now_ms();
        let mut inner = self.lock();
        let Some(host) = inner
            .executors
            .get(executor)
            .map(|known| known.host.clone())
        else {
            return HandOut::Give;
        };
        let gone = inner.gone(now, self.timeout_ms);
        let Some(job) = inner.jobs.get_mut(&task.job_id) else {
            return HandOut::Give;
        };
        let partitions: Box<[u32]> = task.global_output_partition_ids.as_slice().into();
        // A task of several partitions gathers what other tasks left: it is no shard.
        let previous = match *partitions {
            [partition] => job
                .latest
                .insert((task.stage_id, partition), task.task_id)
                .filter(|&previous| previous != task.task_id),
            _ => None,
        };
        let lost_over = match *partitions {
            [partition] => job.lost_over(task.stage_id, partition, previous, &gone),
            _ => 0,
        };
        let key = TaskKey {
            job: job.id.clone(),
            stage: task.stage_id,
            task: task.task_id,
        };
        job.tasks.insert(
            (task.stage_id, task.task_id),
            Task {
                executor: executor.into(),
                host,
                attempt: task.stage_attempt_num,
                partitions,
                handed_ms: now,
                reported: false,
                failed: false,
                blameless: false,
                previous,
                images_done: 0,
                images_failed: 0,
                bytes_read: 0,
                busy_ms: 0,
            },
        );
        if most > 0 && lost_over >= most {
            return HandOut::SetAside;
        }
        if let Some(known) = inner.executors.get_mut(executor) {
            known.out.insert(key);
        }
        HandOut::Give
    }

    /// Whether partitions of a stage stand each for itself, where that was noted.
    pub(crate) fn is_of_shards(&self, job: &str, stage: u32) -> Option<bool> {
        self.lock().jobs.get(job)?.of_shards.get(&stage).copied()
    }

    /// Takes note of that.
    pub(crate) fn note_of_shards(&self, job: &str, stage: u32, is_of_shards: bool) {
        if let Some(job) = self.lock().jobs.get_mut(job) {
            job.of_shards.insert(stage, is_of_shards);
        }
    }

    /// A partition was given up.
    pub(crate) fn set_aside(&self, job: &str, stage: u32, task: u32) {
        let mut inner = self.lock();
        let Some(job) = inner.jobs.get_mut(job) else {
            return;
        };
        let Some(task) = job.tasks.get_mut(&(stage, task)) else {
            return;
        };
        task.reported = true;
        let partitions = task.partitions.clone();
        job.set_aside.extend(partitions.iter());
        job.set_aside.sort_unstable();
        job.set_aside.dedup();
        inner.totals.shards_set_aside += partitions.len() as u64;
    }

    /// Executors, those that are there first, then by host.
    pub(crate) fn executors(&self) -> Vec<ExecutorSummary> {
        let now = now_ms();
        let inner = self.lock();
        let mut all: Vec<_> = inner
            .executors
            .iter()
            .map(|(id, known)| known.summary(id, now, self.timeout_ms))
            .collect();
        let order = |state: &str| match state {
            "alive" => 0,
            "draining" => 1,
            _ => 2,
        };
        all.sort_by(|a, b| {
            (order(&a.state), &a.host, a.port, &a.id).cmp(&(
                order(&b.state),
                &b.host,
                b.port,
                &b.id,
            ))
        });
        all
    }

    /// Slots of executors that take work, and those executors.
    pub(crate) fn slots(&self) -> (u64, u64) {
        let now = now_ms();
        let inner = self.lock();
        inner
            .executors
            .values()
            .filter(|known| known.is_alive(now, self.timeout_ms) && !known.draining)
            .fold((0, 0), |(slots, executors), known| {
                (slots + u64::from(known.slots), executors + 1)
            })
    }

    /// Sums since the start.
    pub(crate) fn totals(&self) -> Totals {
        self.lock().totals
    }

    /// To be called every second or so: takes samples, forgets executors that left long ago, and gives back those
    /// that have newly been lost, by identifier and host.
    pub(crate) fn tick(&self) -> Vec<(String, String)> {
        let now = now_ms();
        let mut inner = self.lock();
        inner.accrue(now, self.timeout_ms);
        for job in inner.jobs.values_mut() {
            let done = job.tasks_done;
            job.samples.push_back((now, done));
            while job
                .samples
                .front()
                .is_some_and(|(at, _)| now.saturating_sub(*at) > RATE_WINDOW_MS)
            {
                job.samples.pop_front();
            }
        }
        let mut lost = Vec::new();
        let timeout = self.timeout_ms;
        for (id, known) in &mut inner.executors {
            if !known.lost && !known.left && now.saturating_sub(known.last_seen_ms) > timeout {
                known.lost = true;
                lost.push((id.clone(), known.host.to_string()));
            }
        }
        inner.totals.executors_lost += lost.len() as u64;
        inner.executors.retain(|_, known| {
            !(known.left || known.lost) || now.saturating_sub(known.last_seen_ms) < LEFT_SHOWN_MS
        });
        lost
    }
}

/// What an executor's request for work means.
#[derive(Debug)]
pub(crate) struct Seen {
    /// It was not there before.
    pub(crate) is_new: bool,
    /// Whether it may be given something.
    pub(crate) takes_work: bool,
    /// It said before that it goes.
    pub(crate) has_left: bool,
    /// Tasks that were handed to it and that it knows nothing of, with their stage's attempt.
    pub(crate) forgotten: Vec<(TaskKey, u32)>,
}

impl JobTally {
    /// How many executors were lost while they worked on a partition, from its last task backwards.
    fn lost_over(
        &self,
        stage: u32,
        partition: u32,
        mut previous: Option<u32>,
        gone: &HashSet<String>,
    ) -> u32 {
        let mut lost = HashSet::new();
        // Numbers of tasks begin anew when a stage is rolled back: a chain may lead to another partition's task.
        for _ in 0..MOST_ATTEMPTS {
            let Some(task) = previous
                .and_then(|task| self.tasks.get(&(stage, task)))
                .filter(|task| *task.partitions == [partition])
            else {
                break;
            };
            // One that came back was cut off, not killed.
            if !task.reported && !task.blameless && gone.contains(&*task.executor) {
                lost.insert(&*task.executor);
            }
            previous = task.previous;
        }
        u32::try_from(lost.len()).unwrap_or(u32::MAX)
    }

    /// Tasks done a second over the last minute.
    pub(crate) fn tasks_per_second(&self) -> Option<f64> {
        let (from, before) = *self.samples.front()?;
        let (until, after) = *self.samples.back()?;
        let secs = until.saturating_sub(from) as f64 / 1_000.0;
        (secs > 0.0 && after > before).then(|| (after - before) as f64 / secs)
    }
}

impl Inner {
    fn task(&mut self, key: &TaskKey) -> Option<&mut Task> {
        self.jobs
            .get_mut(&*key.job)?
            .tasks
            .get_mut(&(key.stage, key.task))
    }

    /// Executors that are not there any more. Ballista counts whole seconds and may give one up a little early.
    fn gone(&self, now: u64, timeout_ms: u64) -> HashSet<String> {
        self.executors
            .iter()
            .filter(|(_, known)| !known.is_alive(now, timeout_ms - timeout_ms / 4))
            .map(|(id, _)| id.clone())
            .collect()
    }

    fn forgotten(&mut self, executor: &str, now: u64) -> Vec<(TaskKey, u32)> {
        let Some(known) = self.executors.get(executor) else {
            return Vec::new();
        };
        let out: Vec<TaskKey> = known.out.iter().cloned().collect();
        let mut forgotten = Vec::new();
        for key in out {
            let found = self.task(&key).and_then(|task| {
                (now.saturating_sub(task.handed_ms) >= FORGOTTEN_MS).then(|| {
                    task.reported = true;
                    task.blameless = true;
                    task.attempt
                })
            });
            if let Some(attempt) = found {
                forgotten.push((key, attempt));
            }
        }
        self.totals.tasks_forgotten += forgotten.len() as u64;
        if let Some(known) = self.executors.get_mut(executor) {
            for (key, _) in &forgotten {
                known.out.remove(key);
            }
        }
        forgotten
    }

    /// Charges the time since the last call to the jobs that are open, in equal parts.
    fn accrue(&mut self, now: u64, timeout_ms: u64) {
        let since = std::mem::replace(&mut self.accrued_ms, now);
        let passed = now.saturating_sub(if since == 0 { now } else { since });
        let alive = self
            .executors
            .values()
            .filter(|known| known.is_alive(now, timeout_ms))
            .count();
        let jobs = self.jobs.len();
        if jobs == 0 {
            return;
        }
        let each = passed as f64 / 1_000.0 * alive as f64 / jobs as f64;
        for job in self.jobs.values_mut() {
            job.executor_seconds += each;
        }
    }
}
