use faer::linalg::matmul::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::error::{LearnError, all_usable, whole_rows};

/// Rows compared with one another at a time.
const BLOCK_ROWS: usize = 256;

/// The index of the training row nearest (Euclidean) to each test row, the first of them on a tie.
///
/// Both blocks are row-major with `columns` columns. Squared distances come as ‖t‖² − 2·t·x (the test row's
/// own norm changes no order), in f64. An error when `train` has no rows, or either block has a value that
/// is no finite number.
pub fn nearest_neighbours(
    train: &[f32],
    test: &[f32],
    columns: usize,
) -> Result<Vec<usize>, LearnError> {
    let train_rows = whole_rows(
        "finding neighbours among training rows",
        train.len(),
        columns,
    )?;
    whole_rows("finding neighbours of test rows", test.len(), columns)?;
    if train_rows == 0 {
        return Err(LearnError::TooFewRows { rows: 0 });
    }
    all_usable(train, columns)?;
    all_usable(test, columns)?;
    Ok(test
        .par_chunks(BLOCK_ROWS * columns)
        .flat_map_iter(|block| nearest_of_block(train, block, columns))
        .collect())
}

fn nearest_of_block(train: &[f32], test: &[f32], columns: usize) -> Vec<usize> {
    let test_rows = test.len() / columns;
    let test: Vec<f64> = test.iter().map(|&value| value.into()).collect();
    let mut nearest = vec![(f64::INFINITY, 0); test_rows];
    let mut products = vec![0.0; test_rows * BLOCK_ROWS];
    for (index, block) in train.chunks(BLOCK_ROWS * columns).enumerate() {
        let rows = block.len() / columns;
        let block: Vec<f64> = block.iter().map(|&value| value.into()).collect();
        let norms: Vec<f64> = block
            .chunks_exact(columns)
            .map(|row| row.iter().map(|value| value * value).sum())
            .collect();
        let products = &mut products[..test_rows * rows];
        matmul(
            MatMut::from_row_major_slice_mut(products, test_rows, rows),
            Accum::Replace,
            MatRef::from_row_major_slice(&test, test_rows, columns),
            MatRef::from_row_major_slice(&block, rows, columns).transpose(),
            1.0,
            Par::Seq,
        );
        for (best, products) in nearest.iter_mut().zip(products.chunks_exact(rows)) {
            for (row, (product, norm)) in products.iter().zip(&norms).enumerate() {
                let distance = norm - 2.0 * product;
                if distance < best.0 {
                    *best = (distance, index * BLOCK_ROWS + row);
                }
            }
        }
    }
    nearest.into_iter().map(|(_, row)| row).collect()
}

/// The share, in [0, 1], of test rows whose nearest training row carries the same label.
///
/// NaN where there is nothing to say: no training or test rows, values that are no finite numbers, or a
/// number of labels that differs from the number of rows. [`nearest_neighbours`] tells what is wrong.
pub fn nearest_neighbour_accuracy(
    train: &[f32],
    train_labels: &[&str],
    test: &[f32],
    test_labels: &[&str],
    columns: usize,
) -> f64 {
    let fits =
        |rows: &[f32], labels: &[&str]| labels.len().checked_mul(columns) == Some(rows.len());
    if test_labels.is_empty() || !fits(train, train_labels) || !fits(test, test_labels) {
        return f64::NAN;
    }
    let Ok(nearest) = nearest_neighbours(train, test, columns) else {
        return f64::NAN;
    };
    let right = nearest
        .iter()
        .zip(test_labels)
        .filter(|&(&neighbour, label)| train_labels[neighbour] == *label)
        .count();
    right as f64 / test_labels.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_equally_near_rows_is_the_neighbour() {
        // 600 copies of two rows fill several blocks.
        let train: Vec<f32> = (0..600_u16)
            .flat_map(|row| [f32::from(row % 2), 3.0])
            .collect();
        let nearest = nearest_neighbours(&train, &[0.1, 3.0, 0.9, 3.0, 0.5, 3.0], 2).unwrap();
        assert_eq!(nearest, [0, 1, 0]);
    }

    #[test]
    fn nothing_to_compare_is_an_error_and_no_accuracy() {
        assert!(nearest_neighbours(&[], &[1.0], 1).is_err());
        assert!(nearest_neighbours(&[1.0], &[f32::NAN], 1).is_err());
        assert!(nearest_neighbours(&[1.0], &[1.0], 0).is_err());
        assert_eq!(
            nearest_neighbours(&[1.0], &[], 1).unwrap(),
            Vec::<usize>::new()
        );
        let accuracy = |train: &[f32], labels: &[&str], test: &[f32], of: &[&str]| {
            nearest_neighbour_accuracy(train, labels, test, of, 1)
        };
        assert_eq!(
            accuracy(&[1.0, 5.0], &["a", "b"], &[4.0, 2.0], &["b", "b"]),
            0.5
        );
        assert!(accuracy(&[1.0], &["a"], &[], &[]).is_nan());
        assert!(accuracy(&[], &[], &[1.0], &["a"]).is_nan());
        assert!(accuracy(&[1.0], &["a", "b"], &[1.0], &["a"]).is_nan());
        assert!(accuracy(&[1.0], &["a"], &[f32::NAN], &["a"]).is_nan());
        assert!(nearest_neighbour_accuracy(&[], &["a"], &[], &["a"], 0).is_nan());
    }
}
