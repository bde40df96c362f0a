//! What browsers are kept from: acting on the scheduler for a page of somebody else's.

use std::net::IpAddr;

use axum::Router;
use axum::extract::Request;
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, Uri, header};

/// Where Ballista would send people to a page on the internet.
pub(crate) const CLOSED: &str = "/pomona/closed";

/// Answers nobody at [`CLOSED`], no page of another origin, and, where only this machine is served and in the clear,
/// no request for another name than this machine's: a page could give its own name this machine's address.
pub(crate) fn guarded(router: Router, bound: IpAddr, has_tls: bool) -> Router {
    let is_local = bound.is_loopback() && !has_tls;
    router.layer(from_fn(move |request: Request, next: Next| async move {
        let refused = |text: &'static str| (StatusCode::FORBIDDEN, text).into_response();
        if request.uri().path() == CLOSED {
            return (StatusCode::NOT_FOUND, "not found\n").into_response();
        }
        let host = host(request.headers(), request.uri());
        if is_foreign(request.headers(), host.as_deref()) {
            return refused("pages of other origins are not served\n");
        }
        if is_local && host.as_deref().is_some_and(|host| !is_this_machine(host)) {
            return refused(
                "this scheduler serves its own machine only, as localhost or by its address\n",
            );
        }
        bare(next.run(request).await)
    }))
}

/// Nothing that one fetches here may be read by pages of other origins.
fn bare(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for name in [
        header::ACCESS_CONTROL_ALLOW_ORIGIN,
        header::ACCESS_CONTROL_ALLOW_METHODS,
        header::ACCESS_CONTROL_ALLOW_HEADERS,
    ] {
        headers.remove(name);
    }
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    response
}

/// Host and port that the request is for.
fn host(headers: &HeaderMap, uri: &Uri) -> Option<String> {
    match uri.authority() {
        Some(authority) => Some(authority.as_str().to_owned()),
        None => headers
            .get(header::HOST)
            .map(|host| String::from_utf8_lossy(host.as_bytes()).into_owned()),
    }
}

fn is_foreign(headers: &HeaderMap, host: Option<&str>) -> bool {
    let Some(origin) = headers.get(header::ORIGIN) else {
        return false;
    };
    let origin = origin.to_str().ok();
    let of = origin.and_then(|origin| origin.split_once("://").map(|(_, of)| of));
    of.is_none() || of != host
}

fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for host in [
            "localhost:50050",
            "LOCALHOST",
            "127.0.0.1:1",
            "[::1]:50050",
            "[::1]",
            "127.0.0.1",
        ] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in ["example.org:50050", "localhost.example.org", "", "[evil]:1"] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn origins() {
        let with = |origin: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::ORIGIN, HeaderValue::from_static(origin));
            headers
        };
        assert!(!is_foreign(&HeaderMap::new(), Some("localhost:1")));
        assert!(!is_foreign(
            &with("http://localhost:1"),
            Some("localhost:1")
        ));
        assert!(is_foreign(&with("http://localhost:2"), Some("localhost:1")));
        assert!(is_foreign(
            &with("https://example.org"),
            Some("localhost:1")
        ));
        assert!(is_foreign(&with("null"), Some("localhost:1")));
    }
}
