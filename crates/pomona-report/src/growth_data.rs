//! What a report tells of a run that went on with an earlier one: plain data, filled by the caller.
//!
//! Numbers that are not finite are shown as a dash.

/// What the runs on a folder found, one after the other.
#[derive(Debug, Clone, Default)]
pub struct GrowthData {
    /// The runs, first one first. Of more than [`MAX_GENERATIONS`] the last ones are shown.
    pub generations: Vec<Generation>,
    /// How far the photos of the last one lie from those the components were fitted on; none where the components were
    /// fitted on them too, and where nothing was new.
    pub drift: Option<GrowthDrift>,
}

/// What one run found.
#[derive(Debug, Clone, Default)]
pub struct Generation {
    /// Its number, from 1.
    pub number: u64,
    /// When it ended, RFC 3339.
    pub when: String,
    /// Photos that were not there before.
    pub new: u64,
    /// Photos whose content had changed.
    pub changed: u64,
    /// Photos that were gone.
    pub vanished: u64,
    /// Photos whose rows were removed on request.
    pub forgotten: u64,
    /// Shards it wrote.
    pub shards: u64,
}

/// How far new rows lie from the fitted ones. Its fields are those of `pomona_learn::Drift`, which gives the formulas.
#[derive(Debug, Clone, Copy, Default)]
pub struct GrowthDrift {
    /// New rows. Below 30 they are not judged.
    pub rows: u64,
    /// Rows the components were fitted on.
    pub rows_fitted: u64,
    /// Distance between the means, in deviations of the fitted rows.
    pub shift: f64,
    /// The distance that chance alone gives.
    pub sampling_shift: f64,
    /// Variance of the new rows divided by that of the fitted ones.
    pub spread: f64,
    /// Share of what sets the new rows apart that the components keep, in [0, 1].
    pub explained: f64,
    /// The same of the fitted rows, in [0, 1].
    pub explained_fitted: f64,
}

/// Most generations shown.
pub const MAX_GENERATIONS: usize = 200;
