//! The way to the scheduler: finding it, checking its version, and talking to it under a name.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecutorRegistration, ExecutorStatus, ExecutorStoppedParams, HeartBeatParams, PollWorkParams,
    PollWorkResult, TaskStatus, executor_status,
};
use ballista_core::utils::{GrpcClientConfig, create_grpc_client_endpoint};
use ballista_executor::executor_process::{ExecutorProcessConfig, structure_executor_metadata};
use datafusion::prelude::SessionConfig;
use futures::future::BoxFuture;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tonic::Status;
use tonic::codegen::Service;
use tonic::transport::Channel;
use uuid::Uuid;

use super::MAX_MESSAGE_BYTES;
use super::settings::{ExecutorEvent, ExecutorSettings};
use crate::error::{ClusterError, VersionInfo};
use crate::tls::{Tls, endpoint_override, scheme};
use crate::version::{VersionFailure, authority, check_version};

/// Between attempts to find the scheduler.
const RETRY: Duration = Duration::from_millis(500);
/// Between two lines that say that it is waited for.
const TELL_EVERY: Duration = Duration::from_secs(3);
/// How long a connection to the scheduler may take, with the question for its version.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a farewell may take: nobody waits for it.
const FAREWELL: Duration = Duration::from_secs(3);

/// A connection to the scheduler, under a name.
pub(super) struct Scheduler {
    client: SchedulerGrpcClient<Channel>,
    registration: ExecutorRegistration,
    /// How many connections there were.
    made: Arc<AtomicUsize>,
    /// How many of them were known at the last look.
    seen: usize,
}

impl Scheduler {
    /// A connection that comes about with the first poll. `port` is where this executor listens.
    pub(super) fn new(settings: &ExecutorSettings, port: u16) -> Result<Self, ClusterError> {
        let made = Arc::default();
        Ok(Self {
            client: connect(settings, Arc::clone(&made))?,
            registration: registration(settings, port),
            made,
            seen: 0,
        })
    }

    /// Whether the scheduler was reached by another connection since this was asked last.
    pub(super) fn is_new(&mut self) -> bool {
        let made = self.made.load(Relaxed);
        std::mem::replace(&mut self.seen, made) != made
    }

    /// The executor's name.
    pub(super) fn executor_id(&self) -> &str {
        &self.registration.id
    }

    /// Begins anew with another connection.
    pub(super) fn reconnect(&mut self, settings: &ExecutorSettings) -> Result<(), ClusterError> {
        self.client = connect(settings, self.made.clone())?;
        Ok(())
    }

    /// Another name: what was done under the old one is no longer this executor's.
    pub(super) fn rename(&mut self) {
        self.registration.id = new_name();
    }

    /// Tells `statuses` and asks for as many tasks as there are free slots. This is also what the scheduler knows a
    /// living executor by.
    pub(super) async fn poll(
        &mut self,
        free_slots: usize,
        statuses: Vec<TaskStatus>,
    ) -> Result<PollWorkResult, Status> {
        let params = PollWorkParams {
            metadata: Some(self.registration.clone()),
            num_free_vcores: u32::try_from(free_slots).unwrap_or(u32::MAX),
            task_status: statuses,
        };
        Ok(self.client.poll_work(params).await?.into_inner())
    }

    /// Says that this executor takes no more tasks and goes when it has done what it has.
    pub(super) async fn drain(&mut self, reason: &str) {
        let params = HeartBeatParams {
            executor_id: self.registration.id.clone(),
            status: Some(ExecutorStatus {
                status: Some(executor_status::Status::Terminating(reason.to_owned())),
            }),
            ..HeartBeatParams::default()
        };
        // Unheard, nothing is lost: it asks for no task all the same.
        let _ = tokio::time::timeout(FAREWELL, self.client.heart_beat_from_executor(params)).await;
    }

    /// Says that what this executor had is to be done elsewhere. If it goes unheard, the scheduler finds out in time.
    pub(super) async fn leave(&mut self, reason: &str) {
        let params = ExecutorStoppedParams {
            executor_id: self.registration.id.clone(),
            reason: reason.to_owned(),
        };
        let _ = tokio::time::timeout(FAREWELL, self.client.executor_stopped(params)).await;
    }
}

/// Whether a poll that failed never reached the scheduler.
pub(super) fn never_sent(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(current) = cause {
        if current.is::<tonic::ConnectError>() {
            return true;
        }
        cause = current.source();
    }
    false
}

/// Waits until a scheduler of this version answers, for `limit` at most if there is one.
///
/// Without a limit only another version ends the waiting: a scheduler that was there comes back.
pub(super) async fn find(
    settings: &ExecutorSettings,
    limit: Option<Duration>,
) -> Result<(), ClusterError> {
    let address = authority(&settings.scheduler_host, settings.scheduler_port);
    let began = Instant::now();
    let mut told: Option<Instant> = None;
    loop {
        let reason = match ask(settings).await {
            Ok(()) => return Ok(()),
            Err(VersionFailure::Unreachable(reason)) => reason,
            Err(VersionFailure::Final(error @ ClusterError::OtherVersion { .. })) => {
                return Err(error);
            }
            Err(VersionFailure::Final(error)) if limit.is_some() => return Err(error),
            Err(VersionFailure::Final(error)) => error.to_string(),
        };
        if let Some(limit) = limit.filter(|limit| began.elapsed() >= *limit) {
            return Err(ClusterError::NoScheduler {
                address,
                waited_secs: limit.as_secs(),
                reason,
            });
        }
        if told.is_none_or(|told| told.elapsed() >= TELL_EVERY) {
            told = Some(Instant::now());
            settings.tell(ExecutorEvent::WaitingForScheduler {
                address: address.clone(),
                reason,
            });
        }
        tokio::time::sleep(RETRY).await;
    }
}

async fn ask(settings: &ExecutorSettings) -> Result<(), VersionFailure> {
    Question::new(settings).ask().await
}

/// Everything that is needed to ask a scheduler for its version.
#[derive(Clone)]
struct Question {
    host: String,
    port: u16,
    tls: Option<Tls>,
    ours: VersionInfo,
}

impl Question {
    fn new(settings: &ExecutorSettings) -> Self {
        Self {
            host: settings.scheduler_host.clone(),
            port: settings.scheduler_port,
            tls: settings.tls.clone(),
            ours: settings.version.clone(),
        }
    }

    async fn ask(self) -> Result<(), VersionFailure> {
        tokio::task::spawn_blocking(move || {
            check_version(&self.host, self.port, self.tls.as_ref(), &self.ours)
        })
        .await
        .unwrap_or_else(|_ended| Err(VersionFailure::Unreachable("interrupted".to_owned())))
    }
}

/// Makes connections to schedulers of the right version only.
///
/// A scheduler can go and another come between two polls, and no poll fails. The connection is another one, though.
#[derive(Clone)]
struct CheckedConnector {
    question: Question,
    made: Arc<AtomicUsize>,
}

impl Service<http::Uri> for CheckedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = std::io::Error;
    type Future = BoxFuture<'static, Result<Self::Response, Self::Error>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _uri: http::Uri) -> Self::Future {
        let Self { question, made } = self.clone();
        Box::pin(async move {
            let (host, port) = (bare(&question.host).to_owned(), question.port);
            question.ask().await.map_err(|failure| match failure {
                VersionFailure::Unreachable(reason) => std::io::Error::other(reason),
                VersionFailure::Final(error) => std::io::Error::other(error),
            })?;
            let stream = TcpStream::connect((host, port)).await?;
            stream.set_nodelay(true)?;
            made.fetch_add(1, Relaxed);
            Ok(TokioIo::new(stream))
        })
    }
}

/// An address without the brackets that an IPv6 address has in a URL.
fn bare(host: &str) -> &str {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
}

fn connect(
    settings: &ExecutorSettings,
    made: Arc<AtomicUsize>,
) -> Result<SchedulerGrpcClient<Channel>, ClusterError> {
    let address = authority(&settings.scheduler_host, settings.scheduler_port);
    let url = format!("{}://{address}", scheme(settings.tls.as_ref()));
    let config = GrpcClientConfig::from(&SessionConfig::new_with_ballista().ballista_config());
    let unusable = |reason: String| ClusterError::Refused {
        address: address.clone(),
        reason,
    };
    let endpoint = create_grpc_client_endpoint(url, Some(&config))
        .map_err(|error| unusable(error.to_string()))?;
    let endpoint = endpoint_override(settings.tls.as_ref())(endpoint)
        .map_err(|error| unusable(error.to_string()))?
        .connect_timeout(CONNECT_TIMEOUT);
    let connector = CheckedConnector {
        question: Question::new(settings),
        made,
    };
    Ok(
        SchedulerGrpcClient::new(endpoint.connect_with_connector_lazy(connector))
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES),
    )
}

fn registration(settings: &ExecutorSettings, port: u16) -> ExecutorRegistration {
    let process = ExecutorProcessConfig {
        executor_id: new_name(),
        external_host: settings.advertised_host.clone(),
        port,
        // Cancellations arrive where results are fetched.
        grpc_port: port,
        ..ExecutorProcessConfig::default()
    };
    structure_executor_metadata(
        &Arc::new(process),
        u32::try_from(settings.slots).unwrap_or(u32::MAX),
    )
}

fn new_name() -> String {
    Uuid::new_v4().to_string()
}
