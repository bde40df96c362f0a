//! Executors at work for a scheduler of Ballista's, in one process and over the loopback interface.

mod certificates;
mod leaving;
mod losing;
mod support;
mod working;
