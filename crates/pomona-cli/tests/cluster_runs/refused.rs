//! What does not fit together is refused, with what to do.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use crate::support::{Place, said};

/// Answers every request as a scheduler of another version does; gives its address.
fn scheduler_of_another_version() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let body = r#"{"pomona": "0.0.7", "plan_format": 1}"#;
            let _ = write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}",
                body.len()
            );
        }
    });
    address
}

#[test]
fn another_version() {
    let place = Place::with_photos(1, false);
    let address = scheduler_of_another_version();
    let cluster = format!("--cluster=df://{address}");
    let run = [
        "run",
        "photos",
        "--out",
        "run",
        "--features",
        "orb",
        &cluster,
    ];
    let executor = ["cluster", "executor", "--scheduler", &address];
    for command in [&run[..], &executor[..]] {
        let output = place.pomona(command);
        let said = said(&output);
        assert!(!output.status.success(), "{said}");
        assert!(
            said.contains("0.0.7") && said.contains(env!("CARGO_PKG_VERSION")),
            "{said}"
        );
    }
    assert!(!place.path("run").join("manifest.parquet").exists());
}

#[test]
fn nobody_at_the_address() {
    let place = Place::with_photos(1, false);
    let run = [
        "run",
        "photos",
        "--out",
        "run",
        "--cluster=df://127.0.0.1:1",
    ];
    let output = place.pomona(&run);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("127.0.0.1:1"), "{}", said(&output));
}
