//! What a scheduler and an executor do for others, below the spans of those who asked for it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use opentelemetry::trace::{Span, SpanBuilder, SpanKind, Status, Tracer};
use opentelemetry::{KeyValue, Value};
use opentelemetry_sdk::trace::Span as SdkSpan;
use pomona_cluster::{ExecutorEvent, JobDetail, JobPhase, ScheduledTask};

use super::{Traces, below, number};

/// Makes a span of each job that ended and was asked for by somebody who is traced.
pub(crate) fn job_spans(traces: Traces) -> impl Fn(&JobDetail, Option<&str>) + Send + Sync {
    move |detail, parent| {
        let Some(parent) = parent else {
            return;
        };
        let job = &detail.summary;
        let at = |ms: u64| UNIX_EPOCH + Duration::from_millis(ms);
        let span = SpanBuilder::from_name("job")
            .with_kind(SpanKind::Server)
            .with_start_time(at(job.queued_ms))
            .with_attributes([
                KeyValue::new("pomona.job.id", job.id.clone()),
                KeyValue::new("pomona.job.name", job.name.clone()),
                KeyValue::new("pomona.job.state", job.state.word()),
                KeyValue::new("pomona.images.done", number(job.images.done)),
                KeyValue::new("pomona.images.failed", number(job.images.failed)),
                KeyValue::new("pomona.bytes_read", number(job.bytes_read)),
                KeyValue::new("pomona.shards", number(job.shards.total)),
                KeyValue::new(
                    "pomona.shards.set_aside",
                    number(job.shards.set_aside.len() as u64),
                ),
                KeyValue::new("pomona.attempts_failed", number(job.shards.attempts_failed)),
                KeyValue::new("pomona.executor_seconds", job.executor_seconds),
            ]);
        let mut span = traces.0.tracer.build_with_context(span, &below(parent));
        if job.state != JobPhase::Finished {
            let why = job.error.as_deref().unwrap_or(job.state.word());
            span.set_status(Status::error(why.to_owned()));
        }
        span.end_with_timestamp(job.ended_ms.map_or_else(SystemTime::now, at));
    }
}

/// Makes a span of each task of a job that was asked for by somebody who is traced.
pub(crate) fn task_spans(traces: Traces) -> impl Fn(&ExecutorEvent) + Send + Sync {
    let open: Mutex<HashMap<ScheduledTask, (SystemTime, SdkSpan)>> = Mutex::default();
    move |event| {
        let mut open = open.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            ExecutorEvent::TaskStarted {
                task,
                trace_parent: Some(parent),
            } => {
                let now = SystemTime::now();
                let span = SpanBuilder::from_name("task")
                    .with_kind(SpanKind::Consumer)
                    .with_start_time(now)
                    .with_attributes(attributes(task));
                let span = traces.0.tracer.build_with_context(span, &below(parent));
                open.insert(task.clone(), (now, span));
            }
            ExecutorEvent::TaskFinished {
                task,
                elapsed,
                error,
            } => {
                if let Some((began, mut span)) = open.remove(task) {
                    if let Some(error) = error {
                        span.set_status(Status::error(error.clone()));
                    }
                    span.end_with_timestamp(began + *elapsed);
                }
            }
            ExecutorEvent::TaskCancelled { task } => {
                if let Some((_, mut span)) = open.remove(task) {
                    span.set_status(Status::error("cancelled"));
                    span.end();
                }
            }
            // It hands back all that it has.
            ExecutorEvent::HandedBack { .. } => {
                for (_, (_, mut span)) in open.drain() {
                    span.set_status(Status::error("handed back, to be done elsewhere"));
                    span.end();
                }
            }
            _ => {}
        }
    }
}

fn attributes(task: &ScheduledTask) -> Vec<KeyValue> {
    let count = |number: u32| i64::from(number);
    let partitions: Vec<i64> = task.partitions.iter().copied().map(count).collect();
    vec![
        KeyValue::new("pomona.job.id", task.job_id.clone()),
        KeyValue::new("pomona.stage.id", count(task.stage_id)),
        KeyValue::new("pomona.stage.attempt", count(task.stage_attempt)),
        KeyValue::new("pomona.task.id", count(task.task_id)),
        KeyValue::new(
            "pomona.partitions",
            Value::Array(opentelemetry::Array::I64(partitions)),
        ),
    ]
}
