//! The rows of jobs, which lie with the executors that made them.

use std::collections::HashSet;
use std::sync::Arc;

use ballista_core::client::BallistaClient;
use ballista_core::extension::BallistaConfigGrpcEndpoint;
use ballista_core::serde::protobuf::PartitionLocation;
use datafusion::arrow::array::RecordBatch;
use futures::{StreamExt, TryStreamExt};

use crate::tls::{Tls, endpoint_override};

/// Bytes of one message.
const LARGEST_MESSAGE: usize = 512 << 20;
/// Results fetched at once.
const FETCHES: usize = 16;

/// The last location of each partition.
///
/// Where an executor is lost and others redo what it had, Ballista lists what it made and what stands for it.
pub(crate) fn newest(mut locations: Vec<PartitionLocation>) -> Vec<PartitionLocation> {
    let mut seen = HashSet::new();
    locations.reverse();
    locations.retain(|location| match &location.partition_id {
        Some(partition) => seen.insert((partition.stage_id, partition.partition_id)),
        None => true,
    });
    locations.reverse();
    locations
}

/// The rows of a job, from the executors that made them.
pub(crate) async fn fetch(
    locations: Vec<PartitionLocation>,
    tls: Option<&Tls>,
) -> Result<Vec<RecordBatch>, String> {
    let parts: Vec<Vec<RecordBatch>> = futures::stream::iter(locations)
        .map(|location| fetch_one(location, tls))
        .buffered(FETCHES)
        .try_collect()
        .await?;
    Ok(parts.into_iter().flatten().collect())
}

async fn fetch_one(
    location: PartitionLocation,
    tls: Option<&Tls>,
) -> Result<Vec<RecordBatch>, String> {
    let layout = location.layout();
    let (Some(executor), Some(partition)) = (location.executor_meta, location.partition_id) else {
        return Err("the scheduler does not say where the results are".to_owned());
    };
    let port = u16::try_from(executor.port).map_err(|error| error.to_string())?;
    let endpoint = BallistaConfigGrpcEndpoint::new(endpoint_override(tls));
    let mut client = BallistaClient::try_new(
        &executor.host,
        port,
        LARGEST_MESSAGE,
        tls.is_some(),
        Some(Arc::new(endpoint)),
        2,
        200,
        0,
        0,
    )
    .await
    .map_err(|error| error.to_string())?;
    let rows = client
        .fetch_partition_proxied(
            &executor.id,
            &partition.into(),
            location.file_id,
            layout,
            &executor.host,
            port,
            true,
        )
        .await
        .map_err(|error| error.to_string())?;
    rows.try_collect().await.map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use ballista_core::serde::protobuf::PartitionId;

    use super::*;

    #[test]
    fn what_was_redone_stands_for_what_was_lost() {
        let location = |partition_id, file_id| PartitionLocation {
            partition_id: Some(PartitionId {
                stage_id: 2,
                partition_id,
                ..PartitionId::default()
            }),
            file_id: Some(file_id),
            ..PartitionLocation::default()
        };
        let listed = [(0, 1), (3, 2), (1, 3), (0, 4), (3, 5), (0, 6)];
        let kept = newest(
            listed
                .map(|(partition, file)| location(partition, file))
                .into(),
        );
        let files: Vec<_> = kept.iter().map(|location| location.file_id).collect();
        assert_eq!(files, [Some(3), Some(5), Some(6)]);
    }
}
