//! How many requests may be in flight?

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::traffic::Traffic;

/// Requests in flight at the start.
const START: usize = 32;
/// Never fewer: one slow answer must not stop everything.
const LEAST: usize = 4;
/// Never more: beyond this, connections cost more than they bring.
const MOST: usize = 256;
/// After the other side has throttled, the limit is cut to this share, once per pause.
const CUT: f64 = 0.5;
/// Time within which answers belong to the same moment of throttling.
const PAUSE: Duration = Duration::from_millis(500);

/// A limit on requests in flight that rises while requests wait and answers are good, and falls when the other side
/// throttles: additive increase, multiplicative decrease, as in TCP.
#[derive(Debug)]
pub(crate) struct Limit {
    permits: Arc<Semaphore>,
    state: Mutex<State>,
    traffic: Arc<Traffic>,
}

#[derive(Debug)]
struct State {
    limit: usize,
    /// Permits that are to be taken out of circulation when they come back.
    owed: usize,
    /// Good answers since the limit last changed.
    good: usize,
    /// Before the first throttling the limit doubles, afterwards it rises by one.
    was_throttled: bool,
    last_cut: Option<Instant>,
}

/// The right to have one request in flight.
#[derive(Debug)]
pub(crate) struct Permit {
    permit: Option<OwnedSemaphorePermit>,
    limit: Arc<Limit>,
}

impl Limit {
    pub(crate) fn new(traffic: Arc<Traffic>) -> Arc<Self> {
        traffic.limit_changed(START);
        Arc::new(Self {
            permits: Arc::new(Semaphore::new(START)),
            state: Mutex::new(State {
                limit: START,
                owed: 0,
                good: 0,
                was_throttled: false,
                last_cut: None,
            }),
            traffic,
        })
    }

    /// Waits for the right to send a request. None only where the limit was shut down, which it never is.
    pub(crate) async fn permit(self: &Arc<Self>) -> Permit {
        let permit = Arc::clone(&self.permits).acquire_owned().await.ok();
        Permit {
            permit,
            limit: Arc::clone(self),
        }
    }

    /// A request was answered well.
    pub(crate) fn good(&self) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        state.good += 1;
        // Only a limit that holds requests up is worth raising.
        if state.good < state.limit || self.permits.available_permits() > 0 {
            return;
        }
        state.good = 0;
        let raised = if state.was_throttled {
            state.limit + 1
        } else {
            state.limit * 2
        }
        .min(MOST);
        let added = raised - state.limit;
        if added > 0 {
            state.limit = raised;
            let forgiven = added.min(state.owed);
            state.owed -= forgiven;
            self.permits.add_permits(added - forgiven);
            self.traffic.limit_changed(raised);
        }
    }

    /// The other side said that there are too many requests.
    pub(crate) fn throttled(&self) {
        let Ok(mut state) = self.state.lock() else {
            return;
        };
        state.was_throttled = true;
        state.good = 0;
        if state.last_cut.is_some_and(|cut| cut.elapsed() < PAUSE) {
            return;
        }
        state.last_cut = Some(Instant::now());
        let lowered = ((state.limit as f64 * CUT) as usize).max(LEAST);
        let removed = state.limit.saturating_sub(lowered);
        if removed > 0 {
            state.limit = lowered;
            let gone = self.permits.forget_permits(removed);
            state.owed += removed - gone;
            self.traffic.limit_changed(lowered);
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        if let (Some(permit), Ok(mut state)) = (self.permit.take(), self.limit.state.lock())
            && state.owed > 0
        {
            state.owed -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn all(limit: &Arc<Limit>) -> Vec<Permit> {
        let mut held = Vec::new();
        while limit.permits.available_permits() > 0 {
            held.push(limit.permit().await);
        }
        held
    }

    #[tokio::test]
    async fn the_limit_rises_while_requests_wait_and_halves_when_throttled() {
        let limit = Limit::new(Arc::new(Traffic::default()));
        let held = all(&limit).await;
        assert_eq!(held.len(), START);
        for _ in 0..START {
            limit.good();
        }
        assert_eq!(limit.permits.available_permits(), START, "doubled");
        limit.throttled();
        limit.throttled();
        assert_eq!(limit.state.lock().unwrap().limit, START, "cut once a pause");
        assert_eq!(limit.permits.available_permits(), 0);
        drop(held);
        assert_eq!(all(&limit).await.len(), START, "what is owed is paid");
    }

    #[tokio::test]
    async fn permits_in_use_are_taken_back_when_they_return() {
        let limit = Limit::new(Arc::new(Traffic::default()));
        let held = all(&limit).await;
        limit.throttled();
        drop(held);
        assert_eq!(all(&limit).await.len(), START / 2);
        for _ in 0..20 {
            limit.state.lock().unwrap().last_cut = None;
            limit.throttled();
        }
        assert_eq!(limit.state.lock().unwrap().limit, LEAST);
    }

    #[tokio::test]
    async fn a_limit_that_holds_nothing_up_does_not_rise() {
        let limit = Limit::new(Arc::new(Traffic::default()));
        for _ in 0..1000 {
            limit.good();
        }
        assert_eq!(limit.state.lock().unwrap().limit, START);
    }
}
