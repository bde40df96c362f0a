use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

/// Side of a square of the result that one thread computes at a time: large enough for the kernels to be
/// at their full rate, small enough that 1,280 columns give two threads an even load.
const TILE: usize = 256;

/// Adds `Σ row·rowᵀ` over row-major `rows` (n×D) to the lower triangle of the D×D `comatrix`.
///
/// Tiles follow from D alone and each is computed by one thread, so the bits do not depend on how many
/// threads there are.
pub(crate) fn add_outer_products(comatrix: &mut [f64], rows: &[f64], columns: usize) {
    if columns == 0 || rows.is_empty() {
        return;
    }
    let count = rows.len() / columns;
    // Row-major n×D read as column-major is its transpose, D×n.
    let transposed = MatRef::from_column_major_slice(rows, columns, count);
    let whole = MatMut::from_column_major_slice_mut(comatrix, columns, columns);
    tiles(whole).into_par_iter().for_each(|tile| {
        let lhs = transposed.subrows(tile.row, tile.matrix.nrows());
        let rhs = transposed
            .subrows(tile.column, tile.matrix.ncols())
            .transpose();
        if tile.row == tile.column {
            triangular::matmul(
                tile.matrix,
                BlockStructure::TriangularLower,
                Accum::Add,
                lhs,
                BlockStructure::Rectangular,
                rhs,
                BlockStructure::Rectangular,
                1.0,
                Par::Seq,
            );
        } else {
            matmul(tile.matrix, Accum::Add, lhs, rhs, 1.0, Par::Seq);
        }
    });
}

struct Tile<'a> {
    row: usize,
    column: usize,
    matrix: MatMut<'a, f64>,
}

/// The lower triangle cut into squares, the diagonal ones holding their upper half unused.
fn tiles(matrix: MatMut<'_, f64>) -> Vec<Tile<'_>> {
    let mut tiles = Vec::new();
    let (mut rest, mut column) = (matrix, 0);
    while rest.ncols() > 0 {
        let width = rest.ncols().min(TILE);
        let (panel, right) = rest.split_at_col_mut(width);
        let (mut panel, mut row) = (panel.split_at_row_mut(column).1, column);
        while panel.nrows() > 0 {
            let height = panel.nrows().min(TILE);
            let (matrix, below) = panel.split_at_row_mut(height);
            tiles.push(Tile {
                row,
                column,
                matrix,
            });
            panel = below;
            row += height;
        }
        rest = right;
        column += width;
    }
    tiles
}
