//! The server, seen by `object_store`'s S3 client and by bare connections.

#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests fail by panicking, as tests do"
)]

mod common;
mod faults;
mod objects;
