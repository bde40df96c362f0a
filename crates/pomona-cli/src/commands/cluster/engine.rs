//! What this program's schedulers and executors can read and run.

use pomona_cluster::{Engine, VersionInfo};

use crate::failure::Failure;

/// The form in which plans travel. It changes whenever plans of one version cannot be read by another.
const PLAN_FORMAT: u32 = 1;

/// The plan nodes, functions and stores of scheduler and executors.
pub(super) fn engine() -> Result<Engine, Failure> {
    Ok(Engine::plain()?)
}

/// Who this program is, for those that it works with.
pub(super) fn version() -> VersionInfo {
    VersionInfo {
        pomona: env!("CARGO_PKG_VERSION").to_owned(),
        plan_format: PLAN_FORMAT,
    }
}
