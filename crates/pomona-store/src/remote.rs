//! Buckets, containers and hosts, opened with what the standard chains give.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::client::HttpConnector;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::http::HttpBuilder;
use object_store::list::PaginatedListStore;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};
use tokio::runtime::Handle;

use crate::careful::Careful;
use crate::error::StoreError;
use crate::profile::{Profile, ProfileCredentials};
use crate::region::{self, AllowedRegions};
use crate::service::Connector;
use crate::stores::{Encryption, StoreSettings};
use crate::traffic::Traffic;

/// Tries of one request after the first.
const TRIES: usize = 8;
/// Waits between tries begin with this and double, with jitter.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// They are never longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// An opened bucket, container or host.
pub(crate) struct Remote {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) pages: Option<Arc<dyn PaginatedListStore>>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) is_ordered: bool,
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: FIRST_WAIT,
            max_backoff: LONGEST_WAIT,
            base: 2.0,
        },
        max_retries: TRIES,
        retry_timeout: Duration::from_secs(120),
    }
}

fn options() -> ClientOptions {
    ClientOptions::new()
        // Answers have their own limit; this one bounds a large object's whole transfer.
        .with_timeout(Duration::from_secs(600))
        .with_connect_timeout(Duration::from_secs(10))
        .with_pool_max_idle_per_host(256)
}

/// Opens the root of an address; checks its region first, where only some are allowed.
pub(crate) async fn open(
    scheme: &'static str,
    root: &str,
    settings: &StoreSettings,
    allowed: &AllowedRegions,
    network: Handle,
) -> Result<Remote, StoreError> {
    let place = format!("{scheme}://{root}");
    let traffic = Arc::new(Traffic::default());
    let connector = Connector::new(network, Arc::clone(&traffic));
    let failed = |source| StoreError::Open {
        place: place.clone(),
        source,
    };
    match scheme {
        "s3" => open_s3(root, &place, settings, allowed, connector, traffic).await,
        "gs" => {
            let builder = GoogleCloudStorageBuilder::from_env()
                .with_bucket_name(root)
                .with_retry(retries())
                .with_client_options(options())
                .with_http_connector(connector.clone());
            let store = builder.build().map_err(failed)?;
            if allowed.matter() {
                let client = connector.connect(&options()).map_err(failed)?;
                let keys = store.credentials().get_credential().await.map_err(failed)?;
                let location = region::of_gcs_bucket(
                    &client,
                    "https://storage.googleapis.com",
                    root,
                    Some(&keys.bearer),
                )
                .await
                .map_err(|reason| allowed.unknown(&place, reason))?;
                allowed.check(&place, &location)?;
            }
            let store = Arc::new(store);
            Ok(Remote {
                store: Arc::new(Careful::new(Arc::clone(&store) as _, None)),
                pages: Some(store),
                traffic,
                is_ordered: true,
            })
        }
        "az" => {
            if allowed.matter() {
                return Err(allowed.unknown(
                    &place,
                    "Azure's storage does not tell the region of an account",
                ));
            }
            let mut builder = MicrosoftAzureBuilder::from_env()
                .with_retry(retries())
                .with_client_options(options())
                .with_http_connector(connector);
            builder = match root.split_once('@') {
                Some((container, account)) => {
                    builder.with_container_name(container).with_account(account)
                }
                None => builder.with_container_name(root),
            };
            let store = Arc::new(builder.build().map_err(failed)?);
            Ok(Remote {
                store: Arc::new(Careful::new(Arc::clone(&store) as _, None)),
                pages: Some(store),
                traffic,
                // Accounts with a hierarchical namespace list folder by folder.
                is_ordered: false,
            })
        }
        "http" | "https" => {
            if allowed.matter() {
                return Err(allowed.unknown(&place, "a web server does not tell its region"));
            }
            let store = HttpBuilder::new()
                .with_url(&place)
                .with_retry(retries())
                .with_client_options(options().with_allow_http(scheme == "http"))
                .with_http_connector(connector)
                .build()
                .map_err(failed)?;
            Ok(Remote {
                store: Arc::new(Careful::new(Arc::new(store), None)),
                pages: None,
                traffic,
                is_ordered: false,
            })
        }
        _ => open_hdfs(&place, allowed, traffic),
    }
}

#[cfg(feature = "hdfs")]
fn open_hdfs(
    place: &str,
    allowed: &AllowedRegions,
    traffic: Arc<Traffic>,
) -> Result<Remote, StoreError> {
    if allowed.matter() {
        return Err(allowed.unknown(place, "HDFS does not tell its region"));
    }
    let store = hdfs_native_object_store::HdfsObjectStoreBuilder::new()
        .with_url(place)
        .build()
        .map_err(|source| StoreError::Open {
            place: place.to_owned(),
            source,
        })?;
    Ok(Remote {
        store: Arc::new(Careful::new(Arc::new(store), None)),
        pages: None,
        traffic,
        is_ordered: false,
    })
}

#[cfg(not(feature = "hdfs"))]
fn open_hdfs(
    place: &str,
    _allowed: &AllowedRegions,
    _traffic: Arc<Traffic>,
) -> Result<Remote, StoreError> {
    Err(StoreError::Address {
        address: place.to_owned(),
        reason: "this program was built without HDFS: build it with `--features hdfs`".to_owned(),
    })
}

async fn open_s3(
    bucket: &str,
    place: &str,
    settings: &StoreSettings,
    allowed: &AllowedRegions,
    connector: Connector,
    traffic: Arc<Traffic>,
) -> Result<Remote, StoreError> {
    let failed = |source| StoreError::Open {
        place: place.to_owned(),
        source,
    };
    let mut builder = AmazonS3Builder::from_env()
        .with_bucket_name(bucket)
        .with_retry(retries())
        .with_http_connector(connector.clone());
    let has = |builder: &AmazonS3Builder, key| builder.get_config_value(&key).is_some();
    let profile = Profile::from_environment();
    let named = profile.settings();
    // The environment counts before the profile, unless a profile was named without keys beside it.
    let has_own_keys = has(&builder, AmazonS3ConfigKey::AccessKeyId)
        || has(&builder, AmazonS3ConfigKey::WebIdentityTokenFile)
        || has(&builder, AmazonS3ConfigKey::ContainerCredentialsRelativeUri)
        || has(&builder, AmazonS3ConfigKey::ContainerCredentialsFullUri)
        || has(&builder, AmazonS3ConfigKey::SkipSignature);
    let said = match named {
        Ok(said) => said,
        Err(_) if has_own_keys => Default::default(),
        Err(error) => return Err(error),
    };
    let mut credentials = None;
    if !has_own_keys && said.has_keys {
        let provider = Arc::new(ProfileCredentials::new(profile));
        credentials = Some(Arc::clone(&provider));
        builder = builder.with_credentials(provider);
    } else if !has_own_keys
        && let (Some(file), Some(role)) = (&said.web_identity_token_file, &said.role_arn)
    {
        builder = builder
            .with_config(AmazonS3ConfigKey::WebIdentityTokenFile, file)
            .with_config(AmazonS3ConfigKey::RoleArn, role);
    }
    if !has(&builder, AmazonS3ConfigKey::Endpoint)
        && !has(&builder, AmazonS3ConfigKey::S3Endpoint)
        && let Some(endpoint) = &said.endpoint
    {
        builder = builder.with_endpoint(endpoint);
    }
    let endpoint = [AmazonS3ConfigKey::S3Endpoint, AmazonS3ConfigKey::Endpoint]
        .iter()
        .find_map(|key| builder.get_config_value(key));
    // An endpoint without encryption was typed as such: it is what the person means.
    let is_plain = endpoint
        .as_deref()
        .is_some_and(|endpoint| endpoint.starts_with("http://"));
    let options = options().with_allow_http(is_plain);
    builder = builder.with_client_options(options.clone());
    let client = connector.connect(&options).map_err(failed)?;
    if allowed.matter() {
        let region = region::of_s3_bucket(&client, bucket, endpoint.as_deref())
            .await
            .map_err(|reason| allowed.unknown(place, reason))?;
        allowed.check(place, &region)?;
        builder = builder.with_region(region);
    } else if !has(&builder, AmazonS3ConfigKey::Region)
        && !has(&builder, AmazonS3ConfigKey::DefaultRegion)
    {
        if let Some(region) = said.region {
            builder = builder.with_region(region);
        } else if let Ok(region) = region::of_s3_bucket(&client, bucket, endpoint.as_deref()).await
        {
            builder = builder.with_region(region);
        }
    }
    builder = match &settings.encryption {
        Encryption::Default => builder,
        Encryption::Aes256 => {
            builder.with_config(encryption_key("aws_server_side_encryption")?, "AES256")
        }
        Encryption::Kms { key } => builder.with_sse_kms_encryption(key),
    };
    let store = Arc::new(builder.build().map_err(failed)?);
    Ok(Remote {
        store: Arc::new(Careful::new(Arc::clone(&store) as _, credentials)),
        pages: Some(store),
        traffic,
        is_ordered: true,
    })
}

fn encryption_key(name: &str) -> Result<AmazonS3ConfigKey, StoreError> {
    name.parse().map_err(|source| StoreError::Open {
        place: "s3".to_owned(),
        source,
    })
}
