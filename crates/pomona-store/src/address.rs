//! Addresses of places.

use std::fmt;
use std::path::{Path, PathBuf};

use object_store::path::Path as ObjectPath;
use url::Url;

use crate::error::StoreError;

/// Where something lies, as it was typed: a path of this machine, or a URL.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Address {
    /// A path of this machine.
    Local(PathBuf),
    /// Below the root of a bucket, a container or a host.
    Remote {
        /// `s3`, `gs`, `az`, `http`, `https` or `hdfs`.
        scheme: &'static str,
        /// Bucket, container (`container@account` for Azure) or host with its port.
        root: String,
        /// Below that.
        path: ObjectPath,
    },
}

const SCHEMES: [(&str, &str); 11] = [
    ("s3", "s3"),
    ("s3a", "s3"),
    ("gs", "gs"),
    ("az", "az"),
    ("azure", "az"),
    ("abfs", "az"),
    ("abfss", "az"),
    ("http", "http"),
    ("https", "https"),
    ("hdfs", "hdfs"),
    ("file", "file"),
];

impl Address {
    /// Reads a path or a URL. What has no `scheme://` is a path.
    ///
    /// # Errors
    /// [`StoreError::Address`] and [`StoreError::SecretInAddress`].
    pub fn parse(text: &Path) -> Result<Self, StoreError> {
        let Some((scheme, url)) = text.to_str().and_then(|text| {
            let (scheme, _) = text.split_once("://")?;
            let is_scheme =
                scheme.len() > 1 && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric());
            is_scheme.then_some((scheme.to_ascii_lowercase(), text))
        }) else {
            return Ok(Self::Local(text.to_owned()));
        };
        let wrong = |reason: &str| StoreError::Address {
            address: redacted(url),
            reason: reason.to_owned(),
        };
        let Some(&(_, scheme)) = SCHEMES.iter().find(|(name, _)| *name == scheme) else {
            return Err(wrong(
                "the schemes are s3, gs, az, http, https, hdfs and file",
            ));
        };
        let parsed = Url::parse(url).map_err(|error| wrong(&error.to_string()))?;
        if parsed.password().is_some()
            || parsed.query().is_some()
            || (!parsed.username().is_empty() && scheme != "az")
        {
            return Err(StoreError::SecretInAddress {
                address: redacted(url),
            });
        }
        if parsed.fragment().is_some() {
            return Err(wrong("it holds a `#`: write %23"));
        }
        if scheme == "file" {
            return match parsed.to_file_path() {
                Ok(path) => Ok(Self::Local(path)),
                Err(()) => Err(wrong("file:// is followed by an absolute path")),
            };
        }
        let host = parsed
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(|| wrong("the name of the bucket or host is missing"))?;
        let root = match (parsed.username(), parsed.port()) {
            ("", None) => host.to_owned(),
            ("", Some(port)) => format!("{host}:{port}"),
            // abfss://container@account.dfs.core.windows.net/…
            (container, _) => format!("{container}@{}", host.split('.').next().unwrap_or(host)),
        };
        let path =
            ObjectPath::from_url_path(parsed.path()).map_err(|error| wrong(&error.to_string()))?;
        Ok(Self::Remote { scheme, root, path })
    }

    /// Whether it is an address of another machine.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(self, Self::Remote { .. })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Remote { scheme, root, path } if path.as_ref().is_empty() => {
                write!(f, "{scheme}://{root}")
            }
            Self::Remote { scheme, root, path } => write!(f, "{scheme}://{root}/{path}"),
        }
    }
}

/// A URL without user, password, query and fragment. Keys hold slashes, so whatever stands before an `@` is left out,
/// wherever the `@` is.
fn redacted(url: &str) -> String {
    let (scheme, rest) = url.split_once("://").unwrap_or(("", url));
    let (before, after) = rest.rsplit_once('@').unwrap_or(("", rest));
    let hidden = if before.is_empty() { "" } else { "...@" };
    let shown = after.split(['?', '#']).next().unwrap_or_default();
    format!("{scheme}://{hidden}{shown}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> String {
        match Address::parse(Path::new(text)) {
            Ok(address) => address.to_string(),
            Err(error) => format!("! {error}"),
        }
    }

    #[test]
    fn paths_and_urls_are_told_apart() {
        assert_eq!(
            Address::parse(Path::new("photos/a b")).unwrap(),
            Address::Local("photos/a b".into())
        );
        assert_eq!(
            Address::parse(Path::new("file:///tmp/a%20b")).unwrap(),
            Address::Local("/tmp/a b".into())
        );
        assert_eq!(shown("s3://bucket"), "s3://bucket");
        assert_eq!(shown("S3A://bucket/a/b/"), "s3://bucket/a/b");
        assert_eq!(
            shown("https://host:8443/photos"),
            "https://host:8443/photos"
        );
        assert_eq!(
            shown("abfss://photos@account.dfs.core.windows.net/x"),
            "az://photos@account/x"
        );
    }

    #[test]
    fn secrets_in_addresses_are_refused_and_never_repeated() {
        for text in [
            "s3://AKIAKEY:hushhush@bucket/a",
            "s3://AKIAKEY:hush/hushhush@bucket/a",
            "s3://AKIAKEY:hush?hushhush@bucket/a",
            "https://host/a?sig=hushhush",
            "az://container/a?sv=2&sig=hushhush",
            "ftp://me:hushhush@host/a",
            "s3://hushhush@bucket/a",
        ] {
            let told = shown(text);
            assert!(told.starts_with("! "), "{text}");
            assert!(!told.contains("hushhush"), "{told}");
            assert!(!told.contains("AKIAKEY"), "{told}");
        }
    }

    #[test]
    fn a_path_never_leaves_its_root() {
        assert_eq!(shown("s3://bucket/a/../../b"), "s3://bucket/b");
        assert!(shown("s3:///a").starts_with("! "));
    }
}
