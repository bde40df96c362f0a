//! A scheduler on loopback, with executors in this process or with requests written by hand.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects by failing"
)]

mod closed;
mod gate;
mod jobs;
mod plan;
mod support;
mod told;
