//! The life of an executor among its scheduler: asking for tasks, doing them, telling, leaving.
//!
//! An executor asks for as many tasks as it has free slots and tells in the same breath which have ended. If such a
//! request fails on its way, nobody here knows whether the scheduler has heard it. Telling twice would count a task
//! twice, and tasks in a lost answer would be done by nobody. So the executor drops all that it has and comes back
//! under another name, and the scheduler has it done again.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use ballista_core::serde::protobuf::{PollWorkResult, TaskDefinition, TaskStatus};
use futures::future::abortable;
use pomona_engine::EngineError;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::folder::WorkFolder;
use super::metrics::Figures;
use super::scheduler::{Scheduler, find, never_sent};
use super::service::RunningTasks;
use super::settings::{ExecutorEvent, ExecutorSettings, LeaveReason, ScheduledTask};
use super::task::{TaskEnvironment, failure, forgive, named};
use crate::error::ClusterError;
use crate::trace::of_task;
use crate::version::chain;

/// The longest time between two polls: the scheduler must hear that this executor lives.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// Shortest time between two polls with slots free.
const SOON: Duration = Duration::from_millis(5);
/// The longest, when there was work not long ago.
const IDLE: Duration = Duration::from_millis(50);
/// The same, when there was none for [`QUIET_AFTER`].
const QUIET: Duration = Duration::from_millis(250);
const QUIET_AFTER: Duration = Duration::from_secs(10);
/// Between two looks at the room that is left.
const DISK_CHECK: Duration = Duration::from_secs(2);
/// How long tasks that are given up may take to let go.
const LET_GO: Duration = Duration::from_secs(1);
/// How long the caller may take to note which tasks are handed back.
const HAND_BACK: Duration = Duration::from_secs(10);

/// What a worker is given.
pub(super) struct Workplace {
    pub(super) settings: ExecutorSettings,
    pub(super) port: u16,
    pub(super) folder: Arc<WorkFolder>,
    pub(super) figures: Arc<Figures>,
    pub(super) running: RunningTasks,
    /// Where tasks run, apart from what must not wait for them.
    pub(super) task_runtime: Handle,
}

pub(super) struct Worker {
    place: Workplace,
    scheduler: Scheduler,
    environment: Arc<TaskEnvironment>,
    ended: mpsc::UnboundedReceiver<Ended>,
    tell_end: mpsc::UnboundedSender<Ended>,
    free_slots: usize,
    /// What the scheduler has not been told yet.
    untold: VecDeque<TaskStatus>,
    leaving: CancellationToken,
    leave_reason: OnceLock<LeaveReason>,
    leave_since: Arc<OnceLock<Instant>>,
    /// Whether the scheduler was told, under the name of now, that this executor is about to leave.
    has_told_drain: bool,
    last_task: Instant,
    last_disk_check: Option<Instant>,
}

/// A task that has come to its end, or was made to.
struct Ended {
    task: ScheduledTask,
    slots: usize,
    elapsed: Duration,
    status: Option<TaskStatus>,
}

impl Worker {
    pub(super) fn new(place: Workplace) -> Result<Self, ClusterError> {
        let (tell_end, ended) = mpsc::unbounded_channel();
        Ok(Self {
            scheduler: Scheduler::new(&place.settings, place.port)?,
            environment: Arc::new(TaskEnvironment::new(&place.settings, place.folder.clone())),
            ended,
            tell_end,
            free_slots: place.settings.slots,
            untold: VecDeque::new(),
            leaving: place.settings.stop.child_token(),
            leave_reason: OnceLock::new(),
            leave_since: Arc::default(),
            has_told_drain: false,
            last_task: Instant::now(),
            last_disk_check: None,
            place,
        })
    }

    /// Works until the executor is told to leave, or has to.
    pub(super) async fn work(mut self) -> Result<(), ClusterError> {
        let first = find(
            &self.place.settings,
            Some(self.place.settings.scheduler_wait),
        );
        tokio::select! {
            found = first => found?,
            () = self.leaving.cancelled() => return Ok(()),
            () = self.place.settings.stop_now.cancelled() => return Ok(()),
        }
        loop {
            self.hear_ends();
            self.check_disk();
            if self.is_leaving() && self.place.running.len() == 0 && self.untold.is_empty() {
                return self.leave().await;
            }
            if !self.tell_drain().await {
                return self.hand_back().await;
            }
            let statuses: Vec<TaskStatus> = self.untold.iter().cloned().collect();
            let told = statuses.len();
            let free = if self.is_leaving() {
                0
            } else {
                self.free_slots
            };
            let time_is_up = self.time_is_up();
            let answer = tokio::select! {
                answer = self.scheduler.poll(free, statuses) => Some(answer),
                () = time_is_up => None,
            };
            match answer {
                None => return self.hand_back().await,
                Some(Ok(answer)) => {
                    self.untold.drain(..told);
                    self.accept(answer);
                    if self.untold.is_empty() && !self.rest().await {
                        return self.hand_back().await;
                    }
                }
                Some(Err(status)) => {
                    let time_is_up = self.time_is_up();
                    let found_again = tokio::select! {
                        found = self.find_again(status) => Some(found),
                        () = time_is_up => None,
                    };
                    match found_again {
                        None => return self.hand_back().await,
                        Some(found) => found?,
                    }
                }
            }
        }
    }

    fn is_leaving(&mut self) -> bool {
        if !self.leaving.is_cancelled() {
            return false;
        }
        if !self.place.figures.draining.swap(true, Relaxed) {
            let reason = *self.leave_reason.get_or_init(|| LeaveReason::Stopped);
            self.leave_since.get_or_init(Instant::now);
            self.place.settings.tell(ExecutorEvent::Draining {
                reason,
                running: self.place.running.len(),
            });
        }
        true
    }

    /// Tells the scheduler once that this executor is about to leave, if it is. Whether there was time for it.
    async fn tell_drain(&mut self) -> bool {
        if !self.is_leaving() || std::mem::replace(&mut self.has_told_drain, true) {
            return true;
        }
        let reason = *self.leave_reason.get_or_init(|| LeaveReason::Stopped);
        let reason = reason.to_string();
        let time_is_up = self.time_is_up();
        tokio::select! {
            () = self.scheduler.drain(&reason) => true,
            () = time_is_up => false,
        }
    }

    /// Ends when there is no more time to leave in.
    fn time_is_up(&self) -> impl Future<Output = ()> + use<> {
        let (leaving, now) = (self.leaving.clone(), self.place.settings.stop_now.clone());
        let (since, drain) = (self.leave_since.clone(), self.place.settings.drain);
        async move {
            let slowly = async {
                leaving.cancelled().await;
                let since = *since.get_or_init(Instant::now);
                tokio::time::sleep_until((since + drain).into()).await;
            };
            tokio::select! {
                () = slowly => {}
                () = now.cancelled() => {}
            }
        }
    }

    /// Takes up what the scheduler answered.
    fn accept(&mut self, answer: PollWorkResult) {
        self.place.figures.polls.fetch_add(1, Relaxed);
        self.place.figures.connected.store(true, Relaxed);
        if self.scheduler.is_new() {
            self.place.settings.tell(ExecutorEvent::Registered {
                executor_id: self.scheduler.executor_id().to_owned(),
            });
        }
        for job in answer.jobs_to_clean {
            let folder = self.place.folder.clone();
            let job_id = job.job_id.clone();
            tokio::task::spawn_blocking(move || {
                folder.remove_job(&job.job_id, &job.remove_stage_ids);
            });
            self.place
                .settings
                .tell(ExecutorEvent::JobRemoved { job_id });
        }
        for task in answer.tasks {
            self.begin(task);
        }
    }

    fn begin(&mut self, definition: TaskDefinition) {
        let task = named(&definition);
        let trace_parent = of_task(&definition.props).map(str::to_owned);
        let slots = (definition.vcores_consumed.max(1) as usize).min(self.place.settings.slots);
        self.free_slots = self.free_slots.saturating_sub(slots);
        self.last_task = Instant::now();
        let (environment, tell_end) = (self.environment.clone(), self.tell_end.clone());
        let executor_id = self.scheduler.executor_id().to_owned();
        let (work, abort) =
            abortable(async move { environment.run(&definition, executor_id).await });
        self.place.running.insert(task.clone(), abort);
        self.place.figures.running.fetch_add(1, Relaxed);
        self.place.settings.tell(ExecutorEvent::TaskStarted {
            task: task.clone(),
            trace_parent,
        });
        self.place.task_runtime.spawn(async move {
            let began = Instant::now();
            let status = work.await.ok();
            // Nobody listens any more once the executor has left.
            let _ = tell_end.send(Ended {
                task,
                slots,
                elapsed: began.elapsed(),
                status,
            });
        });
    }

    fn hear_ends(&mut self) {
        while let Ok(ended) = self.ended.try_recv() {
            self.hear(ended);
        }
    }

    fn hear(&mut self, ended: Ended) {
        let Ended {
            task,
            slots,
            elapsed,
            status,
        } = ended;
        let figures = &self.place.figures;
        self.free_slots = (self.free_slots + slots).min(self.place.settings.slots);
        self.last_task = Instant::now();
        figures.running.fetch_sub(1, Relaxed);
        if !self.place.running.remove(&task) {
            // It was handed back and is somebody else's.
            return;
        }
        let Some(mut status) = status else {
            self.place
                .settings
                .tell(ExecutorEvent::TaskCancelled { task });
            return;
        };
        let error = failure(&status).map(|failed| EngineError::own_words(&failed.error).to_owned());
        match &error {
            None => figures.finished.fetch_add(1, Relaxed),
            Some(_) => figures.failed.fetch_add(1, Relaxed),
        };
        if error.is_some() {
            self.last_disk_check = None;
            if self.check_disk() {
                forgive(&mut status);
            }
        }
        self.untold.push_back(status);
        self.place.settings.tell(ExecutorEvent::TaskFinished {
            task,
            elapsed,
            error,
        });
    }

    /// Whether there is too little room. The executor then leaves.
    fn check_disk(&mut self) -> bool {
        if self
            .last_disk_check
            .is_some_and(|last| last.elapsed() < DISK_CHECK)
        {
            return false;
        }
        self.last_disk_check = Some(Instant::now());
        match self.place.folder.free_bytes() {
            Some(free_bytes) if free_bytes < self.place.settings.min_free_bytes => {
                self.leave_reason
                    .get_or_init(|| LeaveReason::DiskFull { free_bytes });
                self.leaving.cancel();
                true
            }
            _ => false,
        }
    }

    /// Waits until there is something to ask or to tell. Whether there is time for it.
    async fn rest(&mut self) -> bool {
        let busy = self.free_slots == 0 || self.leaving.is_cancelled();
        let pause = match (busy, self.last_task.elapsed() < QUIET_AFTER) {
            (true, _) => HEARTBEAT.min(DISK_CHECK),
            // What comes next of a job comes soon after what it waits for.
            (false, true) => (self.last_task.elapsed() / 2).clamp(SOON, IDLE),
            (false, false) => QUIET,
        };
        // It may have been told to leave while the last poll was under way.
        let (leaving, known) = (self.leaving.clone(), self.has_told_drain);
        let time_is_up = self.time_is_up();
        tokio::select! {
            () = time_is_up => return false,
            Some(ended) = self.ended.recv() => self.hear(ended),
            () = tokio::time::sleep(pause) => {}
            () = leaving.cancelled(), if !known => {}
        }
        true
    }

    /// Waits for the scheduler after a poll that failed.
    async fn find_again(&mut self, status: Status) -> Result<(), ClusterError> {
        let heard = !never_sent(&status);
        if self.place.figures.connected.swap(false, Relaxed) || heard {
            self.place.figures.lost_scheduler.fetch_add(1, Relaxed);
            self.place.settings.tell(ExecutorEvent::LostScheduler {
                reason: reason(&status),
            });
        }
        // An answer that is a refusal comes at once, and would again.
        tokio::time::sleep(QUIET).await;
        find(&self.place.settings, None).await?;
        self.scheduler.reconnect(&self.place.settings)?;
        if heard {
            self.hear_ends();
            self.untold.clear();
            self.give_up_tasks().await;
            self.scheduler
                .leave("it lost an answer and comes back under another name")
                .await;
            self.scheduler.rename();
            self.has_told_drain = false;
        }
        Ok(())
    }

    /// Gives up all tasks, and has the caller note it before anybody else can begin them.
    async fn give_up_tasks(&mut self) {
        let tasks = self.place.running.give_up();
        if tasks.is_empty() {
            return;
        }
        let count = tasks.len();
        self.place
            .figures
            .handed_back
            .fetch_add(count as u64, Relaxed);
        let all = self.place.settings.slots;
        let let_go = async {
            while self.free_slots < all {
                match self.ended.recv().await {
                    Some(ended) => self.hear(ended),
                    None => break,
                }
            }
        };
        // One that is deep in a computation does not notice: its end is not waited for.
        let _ = tokio::time::timeout(LET_GO, let_go).await;
        if let Some(hook) = &self.place.settings.hand_back {
            let _ = tokio::time::timeout(HAND_BACK, hook(tasks)).await;
        }
        self.place
            .settings
            .tell(ExecutorEvent::HandedBack { tasks: count });
    }

    /// Leaves with what is not done.
    async fn hand_back(mut self) -> Result<(), ClusterError> {
        self.leaving.cancel();
        self.is_leaving();
        self.give_up_tasks().await;
        self.leave().await
    }

    async fn leave(mut self) -> Result<(), ClusterError> {
        let reason = *self.leave_reason.get_or_init(|| LeaveReason::Stopped);
        self.scheduler.leave(&reason.to_string()).await;
        self.place.settings.tell(ExecutorEvent::Left);
        match reason {
            LeaveReason::DiskFull { free_bytes } => Err(ClusterError::DiskFull {
                path: self.place.folder.path().to_owned(),
                free_bytes,
            }),
            LeaveReason::Stopped => Ok(()),
        }
    }
}

fn reason(status: &Status) -> String {
    let cause = std::error::Error::source(status).map(chain);
    match cause {
        Some(cause) => format!("{}: {cause}", status.message()),
        None => status.message().to_owned(),
    }
}
