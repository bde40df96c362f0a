//! To whom spans are sent, as the environment says it: <https://opentelemetry.io/docs/specs/otel/protocol/exporter/>.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use opentelemetry_http::{Bytes, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::SpanData;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::progress::Teller;

/// Variables that name the receiver: of everything, and of traces.
pub(crate) const ENDPOINTS: [&str; 2] = [
    "OTEL_EXPORTER_OTLP_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
];
/// How long one request may take where the environment does not say it, as the specification has it.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read.
const LARGEST_ANSWER: u64 = 4 << 20;

/// Sends to the receiver that the environment names; none where it names none, or asks for nothing to be sent.
pub(super) fn exporter(tell: Teller) -> Option<Result<Told, String>> {
    ENDPOINTS.iter().find_map(|name| variable(name))?;
    let is_off = variable("OTEL_SDK_DISABLED").is_some_and(|it| it.eq_ignore_ascii_case("true"))
        || variable("OTEL_TRACES_EXPORTER").is_some_and(|it| it.eq_ignore_ascii_case("none"));
    (!is_off).then(|| build(tell))
}

fn build(tell: Teller) -> Result<Told, String> {
    if let Some(protocol) = of_traces("PROTOCOL")
        && protocol != "http/protobuf"
    {
        return Err(format!(
            "OTEL_EXPORTER_OTLP_PROTOCOL is {protocol}, and only http/protobuf is spoken, which receivers take at port 4318"
        ));
    }
    let agent = ureq::Agent::config_builder()
        .timeout_global(Some(TIMEOUT))
        .http_status_as_error(false)
        // What goes with a request is for nobody else.
        .max_redirects(0)
        .tls_config(tls()?)
        .build()
        .into();
    let inner = SpanExporter::builder()
        .with_http()
        .with_http_client(Client(agent))
        .with_protocol(Protocol::HttpBinary)
        .build()
        .map_err(|error| error.to_string())?;
    Ok(Told {
        inner,
        tell,
        was_told: AtomicBool::new(false),
    })
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What is set for traces, or for everything.
fn of_traces(name: &str) -> Option<String> {
    variable(&format!("OTEL_EXPORTER_OTLP_TRACES_{name}"))
        .or_else(|| variable(&format!("OTEL_EXPORTER_OTLP_{name}")))
}

/// Whom to trust and who to be, if that is said.
fn tls() -> Result<TlsConfig, String> {
    let mut config = TlsConfig::builder();
    if let Some(path) = of_traces("CERTIFICATE") {
        config = config.root_certs(RootCerts::new_with_certs(&certificates(&path)?));
    }
    if let (Some(chain), Some(key)) = (of_traces("CLIENT_CERTIFICATE"), of_traces("CLIENT_KEY")) {
        let own = PrivateKey::from_pem(&read(&key)?)
            .map_err(|error| format!("there is no private key in {key}: {error}"))?;
        config = config.client_cert(Some(ClientCert::new_with_certs(
            &certificates(&chain)?,
            own,
        )));
    }
    Ok(config.build())
}

fn certificates(path: &str) -> Result<Vec<Certificate<'static>>, String> {
    let text = read(path)?;
    let all: Vec<_> = ureq::tls::parse_pem(&text)
        .filter_map(|item| match item {
            Ok(ureq::tls::PemItem::Certificate(one)) => Some(one),
            _ => None,
        })
        .collect();
    if all.is_empty() {
        return Err(format!("there is no certificate in {path}"));
    }
    Ok(all)
}

fn read(path: &str) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| format!("{path} cannot be read: {error}"))
}

/// An exporter that tells once when spans do not arrive.
pub(super) struct Told {
    inner: SpanExporter,
    tell: Teller,
    was_told: AtomicBool,
}

impl fmt::Debug for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl opentelemetry_sdk::trace::SpanExporter for Told {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let sent = self.inner.export(batch).await;
        if let Err(error) = &sent
            && !self.was_told.swap(true, Ordering::Relaxed)
        {
            (self.tell)(&format!(
                "traces do not arrive at the receiver of OTEL_EXPORTER_OTLP_ENDPOINT: {error}"
            ));
        }
        sent
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.inner.shutdown_with_timeout(timeout)
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.inner.force_flush()
    }

    fn set_resource(&mut self, resource: &opentelemetry_sdk::Resource) {
        self.inner.set_resource(resource);
    }
}

/// Requests of the thread that sends spans, one after the other.
#[derive(Debug)]
struct Client(ureq::Agent);

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(&self, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        let (parts, body) = request.into_parts();
        let request = Request::from_parts(parts, body.to_vec());
        let (parts, mut body) = self.0.run(request)?.into_parts();
        let answer = body.with_config().limit(LARGEST_ANSWER).read_to_vec()?;
        Ok(Response::from_parts(parts, answer.into()))
    }
}
