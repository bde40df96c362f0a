//! Places against a real S3 server and real files.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what cannot be set up fails the test"
)]

mod common;
mod credentials;
mod faults;
mod listing;
mod local;
mod locks;
mod markers;
mod outages;
mod regions;
mod writing;
