//! Packs and archives from outside.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "tests say what they expect by failing, helpers of tests too"
)]

mod pack;
mod python;
mod scan;
mod store;
mod support;
