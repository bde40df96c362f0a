//! What a test decides while the server runs.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rand::SeedableRng as _;
use rand::rngs::StdRng;
use serde::Serialize;

use crate::operation::Target;
use crate::{FaultKind, Faults, Operation};

/// Why a rule refused a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Refusal {
    /// [`Rules::deny_writes`]: 403 `AccessDenied`.
    WriteDenied,
    /// [`Rules::expire_credentials`] and its like: 400 `ExpiredToken`.
    CredentialsExpired,
    /// [`Rules::throttle`]: 503 `SlowDown`.
    Throttled,
}

/// Rules that hold from the next request on. Clones share them.
#[derive(Debug, Clone)]
pub struct Rules(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    faults: Faults,
    delay: Duration,
    random: StdRng,
    denied_prefixes: Vec<String>,
    expired: bool,
    expired_access_keys: HashSet<String>,
    /// Requests until all credentials expire.
    expire_after: Option<u64>,
    throttle: Option<TokenBucket>,
    failing_keys: HashMap<String, FaultKind>,
    fail_next: Option<(u64, FaultKind)>,
    fail_first: Option<(u64, FaultKind)>,
    /// Requests seen of each operation and key while `fail_first` holds.
    seen: HashMap<(Operation, String), u64>,
}

/// What is to become of a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Verdict {
    Serve,
    Refuse(Refusal),
    Fail(FaultKind),
}

impl Rules {
    pub(crate) fn new(faults: Faults, delay: Duration, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            faults,
            delay,
            random: StdRng::seed_from_u64(seed),
            denied_prefixes: Vec::new(),
            expired: false,
            expired_access_keys: HashSet::new(),
            expire_after: None,
            throttle: None,
            failing_keys: HashMap::new(),
            fail_next: None,
            fail_first: None,
            seen: HashMap::new(),
        })))
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes the random faults.
    pub fn set_faults(&self, faults: Faults) {
        self.state(|state| state.faults = faults);
    }

    /// Changes the time that each request waits before it is looked at.
    pub fn set_delay(&self, delay: Duration) {
        self.state(|state| state.delay = delay);
    }

    /// Refuses writes and deletions of keys that begin with `prefix`, in every bucket. Prefixes add up; the empty one
    /// stands for all keys. Aborting an upload stays allowed.
    pub fn deny_writes(&self, prefix: &str) {
        self.state(|state| state.denied_prefixes.push(prefix.to_owned()));
    }

    /// Takes back every [`deny_writes`](Self::deny_writes).
    pub fn allow_writes(&self) {
        self.state(|state| state.denied_prefixes.clear());
    }

    /// From now on all credentials count as expired.
    pub fn expire_credentials(&self) {
        self.state(|state| state.expired = true);
    }

    /// All credentials expire once `requests` more requests have arrived.
    pub fn expire_credentials_after(&self, requests: u64) {
        self.state(|state| state.expire_after = Some(requests));
    }

    /// From now on one access key counts as expired.
    pub fn expire_access_key(&self, access_key: &str) {
        self.state(|state| state.expired_access_keys.insert(access_key.to_owned()));
    }

    /// All credentials are good again.
    pub fn renew_credentials(&self) {
        self.state(|state| {
            state.expired = false;
            state.expire_after = None;
            state.expired_access_keys.clear();
        });
    }

    /// Refuses what exceeds this many requests a second, after a burst of at most a tenth of that.
    pub fn throttle(&self, requests_per_sec: f64) {
        self.state(|state| state.throttle = Some(TokenBucket::new(requests_per_sec)));
    }

    /// Takes back [`throttle`](Self::throttle).
    pub fn stop_throttling(&self) {
        self.state(|state| state.throttle = None);
    }

    /// Every request for this key, in every bucket, fails in this way, where it
    /// [can](FaultKind::applies_to).
    pub fn fail_key(&self, key: &str, kind: FaultKind) {
        self.state(|state| state.failing_keys.insert(key.to_owned(), kind));
    }

    /// Takes back [`fail_key`](Self::fail_key) for this key.
    pub fn heal_key(&self, key: &str) {
        self.state(|state| state.failing_keys.remove(key));
    }

    /// The next `requests` requests that [can](FaultKind::applies_to) fail in this way do.
    pub fn fail_next(&self, requests: u64, kind: FaultKind) {
        self.state(|state| state.fail_next = Some((requests, kind)));
    }

    /// From now on, the first `requests` requests of each operation on each key fail in this way, where they
    /// [can](FaultKind::applies_to). Zero takes the rule back.
    pub fn fail_first_of_each(&self, requests: u64, kind: FaultKind) {
        self.state(|state| {
            state.fail_first = (requests > 0).then_some((requests, kind));
            state.seen.clear();
        });
    }

    /// Takes back all rules and random faults. The delay stays.
    pub fn clear(&self) {
        self.state(|state| {
            state.faults = Faults::none().hang(state.faults.hang_time());
            state.denied_prefixes.clear();
            state.expired = false;
            state.expired_access_keys.clear();
            state.expire_after = None;
            state.throttle = None;
            state.failing_keys.clear();
            state.fail_next = None;
            state.fail_first = None;
            state.seen.clear();
        });
    }

    pub(crate) fn delay(&self) -> Duration {
        self.state(|state| state.delay)
    }

    pub(crate) fn hang(&self) -> Duration {
        self.state(|state| state.faults.hang_time())
    }

    pub(crate) fn denies_writing(&self, key: &str) -> bool {
        self.state(|state| state.denies_writing(key))
    }

    pub(crate) fn judge(&self, target: &Target, access_key: Option<&str>) -> Verdict {
        self.state(|state| state.judge(target, access_key, Instant::now()))
    }
}

impl State {
    fn denies_writing(&self, key: &str) -> bool {
        self.denied_prefixes
            .iter()
            .any(|prefix| key.starts_with(prefix))
    }

    fn judge(&mut self, target: &Target, access_key: Option<&str>, now: Instant) -> Verdict {
        let operation = target.operation;
        if let Some(left) = self.expire_after {
            self.expired |= left == 0;
            self.expire_after = left.checked_sub(1);
        }
        if self.expired
            || access_key.is_some_and(|access_key| self.expired_access_keys.contains(access_key))
        {
            return Verdict::Refuse(Refusal::CredentialsExpired);
        }
        if let Some(bucket) = &mut self.throttle
            && !bucket.admits(now)
        {
            return Verdict::Refuse(Refusal::Throttled);
        }
        // `DeleteObjects` names its keys in its body: the storage asks for each.
        let writes_key = operation.is_write()
            && !matches!(
                operation,
                Operation::AbortMultipartUpload | Operation::DeleteObjects
            );
        if writes_key && self.denies_writing(&target.key) {
            return Verdict::Refuse(Refusal::WriteDenied);
        }
        if let Some(kind) = self.failing_keys.get(&target.key)
            && kind.applies_to(operation)
        {
            return Verdict::Fail(*kind);
        }
        if let Some((left, kind)) = &mut self.fail_next
            && *left > 0
            && kind.applies_to(operation)
        {
            *left -= 1;
            return Verdict::Fail(*kind);
        }
        if let Some((first, kind)) = self.fail_first
            && kind.applies_to(operation)
        {
            let seen = self
                .seen
                .entry((operation, format!("{}/{}", target.bucket, target.key)))
                .or_insert(0);
            *seen += 1;
            if *seen <= first {
                return Verdict::Fail(kind);
            }
        }
        match self.faults.draw(&mut self.random, operation) {
            Some(kind) => Verdict::Fail(kind),
            None => Verdict::Serve,
        }
    }
}

/// Tokens come in at a steady rate; each request takes one.
#[derive(Debug)]
struct TokenBucket {
    per_sec: f64,
    burst: f64,
    tokens: f64,
    filled: Instant,
}

impl TokenBucket {
    fn new(per_sec: f64) -> Self {
        let per_sec = if per_sec.is_finite() {
            per_sec.max(0.0)
        } else {
            0.0
        };
        let burst = (per_sec / 10.0).max(1.0);
        Self {
            per_sec,
            burst,
            tokens: burst,
            filled: Instant::now(),
        }
    }

    fn admits(&mut self, now: Instant) -> bool {
        let elapsed = now.saturating_duration_since(self.filled).as_secs_f64();
        self.tokens = (self.tokens + elapsed * self.per_sec).min(self.burst);
        self.filled = now;
        let admitted = self.tokens >= 1.0;
        if admitted {
            self.tokens -= 1.0;
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_throttle_admits_its_rate_and_a_tenth_of_it_at_once() {
        let mut bucket = TokenBucket::new(100.0);
        let start = bucket.filled;
        // 1,000 requests in the course of one second.
        let admitted = (0..1000)
            .filter(|at| bucket.admits(start + Duration::from_millis(*at)))
            .count();
        assert!((108..=110).contains(&admitted), "{admitted}");
    }

    #[test]
    fn the_first_requests_of_each_key_fail() {
        let rules = Rules::new(Faults::none(), Duration::ZERO, 0);
        rules.fail_first_of_each(2, FaultKind::SlowDown);
        let get = |key: &str| {
            let target = Target {
                operation: Operation::GetObject,
                bucket: "b".into(),
                key: key.into(),
            };
            rules.judge(&target, None)
        };
        let verdicts = [get("x"), get("x"), get("y"), get("x")];
        let failed = Verdict::Fail(FaultKind::SlowDown);
        assert_eq!(verdicts, [failed, failed, failed, Verdict::Serve]);
    }
}
