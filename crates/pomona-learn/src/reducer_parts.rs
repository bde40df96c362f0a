//! A [`Reducer`] as parts of a model file.

use serde::{Deserialize, Serialize};

use crate::error::LearnError;
use crate::reducer::Reducer;
use crate::sealed::{SealedFile, Section};

const HEADER: &str = "reducer";
const MEAN: &str = "reducer.mean";
const DEVIATION: &str = "reducer.deviation";
const COMPONENTS: &str = "reducer.components";
const VARIANCE: &str = "reducer.explained_variance";
const RATIO: &str = "reducer.explained_variance_ratio";

/// How reduced rows come about, in words, for whoever reads the header.
const SCALED: &str = "reduced = (x - mean) / deviation . components; deviation divides by n - 1";
const UNSCALED: &str = "reduced = (x - mean) . components";

/// What the header says of a reducer.
#[derive(Serialize, Deserialize)]
struct Part {
    convention: String,
    scaled: bool,
    input_columns: usize,
    output_columns: usize,
    rank: usize,
    rows: u64,
    total_variance: f64,
}

impl Reducer {
    /// Puts the reducer into a model file: the header's key `reducer` (the header must be a JSON object;
    /// anything else is replaced by one) and the sections `reducer.mean` (D), `reducer.deviation` (D, only
    /// when scaled), `reducer.components` (K×D, row-major), `reducer.explained_variance` and
    /// `reducer.explained_variance_ratio` (K each), all f64.
    pub fn write_into(&self, file: &mut SealedFile) {
        let scaled = self.deviation.is_some();
        let part = serde_json::json!(Part {
            convention: if scaled { SCALED } else { UNSCALED }.to_owned(),
            scaled,
            input_columns: self.input_columns(),
            output_columns: self.output_columns(),
            rank: self.rank,
            rows: self.rows,
            total_variance: self.total_variance,
        });
        if !file.header.is_object() {
            file.header = serde_json::json!({});
        }
        file.header[HEADER] = part;
        let mut put = |name: &str, values: &[f64]| {
            file.sections
                .insert(name.to_owned(), Section::F64(values.to_vec()));
        };
        put(MEAN, &self.mean);
        if let Some(deviation) = &self.deviation {
            put(DEVIATION, deviation);
        }
        put(COMPONENTS, &self.components);
        put(VARIANCE, &self.explained_variance);
        put(RATIO, &self.explained_variance_ratio);
    }

    /// The reducer that [`write_into`](Self::write_into) put there, to the bit.
    pub fn read_from(file: &SealedFile) -> Result<Self, LearnError> {
        let part = file
            .header
            .get(HEADER)
            .and_then(|part| Part::deserialize(part).ok())
            .ok_or(LearnError::BrokenReducer {
                part: HEADER,
                reason: "is missing from the header or incomplete",
            })?;
        let (columns, kept) = (part.input_columns, part.output_columns);
        let cells = columns.checked_mul(kept).ok_or(LearnError::BrokenReducer {
            part: HEADER,
            reason: "has too many columns",
        })?;
        let take = |name, length| section(file, name, length);
        let reducer = Self {
            mean: take(MEAN, columns)?,
            deviation: match part.scaled {
                true => Some(take(DEVIATION, columns)?),
                false => None,
            },
            components: take(COMPONENTS, cells)?,
            explained_variance: take(VARIANCE, kept)?,
            explained_variance_ratio: take(RATIO, kept)?,
            total_variance: part.total_variance,
            rank: part.rank,
            rows: part.rows,
            projection: Vec::new(),
        };
        if columns == 0 || kept == 0 {
            return Err(LearnError::BrokenReducer {
                part: HEADER,
                reason: "has no columns",
            });
        }
        Ok(reducer.with_projection())
    }
}

fn section(file: &SealedFile, name: &'static str, length: usize) -> Result<Vec<f64>, LearnError> {
    let broken = |reason| LearnError::BrokenReducer { part: name, reason };
    let values = file.f64s(name).ok_or(broken("is missing"))?;
    if values.len() != length {
        return Err(broken("has another length than the header says"));
    }
    if values.iter().any(|value| !value.is_finite()) {
        return Err(broken("holds values that are no numbers"));
    }
    Ok(values.to_vec())
}
