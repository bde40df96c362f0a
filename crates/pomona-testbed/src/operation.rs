//! What a request asks for, told from its line and headers alone.

use http::{HeaderMap, Method, Uri};
use serde::Serialize;

/// An operation of the S3 API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Operation {
    /// `GET /bucket/key`
    GetObject,
    /// `HEAD /bucket/key`
    HeadObject,
    /// `PUT /bucket/key`
    PutObject,
    /// `PUT /bucket/key` with `x-amz-copy-source`
    CopyObject,
    /// `DELETE /bucket/key`
    DeleteObject,
    /// `POST /bucket?delete`
    DeleteObjects,
    /// `POST /bucket/key?uploads`
    CreateMultipartUpload,
    /// `PUT /bucket/key?partNumber&uploadId`, from the body or from another object
    UploadPart,
    /// `POST /bucket/key?uploadId`
    CompleteMultipartUpload,
    /// `DELETE /bucket/key?uploadId`
    AbortMultipartUpload,
    /// `GET /bucket`
    ListObjects,
    /// `HEAD /bucket`
    HeadBucket,
    /// `GET /bucket?location`
    GetBucketLocation,
    /// Anything else.
    Other,
}

impl Operation {
    /// Whether the operation changes what is stored.
    #[must_use]
    pub fn is_write(self) -> bool {
        matches!(
            self,
            Self::PutObject
                | Self::CopyObject
                | Self::DeleteObject
                | Self::DeleteObjects
                | Self::CreateMultipartUpload
                | Self::UploadPart
                | Self::CompleteMultipartUpload
                | Self::AbortMultipartUpload
        )
    }
}

/// A request's target.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) operation: Operation,
    /// Empty where the request names none.
    pub(crate) bucket: String,
    /// Without escapes. Empty for requests to a bucket.
    pub(crate) key: String,
}

impl Target {
    pub(crate) fn of(method: &Method, uri: &Uri, headers: &HeaderMap) -> Self {
        let path = uri.path().trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let query = uri.query().unwrap_or("");
        let asks = |name: &str| {
            query
                .split('&')
                .any(|pair| pair.split('=').next() == Some(name))
        };
        let operation = match (method.as_str(), bucket.is_empty(), key.is_empty()) {
            (_, true, _) => Operation::Other,
            ("GET", _, true) if asks("location") => Operation::GetBucketLocation,
            ("GET", _, true) if query.is_empty() || asks("list-type") || asks("prefix") => {
                Operation::ListObjects
            }
            ("HEAD", _, true) => Operation::HeadBucket,
            ("POST", _, true) if asks("delete") => Operation::DeleteObjects,
            ("GET", _, false) if !asks("uploadId") => Operation::GetObject,
            ("HEAD", _, false) => Operation::HeadObject,
            ("PUT", _, false) if asks("uploadId") => Operation::UploadPart,
            ("PUT", _, false) if headers.contains_key("x-amz-copy-source") => Operation::CopyObject,
            ("PUT", _, false) => Operation::PutObject,
            ("POST", _, false) if asks("uploads") => Operation::CreateMultipartUpload,
            ("POST", _, false) if asks("uploadId") => Operation::CompleteMultipartUpload,
            ("DELETE", _, false) if asks("uploadId") => Operation::AbortMultipartUpload,
            ("DELETE", _, false) => Operation::DeleteObject,
            _ => Operation::Other,
        };
        Self {
            operation,
            bucket: bucket.to_owned(),
            key: unescape(key),
        }
    }
}

/// `%41` becomes `A`; what is no escape stays.
fn unescape(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let bytes = text.as_bytes();
    let digit = |at: usize| bytes.get(at).and_then(|byte| (*byte as char).to_digit(16));
    let mut plain = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match (byte, digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                plain.push((high * 16 + low) as u8);
                at += 3;
            }
            _ => {
                plain.push(byte);
                at += 1;
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn operation(method: &str, uri: &str) -> Operation {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        Target::of(&method, &uri.parse().unwrap(), &HeaderMap::new()).operation
    }

    #[test]
    fn requests_are_told_apart() {
        assert_eq!(
            operation("GET", "/photos?list-type=2&prefix=a%2F"),
            Operation::ListObjects
        );
        assert_eq!(
            operation("GET", "/photos/?location"),
            Operation::GetBucketLocation
        );
        assert_eq!(operation("GET", "/photos/a/b.jpg"), Operation::GetObject);
        assert_eq!(
            operation("PUT", "/photos/a?partNumber=1&uploadId=x"),
            Operation::UploadPart
        );
        assert_eq!(
            operation("POST", "/photos/a?uploads="),
            Operation::CreateMultipartUpload
        );
        assert_eq!(
            operation("POST", "/photos?delete"),
            Operation::DeleteObjects
        );
        assert_eq!(operation("DELETE", "/photos/a"), Operation::DeleteObject);
        assert_eq!(operation("GET", "/"), Operation::Other);
    }

    #[test]
    fn keys_lose_their_escapes() {
        let uri = "/photos/Pomme%20de%20terre/%C3%A9t%C3%A9%2.jpg"
            .parse()
            .unwrap();
        let target = Target::of(&Method::GET, &uri, &HeaderMap::new());
        assert_eq!(
            (target.bucket.as_str(), target.key.as_str()),
            ("photos", "Pomme de terre/été%2.jpg")
        );
    }
}
