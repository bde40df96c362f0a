//! What the report tells of the run's growth and of the network.

use pomona_report::{GrowthData, GrowthDrift, StorageData, StoragePlace};

use crate::record::TrafficRecord;
use crate::started::Generation;

/// How the run grew; none where it did not.
pub(crate) fn growth(generations: &[Generation]) -> Option<GrowthData> {
    let last = generations.last()?;
    Some(GrowthData {
        generations: generations
            .iter()
            .map(|generation| pomona_report::Generation {
                number: u64::from(generation.number),
                when: generation.when.clone(),
                new: generation.new,
                changed: generation.changed,
                vanished: generation.vanished,
                forgotten: generation.forgotten,
                shards: generation.shards,
            })
            .collect(),
        drift: last.drift.map(|drift| GrowthDrift {
            rows: drift.rows,
            rows_fitted: drift.rows_fitted,
            shift: drift.shift,
            sampling_shift: drift.sampling_shift,
            spread: drift.spread,
            explained: drift.explained,
            explained_fitted: drift.explained_fitted,
        }),
    })
}

/// What went over the network; none where nothing did.
pub(crate) fn storage(traffic: &[TrafficRecord]) -> Option<StorageData> {
    let total = |value: fn(&TrafficRecord) -> u64| traffic.iter().map(value).sum::<u64>();
    // The bucket that had most to do is the one whose limit is worth a look.
    let busiest = traffic.iter().max_by_key(|place| place.requests)?;
    Some(StorageData {
        requests: total(|place| place.requests),
        retries: total(|place| place.failed),
        throttled: total(|place| place.throttled),
        // What failed for good is told by the ledger, image by image.
        failed: 0,
        bytes_read: total(|place| place.bytes_read),
        bytes_written: total(|place| place.bytes_written),
        most_in_flight: busiest.most_in_flight,
        limits: busiest
            .limits
            .iter()
            .map(|(seconds, limit)| (*seconds, *limit as u64))
            .collect(),
        waited_seconds: traffic.iter().map(|place| place.waited_secs).sum(),
        places: traffic
            .iter()
            .map(|place| StoragePlace {
                url: place.place.clone(),
                requests: place.requests,
                bytes: place.bytes_read + place.bytes_written,
            })
            .collect(),
    })
}
