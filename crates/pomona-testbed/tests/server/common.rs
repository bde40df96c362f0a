//! What the tests share: a server on a temporary root, and clients of it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use object_store::aws::{AmazonS3, AmazonS3Builder, AmazonS3ConfigKey};
use object_store::{BackoffConfig, ClientOptions, RetryConfig};
use pomona_testbed::{Bucket, Server};
use tempfile::TempDir;

pub(crate) fn servers_root() -> TempDir {
    tempfile::tempdir().unwrap()
}

pub(crate) fn server(root: &TempDir) -> Server {
    Bucket::builder(root.path()).start().unwrap()
}

pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(future)
}

/// A client set up as a program would be by the server's environment, with retries switched off.
pub(crate) fn builder(server: &Server, bucket: &str) -> AmazonS3Builder {
    let mut builder = AmazonS3Builder::new()
        .with_bucket_name(bucket)
        .with_client_options(
            ClientOptions::new()
                .with_allow_http(true)
                .with_timeout(Duration::from_secs(20)),
        )
        .with_retry(retries(0));
    for (name, value) in server.environment() {
        if let Ok(key) = name.to_ascii_lowercase().parse::<AmazonS3ConfigKey>() {
            builder = builder.with_config(key, value);
        }
    }
    builder
}

pub(crate) fn retries(max_retries: usize) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(1),
            max_backoff: Duration::from_millis(5),
            base: 2.0,
        },
        max_retries,
        retry_timeout: Duration::from_secs(20),
    }
}

pub(crate) fn client(server: &Server, bucket: &str) -> AmazonS3 {
    builder(server, bucket).build().unwrap()
}

pub(crate) fn client_with_secret(server: &Server, bucket: &str, secret: &str) -> AmazonS3 {
    builder(server, bucket)
        .with_secret_access_key(secret)
        .build()
        .unwrap()
}

/// Sends the head of a request without a signature and gives all that comes back.
pub(crate) fn exchange(server: &Server, head: &str) -> String {
    let address = server.endpoint().replace("http://", "");
    let mut stream = TcpStream::connect(&address).unwrap();
    stream
        .write_all(format!("{head}Host: {address}\r\nConnection: close\r\n\r\n").as_bytes())
        .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}
