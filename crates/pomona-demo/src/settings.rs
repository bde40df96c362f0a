//! What the demonstration photos should be like.

use crate::error::DemoError;

/// Most photos of one label in one part.
pub const MAX_PER_LABEL: usize = 10_000;
/// Least and largest width of a photo in pixels.
pub const SIZE_RANGE_PX: std::ops::RangeInclusive<u32> = 16..=1_024;

/// What to render. The same settings give the same bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemoSettings {
    /// Start of all random numbers.
    pub seed: u64,
    /// Photos of each label under `Training`, at most [`MAX_PER_LABEL`].
    pub per_label_training: usize,
    /// Photos of each label under `Test`, at most [`MAX_PER_LABEL`].
    pub per_label_test: usize,
    /// Width and height of each photo in pixels, within [`SIZE_RANGE_PX`].
    pub size_px: u32,
    /// Whether to add the folder `Troubles`: files that are no photos, damaged ones and unusual good ones.
    pub with_troubles: bool,
}

impl Default for DemoSettings {
    /// 20 training and 8 test photos of each label, 100 × 100 pixels as in Fruits-360, without troubles.
    fn default() -> Self {
        Self {
            seed: 1,
            per_label_training: 20,
            per_label_test: 8,
            size_px: 100,
            with_troubles: false,
        }
    }
}

impl DemoSettings {
    /// Refuses values out of range.
    pub(crate) fn check(&self) -> Result<(), DemoError> {
        let within = |setting, value, least, most| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(DemoError::Setting {
                    setting,
                    value,
                    least,
                    most,
                })
            }
        };
        within(
            "training photos per label",
            self.per_label_training,
            0,
            MAX_PER_LABEL,
        )?;
        within(
            "test photos per label",
            self.per_label_test,
            0,
            MAX_PER_LABEL,
        )?;
        let (least, most) = (
            *SIZE_RANGE_PX.start() as usize,
            *SIZE_RANGE_PX.end() as usize,
        );
        within("the width in pixels", self.size_px as usize, least, most)
    }
}
