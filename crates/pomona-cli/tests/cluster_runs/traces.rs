//! Traces, as a receiver gets them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use prost::Message as _;

use crate::support::{Cluster, Place, assert_same, said};

const RUN: [&str; 6] = ["run", "photos", "--shard-images", "16", "--components", "3"];
/// What goes with every request, and with nothing else.
const SECRET: &str = "a-key-that-nobody-sees";
/// The span of whoever started the run.
const CALLER: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// A span with what its process said of itself.
#[derive(Debug, Clone)]
struct Span {
    service: String,
    name: String,
    trace: String,
    id: String,
    parent: String,
    nanos: (u64, u64),
    failed: Option<String>,
    attributes: BTreeMap<String, Option<Value>>,
}

/// Takes what is sent to it by OTLP, as a collector does.
struct Receiver {
    address: String,
    spans: Arc<Mutex<Vec<Span>>>,
    raw: Arc<Mutex<Vec<u8>>>,
    keys: Arc<Mutex<BTreeSet<String>>>,
    _runtime: tokio::runtime::Runtime,
}

impl Receiver {
    fn start() -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = listener.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (spans, raw, keys) = (Arc::default(), Arc::default(), Arc::default());
        let receiver = Self {
            address,
            spans: Arc::clone(&spans),
            raw: Arc::clone(&raw),
            keys: Arc::clone(&keys),
            _runtime: runtime,
        };
        let take = move |headers: HeaderMap, body: Bytes| async move {
            if headers["content-type"] != "application/x-protobuf" {
                return StatusCode::UNSUPPORTED_MEDIA_TYPE;
            }
            let Ok(request) = ExportTraceServiceRequest::decode(body.clone()) else {
                return StatusCode::BAD_REQUEST;
            };
            let key = headers.get("x-key").map(|key| key.to_str().unwrap());
            keys.lock().unwrap().insert(key.unwrap_or("").to_owned());
            raw.lock().unwrap().extend_from_slice(&body);
            spans.lock().unwrap().extend(spans_of(request));
            StatusCode::OK
        };
        let router = axum::Router::new().route("/v1/traces", post(take));
        receiver._runtime.spawn(async move {
            axum::serve(listener, router).await.unwrap();
        });
        receiver
    }

    fn variables(&self) -> Vec<(String, String)> {
        [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", self.address.as_str()),
            ("OTEL_EXPORTER_OTLP_HEADERS", &format!("x-key={SECRET}")),
            (
                "OTEL_RESOURCE_ATTRIBUTES",
                "deployment.environment.name=test",
            ),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .to_vec()
    }

    fn spans(&self) -> Vec<Span> {
        self.spans.lock().unwrap().clone()
    }
}

fn spans_of(request: ExportTraceServiceRequest) -> Vec<Span> {
    let mut found = Vec::new();
    for resource in request.resource_spans {
        let own = attributes(resource.resource.unwrap().attributes);
        assert_eq!(text(&own, "deployment.environment.name"), "test");
        assert_eq!(text(&own, "service.version"), env!("CARGO_PKG_VERSION"));
        for span in resource.scope_spans.into_iter().flat_map(|it| it.spans) {
            let status = span.status.unwrap_or_default();
            found.push(Span {
                service: text(&own, "service.name"),
                name: span.name,
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                nanos: (span.start_time_unix_nano, span.end_time_unix_nano),
                // 2 is an error.
                failed: (status.code == 2).then_some(status.message),
                attributes: attributes(span.attributes),
            });
        }
    }
    found
}

fn attributes(all: Vec<KeyValue>) -> BTreeMap<String, Option<Value>> {
    let value = |it: Option<AnyValue>| it.and_then(|it| it.value);
    all.into_iter()
        .map(|one| (one.key, value(one.value)))
        .collect()
}

fn text(attributes: &BTreeMap<String, Option<Value>>, name: &str) -> String {
    match attributes.get(name) {
        Some(Some(Value::StringValue(text))) => text.clone(),
        other => panic!("{name}: {other:?}"),
    }
}

fn count(span: &Span, name: &str) -> i64 {
    match span.attributes.get(name) {
        Some(Some(Value::IntValue(count))) => *count,
        other => panic!("{name}: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn named<'a>(spans: &'a [Span], name: &str) -> Vec<&'a Span> {
    spans.iter().filter(|span| span.name == name).collect()
}

#[test]
fn a_run_on_a_cluster_is_one_trace() {
    let receiver = Receiver::start();
    let mut place = Place::with_photos(2, true);
    place.done(&[&RUN[..], &["--out", "alone"]].concat());
    assert_eq!(receiver.spans().len(), 0, "nobody asked for traces");

    place.everywhere = receiver.variables();
    place.variables = vec![("TRACEPARENT".to_owned(), CALLER.to_owned())];
    let cluster = Cluster::start(&place, 1);
    let output = place.pomona(&[&RUN[..], &["--out", "traced", &cluster.flag]].concat());
    assert!(output.status.success(), "{}", said(&output));
    cluster.leave_slowly();
    assert_same(&place.path("alone"), &place.path("traced"));

    let spans = receiver.spans();
    let mut parts = CALLER.split('-').skip(1);
    let (trace, caller) = (parts.next().unwrap(), parts.next().unwrap());
    for span in &spans {
        assert_eq!(span.trace, trace, "{span:?}");
        assert!(span.nanos.0 <= span.nanos.1, "{span:?}");
        assert_eq!(span.failed, None, "{span:?}");
    }
    let ids: BTreeSet<_> = spans.iter().map(|span| &span.id).collect();
    assert_eq!(ids.len(), spans.len(), "each is sent once");

    let [command] = named(&spans, "pomona run")[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(
        (command.service.as_str(), command.parent.as_str()),
        ("pomona", caller)
    );
    let listed = place.sql("traced", "SELECT COUNT(*) AS n FROM images")[0]["n"].clone();
    for stage in ["extract", "fit", "reduce", "report"] {
        let [span] = named(&spans, stage)[..] else {
            panic!("{stage}: {spans:?}");
        };
        assert_eq!(span.parent, command.id);
        assert!(command.nanos.0 <= span.nanos.0 && span.nanos.1 <= command.nanos.1);
        if stage == "extract" {
            assert_eq!(listed, count(span, "pomona.items"));
        }
    }

    let jobs = named(&spans, "job");
    let tasks = named(&spans, "task");
    let job = jobs
        .iter()
        .find(|job| text(&job.attributes, "pomona.job.name") == "extract")
        .unwrap();
    assert_eq!(job.service, "pomona-scheduler");
    assert_eq!(job.parent, named(&spans, "extract")[0].id);
    let done = count(job, "pomona.images.done") + count(job, "pomona.images.failed");
    assert_eq!(listed, done);
    let of_job =
        |task: &&&Span| task.attributes["pomona.job.id"] == job.attributes["pomona.job.id"];
    let of_extraction: Vec<_> = tasks.iter().filter(of_job).collect();
    assert!(of_extraction.len() as i64 >= count(job, "pomona.shards"));
    assert!(count(job, "pomona.shards") > 1);
    for task in of_extraction {
        assert_eq!(task.service, "pomona-executor");
        assert_eq!(task.parent, job.parent);
    }
    for other in jobs.iter().chain(&tasks) {
        assert!(ids.contains(&other.parent), "{other:?}");
    }

    assert_eq!(
        *receiver.keys.lock().unwrap(),
        BTreeSet::from([SECRET.to_owned()])
    );
    let raw = receiver.raw.lock().unwrap();
    let is_told = raw
        .windows(SECRET.len())
        .any(|part| part == SECRET.as_bytes());
    assert!(!is_told && !said(&output).contains(SECRET));
}

#[test]
fn what_fails_is_told_as_failed() {
    let receiver = Receiver::start();
    let mut place = Place::with_photos(0, false);
    place.everywhere = receiver.variables();
    let output = place.pomona(&["run", "nothing-here", "--out", "out"]);
    assert_eq!(output.status.code(), Some(1));
    let spans = receiver.spans();
    let [command] = &spans[..] else {
        panic!("{spans:?}");
    };
    assert_eq!(
        (command.name.as_str(), command.parent.as_str()),
        ("pomona run", "")
    );
    let why = command.failed.as_deref().unwrap();
    assert!(!why.is_empty() && said(&output).contains(why), "{why}");
}

#[test]
fn a_run_does_not_need_the_receiver() {
    let mut place = Place::with_photos(1, false);
    let endpoint = |value: &str| ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), value.to_owned());
    let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL".to_owned(), "grpc".to_owned());
    let off = ("OTEL_SDK_DISABLED".to_owned(), "true".to_owned());
    for (number, (variables, told)) in [
        // Nobody listens there.
        (vec![endpoint("http://127.0.0.1:1")], "traces do not arrive"),
        (vec![endpoint("not an address")], "nothing is traced"),
        (vec![endpoint("http://127.0.0.1:1"), protocol], "4318"),
        (vec![endpoint("http://127.0.0.1:1"), off], ""),
    ]
    .into_iter()
    .enumerate()
    {
        place.everywhere = variables;
        let out = format!("run-{number}");
        let output = place.pomona(&["run", "photos", "--components", "2", "--out", &out]);
        let text = said(&output);
        assert!(output.status.success(), "{text}");
        assert!(text.contains(told), "{text}");
        let is_quiet = !text.contains("trace");
        assert_eq!(is_quiet, told.is_empty(), "{text}");
    }
}
