//! What operators counted, added up.

use std::collections::BTreeMap;

use ballista_core::serde::protobuf::OperatorMetricsSet;
use ballista_core::serde::protobuf::operator_metric::Metric;

use super::Task;

/// Adds an operator's metrics to the sums of its stage, and what Pomona's operators count to the task.
pub(super) fn add(
    sums: &mut BTreeMap<String, f64>,
    operator: &OperatorMetricsSet,
    task: &mut Task,
) {
    const SECOND_NS: f64 = 1e9;
    for metric in &operator.metrics {
        let (name, value) = match &metric.metric {
            Some(Metric::OutputRows(n)) => ("output_rows".to_owned(), *n as f64),
            Some(Metric::ElapseTime(ns)) => {
                ("elapsed_compute_seconds".to_owned(), *ns as f64 / SECOND_NS)
            }
            Some(Metric::SpillCount(n)) => ("spill_count".to_owned(), *n as f64),
            Some(Metric::SpilledBytes(n)) => ("spilled_bytes".to_owned(), *n as f64),
            Some(Metric::SpilledRows(n)) => ("spilled_rows".to_owned(), *n as f64),
            Some(Metric::OutputBytes(n)) => ("output_bytes".to_owned(), *n as f64),
            Some(Metric::OutputBatches(n)) => ("output_batches".to_owned(), *n as f64),
            Some(Metric::Count(count)) => {
                match count.name.as_str() {
                    "images_done" => add_to(&mut task.images_done, count.value),
                    "images_failed" => add_to(&mut task.images_failed, count.value),
                    "bytes_read" => add_to(&mut task.bytes_read, count.value),
                    _ => {}
                }
                (count.name.clone(), count.value as f64)
            }
            Some(Metric::Time(time)) => (
                format!("{}_seconds", time.name),
                time.value as f64 / SECOND_NS,
            ),
            // Moments and levels have no sum.
            _ => continue,
        };
        *sums.entry(name).or_default() += value;
    }
}

fn add_to(sum: &mut u64, more: u64) {
    *sum = sum.saturating_add(more);
}
