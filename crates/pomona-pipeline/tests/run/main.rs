//! Runs on demonstration photos, from the folder to the report.

mod contract;
mod foreign;
mod models;
mod stopping;
mod support;
