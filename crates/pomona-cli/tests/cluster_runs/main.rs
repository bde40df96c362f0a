//! Runs on clusters of real processes: as in one process, and whatever happens to them.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it expects by failing"
)]

mod bounds;
mod bucket;
mod disturbed;
mod refused;
mod same;
mod support;
mod traces;
mod up;
