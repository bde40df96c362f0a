//! Makes the authority of a cluster and certificates for its hosts.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, date_time_ymd,
};

use crate::error::ClusterError;
use crate::tls::Tls;

/// The authority's certificate, in the folder and again in every host's folder.
const AUTHORITY: &str = "ca.pem";
/// The authority's key. Who has it can let anybody in, so it is in no host's folder.
const AUTHORITY_KEY: &str = "ca-key.pem";
/// The name in every authority's certificate; authorities are told apart by their keys.
const AUTHORITY_NAME: &str = "pomona cluster authority";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long an authority serves.
const AUTHORITY_DAYS: u32 = 3650;
/// How far back a certificate is dated, for hosts whose clocks are behind.
const CLOCK_DAYS: u32 = 1;
/// What a certificate is good for besides its host: processes on one machine.
const LOOPBACK: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Makes a folder with `ca.pem`, `cert.pem` and `key.pem` for each of `hosts` in `folder`, and gives their paths.
///
/// The first call makes the authority, `ca.pem` and `ca-key.pem`; later ones use it. A certificate serves for a
/// server and a client, names its host, `localhost` and the loopback addresses, and holds for `days` days. A host is
/// a DNS name, a name with a wildcard for its first part, or an IP address. Keys can be read by their owner alone.
///
/// # Errors
///
/// [`ClusterError::Exists`] when a host has a folder: nothing is overwritten. [`ClusterError::File`] when a file
/// cannot be read or written, [`ClusterError::MakeCertificate`] for what is no host name or address, and
/// [`ClusterError::Tls`] when the authority that is there did not sign with the key that is there.
pub fn make_certificates(
    folder: &Path,
    hosts: &[String],
    days: u32,
) -> Result<Vec<PathBuf>, ClusterError> {
    if days == 0 {
        return Err(ClusterError::Setting {
            name: "--days",
            value: "0".to_owned(),
            expected: "a certificate serves for a day at least",
        });
    }
    for host in hosts {
        check_host(host)?;
        let path = folder.join(folder_name(host));
        if path.exists() {
            return Err(ClusterError::Exists { path });
        }
    }
    fs::create_dir_all(folder).map_err(ClusterError::file(folder))?;
    let (authority_pem, issuer) = authority(folder)?;
    hosts
        .iter()
        .map(|host| make_host(folder, host, days, &authority_pem, &issuer))
        .collect()
}

/// Those of `hosts` that have no folder in `folder`. The certificates of the others are loaded, so that one that has
/// expired is not taken for one that serves.
///
/// # Errors
///
/// [`ClusterError::Setting`] for what is no host name or address, and [`ClusterError::Tls`] as [`Tls::load`].
pub fn hosts_without_certificate(
    folder: &Path,
    hosts: &[String],
) -> Result<Vec<String>, ClusterError> {
    let mut without = Vec::new();
    for host in hosts {
        check_host(host)?;
        let path = folder.join(folder_name(host));
        if path.exists() {
            Tls::load(&path)?;
        } else {
            without.push(host.clone());
        }
    }
    Ok(without)
}

fn check_host(host: &str) -> Result<(), ClusterError> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '*');
    let wildcards = host.matches('*').count();
    if host.is_empty()
        || host.starts_with('.')
        || !host.chars().all(fits)
        || (wildcards > 0 && (wildcards > 1 || !host.starts_with("*.")))
    {
        return Err(ClusterError::Setting {
            name: "--host",
            value: host.to_owned(),
            expected: "give a host name such as worker-1, *.workers.example, or an IP address",
        });
    }
    Ok(())
}

fn folder_name(host: &str) -> String {
    host.replace('*', "any")
}

/// The authority in `folder`, made if there is none.
fn authority(folder: &Path) -> Result<(String, Issuer<'static, KeyPair>), ClusterError> {
    let failed = |source| ClusterError::MakeCertificate {
        host: AUTHORITY_NAME.to_owned(),
        source,
    };
    let certificate_path = folder.join(AUTHORITY);
    let key_path = folder.join(AUTHORITY_KEY);
    let params = authority_params().map_err(failed)?;
    if certificate_path.exists() {
        let pem =
            fs::read_to_string(&certificate_path).map_err(ClusterError::file(&certificate_path))?;
        let key = fs::read_to_string(&key_path).map_err(ClusterError::file(&key_path))?;
        let key = KeyPair::from_pem(&key).map_err(failed)?;
        return Ok((pem, Issuer::new(params, key)));
    }
    let key = KeyPair::generate().map_err(failed)?;
    let pem = params.self_signed(&key).map_err(failed)?.pem();
    // The key first: an authority without its key could not be used, nor made again.
    write_new(&key_path, &key.serialize_pem(), true)?;
    write_new(&certificate_path, &pem, false)?;
    Ok((pem, Issuer::new(params, key)))
}

fn authority_params() -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(Vec::new())?;
    params.distinguished_name = named(AUTHORITY_NAME);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    hold_for(&mut params, AUTHORITY_DAYS);
    Ok(params)
}

fn make_host(
    folder: &Path,
    host: &str,
    days: u32,
    authority_pem: &str,
    issuer: &Issuer<'static, KeyPair>,
) -> Result<PathBuf, ClusterError> {
    let failed = |source| ClusterError::MakeCertificate {
        host: host.to_owned(),
        source,
    };
    let mut names = vec![host.to_owned()];
    names.extend(
        LOOPBACK
            .iter()
            .filter(|name| **name != host)
            .map(|name| (*name).to_owned()),
    );
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params.distinguished_name = named(host);
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    hold_for(&mut params, days);
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = params.signed_by(&key, issuer).map_err(failed)?;

    // A host's folder appears whole or not at all.
    let unfinished = tempfile::Builder::new()
        .prefix(".making-")
        .tempdir_in(folder)
        .map_err(ClusterError::file(folder))?;
    write_new(
        &unfinished.path().join("key.pem"),
        &key.serialize_pem(),
        true,
    )?;
    write_new(
        &unfinished.path().join("cert.pem"),
        &certificate.pem(),
        false,
    )?;
    write_new(&unfinished.path().join(AUTHORITY), authority_pem, false)?;
    Tls::load(unfinished.path()).map_err(|error| match error {
        ClusterError::Tls { problem, .. } => ClusterError::Tls {
            path: folder.join(AUTHORITY),
            problem,
        },
        other => other,
    })?;
    let path = folder.join(folder_name(host));
    fs::rename(unfinished.path(), &path).map_err(ClusterError::file(&path))?;
    // Nothing is left to be removed at its old place.
    let _ = unfinished.keep();
    Ok(path)
}

fn named(name: &str) -> DistinguishedName {
    let mut distinguished = DistinguishedName::new();
    distinguished.push(DnType::CommonName, name);
    distinguished
}

fn hold_for(params: &mut CertificateParams, days: u32) {
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now = date_time_ymd(1970, 1, 1) + now;
    params.not_before = now - DAY * CLOCK_DAYS;
    params.not_after = now + DAY * days;
}

/// Writes a file that must not be there yet; a secret one for its owner alone.
fn write_new(path: &Path, text: &str, secret: bool) -> Result<(), ClusterError> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(if secret { 0o600 } else { 0o644 });
    }
    #[cfg(not(unix))]
    let _ = secret;
    let write = |mut file: File| {
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
    };
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            Err(ClusterError::Exists {
                path: path.to_owned(),
            })
        }
        opened => opened.and_then(write).map_err(ClusterError::file(path)),
    }
}
