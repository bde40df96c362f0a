use serde::{Deserialize, Serialize};

use crate::components::Components;
use crate::eigen::Eigen;
use crate::error::LearnError;
use crate::moments::Moments;
use crate::scaler::StandardScaler;
use crate::totals::Totals;

/// What a fit is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FitSettings {
    /// How many components to keep.
    pub components: Components,
    /// Whether every column is divided by its deviation first, as Spark's StandardScaler does.
    pub scale: bool,
}

/// A fitted reduction of rows of D features to K principal components:
/// `reduced = (x − mean) / deviation · components`, or `(x − mean) · components` without scaling.
///
/// Rows are centred in both cases, as scikit-learn's PCA does (Spark's does not centre what it projects).
/// Components come by falling variance; the entry of largest magnitude of each is positive.
#[derive(Debug, Clone, PartialEq)]
pub struct Reducer {
    /// Mean of each of the D columns.
    pub mean: Vec<f64>,
    /// Unbiased deviation of each column, when the fit scaled; a constant column has 0 and adds nothing.
    pub deviation: Option<Vec<f64>>,
    /// K×D, row-major: row k is component k, of length 1.
    pub components: Vec<f64>,
    /// K variances (n − 1) along the components, of the scaled columns when the fit scaled.
    pub explained_variance: Vec<f64>,
    /// K shares of `total_variance`.
    pub explained_variance_ratio: Vec<f64>,
    /// Variance summed over all columns, scaled when the fit scaled.
    pub total_variance: f64,
    /// Directions in which the rows of the fit vary: at most their number less one, and at most the columns that are
    /// not constant. Exact where all variances were worked out (a share of the variance was asked for, or D is below
    /// 512); else that bound.
    pub rank: usize,
    /// Rows the fit saw.
    pub rows: u64,
    /// D×K, row-major: components with the division by the deviation taken in.
    pub(crate) projection: Vec<f64>,
}

/// A fit and what a person should know about it.
#[derive(Debug, Clone)]
pub struct Fitted {
    /// The result.
    pub reducer: Reducer,
    /// Sentences on where it differs from what was asked for; usually none.
    pub notes: Vec<String>,
}

impl Reducer {
    /// Fits scaler and components to the rows summed in `moments`; needs two rows that differ.
    ///
    /// Directions without variance are never kept: at most `rank` components come back, and a note says so
    /// when that is fewer than asked for.
    pub fn fit(moments: &Moments, settings: &FitSettings) -> Result<Fitted, LearnError> {
        let asked = settings.components.check()?;
        let scaler = StandardScaler::fit(moments)?;
        let rows = moments.count();
        let columns = moments.columns();
        let factors = settings.scale.then(|| {
            (0..columns)
                .map(|column| scaler.factor(column))
                .collect::<Vec<_>>()
        });
        let mut matrix = covariance(&moments.settled(), factors.as_deref())?;
        let total_variance = trace(&matrix, columns);
        if total_variance == 0.0 {
            return Err(LearnError::NoVariance { rows });
        }
        let eigen = match asked {
            Components::Count(count) => Eigen::leading(&mut matrix, columns, count)?,
            Components::Share(_) => Eigen::of(&matrix, columns)?,
        };
        drop(matrix);

        let found = rank(&eigen.values, columns, rows);
        // Past the values that were looked for, a direction has variance unless something rules it out.
        let rank = if eigen.values.len() == columns {
            found
        } else {
            found.max(rank_bound(&scaler, rows))
        };
        let ratios: Vec<f64> = eigen.values[..found]
            .iter()
            .map(|variance| variance / total_variance)
            .collect();
        let mut notes = Vec::new();
        let kept = keep(asked, &ratios, rows, columns, &mut notes);
        let components = (0..kept).flat_map(|index| eigen.vector(index)).collect();
        let reducer = Self {
            mean: scaler.mean,
            deviation: settings.scale.then_some(scaler.deviation),
            components,
            explained_variance: eigen.values[..kept].to_vec(),
            explained_variance_ratio: ratios[..kept].to_vec(),
            total_variance,
            rank,
            rows,
            projection: Vec::new(),
        };
        Ok(Fitted {
            reducer: reducer.with_projection(),
            notes,
        })
    }

    /// Features a row has, D.
    pub fn input_columns(&self) -> usize {
        self.mean.len()
    }

    /// Components a reduced row has, K.
    pub fn output_columns(&self) -> usize {
        self.explained_variance.len()
    }

    /// Mean and deviation, when the fit scaled.
    pub fn scaler(&self) -> Option<StandardScaler> {
        self.deviation.as_ref().map(|deviation| StandardScaler {
            mean: self.mean.clone(),
            deviation: deviation.clone(),
        })
    }

    /// Bytes that summing and fitting rows of `columns` columns takes at its peak, with one summary: the
    /// summary, the covariance and the decomposition. Each further summary alive at the same time adds
    /// [`Moments::bytes_for`].
    pub fn memory_bytes_to_fit(columns: usize) -> u64 {
        Moments::bytes_for(columns)
            .saturating_add(Totals::bytes_for(columns))
            .saturating_add(Eigen::memory_bytes(columns))
    }
}

/// The lower triangle, column-major, of the unbiased covariance, each column multiplied by its factor.
fn covariance(totals: &Totals, factors: Option<&[f64]>) -> Result<Vec<f64>, LearnError> {
    let columns = totals.columns;
    let degrees = (totals.count - 1) as f64;
    let mut matrix = Vec::new();
    matrix
        .try_reserve_exact(totals.comatrix.len())
        .map_err(|_| LearnError::OutOfMemory {
            columns,
            bytes: Totals::bytes_for(columns),
        })?;
    matrix.extend_from_slice(&totals.comatrix);
    let mut finite = true;
    for (column, values) in matrix.chunks_exact_mut(columns).enumerate() {
        for (row, value) in values.iter_mut().enumerate().skip(column) {
            *value /= degrees;
            if let Some(factors) = factors {
                *value = *value * factors[row] * factors[column];
            }
            finite &= value.is_finite();
        }
    }
    if finite {
        Ok(matrix)
    } else {
        Err(LearnError::Overflow)
    }
}

fn trace(matrix: &[f64], columns: usize) -> f64 {
    matrix.iter().step_by(columns + 1).sum()
}

/// Directions with variance: those above what rounding leaves in a null direction, and no more than n − 1.
fn rank(variances: &[f64], columns: usize, rows: u64) -> usize {
    let largest = variances.first().copied().unwrap_or(0.0);
    let floor = largest * columns as f64 * f64::EPSILON;
    let spanned = variances
        .iter()
        .take_while(|&&variance| variance > floor)
        .count();
    spanned.min(usize::try_from(rows - 1).unwrap_or(usize::MAX))
}

/// More directions than this cannot have variance.
fn rank_bound(scaler: &StandardScaler, rows: u64) -> usize {
    let varying = scaler
        .deviation
        .iter()
        .filter(|deviation| **deviation > 0.0)
        .count();
    varying.min(usize::try_from(rows - 1).unwrap_or(usize::MAX))
}

/// How far a sum of all shares may stay below what was asked for and still be rounding.
const SHARE_ROUNDING: f64 = 1e-9;

/// How many of the components that exist to keep, with a note when it is fewer than asked for.
fn keep(
    asked: Components,
    ratios: &[f64],
    rows: u64,
    columns: usize,
    notes: &mut Vec<String>,
) -> usize {
    let rank = ratios.len();
    match asked {
        Components::Count(count) if count <= rank => count,
        Components::Count(count) => {
            notes.push(format!(
                "{count} components were asked for, but {rows} rows of {columns} features vary in only \
                 {rank} directions: keeping {rank}"
            ));
            rank
        }
        Components::Share(share) => {
            let mut sum = 0.0;
            for (index, ratio) in ratios.iter().enumerate() {
                sum += ratio;
                if sum >= share {
                    return index + 1;
                }
            }
            if sum < share - SHARE_ROUNDING {
                notes.push(format!(
                    "a share of {share} of the variance was asked for, but the {rank} components that \
                     exist explain {sum:.6}: keeping all {rank}"
                ));
            }
            rank
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_out_of_reach_keeps_every_component_and_says_so() {
        let mut notes = Vec::new();
        let kept = keep(Components::Share(0.95), &[0.5, 0.3, 0.1], 4, 9, &mut notes);
        assert_eq!(kept, 3);
        assert_eq!(
            notes,
            [
                "a share of 0.95 of the variance was asked for, but the 3 components that exist explain \
                 0.900000: keeping all 3"
            ]
        );
    }

    #[test]
    fn a_share_missed_by_rounding_alone_needs_no_note() {
        let mut notes = Vec::new();
        let kept = keep(
            Components::Share(1.0),
            &[0.7, 0.3 - 1e-15],
            9,
            2,
            &mut notes,
        );
        assert_eq!((kept, notes.len()), (2, 0));
    }
}
