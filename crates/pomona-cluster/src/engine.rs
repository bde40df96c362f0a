//! What a process of a cluster must be able to read and run.

use std::fmt;
use std::sync::Arc;

use ballista_core::serde::BallistaPhysicalExtensionCodec;
use ballista_core::utils::default_session_builder;
use datafusion::execution::SessionState;
use datafusion::execution::object_store::ObjectStoreRegistry;
use datafusion::prelude::SessionConfig;
use datafusion_proto::physical_plan::PhysicalExtensionCodec;

use crate::error::ClusterError;
use crate::executor::{HandBackHook, SessionHook};

/// Plan nodes, functions and stores, for scheduler and executors alike.
#[derive(Clone)]
pub struct Engine {
    /// Reads plan nodes.
    pub codec: Arc<dyn PhysicalExtensionCodec>,
    /// Its functions can be named in plans.
    pub session: SessionState,
    /// Puts what operators need into the configuration that a task runs under.
    pub session_hook: Option<SessionHook>,
    /// Where the object stores of tasks come from.
    pub object_stores: Option<Arc<dyn ObjectStoreRegistry>>,
    /// Is told of tasks that will be done elsewhere.
    pub hand_back: Option<HandBackHook>,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Engine")
    }
}

impl Engine {
    /// What Ballista itself reads and runs.
    ///
    /// # Errors
    ///
    /// [`ClusterError::Scheduler`] when DataFusion makes no session.
    pub fn plain() -> Result<Self, ClusterError> {
        let session = default_session_builder(SessionConfig::new())
            .map_err(|error| ClusterError::Scheduler(Box::new(error)))?;
        Ok(Self {
            codec: Arc::new(BallistaPhysicalExtensionCodec::default()),
            session,
            session_hook: None,
            object_stores: None,
            hand_back: None,
        })
    }
}
