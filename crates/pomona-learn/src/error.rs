use crate::components::ParseComponentsError;

/// Why numbers could not be summarised, fitted or reduced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LearnError {
    /// A block of rows, or another summary, has the wrong size.
    #[error("{operation}: expected {expected}, got {got}")]
    Shape {
        /// What was being done.
        operation: &'static str,
        /// The size it needs, in words.
        expected: String,
        /// The size it was given, in words.
        got: String,
    },
    /// A value that is not a number, infinite, or beyond ±1e140 (its square would overflow in sums).
    /// The block it came in has not been counted.
    #[error(
        "row {row}, column {column} (counted from 0) holds {value}, which is no usable feature"
    )]
    UnusableValue {
        /// Row within the block passed in, from 0.
        row: usize,
        /// Column, from 0.
        column: usize,
        /// The value found.
        value: f64,
    },
    /// Variance needs two rows.
    #[error("a fit needs at least 2 rows, got {rows}")]
    TooFewRows {
        /// Rows counted.
        rows: u64,
    },
    /// Every row is the same: there is no direction to keep.
    #[error("all {rows} rows are the same, so there is nothing to fit")]
    NoVariance {
        /// Rows counted.
        rows: u64,
    },
    /// The number or share of components is not one that can be asked for.
    #[error(transparent)]
    Components(#[from] ParseComponentsError),
    /// The memory could not be had.
    #[error("{columns} columns need {bytes} bytes of memory, which could not be had")]
    OutOfMemory {
        /// Columns of a row.
        columns: usize,
        /// What was asked for.
        bytes: u64,
    },
    /// The sums exceed what a double holds.
    #[error("the sums of squares overflowed: the features are too large to fit")]
    Overflow,
    /// The eigendecomposition did not converge.
    #[error("the eigendecomposition did not converge")]
    NotConverged,
    /// Bytes that are not a summary written by [`Moments::to_bytes`](crate::Moments::to_bytes).
    #[error("not a summary of rows: {reason}")]
    BrokenSummary {
        /// What is wrong with them.
        reason: &'static str,
    },
    /// A model file without a usable reducer in it.
    #[error("the model's reducer cannot be used: {part} {reason}")]
    BrokenReducer {
        /// The part of the file.
        part: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
}

/// Rows in a block of `values` values, or the reason it is not whole rows of `columns`.
pub(crate) fn whole_rows(
    operation: &'static str,
    values: usize,
    columns: usize,
) -> Result<usize, LearnError> {
    if columns == 0 && values == 0 {
        return Ok(0);
    }
    if columns == 0 || !values.is_multiple_of(columns) {
        return Err(LearnError::Shape {
            operation,
            expected: format!("whole rows of {columns} values"),
            got: format!("{values} values"),
        });
    }
    Ok(values / columns)
}

/// Largest magnitude a feature may have: squares of it, summed over 2⁶⁴ rows, stay finite.
pub(crate) const LARGEST: f64 = 1e140;

/// Refuses what cannot be summed, telling the row.
pub(crate) fn all_usable<T: Copy + Into<f64>>(
    rows: &[T],
    columns: usize,
) -> Result<(), LearnError> {
    let usable = |value: &T| {
        let value: f64 = (*value).into();
        // False for NaN too.
        value.abs() <= LARGEST
    };
    // Without an early exit the check is a plain sweep the compiler vectorises.
    if rows.iter().fold(true, |all, value| all & usable(value)) {
        return Ok(());
    }
    match rows.iter().position(|value| !usable(value)) {
        Some(at) => Err(LearnError::UnusableValue {
            row: at / columns,
            column: at % columns,
            value: rows[at].into(),
        }),
        None => Ok(()),
    }
}
