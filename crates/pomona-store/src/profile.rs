//! Keys and regions from AWS's profile files.
//!
//! Format: <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-files.html>; `credential_process`:
//! <https://docs.aws.amazon.com/sdkref/latest/guide/feature-process-credentials.html>.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use jiff::Timestamp;
use object_store::CredentialProvider;
use object_store::aws::AwsCredential;
use serde::Deserialize;
use tokio::sync::Mutex;

use crate::environment::Environment;
use crate::error::StoreError;

type Section = BTreeMap<String, String>;

/// Keys that do not say when they expire are read again after this time: another program may have renewed them.
const READ_AGAIN: Duration = Duration::from_secs(300);
/// Keys are renewed this long before they expire.
const BEFORE_EXPIRY: Duration = Duration::from_secs(120);
/// A process that gives keys is ended after this time.
const PROCESS: Duration = Duration::from_secs(60);
/// So much of what it complains of is told.
const TOLD_CHARS: usize = 200;

/// A profile of the files that the environment names.
#[derive(Debug, Clone)]
pub(crate) struct Profile {
    name: String,
    /// Whether somebody asked for it by name.
    is_named: bool,
    files: [PathBuf; 2],
}

/// What a profile says besides keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct ProfileSettings {
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<String>,
    pub(crate) has_keys: bool,
    pub(crate) web_identity_token_file: Option<String>,
    pub(crate) role_arn: Option<String>,
}

impl Profile {
    /// The profile that `AWS_PROFILE` names, or `default`.
    pub(crate) fn from_environment(environment: &Environment) -> Self {
        let home = environment
            .get("HOME")
            .or_else(|| environment.get("USERPROFILE"));
        let file = |name: &str, below: &str| match (environment.get(name), home) {
            (Some(file), _) => PathBuf::from(file),
            (None, Some(home)) => Path::new(home).join(".aws").join(below),
            (None, None) => PathBuf::new(),
        };
        let named = environment.get("AWS_PROFILE");
        Self {
            name: named.unwrap_or("default").to_owned(),
            is_named: named.is_some(),
            files: [
                file("AWS_SHARED_CREDENTIALS_FILE", "credentials"),
                file("AWS_CONFIG_FILE", "config"),
            ],
        }
    }

    /// The profile's entries of both files; those of the credentials file count first.
    fn section(&self) -> Section {
        let [credentials, config] = &self.files;
        let titles = [self.name.clone(), format!("profile {}", self.name)];
        let mut merged = Section::new();
        for file in [config, credentials] {
            // A file that is not there, or not to be read, says nothing.
            if let Ok(text) = std::fs::read_to_string(file) {
                merged.extend(section(&text, &titles));
            }
        }
        merged
    }

    fn unusable(&self, reason: impl Into<String>) -> StoreError {
        StoreError::Profile {
            profile: self.name.clone(),
            file: self.files[1].display().to_string(),
            reason: reason.into(),
        }
    }

    /// What the profile says.
    ///
    /// # Errors
    /// [`StoreError::Profile`] where it gets its keys in a way that is not known here.
    pub(crate) fn settings(&self) -> Result<ProfileSettings, StoreError> {
        let section = self.section();
        if self.is_named && section.is_empty() {
            return Err(self.unusable("there is no such profile, in this file or that of the keys"));
        }
        let get = |key: &str| section.get(key).cloned();
        let has_keys =
            section.contains_key("aws_access_key_id") || section.contains_key("credential_process");
        let asks_others = section.keys().any(|key| key.starts_with("sso_"))
            || section.contains_key("source_profile")
            || section.contains_key("credential_source");
        if asks_others && !has_keys {
            return Err(self.unusable(format!(
                "it gets keys by single sign-on or another profile; let AWS's own tool fetch them: add to it the line `credential_process = aws configure export-credentials --profile {} --format process` under another name",
                self.name
            )));
        }
        Ok(ProfileSettings {
            region: get("region"),
            endpoint: get("endpoint_url"),
            has_keys,
            web_identity_token_file: get("web_identity_token_file"),
            role_arn: get("role_arn"),
        })
    }

    /// The keys now, and when to read them again.
    async fn keys(&self) -> Result<(AwsCredential, Timestamp), StoreError> {
        let section = self.section();
        let again = Timestamp::now() + READ_AGAIN;
        if let (Some(key), Some(secret)) = (
            section.get("aws_access_key_id"),
            section.get("aws_secret_access_key"),
        ) {
            let credential = AwsCredential {
                key_id: key.clone(),
                secret_key: secret.clone(),
                token: section.get("aws_session_token").cloned(),
            };
            return Ok((credential, again));
        }
        let Some(command) = section.get("credential_process") else {
            return Err(self.unusable("it holds no keys any more"));
        };
        // As AWS's own tools do: by the shell, since the line may quote its arguments.
        let output = tokio::process::Command::new("sh")
            .arg("-c")
            .arg(command)
            .stdin(std::process::Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = tokio::time::timeout(PROCESS, output)
            .await
            .map_err(|_| {
                self.unusable(format!(
                    "its credential_process did not answer within {} seconds",
                    PROCESS.as_secs()
                ))
            })?
            .map_err(|error| self.unusable(format!("its credential_process: {error}")))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().map(str::trim).rfind(|line| !line.is_empty());
            return Err(self.unusable(format!(
                "its credential_process ended with {}: {}",
                output.status,
                last.unwrap_or("it does not say why")
                    .chars()
                    .take(TOLD_CHARS)
                    .collect::<String>()
            )));
        }
        // The answer holds keys: nothing of it is repeated.
        let answer: ProcessAnswer = serde_json::from_slice(&output.stdout).map_err(|_| {
            self.unusable("the answer of its credential_process is not the JSON that AWS describes")
        })?;
        let until = answer
            .expiration
            .as_deref()
            .and_then(|time| time.parse::<Timestamp>().ok())
            .map_or(again, |expiry| expiry - BEFORE_EXPIRY);
        Ok((
            AwsCredential {
                key_id: answer.access_key_id,
                secret_key: answer.secret_access_key,
                token: answer.session_token,
            },
            until,
        ))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ProcessAnswer {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
    expiration: Option<String>,
}

/// The entries below one of the titles.
fn section(text: &str, titles: &[String]) -> Section {
    let mut is_ours = false;
    let mut found = Section::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with(['#', ';']) {
            continue;
        }
        if let Some(title) = trimmed.strip_prefix('[') {
            let title = title.split(']').next().unwrap_or_default();
            let title = title.split_whitespace().collect::<Vec<_>>().join(" ");
            is_ours = titles.contains(&title);
            continue;
        }
        // Indented lines belong to the entry above, such as `s3 =`.
        let is_nested = line.starts_with([' ', '\t']);
        if is_ours
            && !is_nested
            && let Some((key, value)) = trimmed.split_once('=')
        {
            found.insert(key.trim().to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    found
}

/// Keys of a profile, read again when they are old or were refused.
pub(crate) struct ProfileCredentials {
    profile: Profile,
    kept: Mutex<Option<Kept>>,
}

struct Kept {
    credential: Arc<AwsCredential>,
    since: Instant,
    until: Timestamp,
}

impl std::fmt::Debug for ProfileCredentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProfileCredentials")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}

impl ProfileCredentials {
    pub(crate) fn new(profile: Profile) -> Self {
        Self {
            profile,
            kept: Mutex::new(None),
        }
    }

    /// Forgets the keys of a request that was sent then: the other side says that they have expired. Keys that are
    /// newer than the request stay.
    pub(crate) async fn refuse(&self, asked: Instant) {
        self.kept.lock().await.take_if(|kept| kept.since <= asked);
    }
}

#[async_trait]
impl CredentialProvider for ProfileCredentials {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut kept = self.kept.lock().await;
        if let Some(kept) = &*kept
            && Timestamp::now() < kept.until
        {
            return Ok(Arc::clone(&kept.credential));
        }
        let (credential, until) =
            self.profile
                .keys()
                .await
                .map_err(|error| object_store::Error::Generic {
                    store: "S3",
                    source: Box::new(error),
                })?;
        let credential = Arc::new(credential);
        *kept = Some(Kept {
            credential: Arc::clone(&credential),
            since: Instant::now(),
            until,
        });
        Ok(credential)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn profile(folder: &Path, name: &str, credentials: &str, config: &str) -> Profile {
        let files = [folder.join("credentials"), folder.join("config")];
        std::fs::write(&files[0], credentials).unwrap();
        std::fs::write(&files[1], config).unwrap();
        Profile {
            name: name.to_owned(),
            is_named: true,
            files,
        }
    }

    #[tokio::test]
    async fn keys_come_from_the_profile_that_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let credentials = "[default]\naws_access_key_id = one\naws_secret_access_key=1\n# [x]\n[fruit]\naws_access_key_id=two\naws_secret_access_key = 2=\naws_session_token = t\n";
        let config = "[default]\nregion = us-east-1\n[profile fruit]\nregion = eu-west-3\ns3 =\n  endpoint_url = no\nendpoint_url = http://127.0.0.1:1\n";
        let fruit = profile(folder.path(), "fruit", credentials, config);
        let settings = fruit.settings().unwrap();
        assert_eq!(settings.region.as_deref(), Some("eu-west-3"));
        assert_eq!(settings.endpoint.as_deref(), Some("http://127.0.0.1:1"));
        let (keys, _) = fruit.keys().await.unwrap();
        assert_eq!(
            (
                keys.key_id.as_str(),
                keys.secret_key.as_str(),
                keys.token.as_deref()
            ),
            ("two", "2=", Some("t"))
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_process_gives_keys_until_they_expire_and_its_answer_is_never_told() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let config = format!(
            "[default]\ncredential_process = echo x >> '{}'; echo '{{\"Version\":1,\"AccessKeyId\":\"k\",\"SecretAccessKey\":\"hush\",\"Expiration\":\"2020-01-01T00:00:00Z\"}}'\n",
            count.display()
        );
        let provider = ProfileCredentials::new(profile(folder.path(), "default", "", &config));
        for _ in 0..2 {
            assert_eq!(provider.get_credential().await.unwrap().secret_key, "hush");
        }
        let asked = std::fs::read_to_string(&count).unwrap().lines().count();
        assert_eq!(asked, 2, "expired keys are asked for again");
        assert!(!format!("{provider:?}").contains("hush"));

        let wrong = profile(
            folder.path(),
            "default",
            "",
            "[default]\ncredential_process = echo hush\n",
        );
        let told = wrong.keys().await.unwrap_err().to_string();
        assert!(
            told.contains("credential_process") && !told.contains("hush"),
            "{told}"
        );
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn keys_that_are_newer_than_the_refused_request_stay() {
        let folder = tempfile::tempdir().unwrap();
        let count = folder.path().join("count");
        let config = format!(
            "[default]\ncredential_process = echo x >> '{}'; echo '{{\"AccessKeyId\":\"k\",\"SecretAccessKey\":\"s\"}}'\n",
            count.display()
        );
        let provider = ProfileCredentials::new(profile(folder.path(), "default", "", &config));
        let asked = || std::fs::read_to_string(&count).unwrap().lines().count();
        let before = Instant::now();
        provider.get_credential().await.unwrap();
        let after = Instant::now();
        provider.refuse(before).await;
        provider.get_credential().await.unwrap();
        assert_eq!(asked(), 1);
        provider.refuse(after).await;
        provider.get_credential().await.unwrap();
        assert_eq!(asked(), 2);
    }

    #[test]
    fn a_profile_of_single_sign_on_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let sso = profile(folder.path(), "a", "", "[profile a]\nsso_session = x\n");
        assert!(
            sso.settings()
                .unwrap_err()
                .to_string()
                .contains("export-credentials")
        );
    }
}
