//! Serves the folders of a root as buckets, on loopback, until it is killed.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use pomona_testbed::{Bucket, FaultKind, Faults};

/// An S3 server on 127.0.0.1 over a folder: ROOT/BUCKET/KEY. Prints what a client's shell needs, then serves until it
/// is killed. Its counters are at /-/counters, as JSON.
#[derive(Debug, Parser)]
#[command(name = "pomona-bucket", version)]
struct BucketArgs {
    /// The folder whose folders are the buckets
    root: PathBuf,
    /// The port; 0 lets the system choose
    #[arg(long, default_value_t = 0)]
    port: u16,
    /// How long each request waits before it is looked at
    #[arg(long, value_name = "MS", default_value_t = 0)]
    delay_ms: u64,
    /// The share of requests that go wrong, in [0, 1]
    #[arg(long, value_name = "SHARE", default_value_t = 0.0)]
    fault_share: f64,
    /// How requests go wrong, in equal parts; all kinds if not given
    #[arg(long, value_name = "KIND,...", value_delimiter = ',')]
    kinds: Vec<FaultKind>,
    /// How long a request hangs whose fault is a timeout
    #[arg(long, value_name = "MS", default_value_t = 2000)]
    hang_ms: u64,
    /// Seeds the choice of requests that go wrong
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The region of all buckets
    #[arg(long, default_value = "eu-west-3")]
    region: String,
}

fn main() -> anyhow::Result<()> {
    let args = BucketArgs::parse();
    let kinds = if args.kinds.is_empty() {
        &FaultKind::ALL[..]
    } else {
        &args.kinds
    };
    let server = Bucket::builder(&args.root)
        .port(args.port)
        .delay(Duration::from_millis(args.delay_ms))
        .faults(Faults::of(kinds, args.fault_share).hang(Duration::from_millis(args.hang_ms)))
        .seed(args.seed)
        .region(&args.region)
        .start()?;
    let mut lines = format!("# {}\n", server.endpoint());
    for (name, value) in server.environment() {
        lines.push_str(&format!("export {name}={value}\n"));
    }
    // In one piece, so that whoever reads them need not wait twice.
    let mut stdout = io::stdout().lock();
    stdout.write_all(lines.as_bytes())?;
    stdout.flush()?;
    drop(stdout);
    server.wait();
    Ok(())
}
