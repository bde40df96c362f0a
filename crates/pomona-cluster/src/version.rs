//! Whether a scheduler is one of Pomona and of this version.

use std::error::Error;
use std::time::Duration;

use crate::error::{ClusterError, VersionInfo};
use crate::tls::{Tls, http_agent, scheme};

/// Where a scheduler says what it is.
pub const VERSION_PATH: &str = "/pomona/version";
/// How long it may take to say so.
const TIMEOUT: Duration = Duration::from_secs(5);

/// What came of asking a scheduler for its version, where that is no agreement.
#[derive(Debug)]
pub enum VersionFailure {
    /// Nobody answered; that may change.
    Unreachable(String),
    /// Somebody answered, and waiting will not help.
    Final(ClusterError),
}

/// Asks the scheduler at `host` and `port` for its version and compares it with `ours`. It blocks, for some seconds
/// at most.
///
/// # Errors
///
/// [`VersionFailure`] tells whether asking again may help.
pub fn check_version(
    host: &str,
    port: u16,
    tls: Option<&Tls>,
    ours: &VersionInfo,
) -> Result<(), VersionFailure> {
    let address = authority(host, port);
    let url = format!("{}://{address}{VERSION_PATH}", scheme(tls));
    let mut answer = match http_agent(tls, TIMEOUT).get(&url).call() {
        Ok(answer) => answer,
        Err(error) => return Err(failure(&address, tls.is_some(), error)),
    };
    let not_pomona = |what: String| {
        VersionFailure::Final(ClusterError::NotPomona {
            address: address.clone(),
            what,
        })
    };
    match answer.status().as_u16() {
        200 => {}
        // It is starting, or overburdened.
        503 | 429 => {
            return Err(VersionFailure::Unreachable(
                "it is not ready yet".to_owned(),
            ));
        }
        status => {
            return Err(not_pomona(format!(
                "its version is asked for and it says {status}"
            )));
        }
    }
    let body = answer
        .body_mut()
        .read_to_string()
        .map_err(|error| VersionFailure::Unreachable(chain(&error)))?;
    let theirs: VersionInfo = serde_json::from_str(&body)
        .map_err(|_not_ours| not_pomona("its version cannot be read".to_owned()))?;
    if theirs != *ours {
        return Err(VersionFailure::Final(ClusterError::OtherVersion {
            address,
            theirs,
            ours: ours.clone(),
        }));
    }
    Ok(())
}

/// `host:port`, with the brackets that an IPv6 address needs.
pub(crate) fn authority(host: &str, port: u16) -> String {
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]:{port}")
    } else {
        format!("{host}:{port}")
    }
}

/// What a request that got no answer means.
pub(crate) fn failure(address: &str, with_tls: bool, error: ureq::Error) -> VersionFailure {
    let reason = chain(&error);
    let refused = match &error {
        ureq::Error::Rustls(_) | ureq::Error::Tls(_) => true,
        // What a TLS server answers to plain text is no HTTP.
        ureq::Error::Protocol(_) => !with_tls,
        other => has_tls_cause(other),
    };
    if refused {
        VersionFailure::Final(ClusterError::Refused {
            address: address.to_owned(),
            reason,
        })
    } else {
        VersionFailure::Unreachable(reason)
    }
}

fn has_tls_cause(error: &(dyn Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(current) = cause {
        if current.is::<tokio_rustls::rustls::Error>() {
            return true;
        }
        cause = match current
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
        {
            Some(inner) => Some(inner),
            None => match current.downcast_ref::<ureq::Error>() {
                Some(ureq::Error::Io(inner)) => Some(inner),
                _ => current.source(),
            },
        };
    }
    false
}

/// An error with its causes on one line.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(current) = cause {
        let part = current.to_string();
        if !text.contains(&part) {
            text.push_str(": ");
            text.push_str(&part);
        }
        cause = current.source();
    }
    text
}
