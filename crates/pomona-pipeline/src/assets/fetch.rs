//! A pinned file over HTTPS.

use std::io::{self, Write};
use std::path::Path;
use std::time::Duration;

use super::cache::verified;
use super::{AssetError, Cache};

/// Fetches a file of `bytes` bytes; it gets its name only when its SHA-256 is the one expected.
pub(super) fn fetch(
    url: &'static str,
    bytes: u64,
    sha256: &'static str,
    place: &Path,
) -> Result<(), AssetError> {
    let failed = |source: ureq::Error| AssetError::Download {
        url,
        source: Box::new(source),
    };
    let agent: ureq::Agent = ureq::Agent::config_builder()
        .timeout_connect(Some(Duration::from_secs(15)))
        .timeout_recv_response(Some(Duration::from_secs(30)))
        .timeout_global(Some(Duration::from_secs(900)))
        .build()
        .into();
    let mut response = agent.get(url).call().map_err(failed)?;
    // One more than expected: the reader fails at its limit, before it has seen the end.
    let mut body = response
        .body_mut()
        .with_config()
        .limit(bytes.saturating_add(1))
        .reader();
    let mut file = Cache::temporary(place)?;
    io::copy(&mut body, &mut file)
        .and_then(|_| file.flush())
        .map_err(|error| failed(error.into()))?;
    verified(file.path(), sha256)?;
    Cache::keep(file, place)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{Read, Write};
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    /// A server that answers once.
    fn served(status: &'static str, body: &'static [u8]) -> &'static str {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/file", listener.local_addr().unwrap());
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            // No length: the limit must hold for what comes, not for what is announced.
            write!(stream, "HTTP/1.1 {status}\r\nConnection: close\r\n\r\n").unwrap();
            // The other side may hang up before it has all.
            let _ = stream.write_all(body);
        });
        Box::leak(url.into_boxed_str())
    }

    #[test]
    fn a_file_is_there_whole_and_right_or_not_at_all() {
        static LONG: [u8; 1 << 20] = [7; 1 << 20];
        let folder = tempfile::tempdir().unwrap();
        let place = folder.path().join("abc");
        let files = || fs::read_dir(folder.path()).unwrap().count();

        let wrong = fetch(served("200 OK", b"abd"), 3, ABC, &place);
        assert!(matches!(wrong, Err(AssetError::Mismatch { .. })));
        let long = fetch(served("200 OK", &LONG), 3, ABC, &place);
        assert!(matches!(long, Err(AssetError::Download { .. })));
        let missing = fetch(served("404 Not Found", b"abc"), 3, ABC, &place);
        assert!(matches!(missing, Err(AssetError::Download { .. })));
        assert_eq!(files(), 0);

        fetch(served("200 OK", b"abc"), 3, ABC, &place).unwrap();
        assert_eq!(fs::read(&place).unwrap(), b"abc");
        assert_eq!(files(), 1);
    }
}
