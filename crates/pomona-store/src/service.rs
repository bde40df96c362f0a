//! One HTTP request: counted, limited, its small answer read whole.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use http::header::{CONTENT_LENGTH, RETRY_AFTER};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};
use object_store::{ClientConfigKey, ClientOptions};
use rand::RngExt;
use tokio::runtime::Handle;

use crate::error::{Outage, element};
use crate::health::Health;
use crate::hedge::Hedge;
use crate::limit::Limit;
use crate::traffic::Traffic;

/// Answers of at most so many bytes are read whole before they are handed on: then one that breaks off is an error of
/// the request, which the store sends again.
const WHOLE_BYTES: u64 = 4 << 20;
/// A request that was not answered within this time is given up and sent again; so is an answer of which nothing more
/// comes for so long.
const ANSWER: Duration = Duration::from_secs(30);
/// A request with a body gets more time, as if so much went up in a second.
const SLOWEST_BYTES_PER_SEC: u64 = 64 << 10;
/// A request that was refused because there are too many keeps its place among those in flight for a while, so that
/// the next one does not come at once.
const REFUSED_MILLIS: std::ops::Range<u64> = 100..300;
/// For so long at most, where the other side says for how long.
const LONGEST_REFUSAL: Duration = Duration::from_secs(10);

/// Makes clients whose requests run on the runtime of the network, and are counted and limited.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    shared: Arc<Shared>,
    clients: Clients,
}

/// Clients that were made, by the options that matter: making one reads all certificates of this machine, which takes
/// longer than many requests.
#[derive(Debug, Clone, Default)]
pub(crate) struct Clients {
    made: Arc<Mutex<HashMap<Vec<Option<String>>, HttpClient>>>,
}

impl Clients {
    fn of(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        const MATTER: [ClientConfigKey; 8] = [
            ClientConfigKey::AllowHttp,
            ClientConfigKey::AllowInvalidCertificates,
            ClientConfigKey::ConnectTimeout,
            ClientConfigKey::Timeout,
            ClientConfigKey::Http1Only,
            ClientConfigKey::Http2Only,
            ClientConfigKey::ProxyUrl,
            ClientConfigKey::ProxyCaCertificate,
        ];
        let key = MATTER
            .iter()
            .map(|key| options.get_config_value(key))
            .collect();
        let Ok(mut made) = self.made.lock() else {
            return ReqwestConnector::default().connect(options);
        };
        Ok(match made.entry(key) {
            Entry::Occupied(client) => client.get().clone(),
            Entry::Vacant(place) => place
                .insert(ReqwestConnector::default().connect(options)?)
                .clone(),
        })
    }
}

#[derive(Debug)]
struct Shared {
    runtime: Handle,
    limit: Arc<Limit>,
    traffic: Arc<Traffic>,
    health: Health,
    hedge: Hedge,
    place: String,
    patience: Duration,
    listener: Listener,
}

/// Who is told, in a sentence, that a storage does not answer while it is still tried.
#[derive(Clone, Default)]
pub(crate) struct Listener(pub(crate) Option<Arc<dyn Fn(String) + Send + Sync>>);

impl std::fmt::Debug for Listener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Listener").field(&self.0.is_some()).finish()
    }
}

impl Connector {
    /// `patience` is how long the other side, `place`, may fail altogether.
    pub(crate) fn new(
        runtime: Handle,
        traffic: Arc<Traffic>,
        patience: Duration,
        clients: Clients,
        place: &str,
        listener: Listener,
    ) -> Self {
        Self {
            clients,
            shared: Arc::new(Shared {
                runtime,
                limit: Limit::new(Arc::clone(&traffic)),
                traffic,
                health: Health::new(patience),
                hedge: Hedge::default(),
                place: place.to_owned(),
                patience,
                listener,
            }),
        }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service {
            client: self.clients.of(options)?,
            shared: Arc::clone(&self.shared),
        }))
    }
}

#[derive(Debug)]
struct Service {
    client: HttpClient,
    shared: Arc<Shared>,
}

/// What an answer means for those that follow.
enum Verdict {
    Good,
    /// The other side says that there are too many.
    Throttled {
        last: String,
        wait: Duration,
    },
    /// It may pass. Some failures have nothing to do with what was asked for.
    Passing {
        last: String,
        is_of_host: bool,
    },
    /// The credentials have expired.
    Expired,
}

#[async_trait]
impl HttpService for Service {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (client, shared) = (self.client.clone(), Arc::clone(&self.shared));
        let task = self
            .shared
            .runtime
            .spawn(async move { shared.send(&client, request).await });
        let task = AbortOnDrop(task);
        task.await
    }
}

/// A request that nobody waits for any more is not sent on.
struct AbortOnDrop(tokio::task::JoinHandle<Result<HttpResponse, HttpError>>);

impl Future for AbortOnDrop {
    type Output = Result<HttpResponse, HttpError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0)
            .poll(context)
            .map(|ended| match ended {
                Ok(answer) => answer,
                Err(error) => Err(HttpError::new(HttpErrorKind::Interrupted, error)),
            })
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Shared {
    async fn send(
        &self,
        client: &HttpClient,
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpError> {
        let permit = self.limit.permit().await;
        // Who waits here keeps the permit: nobody else could send either.
        self.health
            .admit()
            .await
            .map_err(|outage| HttpError::new(HttpErrorKind::Unknown, outage))?;
        let is_head = request.method() == http::Method::HEAD;
        let object = request.uri().path().to_owned();
        let sent_bytes = request.body().content_length() as u64;
        let patience = ANSWER + Duration::from_secs(sent_bytes / SLOWEST_BYTES_PER_SEC);
        let flight = self.traffic.began(sent_bytes);
        let answer = self.hedge.execute(client, request, &self.traffic);
        let answered = tokio::time::timeout(patience, answer).await;
        let answered = match answered {
            Ok(Ok(response)) => whole(response, is_head, &self.traffic).await,
            Ok(Err(error)) => Err(error),
            Err(late) => Err(HttpError::new(HttpErrorKind::Timeout, late)),
        };
        drop(flight);
        match verdict(&answered) {
            Verdict::Good => {
                drop(permit);
                self.limit.good();
                self.health.good();
                answered
            }
            Verdict::Expired => {
                self.traffic.failed(false);
                Err(HttpError::new(HttpErrorKind::Unknown, Outage::Expired))
            }
            Verdict::Throttled { last, wait } => {
                self.limit.throttled();
                let told = self.failed(Some(&object), true, &last, answered);
                tokio::time::sleep(wait).await;
                told
            }
            Verdict::Passing { last, is_of_host } => {
                let object = (!is_of_host).then_some(object.as_str());
                self.failed(object, false, &last, answered)
            }
        }
    }

    /// Lets a failure through, to be tried again, unless the other side is given up.
    fn failed(
        &self,
        object: Option<&str>,
        is_throttled: bool,
        last: &str,
        answered: Result<HttpResponse, HttpError>,
    ) -> Result<HttpResponse, HttpError> {
        let failed = self.traffic.failed(is_throttled);
        let given_up = self.health.failed(object, is_throttled, last, failed);
        if let Listener(Some(listener)) = &self.listener
            && given_up.is_none()
            && self.health.is_news()
        {
            listener(format!(
                "{} does not answer ({last}); it is tried again for up to {} seconds",
                self.place,
                self.patience.as_secs()
            ));
        }
        match given_up {
            Some(outage) => Err(HttpError::new(HttpErrorKind::Unknown, outage)),
            None => answered,
        }
    }
}

fn verdict(answered: &Result<HttpResponse, HttpError>) -> Verdict {
    let response = match answered {
        Ok(response) => response,
        Err(error) => {
            return Verdict::Passing {
                last: innermost(error),
                is_of_host: error.kind() == HttpErrorKind::Connect,
            };
        }
    };
    let status = response.status();
    match status {
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => Verdict::Throttled {
            last: status.to_string(),
            wait: refusal(response),
        },
        status if status.is_server_error() || status == StatusCode::REQUEST_TIMEOUT => {
            Verdict::Passing {
                last: status.to_string(),
                is_of_host: false,
            }
        }
        _ if response.extensions().get::<Expired>().is_some() => Verdict::Expired,
        _ => Verdict::Good,
    }
}

/// How long a refused request keeps its place.
fn refusal(response: &HttpResponse) -> Duration {
    let said = response
        .headers()
        .get(RETRY_AFTER)
        .and_then(|secs| secs.to_str().ok()?.parse().ok())
        .map(Duration::from_secs);
    let least = Duration::from_millis(rand::rng().random_range(REFUSED_MILLIS));
    said.map_or(least, |said| said.clamp(least, LONGEST_REFUSAL))
}

fn innermost(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}

/// Marks an answer that says that the credentials have expired.
#[derive(Clone, Copy)]
struct Expired;

const EXPIRED_CODES: [&str; 4] = [
    "ExpiredToken",
    "TokenRefreshRequired",
    "RequestExpired",
    "ExpiredTokenException",
];

/// Reads a small answer to its end; counts the bytes of a large one as they come.
async fn whole(
    response: HttpResponse,
    is_head: bool,
    traffic: &Arc<Traffic>,
) -> Result<HttpResponse, HttpError> {
    let (mut parts, body) = response.into_parts();
    let length = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // Answers without a length are lists and the like, never objects.
    if is_head || length.is_some_and(|length| length > WHOLE_BYTES) {
        let counted = Counted {
            body,
            traffic: Arc::clone(traffic),
        };
        return Ok(HttpResponse::from_parts(
            parts,
            HttpResponseBody::new(counted),
        ));
    }
    let bytes = to_end(body).await?;
    traffic.read_bytes(bytes.len() as u64);
    if !parts.status.is_client_error() {
        return Ok(HttpResponse::from_parts(parts, full(bytes)));
    }
    let Some((code, bytes)) = told(&bytes) else {
        return Ok(HttpResponse::from_parts(parts, full(bytes)));
    };
    if EXPIRED_CODES.contains(&code.as_str()) {
        parts.extensions.insert(Expired);
    } else if code == "RequestTimeout" {
        // S3 says so with 400 when the body came too slowly; nothing was done.
        return Err(HttpError::new(HttpErrorKind::Request, TooSlow));
    }
    parts.headers.remove(CONTENT_LENGTH);
    Ok(HttpResponse::from_parts(parts, full(bytes)))
}

/// What an answer says of an error, and nothing else of it: S3 repeats tokens and what was signed in its errors.
fn told(bytes: &[u8]) -> Option<(String, Bytes)> {
    let text = std::str::from_utf8(bytes).ok()?;
    let code = element(text, "Code")?;
    let message = element(text, "Message").unwrap_or(code);
    let told = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
    Some((code.to_owned(), told.into()))
}

fn full(bytes: Bytes) -> HttpResponseBody {
    HttpResponseBody::new(Full::new(bytes).map_err(|never| match never {}))
}

#[derive(Debug, thiserror::Error)]
#[error("the storage did not get the whole request in time")]
struct TooSlow;

async fn to_end(mut body: HttpResponseBody) -> Result<Bytes, HttpError> {
    let mut parts: Vec<Bytes> = Vec::new();
    loop {
        let frame = tokio::time::timeout(ANSWER, body.frame())
            .await
            .map_err(|late| HttpError::new(HttpErrorKind::Timeout, late))?;
        match frame {
            None => break,
            Some(Ok(frame)) => parts.extend(frame.into_data().ok()),
            // Whatever broke it off, the request is worth sending again.
            Some(Err(error)) => return Err(HttpError::new(HttpErrorKind::Request, error)),
        }
    }
    Ok(match <[Bytes; 1]>::try_from(parts) {
        Ok([whole]) => whole,
        Err(parts) => parts.concat().into(),
    })
}

/// A body whose bytes are counted.
struct Counted {
    body: HttpResponseBody,
    traffic: Arc<Traffic>,
}

impl Body for Counted {
    type Data = Bytes;
    type Error = HttpError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, HttpError>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                if let Some(bytes) = frame.data_ref() {
                    self.traffic.read_bytes(bytes.len() as u64);
                }
            }
            Poll::Ready(Some(Err(_))) => {
                self.traffic.failed(false);
            }
            _ => {}
        }
        polled
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_an_error_only_code_and_message_are_kept() {
        let body = b"<Error><Code>InvalidToken</Code><Message>It is malformed.</Message><Token-0>hush</Token-0></Error>";
        let (code, kept) = told(body).unwrap();
        assert_eq!(code, "InvalidToken");
        assert_eq!(
            kept,
            "<Error><Code>InvalidToken</Code><Message>It is malformed.</Message></Error>"
        );
        assert!(told(b"no XML").is_none());
    }
}
