//! What was forecast of a run, beside what came of it.

use pomona_forecast::Forecast;
use pomona_store::Place;
use serde::{Deserialize, Serialize};

use crate::error::PipelineError;
use crate::folder::{RunFolder, read_json, write_json};
use crate::record::RunRecord;

/// The file that `pomona plan --out RUN` leaves for the run.
const FORECAST: &str = "forecast.json";

/// A forecast that waits for its run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SavedForecast {
    /// When it was made, RFC 3339.
    pub made: String,
    /// What it says.
    pub forecast: Forecast,
}

/// A figure that was forecast, and the one that came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// As it was forecast.
    pub forecast: f64,
    /// As it came.
    pub outcome: f64,
}

/// How a forecast came true.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct ForecastRecord {
    /// When the forecast was made, RFC 3339.
    pub made: String,
    /// Seconds from the command to its end.
    pub total_secs: Compared,
    /// Most memory, bytes; where the system tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_memory_bytes: Option<Compared>,
    /// Bytes of photos that were read.
    pub bytes_read: Compared,
    /// Photos.
    pub images: Compared,
}

impl SavedForecast {
    /// Leaves the forecast in a folder that is, or will be, a run's.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn save(&self, run: &Place) -> Result<(), PipelineError> {
        write_json(&run.join(FORECAST), self).await
    }

    /// The forecast that was left for a run, if one was. One that cannot be read is as good as none.
    pub(crate) async fn of(folder: &RunFolder) -> Option<Self> {
        read_json(&folder.place().join(FORECAST)).await.ok()?
    }

    /// Beside what came of it. A run that went on with another one did less than was forecast: then there is nothing to
    /// compare.
    pub(crate) fn compare(&self, record: &RunRecord, total_secs: f64) -> ForecastRecord {
        let of = |forecast: u64, outcome: u64| Compared {
            forecast: forecast as f64,
            outcome: outcome as f64,
        };
        ForecastRecord {
            made: self.made.clone(),
            total_secs: Compared {
                forecast: self.forecast.total_secs,
                outcome: total_secs,
            },
            peak_memory_bytes: record
                .peak_memory_bytes
                .map(|bytes| of(self.forecast.peak_memory_bytes, bytes)),
            bytes_read: of(self.forecast.photos.bytes, record.bytes_read),
            images: of(
                self.forecast.photos.images,
                record.counts.values().sum::<u64>(),
            ),
        }
    }
}
