//! One HTTP request: counted, limited, its small answer read whole.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use http::StatusCode;
use http::header::CONTENT_LENGTH;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Frame};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse,
    HttpResponseBody, HttpService, ReqwestConnector,
};
use tokio::runtime::Handle;

use crate::error::{Outage, element};
use crate::limit::Limit;
use crate::traffic::Traffic;

/// Answers of at most so many bytes are read whole before they are handed on: then one that breaks off is an error of
/// the request, which the store sends again.
const WHOLE_BYTES: u64 = 4 << 20;
/// A request that was not answered within this time is given up and sent again.
const ANSWER: Duration = Duration::from_secs(30);
/// What a failed request takes from the budget, and a good one gives back.
const COST: i64 = 5;
/// The budget at the start, and at most: so many requests in a row, over five, may fail before all give up.
const BUDGET: i64 = 2_500;

/// Makes clients whose requests run on the runtime of the network, and are counted and limited.
#[derive(Debug, Clone)]
pub(crate) struct Connector {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    runtime: Handle,
    limit: Arc<Limit>,
    traffic: Arc<Traffic>,
    budget: AtomicI64,
}

impl Connector {
    pub(crate) fn new(runtime: Handle, traffic: Arc<Traffic>) -> Self {
        Self {
            shared: Arc::new(Shared {
                runtime,
                limit: Limit::new(Arc::clone(&traffic)),
                traffic,
                budget: AtomicI64::new(BUDGET),
            }),
        }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Service {
            client: ReqwestConnector::default().connect(options)?,
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
    Throttled(String),
    /// It may pass.
    Passing(String),
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
        self: &Arc<Self>,
        client: &HttpClient,
        request: HttpRequest,
    ) -> Result<HttpResponse, HttpError> {
        let permit = self.limit.permit().await;
        let is_head = request.method() == http::Method::HEAD;
        self.traffic.began(request.body().content_length() as u64);
        let started = Instant::now();
        let answered = tokio::time::timeout(ANSWER, client.execute(request)).await;
        let answered = match answered {
            Ok(Ok(response)) => whole(response, is_head, &self.traffic).await,
            Ok(Err(error)) => Err(error),
            Err(late) => Err(HttpError::new(HttpErrorKind::Timeout, late)),
        };
        self.traffic.ended(started.elapsed());
        drop(permit);
        match verdict(&answered) {
            Verdict::Good => {
                self.limit.good();
                self.budget
                    .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |budget| {
                        (budget < BUDGET).then_some(budget + 1)
                    })
                    .ok();
                answered
            }
            Verdict::Expired => {
                self.traffic.failed(false);
                Err(HttpError::new(HttpErrorKind::Unknown, Outage::Expired))
            }
            Verdict::Throttled(last) => {
                self.limit.throttled();
                self.spend(true, last, answered)
            }
            Verdict::Passing(last) => self.spend(false, last, answered),
        }
    }

    /// Lets a failure through, to be tried again, while the budget lasts.
    fn spend(
        &self,
        is_throttled: bool,
        last: String,
        answered: Result<HttpResponse, HttpError>,
    ) -> Result<HttpResponse, HttpError> {
        let failed = self.traffic.failed(is_throttled);
        if self.budget.fetch_sub(COST, Ordering::Relaxed) > COST {
            return answered;
        }
        self.budget.fetch_add(COST, Ordering::Relaxed);
        Err(HttpError::new(
            HttpErrorKind::Unknown,
            Outage::Budget { last, failed },
        ))
    }
}

fn verdict(answered: &Result<HttpResponse, HttpError>) -> Verdict {
    match answered {
        Ok(response) => match response.status() {
            StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
                Verdict::Throttled(response.status().to_string())
            }
            status if status.is_server_error() => Verdict::Passing(status.to_string()),
            _ if response.extensions().get::<Expired>().is_some() => Verdict::Expired,
            _ => Verdict::Good,
        },
        Err(error) => Verdict::Passing(error.to_string()),
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
    let bytes = tokio::time::timeout(ANSWER, body.bytes())
        .await
        .map_err(|late| HttpError::new(HttpErrorKind::Timeout, late))?
        // Whatever broke it off, the request is worth sending again.
        .map_err(|error| HttpError::new(HttpErrorKind::Request, error))?;
    traffic.read_bytes(bytes.len() as u64);
    if parts.status.is_client_error()
        && let Ok(text) = std::str::from_utf8(&bytes)
        && element(text, "Code").is_some_and(|code| EXPIRED_CODES.contains(&code))
    {
        parts.extensions.insert(Expired);
    }
    let body = Full::new(bytes).map_err(|never| match never {});
    Ok(HttpResponse::from_parts(parts, HttpResponseBody::new(body)))
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
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(bytes) = frame.data_ref()
        {
            self.traffic.read_bytes(bytes.len() as u64);
        }
        polled
    }
}
