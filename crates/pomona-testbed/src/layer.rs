//! Between the wire and `s3s`: delay, rules, faults, counts.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use http::header::{AUTHORIZATION, CONTENT_LENGTH, HeaderValue};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use s3s::service::S3Service;
use s3s::{S3Error, S3ErrorCode, s3_error};
use tokio::time::{Instant, sleep, sleep_until};

use crate::body::{Cut, Outgoing};
use crate::counters::{Flight, LOGGED_HEADERS, LogEntry, Tally};
use crate::operation::Target;
use crate::rules::Verdict;
use crate::{FaultKind, Operation, Refusal, Rules};

/// The path that answers with the counters, without a signature. No bucket can have this name.
const COUNTERS_PATH: &str = "/-/counters";

/// The connection is to be closed without an answer.
#[derive(Debug)]
pub(crate) struct Dropped;

impl fmt::Display for Dropped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the connection is closed without an answer on purpose")
    }
}

impl std::error::Error for Dropped {}

/// What all connections share.
pub(crate) struct Layer {
    pub(crate) service: S3Service,
    pub(crate) rules: Rules,
    pub(crate) tally: Arc<Tally>,
    pub(crate) region: HeaderValue,
}

impl Layer {
    pub(crate) async fn answer(
        &self,
        request: Request<Incoming>,
        reset: &AtomicBool,
    ) -> Result<Response<Outgoing>, Dropped> {
        let arrived = Instant::now();
        let target = Target::of(request.method(), request.uri(), request.headers());
        let operation = target.operation;
        let flight = self
            .tally
            .arrive(operation, || log_entry(&request, &target));
        if request.uri().path() == COUNTERS_PATH {
            return Ok(self.finish(self.counters(), operation, None, flight));
        }

        let delay = self.rules.delay();
        if !delay.is_zero() {
            sleep_until(arrived + delay).await;
        }
        match self.rules.judge(&target, access_key(request.headers())) {
            Verdict::Serve => {
                let response = self.serve(request).await?;
                Ok(self.finish(response, operation, None, flight))
            }
            Verdict::Refuse(refusal) => {
                self.tally.refusal(refusal);
                let response = refused(request, refusal_error(refusal)).await?;
                Ok(self.finish(response, operation, None, flight))
            }
            Verdict::Fail(kind) => self.fail(kind, request, operation, flight, reset).await,
        }
    }

    async fn fail(
        &self,
        kind: FaultKind,
        request: Request<Incoming>,
        operation: Operation,
        flight: Flight,
        reset: &AtomicBool,
    ) -> Result<Response<Outgoing>, Dropped> {
        let error = match kind {
            FaultKind::SlowDown => slow_down(),
            FaultKind::TooManyRequests => too_many_requests(),
            FaultKind::InternalError => {
                s3_error!(
                    InternalError,
                    "We encountered an internal error. Please try again."
                )
            }
            FaultKind::ExpiredToken => expired_token(),
            FaultKind::Timeout => {
                self.tally.fault(kind);
                sleep(self.rules.hang()).await;
                return Err(Dropped);
            }
            FaultKind::Reset => {
                self.tally.fault(kind);
                reset.store(true, Relaxed);
                return Err(Dropped);
            }
            FaultKind::LostAnswer => {
                let response = self.serve(request).await?;
                // The body is carried out too: completing an upload may answer while it works.
                let _ = response.into_body().collect().await;
                self.tally.fault(kind);
                reset.store(true, Relaxed);
                return Err(Dropped);
            }
            FaultKind::TruncatedBody | FaultKind::WrongLength => {
                let mut response = self.serve(request).await?;
                let cut = cut(&mut response, kind);
                if cut.is_some() {
                    self.tally.fault(kind);
                }
                return Ok(self.finish(response, operation, cut, flight));
            }
        };
        self.tally.fault(kind);
        let response = refused(request, error).await?;
        Ok(self.finish(response, operation, None, flight))
    }

    async fn serve(&self, request: Request<Incoming>) -> Result<Response<s3s::Body>, Dropped> {
        self.service
            .call(request.map(s3s::Body::from))
            .await
            .map_err(|_| Dropped)
    }

    fn counters(&self) -> Response<s3s::Body> {
        let text = serde_json::to_vec(&self.tally.counters()).unwrap_or_default();
        Response::new(s3s::Body::from(text))
    }

    fn finish(
        &self,
        mut response: Response<s3s::Body>,
        operation: Operation,
        cut: Option<Cut>,
        flight: Flight,
    ) -> Response<Outgoing> {
        self.tally.status(response.status().as_u16());
        response
            .headers_mut()
            .insert("x-amz-bucket-region", self.region.clone());
        response.map(|body| Outgoing::new(body, operation, cut, flight))
    }
}

/// Where the body of a good answer is cut. None where there is too little to cut, or the answer is an error.
fn cut(response: &mut Response<s3s::Body>, kind: FaultKind) -> Option<Cut> {
    let length = response
        .body()
        .size_hint()
        .exact()
        .filter(|length| *length > 0)?;
    if !response.status().is_success() {
        return None;
    }
    let after = length / 2;
    let breaks = kind == FaultKind::TruncatedBody;
    let promised = if breaks { length } else { after };
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(promised));
    Some(Cut { after, breaks })
}

/// An error in S3's words. The request's body is read first, for a client may listen only after it has sent it.
async fn refused(
    request: Request<Incoming>,
    error: S3Error,
) -> Result<Response<s3s::Body>, Dropped> {
    let mut body = request.into_body();
    while let Some(frame) = body.frame().await {
        frame.map_err(|_| Dropped)?;
    }
    error.to_http_response().map_err(|_| Dropped)
}

fn refusal_error(refusal: Refusal) -> S3Error {
    match refusal {
        Refusal::WriteDenied => s3_error!(AccessDenied, "Access Denied"),
        Refusal::CredentialsExpired => expired_token(),
        Refusal::Throttled => slow_down(),
    }
}

fn slow_down() -> S3Error {
    s3_error!(SlowDown, "Please reduce your request rate.")
}

fn expired_token() -> S3Error {
    s3_error!(ExpiredToken, "The provided token has expired.")
}

fn too_many_requests() -> S3Error {
    let code = S3ErrorCode::from_bytes(b"TooManyRequests").unwrap_or(S3ErrorCode::SlowDown);
    let mut error = S3Error::with_message(code, "Please reduce your request rate.");
    error.set_status_code(StatusCode::TOO_MANY_REQUESTS);
    error
}

/// The access key that a request says it was signed with.
fn access_key(headers: &HeaderMap) -> Option<&str> {
    let (_, credential) = headers
        .get(AUTHORIZATION)?
        .to_str()
        .ok()?
        .split_once("Credential=")?;
    credential.split('/').next()
}

fn log_entry(request: &Request<Incoming>, target: &Target) -> LogEntry {
    let headers = LOGGED_HEADERS.iter().filter_map(|name| {
        let value = request.headers().get(*name)?;
        Some((
            (*name).to_owned(),
            String::from_utf8_lossy(value.as_bytes()).into_owned(),
        ))
    });
    LogEntry {
        operation: target.operation,
        method: request.method().to_string(),
        bucket: target.bucket.clone(),
        key: target.key.clone(),
        query: request.uri().query().unwrap_or("").to_owned(),
        access_key: access_key(request.headers()).map(str::to_owned),
        headers: headers.collect(),
    }
}
