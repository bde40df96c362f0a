//! The way to the scheduler: finding it, checking its version, and talking to it under a name.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ballista_core::extension::SessionConfigExt;
use ballista_core::serde::protobuf::scheduler_grpc_client::SchedulerGrpcClient;
use ballista_core::serde::protobuf::{
    ExecutorRegistration, ExecutorStoppedParams, PollWorkParams, PollWorkResult, TaskStatus,
};
use ballista_core::utils::{GrpcClientConfig, create_grpc_client_endpoint};
use ballista_executor::executor_process::{ExecutorProcessConfig, structure_executor_metadata};
use datafusion::prelude::SessionConfig;
use tonic::Status;
use tonic::transport::Channel;
use uuid::Uuid;

use super::MAX_MESSAGE_BYTES;
use super::settings::{ExecutorEvent, ExecutorSettings};
use crate::error::ClusterError;
use crate::tls::{endpoint_override, scheme};
use crate::version::{VersionFailure, authority, check_version};

/// Between attempts to find the scheduler.
const RETRY: Duration = Duration::from_millis(500);
/// Between two lines that say that it is waited for.
const TELL_EVERY: Duration = Duration::from_secs(3);
/// How long a farewell may take: nobody waits for it.
const FAREWELL: Duration = Duration::from_secs(3);

/// A connection to the scheduler, under a name.
pub(super) struct Scheduler {
    client: SchedulerGrpcClient<Channel>,
    registration: ExecutorRegistration,
}

impl Scheduler {
    /// A connection that comes about with the first poll. `port` is where this executor listens.
    pub(super) fn new(settings: &ExecutorSettings, port: u16) -> Result<Self, ClusterError> {
        Ok(Self {
            client: connect(settings)?,
            registration: registration(settings, port),
        })
    }

    /// The executor's name.
    pub(super) fn executor_id(&self) -> &str {
        &self.registration.id
    }

    /// Begins anew with another connection.
    pub(super) fn reconnect(&mut self, settings: &ExecutorSettings) -> Result<(), ClusterError> {
        self.client = connect(settings)?;
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
    let (host, port) = (settings.scheduler_host.clone(), settings.scheduler_port);
    let (tls, version) = (settings.tls.clone(), settings.version.clone());
    tokio::task::spawn_blocking(move || check_version(&host, port, tls.as_ref(), &version))
        .await
        .unwrap_or_else(|_ended| Err(VersionFailure::Unreachable("interrupted".to_owned())))
}

fn connect(settings: &ExecutorSettings) -> Result<SchedulerGrpcClient<Channel>, ClusterError> {
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
        .map_err(|error| unusable(error.to_string()))?;
    Ok(SchedulerGrpcClient::new(endpoint.connect_lazy())
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES))
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
