//! A second request where the first stays silent.

use std::sync::Mutex;
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use object_store::client::{HttpClient, HttpError, HttpRequest, HttpResponse};

use crate::traffic::Traffic;

/// Silence before anything is known of the other side.
const FIRST_SILENCE: Duration = Duration::from_secs(1);
/// No request is sent again before so much silence.
const LEAST_SILENCE: Duration = Duration::from_millis(250);
/// After so much it is, however slow answers are.
const MOST_SILENCE: Duration = Duration::from_secs(10);
/// Requests on their way for one answer.
const COPIES: u32 = 3;
/// Of so many requests, one may be sent again.
const REQUESTS_FOR_ONE: f64 = 10.0;
/// So many may be sent again at first, and after a time without silence.
const SAVED: f64 = 16.0;

/// Sends what may be carried out twice again after a silence that is unusual for the other side, and takes the answer
/// that comes first. A lost request then costs a fraction of a second, not the time after which it is given up.
#[derive(Debug)]
pub(crate) struct Hedge {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Mean and mean deviation of the seconds to an answer; none before the first one.
    answers: Option<(f64, f64)>,
    /// Requests that may be sent again.
    saved: f64,
}

impl State {
    /// As TCP judges it (RFC 6298): the mean and four deviations.
    fn silence(&self) -> Duration {
        self.answers.map_or(FIRST_SILENCE, |(mean, deviation)| {
            let seconds = (mean + 4.0 * deviation).min(MOST_SILENCE.as_secs_f64());
            Duration::from_secs_f64(seconds).max(LEAST_SILENCE)
        })
    }

    fn answered(&mut self, seconds: f64) {
        self.answers = Some(match self.answers {
            None => (seconds, seconds / 2.0),
            Some((mean, deviation)) => (
                mean + (seconds - mean) / 8.0,
                deviation + ((seconds - mean).abs() - deviation) / 4.0,
            ),
        });
        self.saved = (self.saved + 1.0 / REQUESTS_FOR_ONE).min(SAVED);
    }

    fn spend(&mut self) -> bool {
        let may = self.saved >= 1.0;
        if may {
            self.saved -= 1.0;
        }
        may
    }
}

impl Default for Hedge {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                answers: None,
                saved: SAVED,
            }),
        }
    }
}

impl Hedge {
    /// Sends a request that is counted already, and counts its copies. What changes something is sent once: the copy
    /// that nobody waits for any more might be carried out later than what follows.
    pub(crate) async fn execute(
        &self,
        client: &HttpClient,
        request: HttpRequest,
        traffic: &Traffic,
    ) -> Result<HttpResponse, HttpError> {
        if !(request.method() == http::Method::GET || request.method() == http::Method::HEAD) {
            return client.execute(request).await;
        }
        let send = |request: HttpRequest, is_copy: bool| async move {
            let _flight = is_copy.then(|| traffic.began(0));
            let sent = Instant::now();
            (client.execute(request).await, sent.elapsed())
        };
        let mut on_their_way = FuturesUnordered::new();
        on_their_way.push(send(request.clone(), false));
        let (mut copies, mut may_copy) = (1, true);
        loop {
            let silence = self
                .state
                .lock()
                .map_or(MOST_SILENCE, |state| state.silence());
            tokio::select! {
                Some((answered, took)) = on_their_way.next() => {
                    if answered.is_ok()
                        && let Ok(mut state) = self.state.lock()
                    {
                        state.answered(took.as_secs_f64());
                    }
                    // What failed while another copy is on its way may still be answered.
                    if answered.is_ok() || on_their_way.is_empty() {
                        for _ in 1..copies {
                            traffic.failed(false);
                        }
                        return answered;
                    }
                }
                () = tokio::time::sleep(silence), if may_copy && copies < COPIES => {
                    if self.state.lock().is_ok_and(|mut state| state.spend()) {
                        on_their_way.push(send(request.clone(), true));
                        copies += 1;
                    } else {
                        may_copy = false;
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_is_what_is_unusual_for_the_other_side() {
        let mut state = Hedge::default().state.into_inner().unwrap();
        assert_eq!(state.silence(), FIRST_SILENCE);
        for _ in 0..50 {
            state.answered(0.03);
        }
        assert_eq!(state.silence(), LEAST_SILENCE);
        for number in 0..50 {
            state.answered(1.0 + f64::from(number % 2));
        }
        let silence = state.silence();
        assert!(silence > Duration::from_secs(2), "{silence:?}");
        for _ in 0..50 {
            state.answered(1e9);
        }
        assert_eq!(state.silence(), MOST_SILENCE);
    }

    #[test]
    fn a_storage_that_is_slow_altogether_is_not_asked_twice_for_everything() {
        let mut state = Hedge::default().state.into_inner().unwrap();
        let again = (0..1_000).filter(|_| {
            state.answered(5.0);
            state.spend()
        });
        let again = again.count();
        assert!((100..=120).contains(&again), "{again}");
    }
}
