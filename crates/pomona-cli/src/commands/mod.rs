//! One command, one file.

pub(crate) mod backbones;
pub(crate) mod clean;
pub(crate) mod cluster;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod extract;
pub(crate) mod fit;
pub(crate) mod forget;
pub(crate) mod pack;
pub(crate) mod plan;
pub(crate) mod reduce;
pub(crate) mod report;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod settings;
pub(crate) mod sql;
pub(crate) mod status;
pub(crate) mod why;
