//! In which region does a bucket lie, and is that allowed?

use globset::{Glob, GlobSet, GlobSetBuilder};
use http::{Method, Request};
use object_store::client::{HttpClient, HttpRequestBody, HttpResponse};

use crate::careful::pause;
use crate::error::{Outage, StoreError, find};

/// Tries after the first.
const TRIES: u32 = 12;

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
    let answer = answered(client, || {
        Request::builder()
            .method(Method::HEAD)
            .uri(url.as_str())
            .body(HttpRequestBody::empty())
    })
    .await?;
    if answer.status() == http::StatusCode::NOT_FOUND {
        return Err("there is no such bucket".to_owned());
    }
    let region = answer
        .headers()
        .get("x-amz-bucket-region")
        .and_then(|region| region.to_str().ok());
    match region {
        Some(region) => Ok(region.to_owned()),
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
    let url = format!(
        "{}/storage/v1/b/{bucket}?fields=location",
        base.trim_end_matches('/')
    );
    let answer = answered(client, || {
        let mut request = Request::builder().method(Method::GET).uri(url.as_str());
        if let Some(bearer) = bearer {
            request = request.header(http::header::AUTHORIZATION, format!("Bearer {bearer}"));
        }
        request.body(HttpRequestBody::empty())
    })
    .await?;
    let status = answer.status();
    let bytes = answer
        .into_body()
        .bytes()
        .await
        .map_err(|error| error.to_string())?;
    let location = serde_json::from_slice::<serde_json::Value>(&bytes)
        .ok()
        .and_then(|answer| Some(answer.get("location")?.as_str()?.to_ascii_lowercase()));
    location.ok_or_else(|| match status {
        http::StatusCode::NOT_FOUND => "there is no such bucket".to_owned(),
        status => format!("the storage did not say ({status})"),
    })
}

/// The answer to a request that is sent again while it fails in a way that may pass.
async fn answered(
    client: &HttpClient,
    request: impl Fn() -> http::Result<http::Request<HttpRequestBody>>,
) -> Result<HttpResponse, String> {
    let mut tries = 0;
    loop {
        let sent = request().map_err(|error| error.to_string())?;
        let failure = match client.execute(sent).await {
            Ok(answer) => {
                let status = answer.status();
                if !status.is_server_error() && status != http::StatusCode::TOO_MANY_REQUESTS {
                    return Ok(answer);
                }
                format!("the storage answers {status}")
            }
            Err(error) => match find::<Outage>(&error) {
                // Whoever asks, the header is there; so is a bucket.
                Some(Outage::Expired) => "the credentials have expired".to_owned(),
                Some(outage) => return Err(outage.to_string()),
                None => error.to_string(),
            },
        };
        if tries == TRIES {
            return Err(failure);
        }
        pause(tries).await;
        tries += 1;
    }
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

    /// What a bucket of this name is told to lie in, by a server that gives one answer.
    async fn told(status: &str, body: &str) -> (Result<String, String>, String) {
        use object_store::client::{HttpConnector, ReqwestConnector};
        use tokio::io::{AsyncReadExt, AsyncWriteExt};
        let server = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let base = format!("http://{}/", server.local_addr().unwrap());
        let answer = format!(
            "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.len()
        );
        let asked = tokio::spawn(async move {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut request = vec![0; 4096];
            let length = stream.read(&mut request).await.unwrap();
            stream.write_all(answer.as_bytes()).await.unwrap();
            String::from_utf8(request[..length].to_vec()).unwrap()
        });
        let options = object_store::ClientOptions::new().with_allow_http(true);
        let client = ReqwestConnector::default().connect(&options).unwrap();
        let region = of_gcs_bucket(&client, &base, "plums", Some("hush")).await;
        (region, asked.await.unwrap())
    }

    #[tokio::test]
    async fn google_tells_where_a_bucket_lies() {
        let (region, asked) = told("200 OK", r#"{"location": "EUROPE-WEST9"}"#).await;
        assert_eq!(region.unwrap(), "europe-west9");
        assert!(
            asked.starts_with("GET /storage/v1/b/plums?fields=location HTTP"),
            "{asked}"
        );
        assert!(
            asked.to_lowercase().contains("authorization: bearer hush"),
            "{asked}"
        );
        let (region, _) = told("404 Not Found", "{}").await;
        assert_eq!(region.unwrap_err(), "there is no such bucket");
        let (region, _) = told("403 Forbidden", r#"{"error": {"code": 403}}"#).await;
        assert!(region.unwrap_err().contains("403"));
    }
}
