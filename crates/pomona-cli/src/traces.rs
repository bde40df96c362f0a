//! Where did the time go, for those who watch many programs at once?
//!
//! Spans in OpenTelemetry's sense, sent by OTLP where the environment names a receiver, and not made at all elsewhere. A
//! command is a span, and its stages are spans within it. What a scheduler and executors do for one of them is put below
//! it, because jobs tell which they belong to.

mod cluster;
mod send;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::{SpanBuilder, Status, TraceContextExt, Tracer, TracerProvider};
use opentelemetry::{Context, KeyValue};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{SdkTracer, SdkTracerProvider};
use pomona_cluster::TraceParent;
use pomona_pipeline::{Event, Observer};

pub(crate) use self::cluster::{job_spans, task_spans};
pub(crate) use self::send::ENDPOINTS;
use crate::args::{ClusterCommand, Command};
use crate::progress::Reporter;

/// How long the last spans may take to go out once a command is done.
const LAST: Duration = Duration::from_secs(3);
/// The header by which W3C's Trace Context names a span: <https://www.w3.org/TR/trace-context/>.
const PARENT_HEADER: &str = "traceparent";
/// The variable that says the same of the span that a command belongs to.
const PARENT_VARIABLE: &str = "TRACEPARENT";
/// What stands for the name of a stage at the command's own span.
const COMMAND: &str = "";

/// The spans of this process. Clones are the same.
#[derive(Clone)]
pub(crate) struct Traces(Arc<Shared>);

struct Shared {
    provider: SdkTracerProvider,
    tracer: SdkTracer,
    /// The command's span and those of stages within it that have begun, the innermost last.
    open: Mutex<Vec<Open>>,
}

struct Open {
    /// The stage's, or [`COMMAND`].
    name: &'static str,
    context: Context,
}

impl Traces {
    /// For a command that takes its time, where the environment names a receiver. `name` is what was typed for it.
    pub(crate) fn of(command: &Command, name: &str, reporter: &Reporter) -> Option<Self> {
        let live_on = match command {
            // They answer at once.
            Command::Status(_)
            | Command::Why(_)
            | Command::Backbones(_)
            | Command::Completions(_) => return None,
            Command::Cluster(args) => match args.command {
                ClusterCommand::Scheduler(_) => Some("pomona-scheduler"),
                ClusterCommand::Executor(_) => Some("pomona-executor"),
                _ => return None,
            },
            _ => None,
        };
        let tell = reporter.teller();
        let exporter = match send::exporter(Arc::clone(&tell))? {
            Ok(exporter) => exporter,
            Err(problem) => {
                tell(&format!("nothing is traced: {problem}"));
                return None;
            }
        };
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_resource(resource(live_on.unwrap_or("pomona")))
            .build();
        let traces = Self(Arc::new(Shared {
            tracer: provider.tracer("pomona"),
            provider,
            open: Mutex::default(),
        }));
        // What lives for days has no span of its own: what it does belongs to those who asked for it.
        if live_on.is_none() {
            let parent = std::env::var(PARENT_VARIABLE).unwrap_or_default();
            let span = SpanBuilder::from_name(format!("pomona {name}"));
            traces.begin(COMMAND, span, &below(&parent));
        }
        Some(traces)
    }

    /// The identity of the innermost span.
    pub(crate) fn parent(&self) -> Option<TraceParent> {
        let mut headers = HashMap::new();
        TraceContextPropagator::new().inject_context(&self.innermost(), &mut headers);
        headers.remove(PARENT_HEADER)
    }

    /// Ends all spans, by `error` if there was one, and sends what was not sent yet.
    pub(crate) fn end(&self, error: Option<&str>) {
        while let Some(open) = self.lock().pop() {
            if let Some(error) = error {
                open.context
                    .span()
                    .set_status(Status::error(error.to_owned()));
            }
            open.context.span().end();
        }
        // Whoever has to know was told by the exporter.
        let _ = self.0.provider.shutdown_with_timeout(LAST);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Open>> {
        self.0.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn innermost(&self) -> Context {
        let open = self.lock();
        open.last()
            .map_or_else(Context::new, |open| open.context.clone())
    }

    fn begin(&self, name: &'static str, span: SpanBuilder, parent: &Context) {
        let span = self.0.tracer.build_with_context(span, parent);
        let context = parent.with_span(span);
        self.lock().push(Open { name, context });
    }
}

impl Observer for Traces {
    fn event(&self, event: &Event) {
        match event {
            Event::StageStarted { stage } => {
                self.begin(stage, SpanBuilder::from_name(*stage), &self.innermost());
            }
            Event::StageFinished { stage, items, .. } => {
                let mut open = self.lock();
                let Some(at) = open.iter().rposition(|open| open.name == *stage) else {
                    return;
                };
                let ended = open.remove(at);
                let span = ended.context.span();
                span.set_attribute(KeyValue::new("pomona.items", number(*items)));
                span.end();
            }
            Event::Note { text } => {
                let said = vec![KeyValue::new("pomona.note", text.clone())];
                self.innermost().span().add_event("note", said);
            }
            _ => {}
        }
    }
}

/// A context below the span that `parent` names; below none where it names none.
fn below(parent: &str) -> Context {
    let headers = HashMap::from([(PARENT_HEADER.to_owned(), parent.to_owned())]);
    TraceContextPropagator::new().extract_with_context(&Context::new(), &headers)
}

/// Who this process is. What the environment says about it wins.
fn resource(service: &'static str) -> Resource {
    let told = Resource::builder().build();
    let own = [
        KeyValue::new("service.name", service),
        KeyValue::new("service.version", env!("CARGO_PKG_VERSION")),
        KeyValue::new("process.pid", i64::from(std::process::id())),
        KeyValue::new(
            "host.name",
            sysinfo::System::host_name().unwrap_or_default(),
        ),
    ];
    let is_told = |one: &KeyValue| match told.get(&one.key) {
        // What the library says where it was told nothing.
        Some(value) => !value.as_str().starts_with("unknown_service"),
        None => false,
    };
    let own: Vec<_> = own.into_iter().filter(|one| !is_told(one)).collect();
    Resource::builder().with_attributes(own).build()
}

/// Counts as OpenTelemetry knows them.
fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
