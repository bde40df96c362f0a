//! In which region does a bucket lie, and is that allowed?

use globset::{Glob, GlobSet, GlobSetBuilder};
use http::{Method, Request};
use object_store::client::{HttpClient, HttpRequestBody};

use crate::error::StoreError;

/// Regions in which data may lie.
#[derive(Debug, Clone, Default)]
pub(crate) struct AllowedRegions {
    patterns: Vec<String>,
    globs: Option<GlobSet>,
}

impl AllowedRegions {
    /// Patterns such as `eu-*`; none allow every region.
    ///
    /// # Errors
    /// [`StoreError::RegionPattern`].
    pub(crate) fn new(patterns: &[String]) -> Result<Self, StoreError> {
        if patterns.is_empty() {
            return Ok(Self::default());
        }
        let mut set = GlobSetBuilder::new();
        for pattern in patterns {
            let wrong = |source| StoreError::RegionPattern {
                pattern: pattern.clone(),
                source,
            };
            set.add(Glob::new(&pattern.to_ascii_lowercase()).map_err(wrong)?);
        }
        let globs = set.build().map_err(|source| StoreError::RegionPattern {
            pattern: patterns.join(" "),
            source,
        })?;
        Ok(Self {
            patterns: patterns.to_vec(),
            globs: Some(globs),
        })
    }

    /// Whether regions matter at all.
    pub(crate) fn matter(&self) -> bool {
        self.globs.is_some()
    }

    /// Refuses a region that is not among those allowed.
    pub(crate) fn check(&self, place: &str, region: &str) -> Result<(), StoreError> {
        match &self.globs {
            Some(globs) if !globs.is_match(region.to_ascii_lowercase()) => {
                Err(StoreError::Region {
                    place: place.to_owned(),
                    region: region.to_owned(),
                    allowed: self.patterns.clone(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The error for a place whose region cannot be found out.
    pub(crate) fn unknown(&self, place: &str, reason: impl Into<String>) -> StoreError {
        StoreError::RegionUnknown {
            place: place.to_owned(),
            reason: reason.into(),
            allowed: self.patterns.clone(),
        }
    }
}

/// The region of a bucket, as S3 says in the header of every answer for it, even of a refusal.
///
/// See <https://docs.aws.amazon.com/AmazonS3/latest/API/API_HeadBucket.html>.
pub(crate) async fn of_s3_bucket(
    client: &HttpClient,
    bucket: &str,
    endpoint: Option<&str>,
) -> Result<String, String> {
    let url = match endpoint {
        Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
        None => format!("https://{bucket}.s3.amazonaws.com/"),
    };
    let request = Request::builder()
        .method(Method::HEAD)
        .uri(url)
        .body(HttpRequestBody::empty())
        .map_err(|error| error.to_string())?;
    let answer = client
        .execute(request)
        .await
        .map_err(|error| error.to_string())?;
    let region = answer
        .headers()
        .get("x-amz-bucket-region")
        .and_then(|region| region.to_str().ok());
    match region {
        Some(region) => Ok(region.to_owned()),
        None if answer.status() == http::StatusCode::NOT_FOUND => {
            Err("there is no such bucket".to_owned())
        }
        None => Err(format!(
            "the storage did not say ({}, no x-amz-bucket-region)",
            answer.status()
        )),
    }
}

/// The location of a bucket of Google Cloud Storage, in lower case, such as `europe-west9` or `eu`.
///
/// See <https://cloud.google.com/storage/docs/json_api/v1/buckets/get>.
pub(crate) async fn of_gcs_bucket(
    client: &HttpClient,
    base: &str,
    bucket: &str,
    bearer: Option<&str>,
) -> Result<String, String> {
    let mut request = Request::builder().method(Method::GET).uri(format!(
        "{}/storage/v1/b/{bucket}?fields=location",
        base.trim_end_matches('/')
    ));
    if let Some(bearer) = bearer {
        request = request.header(http::header::AUTHORIZATION, format!("Bearer {bearer}"));
    }
    let request = request
        .body(HttpRequestBody::empty())
        .map_err(|error| error.to_string())?;
    let answer = client
        .execute(request)
        .await
        .map_err(|error| error.to_string())?;
    let status = answer.status();
    let bytes = answer
        .into_body()
        .bytes()
        .await
        .map_err(|error| error.to_string())?;
    let location = serde_json::from_slice::<serde_json::Value>(&bytes)
        .ok()
        .and_then(|answer| Some(answer.get("location")?.as_str()?.to_ascii_lowercase()));
    location.ok_or_else(|| format!("the storage did not say ({status})"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_regions_that_match_are_allowed() {
        let europe = AllowedRegions::new(&["eu-*".to_owned(), "europe-west9".to_owned()]).unwrap();
        assert!(europe.check("s3://a", "eu-west-3").is_ok());
        assert!(europe.check("gs://a", "EUROPE-WEST9").is_ok());
        let told = europe.check("s3://a", "us-east-1").unwrap_err().to_string();
        assert!(told.contains("s3://a lies in us-east-1"), "{told}");
        assert!(
            AllowedRegions::new(&[])
                .unwrap()
                .check("s3://a", "mars-1")
                .is_ok()
        );
        assert!(AllowedRegions::new(&["eu-[".to_owned()]).is_err());
    }
}
