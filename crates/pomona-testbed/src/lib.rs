//! Which real things do tests and measurements run against?
//!
//! An S3 server on loopback, over a folder: `root/<bucket>/<key>`. `s3s` reads requests and checks signatures
//! (Signature Version 4), files hold the objects, and a layer of this crate between the two and the wire delays,
//! counts, refuses and damages what passes.
//!
//! ```
//! use pomona_testbed::{Bucket, FaultKind, Faults, Operation};
//!
//! # fn main() -> anyhow::Result<()> {
//! # let root = tempfile::tempdir()?;
//! let server = Bucket::builder(root.path())
//!     .region("eu-west-3")
//!     .faults(Faults::none().with(FaultKind::SlowDown, 0.5))
//!     .seed(7)
//!     .start()?;
//! std::fs::write(server.bucket_dir("photos")?.join("plum.jpg"), b"...")?;
//! // A client that is given `server.environment()` works against `s3://photos`.
//! assert_eq!(server.counters().requests_of(Operation::GetObject), 0);
//! # Ok(())
//! # }
//! ```
//!
//! # How folders become buckets
//! - A key is a path of UTF-8 names below the bucket's folder. Keys with empty, `.` or `..` segments are refused, and
//!   a key cannot be the folder of another one. Links to files are followed; links to folders are not listed.
//! - The keys of a bucket are found by one walk: when the server starts, and for a bucket made later at its first
//!   listing or write. Files put in by hand after that can be read at once and are listed after
//!   [`Server::refresh`]; files changed or removed by hand show at once.
//! - An etag is made of a file's size, time of change and number. It stays the same over restarts and changes with
//!   every write, also with one of the same bytes (Amazon's is the MD5 of the bytes).
//! - Content types and other attributes of objects live as long as the server.
//! - One server a root at a time.

mod body;
mod counters;
mod faults;
mod files;
mod layer;
mod listing;
mod operation;
mod rules;
mod server;
mod storage;
mod uploads;
mod wire;

pub use counters::{Counters, LogEntry};
pub use faults::{FaultKind, Faults};
pub use operation::Operation;
pub use rules::{Refusal, Rules};
pub use server::{Bucket, Builder, Server};
