//! A scheduler on loopback, with executors in this process or with requests written by hand.

mod closed;
mod gate;
mod jobs;
mod plan;
mod support;
mod told;
