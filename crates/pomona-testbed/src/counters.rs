//! What passed the wire.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;

use crate::{FaultKind, Operation, Refusal};

/// Counts since the server started.
#[derive(Debug, Clone, Default, Serialize)]
#[non_exhaustive]
pub struct Counters {
    /// Requests that arrived, also those that failed, by operation.
    pub requests: BTreeMap<Operation, u64>,
    /// Faults that happened, by kind.
    pub faults: BTreeMap<FaultKind, u64>,
    /// Requests refused by a rule, by reason.
    pub refusals: BTreeMap<Refusal, u64>,
    /// Answers by HTTP status, injected ones included. A connection cut before an answer has none.
    pub statuses: BTreeMap<u16, u64>,
    /// Bytes of bodies sent in answer to `GetObject`, error messages included.
    pub object_bytes_sent: u64,
    /// All bytes written to connections.
    pub bytes_sent: u64,
    /// All bytes read from connections.
    pub bytes_received: u64,
    /// Requests that have arrived and whose answer is not out yet.
    pub in_flight: u64,
    /// The highest value of `in_flight` so far.
    pub in_flight_max: u64,
    /// Connections accepted.
    pub connections: u64,
}

impl Counters {
    /// Requests of one operation.
    #[must_use]
    pub fn requests_of(&self, operation: Operation) -> u64 {
        self.requests.get(&operation).copied().unwrap_or(0)
    }

    /// Faults of one kind.
    #[must_use]
    pub fn faults_of(&self, kind: FaultKind) -> u64 {
        self.faults.get(&kind).copied().unwrap_or(0)
    }

    /// Requests refused for one reason.
    #[must_use]
    pub fn refusals_of(&self, refusal: Refusal) -> u64 {
        self.refusals.get(&refusal).copied().unwrap_or(0)
    }

    /// All requests.
    #[must_use]
    pub fn requests_total(&self) -> u64 {
        self.requests.values().sum()
    }

    /// All faults.
    #[must_use]
    pub fn faults_total(&self) -> u64 {
        self.faults.values().sum()
    }
}

/// One request, in the order of arrival.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LogEntry {
    /// What was asked for.
    pub operation: Operation,
    /// The HTTP method.
    pub method: String,
    /// The bucket's name.
    pub bucket: String,
    /// The key without escapes; empty for requests to a bucket.
    pub key: String,
    /// The query of the URL, as sent; empty if there was none.
    pub query: String,
    /// The access key that the request says it was signed with, whether that is true or not.
    pub access_key: Option<String>,
    /// Headers that name a byte range, a condition or an encryption, as sent: lower-case name and value.
    pub headers: Vec<(String, String)>,
}

/// Which headers the log keeps. Never those that carry a signature or a key.
pub(crate) const LOGGED_HEADERS: [&str; 8] = [
    "range",
    "if-match",
    "if-none-match",
    "x-amz-copy-source",
    "x-amz-server-side-encryption",
    "x-amz-server-side-encryption-aws-kms-key-id",
    "x-amz-server-side-encryption-bucket-key-enabled",
    "x-amz-server-side-encryption-customer-algorithm",
];

/// Shared by all connections.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    tables: Mutex<Tables>,
    pub(crate) object_bytes_sent: AtomicU64,
    pub(crate) bytes_sent: AtomicU64,
    pub(crate) bytes_received: AtomicU64,
    pub(crate) connections: AtomicU64,
    in_flight: AtomicU64,
    in_flight_max: AtomicU64,
}

#[derive(Debug, Default)]
struct Tables {
    counters: Counters,
    /// None while nobody asks for a log.
    log: Option<Vec<LogEntry>>,
}

impl Tally {
    fn tables<T>(&self, change: impl FnOnce(&mut Tables) -> T) -> T {
        change(&mut self.tables.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn arrive(
        self: &Arc<Self>,
        operation: Operation,
        entry: impl FnOnce() -> LogEntry,
    ) -> Flight {
        self.tables(|tables| {
            *tables.counters.requests.entry(operation).or_insert(0) += 1;
            if let Some(log) = &mut tables.log {
                log.push(entry());
            }
        });
        let now = self.in_flight.fetch_add(1, Relaxed) + 1;
        self.in_flight_max.fetch_max(now, Relaxed);
        Flight(Arc::clone(self))
    }

    pub(crate) fn fault(&self, kind: FaultKind) {
        self.tables(|tables| *tables.counters.faults.entry(kind).or_insert(0) += 1);
    }

    pub(crate) fn refusal(&self, refusal: Refusal) {
        self.tables(|tables| *tables.counters.refusals.entry(refusal).or_insert(0) += 1);
    }

    pub(crate) fn status(&self, status: u16) {
        self.tables(|tables| *tables.counters.statuses.entry(status).or_insert(0) += 1);
    }

    pub(crate) fn counters(&self) -> Counters {
        let mut counters = self.tables(|tables| tables.counters.clone());
        counters.object_bytes_sent = self.object_bytes_sent.load(Relaxed);
        counters.bytes_sent = self.bytes_sent.load(Relaxed);
        counters.bytes_received = self.bytes_received.load(Relaxed);
        counters.connections = self.connections.load(Relaxed);
        counters.in_flight = self.in_flight.load(Relaxed);
        counters.in_flight_max = self.in_flight_max.load(Relaxed);
        counters
    }

    pub(crate) fn keep_log(&self) {
        self.tables(|tables| tables.log = Some(Vec::new()));
    }

    pub(crate) fn log(&self) -> Vec<LogEntry> {
        self.tables(|tables| tables.log.clone().unwrap_or_default())
    }
}

/// A request in flight, for as long as it lives.
#[derive(Debug)]
pub(crate) struct Flight(Arc<Tally>);

impl Flight {
    pub(crate) fn tally(&self) -> &Tally {
        &self.0
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Relaxed);
    }
}
