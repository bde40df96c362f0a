//! Runs on demonstration photos, from the folder to the report.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

mod bucket;
mod contract;
mod foreign;
mod growing;
mod models;
mod stopping;
mod support;
mod words;
