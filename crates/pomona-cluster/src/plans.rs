//! What scheduler, executors and clients agree on.

use std::sync::Arc;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use datafusion_proto::physical_plan::PhysicalExtensionCodec;
use pomona_engine::{PLAN_FORMAT, PlanCodec, Services};

use crate::error::VersionInfo;

/// Reads and writes plans, in the same way on the client, the scheduler and the executors; only these last give
/// `services`, with which plans can be run.
#[must_use]
pub fn plan_codec(services: Option<Arc<Services>>) -> Arc<dyn PhysicalExtensionCodec> {
    let ballista = Arc::new(BallistaPhysicalExtensionCodec::default());
    Arc::new(PlanCodec::new(ballista, services))
}

/// This program's version, which all processes of a cluster must share.
#[must_use]
pub fn own_version() -> VersionInfo {
    VersionInfo {
        pomona: env!("CARGO_PKG_VERSION").to_owned(),
        plan_format: PLAN_FORMAT,
    }
}
