//! Does the other side answer at all, and when is it given up?

use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::sync::Notify;

use crate::error::Outage;

/// How long a storage may fail altogether before it is given up, unless the caller says otherwise.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);
/// Failures in a row, at least, before requests are held back.
const ROW: u64 = 5;
/// They spread over this time, at least.
const DOUBT: Duration = Duration::from_secs(1);
/// Held-back requests go out one by one, with pauses that begin with this and double.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);
/// The longest pause while only one object fails, which may be that object's own fault.
const LONGEST_PAUSE_OF_ONE: Duration = Duration::from_secs(2);
/// Between two failures, at most this counts as time in which the storage failed: nobody may have asked.
const LONGEST_GAP: Duration = Duration::from_secs(30);
/// When the storage has failed for this part of the time after which it is given up, somebody is told.
const NEWS: u32 = 12;
/// More failures than good answers by so many, and all give up: a storage of which more than half of the answers fail
/// is not worked with.
const BUDGET: u64 = 1_000;

/// Watches answers. While none is good, requests are held back and only one now and then is let out to look; when
/// that has gone on for long enough, the storage is given up.
#[derive(Debug)]
pub(crate) struct Health {
    state: Mutex<State>,
    changed: Notify,
    patience: Duration,
}

#[derive(Debug)]
struct State {
    /// Failures since the last good answer.
    in_row: u64,
    /// Which object they were about, and whether about more than one.
    object: u64,
    is_several: bool,
    last_failure: Option<Instant>,
    /// Time over which the failures since the last good answer spread.
    failing: Duration,
    pause: Duration,
    next_probe: Option<Instant>,
    budget: u64,
    is_told: bool,
    given_up: Option<Outage>,
}

impl State {
    fn new() -> Self {
        Self {
            in_row: 0,
            object: 0,
            is_several: false,
            last_failure: None,
            failing: Duration::ZERO,
            pause: FIRST_PAUSE,
            next_probe: None,
            budget: BUDGET,
            is_told: false,
            given_up: None,
        }
    }

    fn is_held_back(&self) -> bool {
        self.in_row >= ROW && self.failing >= DOUBT
    }

    /// Until when a request is held back; none lets it go out now.
    fn held_back(&mut self, now: Instant) -> Option<Instant> {
        if !self.is_held_back() {
            return None;
        }
        let next = self.next_probe.filter(|next| *next > now);
        if next.is_none() {
            self.next_probe = Some(now + self.pause);
        }
        next
    }

    /// Gives whether anything was amiss before.
    fn good(&mut self) -> bool {
        let budget = (self.budget + 1).min(BUDGET);
        let was_amiss = self.in_row > 0;
        if was_amiss {
            *self = Self::new();
        }
        self.budget = budget;
        was_amiss
    }

    /// Gives whether it is time to give up.
    fn failed(
        &mut self,
        now: Instant,
        object: Option<&str>,
        is_throttled: bool,
        patience: Duration,
    ) -> bool {
        if let Some(before) = self.last_failure {
            self.failing += now.duration_since(before).min(LONGEST_GAP);
        }
        let mut hasher = DefaultHasher::new();
        object.hash(&mut hasher);
        let object_hash = hasher.finish();
        if self.in_row == 0 {
            self.object = object_hash;
        }
        self.is_several |= object.is_none() || self.object != object_hash;
        self.in_row += 1;
        self.last_failure = Some(now);
        // Throttling has its own answer: fewer requests.
        if !is_throttled {
            self.budget = self.budget.saturating_sub(1);
        }
        if self.is_several && self.in_row >= ROW && self.failing >= patience {
            return true;
        }
        if self.is_held_back() {
            let jittered = self.pause.mul_f64(rand::rng().random_range(0.75..1.25));
            self.next_probe = Some(now + jittered);
            let longest = if self.is_several {
                LONGEST_PAUSE
            } else {
                LONGEST_PAUSE_OF_ONE
            };
            self.pause = (self.pause * 2).min(longest);
        }
        self.budget == 0
    }
}

impl Health {
    pub(crate) fn new(patience: Duration) -> Self {
        Self {
            state: Mutex::new(State::new()),
            changed: Notify::new(),
            patience,
        }
    }

    /// Waits until a request may go out.
    ///
    /// # Errors
    /// The storage was given up in the meantime.
    pub(crate) async fn admit(&self) -> Result<(), Outage> {
        let mut has_waited = false;
        loop {
            let mut changed = std::pin::pin!(self.changed.notified());
            // From here on, no news is missed.
            changed.as_mut().enable();
            let until = {
                let Ok(mut state) = self.state.lock() else {
                    return Ok(());
                };
                match &state.given_up {
                    Some(outage) if has_waited => return Err(outage.clone()),
                    // Who asks anew finds out whether it is still so.
                    Some(_) => return Ok(()),
                    None => state.held_back(Instant::now()),
                }
            };
            let Some(until) = until else {
                return Ok(());
            };
            has_waited = true;
            tokio::select! {
                () = changed => {}
                () = tokio::time::sleep_until(until.into()) => {}
            }
        }
    }

    /// Whether the storage has not answered for so long that it is worth telling; true once until it answers again.
    pub(crate) fn is_news(&self) -> bool {
        let Ok(mut state) = self.state.lock() else {
            return false;
        };
        let is_news = !state.is_told
            && state.is_several
            && state.in_row >= ROW
            && state.failing >= self.patience / NEWS;
        state.is_told |= is_news;
        is_news
    }

    /// An answer was good.
    pub(crate) fn good(&self) {
        if self.state.lock().is_ok_and(|mut state| state.good()) {
            self.changed.notify_waiters();
        }
    }

    /// A request about an object failed in a way that may pass; an object of none means that no object could have
    /// fared better. Gives the reason to give up, where there is one.
    pub(crate) fn failed(
        &self,
        object: Option<&str>,
        is_throttled: bool,
        last: &str,
        failed: u64,
    ) -> Option<Outage> {
        let mut state = self.state.lock().ok()?;
        if !state.failed(Instant::now(), object, is_throttled, self.patience) {
            return None;
        }
        let outage = Outage::Budget {
            last: last.to_owned(),
            failed,
        };
        state.given_up = Some(outage.clone());
        self.changed.notify_waiters();
        Some(outage)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One client that asks again 200 ms after each failure: when it was told to give up, and how often it had asked.
    fn until_given_up(objects: &[&str]) -> (Option<Duration>, usize) {
        let (mut state, began) = (State::new(), Instant::now());
        let mut now = began;
        for asked in 1..=40 {
            while let Some(until) = state.held_back(now) {
                now = until;
            }
            let object = Some(objects[asked % objects.len()]);
            if state.failed(now, object, false, PATIENCE) {
                return (Some(now - began), asked);
            }
            now += Duration::from_millis(200);
        }
        (None, 40)
    }

    #[test]
    fn a_storage_that_fails_for_a_minute_is_given_up_after_few_requests() {
        let (took, asked) = until_given_up(&["a", "b"]);
        let took = took.unwrap();
        assert!(took >= PATIENCE && took < PATIENCE * 3 / 2, "{took:?}");
        assert!(asked < 20, "{asked}");
    }

    #[test]
    fn one_object_that_fails_is_no_outage() {
        assert_eq!(until_given_up(&["a"]), (None, 40));
    }

    #[test]
    fn time_in_which_nobody_asked_hardly_counts() {
        let (mut state, mut now) = (State::new(), Instant::now());
        for _ in 0..ROW {
            assert!(!state.failed(now, None, false, PATIENCE));
        }
        now += Duration::from_secs(3600);
        assert!(!state.failed(now, None, false, PATIENCE));
    }

    #[test]
    fn after_a_good_answer_all_is_as_it_was() {
        let (mut state, mut now) = (State::new(), Instant::now());
        for _ in 0..20 {
            state.failed(now, None, false, PATIENCE);
            now += Duration::from_millis(200);
        }
        state.held_back(now);
        assert!(state.held_back(now).is_some());
        assert!(state.good());
        assert!(state.held_back(now).is_none());
        assert!(!state.good(), "nothing was amiss");
    }

    #[test]
    fn a_storage_of_which_more_than_half_fails_is_given_up() {
        let given_up = |share_good: u64| {
            let (mut state, now) = (State::new(), Instant::now());
            (0..10_000).find(|number| {
                if number % 10 < share_good {
                    state.good();
                    return false;
                }
                let object = number.to_string();
                state.failed(now, Some(&object), false, PATIENCE)
            })
        };
        assert_eq!(given_up(7), None, "three of ten");
        assert!(given_up(2).is_some(), "eight of ten");
    }

    #[tokio::test]
    async fn who_waits_is_let_go_by_a_good_answer() {
        let health = std::sync::Arc::new(Health::new(PATIENCE));
        {
            let mut state = health.state.lock().unwrap();
            state.in_row = ROW;
            state.failing = DOUBT;
            state.next_probe = Some(Instant::now() + Duration::from_secs(3600));
        }
        let waiting: Vec<_> = (0..8)
            .map(|_| {
                let health = std::sync::Arc::clone(&health);
                tokio::spawn(async move { health.admit().await })
            })
            .collect();
        tokio::task::yield_now().await;
        health.good();
        for waiter in waiting {
            waiter.await.unwrap().unwrap();
        }
    }
}
