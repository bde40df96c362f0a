//! Executors at work for a scheduler of Ballista's, in one process and over the loopback interface.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests say what they expect by failing"
)]

mod certificates;
mod leaving;
mod losing;
mod support;
mod working;
