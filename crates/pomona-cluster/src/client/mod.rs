//! Asks a scheduler what it tells.

use std::fmt;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::error::ClusterError;
use crate::summary::{ExecutorSummary, JobDetail, JobSummary, Scaling};
use crate::tls::{Tls, http_agent, scheme};
use crate::version::{VersionFailure, failure};

/// How long an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const LARGEST_ANSWER: u64 = 256 << 20;

/// A scheduler, by its address. Its methods block; `spawn_blocking` is the way from async code.
#[derive(Clone)]
pub struct SchedulerClient {
    agent: ureq::Agent,
    address: String,
    scheme: &'static str,
}

impl fmt::Debug for SchedulerClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SchedulerClient")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl SchedulerClient {
    /// The scheduler at `address`, which is `HOST:PORT`. Nothing is asked yet.
    pub fn new(address: &str, tls: Option<&Tls>) -> Self {
        Self {
            agent: http_agent(tls, TIMEOUT),
            address: address.to_owned(),
            scheme: scheme(tls),
        }
    }

    /// Jobs, newest first, at most 1,000.
    ///
    /// # Errors
    ///
    /// [`ClusterError::NoAnswer`], [`ClusterError::Answer`], [`ClusterError::NotPomona`].
    pub fn jobs(&self) -> Result<Vec<JobSummary>, ClusterError> {
        self.get("/pomona/jobs")
    }

    /// One job with its stages and executors.
    ///
    /// # Errors
    ///
    /// [`ClusterError::NoSuchJob`], and as [`SchedulerClient::jobs`].
    pub fn job(&self, id: &str) -> Result<JobDetail, ClusterError> {
        match self.get(&format!("/pomona/jobs/{}", self.checked(id)?)) {
            Err(ClusterError::Answer { status: 404, .. }) => Err(self.no_such_job(id)),
            answer => answer,
        }
    }

    /// Asks the scheduler to end a job. It ends soon after.
    ///
    /// # Errors
    ///
    /// [`ClusterError::NoSuchJob`], [`ClusterError::JobIsOver`], and as [`SchedulerClient::jobs`].
    pub fn cancel(&self, id: &str) -> Result<(), ClusterError> {
        let url = self.url(&format!("/pomona/jobs/{}/cancel", self.checked(id)?));
        let (status, text) = self.read(self.agent.post(&url).send_empty())?;
        match status {
            200..=299 => Ok(()),
            404 => Err(self.no_such_job(id)),
            409 => Err(ClusterError::JobIsOver {
                id: id.to_owned(),
                state: serde_json::from_str::<serde_json::Value>(&text)
                    .ok()
                    .and_then(|answer| Some(answer.get("state")?.as_str()?.to_owned()))
                    .unwrap_or_else(|| "it ended".to_owned()),
            }),
            _ => Err(self.answer(status, &text)),
        }
    }

    /// Executors, those that are there first.
    ///
    /// # Errors
    ///
    /// As [`SchedulerClient::jobs`].
    pub fn executors(&self) -> Result<Vec<ExecutorSummary>, ClusterError> {
        self.get("/pomona/executors")
    }

    /// Tasks and slots.
    ///
    /// # Errors
    ///
    /// As [`SchedulerClient::jobs`].
    pub fn scaling(&self) -> Result<Scaling, ClusterError> {
        self.get("/pomona/scaling")
    }

    fn url(&self, path: &str) -> String {
        format!("{}://{}{path}", self.scheme, self.address)
    }

    /// An identifier that is one part of a path.
    fn checked<'a>(&self, id: &'a str) -> Result<&'a str, ClusterError> {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        if !id.is_empty() && id.chars().all(is_plain) {
            Ok(id)
        } else {
            Err(self.no_such_job(id))
        }
    }

    fn no_such_job(&self, id: &str) -> ClusterError {
        ClusterError::NoSuchJob {
            address: self.address.clone(),
            id: id.to_owned(),
        }
    }

    fn answer(&self, status: u16, text: &str) -> ClusterError {
        ClusterError::Answer {
            address: self.address.clone(),
            status,
            text: crate::summary::shortened(text.trim(), 500),
        }
    }

    fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClusterError> {
        let (status, text) = self.read(self.agent.get(self.url(path)).call())?;
        if status != 200 {
            return Err(self.answer(status, &text));
        }
        serde_json::from_str(&text).map_err(|error| ClusterError::NotPomona {
            address: self.address.clone(),
            what: format!("its answer is not understood: {error}"),
        })
    }

    fn read(
        &self,
        answer: Result<http::Response<ureq::Body>, ureq::Error>,
    ) -> Result<(u16, String), ClusterError> {
        let has_tls = self.scheme == "https";
        let failed = |error| match failure(&self.address, has_tls, error) {
            VersionFailure::Final(error) => error,
            VersionFailure::Unreachable(reason) => ClusterError::NoAnswer {
                address: self.address.clone(),
                reason,
            },
        };
        let mut answer = answer.map_err(failed)?;
        let status = answer.status().as_u16();
        let text = answer
            .body_mut()
            .with_config()
            .limit(LARGEST_ANSWER)
            .read_to_string()
            .map_err(failed)?;
        Ok((status, text))
    }
}

/// The parts of `HOST:PORT`.
pub(crate) fn host_and_port(address: &str) -> Result<(String, u16), ClusterError> {
    let parts = address
        .rsplit_once(':')
        .and_then(|(host, port)| Some((host.to_owned(), port.parse().ok()?)));
    parts.ok_or_else(|| ClusterError::Setting {
        name: "--cluster",
        value: address.to_owned(),
        expected: "the scheduler's address is df://HOST:PORT",
    })
}
