//! The largest eigenvalues of a symmetric matrix and their vectors, without the others.
//!
//! Block Krylov with thick restarts (Zhou and Saad, "Block Krylov–Schur method for large symmetric eigenvalue
//! problems", 2008), every block orthogonalised against all before it. It works in products of matrices, where the full
//! decomposition spends its time on products with vectors; what it finds is certified before it is used.

use faer::linalg::cholesky::llt::factor::{cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::matmul::matmul;
use faer::linalg::matmul::triangular::{self, BlockStructure};
use faer::{
    Accum, Mat, MatMut, MatRef,
    dyn_stack::{MemBuffer, MemStack},
};

use super::{Decomposed, decompose, parallelism};

/// Vectors multiplied at once.
const BLOCK: usize = 12;
/// Restarts before the full decomposition is the better choice.
const ROUNDS: usize = 8;
/// Largest `‖A·v − λ·v‖` of a vector that is kept, relative to the largest eigenvalue.
const RESIDUAL: f64 = 1e-12;
/// How far above the last value found a value may lie and count as equal to it, relative to the largest.
const TIE: f64 = 1e-10;
/// Smaller matrices are decomposed whole as fast.
const FEWEST_COLUMNS: usize = 512;

/// Whether [`leading`] is worth trying for so many values.
pub(super) fn is_worth(columns: usize, count: usize) -> bool {
    columns >= FEWEST_COLUMNS && count <= columns / 8
}

/// The `count` largest values and their vectors; `None` where they do not converge or one may have been missed.
pub(super) fn leading(matrix: MatRef<'_, f64>, count: usize) -> Option<Decomposed> {
    let columns = matrix.nrows();
    let kept = count + 4 * BLOCK;
    // Rounded up to whole blocks after what a restart keeps.
    let most = kept + (count + 4 * BLOCK).next_multiple_of(BLOCK);
    if most + BLOCK > columns {
        return None;
    }
    let mut space = Space::start(columns, most);
    for _ in 0..ROUNDS {
        while space.width + BLOCK <= most {
            space.multiply_last(matrix);
            space.add_block();
        }
        space.multiply_last(matrix);
        let ritz = space.ritz()?;
        if space.largest_residual(&ritz, count) <= RESIDUAL * ritz.values[0].abs() {
            let found = space.vectors(&ritz, count);
            return certified(matrix, found);
        }
        space.restart(&ritz, kept);
    }
    None
}

/// An orthonormal basis and its product with the matrix.
struct Space {
    /// Columns of both that are in use.
    width: usize,
    /// Columns of `basis` that were multiplied.
    multiplied: usize,
    basis: Mat<f64>,
    product: Mat<f64>,
    noise: Noise,
}

impl Space {
    fn start(columns: usize, most: usize) -> Self {
        let mut space = Self {
            width: 0,
            multiplied: 0,
            basis: Mat::zeros(columns, most),
            product: Mat::zeros(columns, most),
            noise: Noise(0x9E37_79B9_7F4A_7C15),
        };
        for column in 0..BLOCK {
            space.noise.fill(space.basis.as_mut(), column);
        }
        space.orthonormalise_next();
        space
    }

    fn multiply_last(&mut self, matrix: MatRef<'_, f64>) {
        let (from, to) = (self.multiplied, self.width);
        matmul(
            self.product.as_mut().subcols_mut(from, to - from),
            Accum::Replace,
            matrix,
            self.basis.as_ref().subcols(from, to - from),
            1.0,
            parallelism(),
        );
        self.multiplied = to;
    }

    /// Adds what the last block became when multiplied.
    fn add_block(&mut self) {
        let source = self.product.as_ref().subcols(self.width - BLOCK, BLOCK);
        self.basis
            .as_mut()
            .subcols_mut(self.width, BLOCK)
            .copy_from(source);
        self.orthonormalise_next();
    }

    /// Makes the block after the basis a part of it.
    fn orthonormalise_next(&mut self) {
        let start = self.width;
        let (basis, rest) = self.basis.as_mut().split_at_col_mut(start);
        let basis = basis.as_ref();
        let mut block = rest.subcols_mut(0, BLOCK);
        // Twice is enough (Giraud, Langou and Rozložník, 2005).
        for _ in 0..2 {
            remove(basis, block.as_mut());
        }
        for column in 0..BLOCK {
            let before = norm(block.as_ref(), column);
            remove_earlier(block.as_mut(), column);
            remove_earlier(block.as_mut(), column);
            let mut after = norm(block.as_ref(), column);
            if after <= before * 1e-10 {
                // Nothing new in this direction: any other goes on as well.
                self.noise.fill(block.as_mut(), column);
                for _ in 0..3 {
                    remove(basis, block.as_mut().subcols_mut(column, 1));
                    remove_earlier(block.as_mut(), column);
                }
                after = norm(block.as_ref(), column);
            }
            for value in block.as_mut().col_mut(column).iter_mut() {
                *value /= after;
            }
        }
        self.width += BLOCK;
    }

    /// Values and vectors within the space.
    fn ritz(&self) -> Option<Decomposed> {
        let width = self.width;
        let mut inner = Mat::zeros(width, width);
        matmul(
            inner.as_mut(),
            Accum::Replace,
            self.basis.as_ref().subcols(0, width).transpose(),
            self.product.as_ref().subcols(0, width),
            1.0,
            parallelism(),
        );
        decompose(inner.as_ref()).ok().map(Decomposed::falling)
    }

    fn largest_residual(&self, ritz: &Decomposed, count: usize) -> f64 {
        let shares = ritz.vectors.as_ref().subcols(0, count);
        let mut difference = combined(&self.product, self.width, shares);
        let vectors = combined(&self.basis, self.width, shares);
        let mut largest = 0.0_f64;
        for (column, value) in ritz.values[..count].iter().enumerate() {
            let parts = difference.col_mut(column).iter_mut();
            for (part, entry) in parts.zip(vectors.col(column).iter()) {
                *part -= value * entry;
            }
            let residual = norm(difference.as_ref(), column);
            // Not a number counts as far off.
            largest = if residual <= largest {
                largest
            } else {
                residual
            };
        }
        largest
    }

    fn vectors(&self, ritz: &Decomposed, count: usize) -> Decomposed {
        Decomposed {
            values: ritz.values[..count].to_vec(),
            vectors: combined(
                &self.basis,
                self.width,
                ritz.vectors.as_ref().subcols(0, count),
            ),
        }
    }

    /// Goes on with the first `kept` vectors and what the last block became.
    fn restart(&mut self, ritz: &Decomposed, kept: usize) {
        let shares = ritz.vectors.as_ref().subcols(0, kept);
        let last = self
            .product
            .as_ref()
            .subcols(self.width - BLOCK, BLOCK)
            .to_owned();
        // Against the whole space, before it shrinks.
        let mut next = last;
        for _ in 0..2 {
            remove(self.basis.as_ref().subcols(0, self.width), next.as_mut());
        }
        let basis = combined(&self.basis, self.width, shares);
        let product = combined(&self.product, self.width, shares);
        self.basis.as_mut().subcols_mut(0, kept).copy_from(&basis);
        self.product
            .as_mut()
            .subcols_mut(0, kept)
            .copy_from(&product);
        self.basis
            .as_mut()
            .subcols_mut(kept, BLOCK)
            .copy_from(&next);
        self.width = kept;
        self.multiplied = kept;
        self.orthonormalise_next();
    }
}

/// The first `width` columns, combined.
fn combined(columns: &Mat<f64>, width: usize, shares: MatRef<'_, f64>) -> Mat<f64> {
    let mut combined = Mat::zeros(columns.nrows(), shares.ncols());
    matmul(
        combined.as_mut(),
        Accum::Replace,
        columns.as_ref().subcols(0, width),
        shares,
        1.0,
        parallelism(),
    );
    combined
}

/// Takes from `block` what lies in the span of the orthonormal `basis`.
fn remove(basis: MatRef<'_, f64>, mut block: MatMut<'_, f64>) {
    if basis.ncols() == 0 {
        return;
    }
    let mut shares = Mat::zeros(basis.ncols(), block.ncols());
    matmul(
        shares.as_mut(),
        Accum::Replace,
        basis.transpose(),
        block.as_ref(),
        1.0,
        parallelism(),
    );
    matmul(
        block.as_mut(),
        Accum::Add,
        basis,
        shares.as_ref(),
        -1.0,
        parallelism(),
    );
}

/// Takes from column `column` what lies in the span of those before it in the block.
fn remove_earlier(block: MatMut<'_, f64>, column: usize) {
    let (earlier, rest) = block.split_at_col_mut(column);
    remove(earlier.as_ref(), rest.subcols_mut(0, 1));
}

fn norm(columns: MatRef<'_, f64>, column: usize) -> f64 {
    columns
        .col(column)
        .iter()
        .map(|value| value * value)
        .sum::<f64>()
        .sqrt()
}

/// What was found, if no larger value was missed: then `σ·I − A + V·Λ·Vᵀ`, σ just above the last value, has only
/// positive eigenvalues, and its Cholesky factor exists.
fn certified(matrix: MatRef<'_, f64>, found: Decomposed) -> Option<Decomposed> {
    let columns = matrix.nrows();
    let (first, last) = (*found.values.first()?, *found.values.last()?);
    let mut rest = matrix.to_owned();
    let mut scaled = found.vectors.clone();
    for (column, value) in found.values.iter().enumerate() {
        for entry in scaled.col_mut(column).iter_mut() {
            *entry *= value;
        }
    }
    triangular::matmul(
        rest.as_mut(),
        BlockStructure::TriangularLower,
        Accum::Add,
        scaled.as_ref(),
        BlockStructure::Rectangular,
        found.vectors.as_ref().transpose(),
        BlockStructure::Rectangular,
        -1.0,
        parallelism(),
    );
    let bound = last + TIE * first;
    for column in 0..columns {
        for row in column..columns {
            rest[(row, column)] = -rest[(row, column)];
        }
        rest[(column, column)] += bound;
    }
    let scratch = cholesky_in_place_scratch::<f64>(columns, parallelism(), faer::Spec::default());
    let mut memory = MemBuffer::try_new(scratch).ok()?;
    cholesky_in_place(
        rest.as_mut(),
        faer::linalg::cholesky::llt::factor::LltRegularization::default(),
        parallelism(),
        MemStack::new(&mut memory),
        faer::Spec::default(),
    )
    .ok()?;
    Some(found)
}

/// Numbers without a pattern, the same every time (SplitMix64).
struct Noise(u64);

impl Noise {
    fn fill(&mut self, mut columns: MatMut<'_, f64>, column: usize) {
        for value in columns.as_mut().col_mut(column).iter_mut() {
            self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut mixed = self.0;
            mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
            mixed ^= mixed >> 31;
            // 53 bits make a number in −1..1.
            *value = (mixed >> 11) as f64 / (1_u64 << 52) as f64 - 1.0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: usize = 560;

    /// `Q·diag(values)·Qᵀ` with an orthogonal Q without structure.
    fn matrix(values: &[f64]) -> Mat<f64> {
        let columns = values.len();
        let mut noise = Noise(7);
        let mut start = Mat::zeros(columns, columns);
        for column in 0..columns {
            noise.fill(start.as_mut(), column);
        }
        let turned = start.as_ref().qr().compute_Q();
        let mut scaled = turned.clone();
        for (column, value) in values.iter().enumerate() {
            for entry in scaled.col_mut(column).iter_mut() {
                *entry *= value;
            }
        }
        &scaled * turned.transpose()
    }

    fn check(whole: &Mat<f64>, found: &Decomposed) {
        let all = decompose(whole.as_ref()).unwrap().falling();
        for (index, value) in found.values.iter().enumerate() {
            let difference = (value - all.values[index]).abs();
            assert!(difference <= 1e-12 * all.values[0], "{index}: {difference}");
        }
        let product = whole * &found.vectors;
        let square = found.vectors.transpose() * &found.vectors;
        for (index, value) in found.values.iter().enumerate() {
            for row in 0..whole.nrows() {
                let residual = product[(row, index)] - value * found.vectors[(row, index)];
                assert!(residual.abs() <= 1e-11 * all.values[0]);
            }
            for other in 0..found.values.len() {
                let expected = f64::from(u8::from(other == index));
                assert!((square[(other, index)] - expected).abs() < 1e-12);
            }
        }
    }

    #[test]
    fn the_largest_of_falling_values_are_those_of_the_whole_decomposition() {
        let values: Vec<f64> = (0..COLUMNS).map(|at| 90.0 / (1.0 + at as f64)).collect();
        let whole = matrix(&values);
        let found = leading(whole.as_ref(), 50).unwrap();
        assert_eq!(found.values.len(), 50);
        check(&whole, &found);
    }

    /// A block meets only as many as it has vectors of 45 equal values at first.
    #[test]
    fn none_of_many_equal_values_is_missed() {
        let mut values = vec![5.0; 45];
        values.extend((45..COLUMNS as i32).map(|at| 4.0 * 0.97_f64.powi(at - 44)));
        let whole = matrix(&values);
        if let Some(found) = leading(whole.as_ref(), 60) {
            check(&whole, &found);
        }
    }

    #[test]
    fn few_rows_span_few_directions() {
        let mut values = vec![0.0; COLUMNS];
        for (at, value) in values.iter_mut().take(12).enumerate() {
            *value = 12.0 - at as f64;
        }
        let whole = matrix(&values);
        if let Some(found) = leading(whole.as_ref(), 30) {
            check(&whole, &found);
        }
    }

    #[test]
    fn a_missed_value_is_noticed() {
        let values: Vec<f64> = (0..COLUMNS).map(|at| 90.0 / (1.0 + at as f64)).collect();
        let whole = matrix(&values);
        let mut found = leading(whole.as_ref(), 30).unwrap();
        found.values.remove(10);
        found.vectors = Mat::from_fn(COLUMNS, 29, |row, column| {
            found.vectors[(row, column + usize::from(column >= 10))]
        });
        assert!(certified(whole.as_ref(), found).is_none());
    }
}
