//! Buckets, containers and hosts, opened with what the standard chains give.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::client::HttpConnector;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::list::PaginatedListStore;
use object_store::multipart::MultipartStore;
use object_store::{BackoffConfig, ClientConfigKey, ClientOptions, ObjectStore, RetryConfig};
use tokio::runtime::Handle;

use crate::careful::{Abilities, Careful};
use crate::environment::Environment;
use crate::error::StoreError;
use crate::profile::{Profile, ProfileCredentials};
use crate::region::{self, AllowedRegions};
use crate::service::{Clients, Connector, Listener};
use crate::stores::{Encryption, StoreSettings};
use crate::traffic::Traffic;

/// Where Google Cloud Storage answers, unless the environment says otherwise.
const GCS: &str = "https://storage.googleapis.com";
/// Tries of one request after the first. While everything fails they are far apart, see [`crate::health`].
const TRIES: usize = 16;
/// Waits between tries begin with this and double at most, with jitter.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// They are never longer than this.
const LONGEST_WAIT: Duration = Duration::from_secs(10);
/// No further try after this time: a signature is good for a quarter of an hour.
const LONGEST_TRIES: Duration = Duration::from_secs(240);

/// What a root is opened with.
pub(crate) struct Opening<'a> {
    pub(crate) settings: &'a StoreSettings,
    pub(crate) allowed: &'a AllowedRegions,
    pub(crate) environment: &'a Environment,
    pub(crate) patience: Duration,
    pub(crate) network: Handle,
    pub(crate) clients: Clients,
    pub(crate) listener: Listener,
}

/// An opened bucket, container or host.
pub(crate) struct Remote {
    pub(crate) store: Arc<dyn ObjectStore>,
    pub(crate) pages: Option<Arc<dyn PaginatedListStore>>,
    pub(crate) traffic: Arc<Traffic>,
    pub(crate) is_ordered: bool,
}

impl Remote {
    /// A cloud's store: it lists page by page and takes large objects in parts.
    fn of_cloud<S>(
        store: S,
        credentials: Option<Arc<ProfileCredentials>>,
        traffic: Arc<Traffic>,
        is_ordered: bool,
    ) -> Self
    where
        S: ObjectStore + PaginatedListStore + MultipartStore,
    {
        let store = Arc::new(store);
        let abilities = Abilities {
            pages: Some(Arc::clone(&store) as _),
            parts: Some(Arc::clone(&store) as _),
            credentials,
        };
        let careful = Arc::new(Careful::new(store, abilities));
        Self {
            store: Arc::clone(&careful) as _,
            pages: Some(careful),
            traffic,
            is_ordered,
        }
    }

    pub(crate) fn plain(store: impl ObjectStore, traffic: Arc<Traffic>) -> Self {
        Self {
            store: Arc::new(Careful::new(Arc::new(store), Abilities::default())),
            pages: None,
            traffic,
            is_ordered: false,
        }
    }
}

fn retries() -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: FIRST_WAIT,
            max_backoff: LONGEST_WAIT,
            base: 2.0,
        },
        max_retries: TRIES,
        retry_timeout: LONGEST_TRIES,
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
    opening: Opening<'_>,
) -> Result<Remote, StoreError> {
    let place = format!("{scheme}://{root}");
    let traffic = Arc::new(Traffic::default());
    let connector = Connector::new(
        opening.network.clone(),
        Arc::clone(&traffic),
        opening.patience,
        opening.clients.clone(),
        &place,
        opening.listener.clone(),
    );
    let allowed = opening.allowed;
    match scheme {
        "s3" => open_s3(root, &place, &opening, connector, traffic).await,
        "gs" => open_gcs(root, &place, &opening, connector, traffic).await,
        "az" => {
            if allowed.matter() {
                return Err(allowed.unknown(
                    &place,
                    "Azure's storage does not tell the region of an account",
                ));
            }
            open_azure(root, &place, opening.environment, connector, traffic)
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
                .map_err(|source| StoreError::Open { place, source })?;
            Ok(Remote::plain(store, traffic))
        }
        _ => open_hdfs(&place, &opening, traffic),
    }
}

async fn open_gcs(
    bucket: &str,
    place: &str,
    opening: &Opening<'_>,
    connector: Connector,
    traffic: Arc<Traffic>,
) -> Result<Remote, StoreError> {
    let failed = |source| StoreError::Open {
        place: place.to_owned(),
        source,
    };
    let mut options = options();
    let mut builder = GoogleCloudStorageBuilder::new();
    if let Some(file) = opening.environment.get("SERVICE_ACCOUNT") {
        builder = builder.with_service_account_path(file);
    }
    for (name, value) in opening.environment.beginning_with("GOOGLE_") {
        match name.parse() {
            Ok(GoogleConfigKey::Client(key)) => options = options.with_config(key, value),
            Ok(key) => builder = builder.with_config(key, value),
            Err(_) => {}
        }
    }
    let base = builder
        .get_config_value(&GoogleConfigKey::BaseUrl)
        .unwrap_or_else(|| GCS.to_owned());
    let store = builder
        .with_bucket_name(bucket)
        .with_retry(retries())
        .with_client_options(options.clone())
        .with_http_connector(connector.clone())
        .build()
        .map_err(failed)?;
    if opening.allowed.matter() {
        let client = connector.connect(&options).map_err(failed)?;
        let keys = store.credentials().get_credential().await.map_err(failed)?;
        let location = region::of_gcs_bucket(&client, &base, bucket, Some(&keys.bearer))
            .await
            .map_err(|reason| opening.allowed.unknown(place, reason))?;
        opening.allowed.check(place, &location)?;
    }
    Ok(Remote::of_cloud(store, None, traffic, true))
}

fn open_azure(
    root: &str,
    place: &str,
    environment: &Environment,
    connector: Connector,
    traffic: Arc<Traffic>,
) -> Result<Remote, StoreError> {
    let mut options = options();
    let mut builder = MicrosoftAzureBuilder::new();
    for (name, value) in environment.beginning_with("AZURE_") {
        match name.parse() {
            Ok(AzureConfigKey::Client(key)) => options = options.with_config(key, value),
            Ok(key) => builder = builder.with_config(key, value),
            Err(_) => {}
        }
    }
    if let Some(endpoint) = environment.get("IDENTITY_ENDPOINT") {
        builder = builder.with_msi_endpoint(endpoint);
    }
    builder = match root.split_once('@') {
        Some((container, account)) => builder.with_container_name(container).with_account(account),
        None => builder.with_container_name(root),
    };
    let store = builder
        .with_retry(retries())
        .with_client_options(options)
        .with_http_connector(connector)
        .build()
        .map_err(|source| StoreError::Open {
            place: place.to_owned(),
            source,
        })?;
    // Accounts with a hierarchical namespace list folder by folder.
    Ok(Remote::of_cloud(store, None, traffic, false))
}

#[cfg(feature = "hdfs")]
fn open_hdfs(
    place: &str,
    opening: &Opening<'_>,
    traffic: Arc<Traffic>,
) -> Result<Remote, StoreError> {
    if opening.allowed.matter() {
        return Err(opening
            .allowed
            .unknown(place, "HDFS does not tell its region"));
    }
    let store = hdfs_native_object_store::HdfsObjectStoreBuilder::new()
        .with_url(place)
        .with_io_runtime(opening.network.clone())
        .build()
        .map_err(|source| StoreError::Open {
            place: place.to_owned(),
            source,
        })?;
    Ok(Remote::plain(store, traffic))
}

#[cfg(not(feature = "hdfs"))]
fn open_hdfs(
    place: &str,
    _opening: &Opening<'_>,
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
    opening: &Opening<'_>,
    connector: Connector,
    traffic: Arc<Traffic>,
) -> Result<Remote, StoreError> {
    let failed = |source| StoreError::Open {
        place: place.to_owned(),
        source,
    };
    let allowed = opening.allowed;
    let mut options = options();
    let mut builder = AmazonS3Builder::new();
    for (name, value) in opening.environment.beginning_with("AWS_") {
        match name.parse() {
            // Whether encryption may be left out is said by the endpoint, below.
            Ok(AmazonS3ConfigKey::Client(ClientConfigKey::AllowHttp)) | Err(_) => {}
            Ok(AmazonS3ConfigKey::Client(key)) => options = options.with_config(key, value),
            Ok(key) => builder = builder.with_config(key, value),
        }
    }
    builder = builder
        .with_bucket_name(bucket)
        .with_retry(retries())
        .with_http_connector(connector.clone());
    let has = |builder: &AmazonS3Builder, key| builder.get_config_value(&key).is_some();
    let unsigned = builder.get_config_value(&AmazonS3ConfigKey::SkipSignature);
    let is_unsigned = unsigned.is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let profile = Profile::from_environment(opening.environment);
    let named = profile.settings();
    // The environment counts before the profile, unless a profile was named without keys beside it.
    let has_own_keys = has(&builder, AmazonS3ConfigKey::AccessKeyId)
        || has(&builder, AmazonS3ConfigKey::WebIdentityTokenFile)
        || has(&builder, AmazonS3ConfigKey::ContainerCredentialsRelativeUri)
        || has(&builder, AmazonS3ConfigKey::ContainerCredentialsFullUri)
        || is_unsigned;
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
    let options = options.with_allow_http(is_plain);
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
    builder = match &opening.settings.encryption {
        Encryption::Default => builder,
        Encryption::Aes256 => {
            builder.with_config(encryption_key("aws_server_side_encryption")?, "AES256")
        }
        Encryption::Kms { key } => builder.with_sse_kms_encryption(key),
    };
    let store = builder.build().map_err(failed)?;
    Ok(Remote::of_cloud(store, credentials, traffic, true))
}

fn encryption_key(name: &str) -> Result<AmazonS3ConfigKey, StoreError> {
    name.parse().map_err(|source| StoreError::Open {
        place: "s3".to_owned(),
        source,
    })
}
