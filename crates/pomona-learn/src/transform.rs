use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};

use crate::error::{LearnError, all_usable, whole_rows};
use crate::reducer::Reducer;

/// Rows multiplied at a time. Every product has this many rows, the last one with left-over rows that are not
/// read, so that a row's components do not depend, to the bit, on how many rows it came with.
const BLOCK_ROWS: usize = 64;

impl Reducer {
    /// Reduces n×D row-major features to n×K components, which replace what `out` held.
    ///
    /// Computed in f64 and rounded once. A row gives the same bits alone as among others. On an error `out`
    /// is empty.
    pub fn transform(&self, rows: &[f32], out: &mut Vec<f32>) -> Result<(), LearnError> {
        out.clear();
        let columns = self.input_columns();
        let kept = self.output_columns();
        let count = whole_rows("reducing rows", rows.len(), columns)?;
        if count == 0 {
            return Ok(());
        }
        all_usable(rows, columns)?;
        // The fields are public and could have been changed since the fit.
        if self.projection.len() != columns * kept {
            return Err(LearnError::Shape {
                operation: "reducing rows",
                expected: "a reducer as it was fitted".to_owned(),
                got: format!("{columns} means and {kept} variances"),
            });
        }
        out.reserve_exact(count * kept);
        self.for_each_block(rows, |reduced| {
            out.extend(reduced.iter().map(|&value| value as f32));
        });
        if let Some(at) = out.iter().position(|value| !value.is_finite()) {
            let error = LearnError::UnusableValue {
                row: at / kept,
                column: at % kept,
                value: out[at].into(),
            };
            out.clear();
            return Err(error);
        }
        Ok(())
    }

    /// Hands over the components of whole rows (n×D, at least one), some rows at a time.
    fn for_each_block(&self, rows: &[f32], mut take: impl FnMut(&[f64])) {
        let columns = self.input_columns();
        let kept = self.output_columns();
        let projection = MatRef::from_row_major_slice(&self.projection, columns, kept);
        let mut centred = vec![0.0; BLOCK_ROWS * columns];
        let mut reduced = vec![0.0; BLOCK_ROWS * kept];
        for block in rows.chunks(BLOCK_ROWS * columns) {
            for (row, target) in block
                .chunks_exact(columns)
                .zip(centred.chunks_exact_mut(columns))
            {
                for ((cell, &value), mean) in target.iter_mut().zip(row).zip(&self.mean) {
                    *cell = f64::from(value) - mean;
                }
            }
            matmul(
                MatMut::from_row_major_slice_mut(&mut reduced, BLOCK_ROWS, kept),
                Accum::Replace,
                MatRef::from_row_major_slice(&centred, BLOCK_ROWS, columns),
                projection,
                1.0,
                Par::Seq,
            );
            let values = block.len() / columns * kept;
            take(&reduced[..values]);
        }
    }

    /// Fills in what [`transform`](Self::transform) multiplies by.
    pub(crate) fn with_projection(mut self) -> Self {
        let columns = self.input_columns();
        let kept = self.output_columns();
        let scaler = self.scaler();
        let mut projection = vec![0.0; columns * kept];
        for (column, row) in projection.chunks_exact_mut(kept.max(1)).enumerate() {
            let factor = scaler.as_ref().map_or(1.0, |scaler| scaler.factor(column));
            for (component, cell) in row.iter_mut().enumerate() {
                *cell = self.components[component * columns + column] * factor;
            }
        }
        self.projection = projection;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Kernels for a single row sum in another order than those for many; rounding to f32 hides it almost
    /// always, so this looks at the doubles.
    #[test]
    fn a_row_alone_gives_the_same_doubles_as_among_others() {
        let (columns, kept, rows) = (1_280, 100, 150);
        let wave = |count: usize, step: f64| (0..count).map(move |at| (at as f64 * step).sin());
        let reducer = Reducer {
            mean: wave(columns, 0.7).collect(),
            deviation: None,
            components: wave(columns * kept, 1.3).collect(),
            explained_variance: vec![1.0; kept],
            explained_variance_ratio: vec![1.0; kept],
            total_variance: kept as f64,
            rank: kept,
            rows: 2,
            projection: Vec::new(),
        }
        .with_projection();
        let features: Vec<f32> = wave(rows * columns, 0.11)
            .map(|value| value as f32)
            .collect();
        let doubles = |features: &[f32]| {
            let mut out = Vec::new();
            reducer.for_each_block(features, |reduced| out.extend_from_slice(reduced));
            out
        };
        let together = doubles(&features);
        for size in [1, 2, 7, 64, 65] {
            let apart: Vec<f64> = features.chunks(size * columns).flat_map(doubles).collect();
            assert!(apart == together, "{size} rows at a time");
        }
    }
}
