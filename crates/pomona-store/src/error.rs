//! What can go wrong between here and where the bytes lie.

use std::error::Error;

/// What can go wrong between here and where the bytes lie. Messages never hold keys or tokens.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The text is no address of a place.
    #[error("{address} is no address of a place: {reason}")]
    Address {
        /// As given, without what may be secret.
        address: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The address carries keys.
    #[error(
        "{address} carries a password, a signature or a token: give keys by the cloud's own chain (environment, profile file, role), never in an address"
    )]
    SecretInAddress {
        /// The address without them.
        address: String,
    },
    /// The place cannot be opened with the settings that were found.
    #[error("{place} cannot be opened")]
    Open {
        /// The place.
        place: String,
        /// Why not.
        #[source]
        source: object_store::Error,
    },
    /// The profile file cannot be used.
    #[error("the profile `{profile}` in {file} cannot be used: {reason}")]
    Profile {
        /// The profile.
        profile: String,
        /// The file.
        file: String,
        /// Why not.
        reason: String,
    },
    /// The bucket lies in a region that is not allowed.
    #[error("{place} lies in {region}, and only {} is allowed (--allowed-region)", allowed.join(", "))]
    Region {
        /// The place.
        place: String,
        /// Where it lies.
        region: String,
        /// The patterns that are allowed.
        allowed: Vec<String>,
    },
    /// Where the bucket lies cannot be found out, and only some regions are allowed.
    #[error("the region of {place} cannot be found out, and only {} is allowed (--allowed-region): {reason}", allowed.join(", "))]
    RegionUnknown {
        /// The place.
        place: String,
        /// Why not.
        reason: String,
        /// The patterns that are allowed.
        allowed: Vec<String>,
    },
    /// A pattern of regions cannot be read.
    #[error("the region pattern `{pattern}` cannot be read")]
    RegionPattern {
        /// The pattern as given.
        pattern: String,
        /// What is wrong with it.
        source: globset::Error,
    },
    /// Another process works on the place.
    #[error("another run works on {place}: {holder}")]
    Locked {
        /// The place.
        place: String,
        /// Who, since when, until when.
        holder: String,
    },
    /// The lock was lost to another process while this one worked.
    #[error("the lock on {place} was lost: {reason}")]
    LockLost {
        /// The place.
        place: String,
        /// What was found instead.
        reason: String,
    },
    /// An object could not be read, written, listed or removed.
    #[error("{place}: {}", reason(source))]
    Object {
        /// The object or folder.
        place: String,
        /// What happened.
        #[source]
        source: object_store::Error,
    },
    /// The operating system failed.
    #[error("{place}")]
    Io {
        /// The file or folder.
        place: String,
        /// What happened.
        #[source]
        source: std::io::Error,
    },
}

impl StoreError {
    /// What to do about it, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Object { source, .. } | Self::Open { source, .. } => hint(source),
            Self::Locked { .. } => Some(
                "wait for it to end; the lock of a process that died is given up by itself".to_owned(),
            ),
            Self::RegionUnknown { .. } => Some(
                "copy the data into a bucket whose region can be told, or leave --allowed-region out".to_owned(),
            ),
            _ => None,
        }
    }
}

/// What to do about a store's error, where that is known.
#[must_use]
pub fn hint(error: &object_store::Error) -> Option<String> {
    match find::<Outage>(error) {
        Some(Outage::Expired) => {
            return Some(
                "renew the credentials, then give the same command again: it goes on".to_owned(),
            );
        }
        Some(Outage::Budget { .. }) => {
            return Some(
                "give the same command again when the storage answers: it goes on".to_owned(),
            );
        }
        None => {}
    }
    if let Some(StoreError::Profile { .. }) = find::<StoreError>(error) {
        return Some(
            "look at the profile, then give the same command again: it goes on".to_owned(),
        );
    }
    if let Some(kind) = find::<std::io::Error>(error).map(std::io::Error::kind) {
        use std::io::ErrorKind;
        match kind {
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => {
                return Some(
                    "make room there, then give the same command again: it goes on".to_owned(),
                );
            }
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
                return Some("check who may write there".to_owned());
            }
            _ => {}
        }
    }
    if is_about_keys(error) {
        return Some(REFUSED_KEYS.to_owned());
    }
    match error {
        object_store::Error::PermissionDenied { .. } => Some(
            "check what the keys may do there; for S3, s3:ListBucket, s3:GetObject, and for outputs s3:PutObject and s3:DeleteObject".to_owned(),
        ),
        _ => None,
    }
}

const REFUSED_KEYS: &str =
    "the keys were refused: look at the cloud's chain (environment, profile file, role)";

/// What S3 answers where no object would fare better with these keys.
const CODES_ABOUT_KEYS: [&str; 8] = [
    "AccountProblem",
    "AuthFailure",
    "AuthorizationHeaderMalformed",
    "InvalidAccessKeyId",
    "InvalidToken",
    "NotSignedUp",
    "RequestTimeTooSkewed",
    "SignatureDoesNotMatch",
];

fn is_about_keys(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::Unauthenticated { .. })
        || element(&innermost(error), "Code").is_some_and(|code| CODES_ABOUT_KEYS.contains(&code))
}

/// The status of the answer that was an error, where one came.
pub(crate) fn status(error: &object_store::Error) -> Option<u16> {
    let text = innermost(error);
    let (_, rest) = text.split_once("status code: ")?;
    rest.get(..3)?.parse().ok()
}

fn innermost(error: &dyn Error) -> String {
    match error.source() {
        Some(source) => innermost(source),
        None => error.to_string(),
    }
}

/// Why a whole place, not one object, cannot be worked with any more.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Outage {
    /// The credentials have expired and no fresh ones could be had.
    #[error("the credentials have expired")]
    Expired,
    /// So many requests failed that trying again would only add to the load.
    #[error("the storage keeps failing ({last}): gave up after {failed} failed requests")]
    Budget {
        /// What the last request got.
        last: String,
        /// Requests that failed.
        failed: u64,
    },
}

/// The first cause of a kind in a chain of causes.
#[must_use]
pub fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(found) = error.downcast_ref() {
            return Some(found);
        }
        // An io::Error tells the cause of what it holds, not the thing itself.
        let held = error
            .downcast_ref::<std::io::Error>()
            .and_then(std::io::Error::get_ref)
            .map(|held| held as &(dyn Error + 'static));
        cause = held.or_else(|| error.source());
    }
    None
}

/// Whether an error means that no other object of the place would fare better.
#[must_use]
pub fn is_fatal(error: &object_store::Error) -> bool {
    find::<Outage>(error).is_some()
        || matches!(find::<StoreError>(error), Some(StoreError::Profile { .. }))
        || is_about_keys(error)
}

/// Why a store failed, in one line: the innermost cause, since the outer ones repeat the path; of an answer in XML its
/// code and message.
#[must_use]
pub fn reason(error: &object_store::Error) -> String {
    let text = innermost(error);
    let (code, message) = (element(&text, "Code"), element(&text, "Message"));
    let told = match (code, message) {
        (Some(code), Some(message)) if code == message => code.to_owned(),
        (Some(code), Some(message)) => format!("{code}: {message}"),
        (Some(code), None) => code.to_owned(),
        _ => text.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    match error {
        object_store::Error::PermissionDenied { .. } if code.is_none() => {
            format!("permission denied ({told})")
        }
        _ => told,
    }
}

/// The text of the first element of that name.
pub(crate) fn element<'a>(xml: &'a str, name: &str) -> Option<&'a str> {
    let start = xml.find(&format!("<{name}>"))? + name.len() + 2;
    let rest = xml.get(start..)?;
    Some(rest.get(..rest.find("</")?)?.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_in_xml_is_told_by_its_code_and_message() {
        let xml = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Message>Not yours.</Message><HostId>x</HostId></Error>";
        let error = object_store::Error::PermissionDenied {
            path: "a".to_owned(),
            source: xml.into(),
        };
        assert_eq!(reason(&error), "AccessDenied: Not yours.");
        assert!(hint(&error).unwrap().contains("s3:PutObject"));
        assert_eq!(element("<Code>half", "Code"), None);
    }

    #[test]
    fn an_outage_is_found_however_deep_it_lies() {
        let error = object_store::Error::Generic {
            store: "S3",
            source: Box::new(std::io::Error::other(Outage::Expired)),
        };
        assert!(is_fatal(&error));
        assert!(!is_fatal(&object_store::Error::NotSupported {
            source: "no".into()
        }));
        let direct = object_store::Error::Generic {
            store: "S3",
            source: Box::new(Outage::Expired),
        };
        assert!(is_fatal(&direct));
    }

    #[test]
    fn keys_that_are_refused_are_refused_for_every_object() {
        let of = |code: &str| object_store::Error::PermissionDenied {
            path: "a".to_owned(),
            source: format!("<Error><Code>{code}</Code></Error>").into(),
        };
        assert!(is_fatal(&of("SignatureDoesNotMatch")));
        assert!(
            hint(&of("InvalidAccessKeyId"))
                .unwrap()
                .contains("environment")
        );
        assert!(!is_fatal(&of("AccessDenied")));
    }
}
