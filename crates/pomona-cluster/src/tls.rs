//! Who may talk: mutual TLS from a folder with `ca.pem`, `cert.pem` and `key.pem`.
//!
//! Every process of a cluster has one certificate of the cluster's authority. It shows it as a server and as a
//! client, and talks to nobody who has none. Names are checked: a certificate names the hosts it is for.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ballista_core::extension::{EndpointOverrideFn, SessionConfigExt};
use datafusion::prelude::SessionConfig;
use tokio_rustls::rustls::crypto::{CryptoProvider, ring};
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, UnixTime};
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::{CertificateError, Error, RootCertStore, ServerConfig};
use tonic::transport::{Certificate, ClientTlsConfig, Endpoint, Identity};

use crate::error::{ClusterError, TlsProblem};

/// The authority that everybody must be of.
const AUTHORITY: &str = "ca.pem";
/// This process's own certificate, with those between it and the authority, if any.
const CERTIFICATE: &str = "cert.pem";
/// The key of that certificate.
const KEY: &str = "key.pem";
/// How long the other side may take to say who it is.
pub(crate) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a connection may take to come about.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take where Ballista's own limit is lost.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);
/// A connection that is silent for this long is asked whether the other side is still there.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// A connection whose other side does not answer that within this time is given up.
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// The identity of a process and the authority that it trusts. Nothing of it can be printed.
#[derive(Clone)]
pub struct Tls {
    server: Arc<ServerConfig>,
    client: ClientTlsConfig,
    http: ureq::tls::TlsConfig,
    warnings: Vec<String>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

impl Tls {
    /// The identity in `folder`: `ca.pem` (the authority, or several), `cert.pem` (the certificate, then those
    /// between it and the authority), `key.pem` (PKCS #8, PKCS #1 or SEC 1). All are PEM text.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Tls`] names the file and what is wrong with it: it cannot be read or is damaged, the key is
    /// another certificate's or every user of the machine may read it, the certificate was not signed by the
    /// authority, has expired, is not valid yet, or is not for a client as well as a server.
    pub fn load(folder: &Path) -> Result<Self, ClusterError> {
        let at = |name: &str| {
            let path = folder.join(name);
            move |problem| ClusterError::Tls { path, problem }
        };
        let authority_pem = read(&folder.join(AUTHORITY)).map_err(at(AUTHORITY))?;
        let certificate_pem = read(&folder.join(CERTIFICATE)).map_err(at(CERTIFICATE))?;
        let key_path = folder.join(KEY);
        let warnings = check_key_permissions(&key_path).map_err(at(KEY))?;
        let key_pem = read(&key_path).map_err(at(KEY))?;

        let authorities = certificates(&authority_pem).map_err(at(AUTHORITY))?;
        let chain = certificates(&certificate_pem).map_err(at(CERTIFICATE))?;
        let key = private_key(&key_pem).map_err(at(KEY))?;

        let provider = Arc::new(ring::default_provider());
        let clients = client_verifier(&authorities, &provider).map_err(at(AUTHORITY))?;
        check_chain(&*clients, &chain).map_err(at(CERTIFICATE))?;
        let server = server_config(provider.clone(), clients, chain.clone(), key.clone_key())
            .map_err(at(KEY))?;
        let http = http_config(&authorities, &chain, &key_pem, provider).map_err(at(KEY))?;
        let client = ClientTlsConfig::new()
            .ca_certificate(Certificate::from_pem(authority_pem))
            .identity(Identity::from_pem(certificate_pem, key_pem))
            .timeout(HANDSHAKE_TIMEOUT);
        Ok(Self {
            server: Arc::new(server),
            client,
            http,
            warnings,
        })
    }

    /// What a person should know about the folder, though it serves.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// For a server: clients must show a certificate of the authority; HTTP/2 and HTTP/1.1 are offered.
    pub fn server_config(&self) -> Arc<ServerConfig> {
        self.server.clone()
    }

    /// For gRPC clients of Ballista's making: see [`endpoint_override`].
    pub fn endpoint_override(&self) -> EndpointOverrideFn {
        endpoint_override(Some(self))
    }

    /// For sessions: see [`session_config`].
    pub fn session_config(&self, config: SessionConfig) -> SessionConfig {
        session_config(config, Some(self))
    }
}

/// For gRPC clients of Ballista's making: an other side that stays silent for twenty seconds is given up, and with
/// `tls` nothing goes out in the clear, whatever scheme an address has.
pub fn endpoint_override(tls: Option<&Tls>) -> EndpointOverrideFn {
    let client = tls.map(|tls| tls.client.clone());
    Arc::new(move |endpoint| {
        // Ballista's scheduler writes `http` into the addresses of executors, and tonic heeds the scheme alone.
        let clear = endpoint.uri().scheme_str() == Some("http");
        let endpoint = match (&client, clear, endpoint.uri().authority()) {
            (Some(_), true, Some(authority)) => {
                Endpoint::from_shared(format!("https://{authority}"))?.timeout(REQUEST_TIMEOUT)
            }
            _ => endpoint,
        };
        let endpoint = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
            .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
            .keep_alive_while_idle(true);
        Ok(match &client {
            Some(client) => endpoint.tls_config(client.clone())?,
            None => endpoint,
        })
    })
}

/// For sessions: whatever Ballista connects to on behalf of this session goes through [`endpoint_override`].
pub fn session_config(config: SessionConfig, tls: Option<&Tls>) -> SessionConfig {
    config
        .with_ballista_use_tls(tls.is_some())
        .with_ballista_override_create_grpc_client_endpoint(endpoint_override(tls))
}

/// A client for the HTTP routes of a cluster's processes, with the identity of `tls` where there is one.
///
/// It blocks. `timeout` is for a whole request. Answers like 404 are answers, not errors, and no proxy is used.
pub fn http_agent(tls: Option<&Tls>, timeout: Duration) -> ureq::Agent {
    let config = ureq::Agent::config_builder()
        .timeout_global(Some(timeout))
        .http_status_as_error(false)
        .proxy(None);
    match tls {
        Some(tls) => config.tls_config(tls.http.clone()).https_only(true),
        None => config,
    }
    .build()
    .into()
}

/// `https` with an identity, else `http`.
pub fn scheme(tls: Option<&Tls>) -> &'static str {
    if tls.is_some() { "https" } else { "http" }
}

fn read(path: &Path) -> Result<Vec<u8>, TlsProblem> {
    std::fs::read(path).map_err(TlsProblem::Read)
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsProblem> {
    let found = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<Vec<_>, _>>()
        .map_err(TlsProblem::Damaged)?;
    if found.is_empty() {
        return Err(TlsProblem::NoCertificate);
    }
    Ok(found)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, TlsProblem> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsProblem::NoKey,
        damage => TlsProblem::Damaged(damage),
    })
}

/// Refuses a key that everybody may read. A group may: container platforms hand out secrets so.
#[cfg(unix)]
fn check_key_permissions(path: &Path) -> Result<Vec<String>, TlsProblem> {
    use std::os::unix::fs::PermissionsExt;

    let mode = std::fs::metadata(path)
        .map_err(TlsProblem::Read)?
        .permissions()
        .mode()
        & 0o7777;
    if mode & 0o007 != 0 {
        return Err(TlsProblem::KeyForEverybody { mode });
    }
    if mode & 0o070 != 0 {
        return Ok(vec![format!(
            "{} may be read by its group (mode {mode:04o}); chmod 600 gives it to its owner alone",
            path.display()
        )]);
    }
    Ok(Vec::new())
}

#[cfg(not(unix))]
fn check_key_permissions(_path: &Path) -> Result<Vec<String>, TlsProblem> {
    Ok(Vec::new())
}

fn client_verifier(
    authorities: &[CertificateDer<'static>],
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsProblem> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        roots.add(authority.clone()).map_err(unusable)?;
    }
    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone())
        .build()
        .map_err(|error| TlsProblem::Unusable(Box::new(error)))
}

/// Asks now what the other side will ask later, so that the answer names a file.
fn check_chain(
    clients: &dyn ClientCertVerifier,
    chain: &[CertificateDer<'static>],
) -> Result<(), TlsProblem> {
    let Some((own, between)) = chain.split_first() else {
        return Err(TlsProblem::NoCertificate);
    };
    clients
        .verify_client_cert(own, between, UnixTime::now())
        .map(|_verified| ())
        .map_err(unusable)
}

fn server_config(
    provider: Arc<CryptoProvider>,
    clients: Arc<dyn ClientCertVerifier>,
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, TlsProblem> {
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_client_cert_verifier(clients)
        .with_single_cert(chain, key)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

fn http_config(
    authorities: &[CertificateDer<'static>],
    chain: &[CertificateDer<'static>],
    key_pem: &[u8],
    provider: Arc<CryptoProvider>,
) -> Result<ureq::tls::TlsConfig, TlsProblem> {
    use ureq::tls;

    let owned = |der: &CertificateDer<'static>| tls::Certificate::from_der(der).to_owned();
    let key = tls::PrivateKey::from_pem(key_pem)
        .map_err(|error| TlsProblem::Unusable(Box::new(error)))?;
    let chain: Vec<_> = chain.iter().map(owned).collect();
    let roots: Vec<_> = authorities.iter().map(owned).collect();
    Ok(tls::TlsConfig::builder()
        .provider(tls::TlsProvider::Rustls)
        .client_cert(Some(tls::ClientCert::new_with_certs(&chain, key)))
        .root_certs(tls::RootCerts::Specific(Arc::new(roots)))
        .unversioned_rustls_crypto_provider(provider)
        .build())
}

fn unusable(error: Error) -> TlsProblem {
    use CertificateError as C;
    match error {
        Error::InconsistentKeys(_) => TlsProblem::OtherKey,
        Error::InvalidCertificate(C::UnknownIssuer | C::BadSignature) => TlsProblem::OtherAuthority,
        Error::InvalidCertificate(C::Expired | C::ExpiredContext { .. }) => TlsProblem::Expired,
        Error::InvalidCertificate(C::NotValidYet | C::NotValidYetContext { .. }) => {
            TlsProblem::NotYetValid
        }
        Error::InvalidCertificate(C::InvalidPurpose | C::InvalidPurposeContext { .. }) => {
            TlsProblem::Purpose
        }
        other => TlsProblem::Unusable(Box::new(other)),
    }
}
