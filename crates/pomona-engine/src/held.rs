//! What a function holds that is too large to be a part of every plan.

use std::any::Any;
use std::fmt;
use std::sync::{Arc, OnceLock};

use crate::error::EngineError;
use crate::services::{Asset, Services};

/// Something that is at hand where the plan was made, and elsewhere made from an asset when it is first needed.
pub(crate) struct Held<T> {
    value: OnceLock<Arc<T>>,
    asset: Option<Asset>,
    services: Option<Arc<Services>>,
    read: fn(&[u8]) -> Result<T, EngineError>,
}

impl<T> fmt::Debug for Held<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held")
            .field("asset", &self.asset)
            .finish_non_exhaustive()
    }
}

impl<T: Any + Send + Sync> Held<T> {
    /// At hand; `asset` names the same for other processes.
    pub(crate) fn here(
        value: Arc<T>,
        asset: Option<Asset>,
        read: fn(&[u8]) -> Result<T, EngineError>,
    ) -> Self {
        Self {
            value: OnceLock::from(value),
            asset,
            services: None,
            read,
        }
    }

    /// To be made from an asset.
    pub(crate) fn elsewhere(
        asset: Asset,
        services: Option<Arc<Services>>,
        read: fn(&[u8]) -> Result<T, EngineError>,
    ) -> Self {
        Self {
            value: OnceLock::new(),
            asset: Some(asset),
            services,
            read,
        }
    }

    pub(crate) fn get(&self) -> Result<Arc<T>, EngineError> {
        if let Some(value) = self.value.get() {
            return Ok(Arc::clone(value));
        }
        let (Some(services), Some(asset)) = (&self.services, &self.asset) else {
            return Err(EngineError::NoServices);
        };
        let value = services.asset(asset, self.read)?;
        Ok(Arc::clone(self.value.get_or_init(|| value)))
    }

    /// What names it in a plan that is sent.
    pub(crate) fn asset(&self) -> Result<&Asset, EngineError> {
        self.asset.as_ref().ok_or_else(|| EngineError::Codec {
            reason: "what a function holds was not put where others find it".to_owned(),
        })
    }

    /// Whether it is the same as another: the same thing, or of the same bytes.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (self.value.get(), other.value.get()) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => self.asset.is_some() && self.asset == other.asset,
        }
    }
}
