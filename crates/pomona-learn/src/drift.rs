use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};
use serde::{Deserialize, Serialize};

use crate::error::LearnError;
use crate::moments::Moments;
use crate::reducer::Reducer;
use crate::totals::Totals;

/// How far new rows lie from those a [`Reducer`] was fitted on, told from their [`Moments`] alone.
///
/// Everything is measured in the space the reducer works in: with f_j = 1 / deviation of column j where the fit scaled
/// (0 for a column that was constant in it, which adds nothing here either) and f_j = 1 where it did not. T is the
/// reducer's total variance there, Σ f_j² · variance_j of the fitted rows: where the fit scaled, the number of columns
/// that vary.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Drift {
    /// New rows, n, at least 1.
    pub rows: u64,
    /// Rows the reducer was fitted on, N, at least 2.
    pub rows_fitted: u64,
    /// How far the means lie apart, in deviations of the fitted rows; 0 when they are the same:
    /// √(Σ f_j² · (mean new − mean fitted)_j² / T).
    ///
    /// Where the fit scaled, this is the root mean square, over the columns that vary, of the difference in deviations
    /// of each column. Where it did not, every column is measured by one deviation, the root of the mean variance.
    pub shift: f64,
    /// The shift that chance alone gives: √(1/n + 1/N). It is the root of the expected square of
    /// [`shift`](Self::shift) when new and fitted rows are drawn independently from the same source, however their
    /// columns hang together; 1/n is the part of the new rows' mean, 1/N that of the fitted one.
    ///
    /// A shift of twice as much is rare where many columns vary by themselves, and happens about one time in twenty where
    /// all of them move as one.
    pub sampling_shift: f64,
    /// Total variance (n − 1) of the new rows divided by that of the fitted ones, Σ f_j² · variance new_j / T: 1 when
    /// they scatter as widely about their own mean; 0 for a single row.
    pub spread: f64,
    /// Share, in [0, 1], that the components explain of the new rows' second moment about the *fitted* mean,
    /// M = comatrix / n + δδᵀ, columns multiplied by f: Σ_k (component_kᵀ M component_k) / trace M. It is what
    /// reducing keeps of what sets the new rows apart from the fitted mean; 1 when nothing does.
    ///
    /// Rows that a fit has not seen have less of it explained than those it has, the more so the fewer those were.
    pub explained: f64,
    /// The share the components explain of the fitted rows' variance: the sum of
    /// [`explained_variance_ratio`](Reducer::explained_variance_ratio).
    pub explained_fitted: f64,
}

impl Drift {
    /// Measures the rows summed in `rows` against the rows that `reducer` was fitted on.
    ///
    /// Takes D·K doubles of memory beside its arguments.
    ///
    /// # Errors
    /// [`LearnError::Shape`] without rows, for rows of other columns than the reducer's, or a reducer whose fields do not
    /// fit each other; [`LearnError::BrokenReducer`] for one without variance; [`LearnError::Overflow`] when rows lie
    /// too far out to be measured.
    pub fn between(rows: &Moments, reducer: &Reducer) -> Result<Self, LearnError> {
        check(rows, reducer)?;
        let totals = rows.settled();
        let count = totals.count as f64;
        let factors = factors(reducer);
        let fitted = reducer.mean.iter().zip(&factors);
        let apart: Vec<f64> = fitted
            .zip(totals.origin.iter().zip(&totals.shift))
            .map(|((mean, factor), (origin, shift))| ((origin - mean) + shift) * factor)
            .collect();
        let apart_squared: f64 = apart.iter().map(|apart| apart * apart).sum();
        let sums: f64 = totals
            .diagonal()
            .zip(&factors)
            .map(|(sum, factor)| sum * factor * factor)
            .sum();
        let moment = sums / count + apart_squared;
        let drift = Self {
            rows: totals.count,
            rows_fitted: reducer.rows,
            shift: (apart_squared / reducer.total_variance).sqrt(),
            sampling_shift: (1.0 / count + 1.0 / reducer.rows as f64).sqrt(),
            spread: sums / (count - 1.0).max(1.0) / reducer.total_variance,
            explained: if moment > 0.0 {
                // A unit vector cannot explain more than there is; rounding can.
                (along_components(&totals, reducer, &apart) / moment).clamp(0.0, 1.0)
            } else {
                1.0
            },
            explained_fitted: reducer.explained_variance_ratio.iter().sum(),
        };
        let measures = [
            drift.shift,
            drift.spread,
            drift.explained,
            drift.explained_fitted,
        ];
        if measures.iter().all(|measure| measure.is_finite()) {
            Ok(drift)
        } else {
            Err(LearnError::Overflow)
        }
    }
}

/// What the columns are multiplied by.
fn factors(reducer: &Reducer) -> Vec<f64> {
    let columns = 0..reducer.input_columns();
    match reducer.scaler() {
        Some(scaler) => columns.map(|column| scaler.factor(column)).collect(),
        None => columns.map(|_| 1.0).collect(),
    }
}

/// Refuses what cannot be measured.
fn check(rows: &Moments, reducer: &Reducer) -> Result<(), LearnError> {
    let shape = |expected: String, got: String| LearnError::Shape {
        operation: "measuring drift",
        expected,
        got,
    };
    let columns = reducer.input_columns();
    if rows.columns() != columns {
        return Err(shape(
            format!("{columns} columns"),
            format!("{} columns", rows.columns()),
        ));
    }
    if rows.count() == 0 {
        return Err(shape("at least 1 row".to_owned(), "none".to_owned()));
    }
    // The fields are public and could have been changed since the fit.
    if reducer.projection.len() != columns * reducer.output_columns() {
        return Err(shape(
            "a reducer as it was fitted".to_owned(),
            format!("{columns} means and {} variances", reducer.output_columns()),
        ));
    }
    let broken = |reason| LearnError::BrokenReducer {
        part: "reducer",
        reason,
    };
    if !(reducer.total_variance > 0.0 && reducer.total_variance.is_finite()) {
        return Err(broken("has no variance"));
    }
    if reducer.rows < 2 {
        return Err(broken("was fitted on fewer than 2 rows"));
    }
    Ok(())
}

/// Σ_k component_kᵀ M component_k, where M is the second moment about the fitted mean and `apart` the difference of
/// the means, both scaled.
fn along_components(totals: &Totals, reducer: &Reducer, apart: &[f64]) -> f64 {
    let columns = totals.columns;
    let kept = reducer.output_columns();
    // D×K: the components with the scaling taken in, so that the co-matrix is used as it is.
    let projection = MatRef::from_row_major_slice(&reducer.projection, columns, kept);
    let mut product = vec![0.0; columns * kept];
    triangular::matmul(
        MatMut::from_row_major_slice_mut(&mut product, columns, kept),
        BlockStructure::Rectangular,
        Accum::Replace,
        MatRef::from_column_major_slice(&totals.comatrix, columns, columns),
        BlockStructure::TriangularLower,
        projection,
        BlockStructure::Rectangular,
        1.0,
        Par::Seq,
    );
    // wᵀCw = 2 · wᵀLw − Σ C_jj·w_j², with L the lower triangle of C and its diagonal.
    let rows = product
        .chunks_exact(kept.max(1))
        .zip(reducer.projection.chunks_exact(kept.max(1)));
    let within: f64 = rows
        .zip(totals.diagonal())
        .map(|((product, weights), sum)| {
            let products = product.iter().zip(weights);
            products
                .map(|(product, weight)| weight * (2.0 * product - sum * weight))
                .sum::<f64>()
        })
        .sum();
    let between: f64 = reducer
        .components
        .chunks_exact(columns.max(1))
        .map(|component| {
            let along: f64 = component
                .iter()
                .zip(apart)
                .map(|(weight, apart)| weight * apart)
                .sum();
            along * along
        })
        .sum();
    within / totals.count as f64 + between
}
