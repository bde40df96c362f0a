mod leading;

use faer::diag::Diag;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{
    ComputeEigenvectors, SelfAdjointEvdParams, self_adjoint_evd, self_adjoint_evd_scratch,
};
use faer::{Mat, MatRef, Par, Spec};

use crate::error::LearnError;

/// Eigenvalues and vectors of a symmetric matrix, largest eigenvalue first.
pub(crate) struct Eigen {
    /// Non-increasing; D values, or the largest ones where only those were asked for.
    pub(crate) values: Vec<f64>,
    /// D×(number of values): column j belongs to value j.
    vectors: Mat<f64>,
}

/// Values and the vectors that belong to them, in columns.
struct Decomposed {
    values: Vec<f64>,
    vectors: Mat<f64>,
}

impl Decomposed {
    /// From rising values to falling ones.
    fn falling(mut self) -> Self {
        self.values.reverse();
        let vectors = self.vectors.as_ref();
        let columns = vectors.ncols();
        self.vectors = vectors.subcols(0, columns).reverse_cols().to_owned();
        self
    }
}

/// How many ways the decomposition splits its work. A constant: its sums depend on the split, not on which
/// threads do it, so the bits are the same on any number of cores.
const SPLITS: usize = 2;

fn parallelism() -> Par {
    Par::rayon(SPLITS)
}

fn parameters() -> Spec<SelfAdjointEvdParams, f64> {
    Spec::default()
}

/// All values, rising, of the matrix whose lower triangle is given; all of it finite.
fn decompose(matrix: MatRef<'_, f64>) -> Result<Decomposed, LearnError> {
    let columns = matrix.nrows();
    let out_of_memory = |_| LearnError::OutOfMemory {
        columns,
        bytes: Eigen::memory_bytes(columns),
    };
    let mut values = Diag::<f64>::zeros(columns);
    let mut vectors = Mat::<f64>::zeros(columns, columns);
    let scratch = self_adjoint_evd_scratch::<f64>(
        columns,
        ComputeEigenvectors::Yes,
        parallelism(),
        parameters(),
    );
    let mut memory = MemBuffer::try_new(scratch).map_err(out_of_memory)?;
    self_adjoint_evd(
        matrix,
        values.as_mut(),
        Some(vectors.as_mut()),
        parallelism(),
        MemStack::new(&mut memory),
        parameters(),
    )
    .map_err(|_| LearnError::NotConverged)?;
    Ok(Decomposed {
        values: values.column_vector().iter().copied().collect(),
        vectors,
    })
}

impl Eigen {
    /// All values and vectors of the D×D matrix whose lower triangle, column-major, is `matrix`; all of it finite.
    pub(crate) fn of(matrix: &[f64], columns: usize) -> Result<Self, LearnError> {
        let matrix = MatRef::from_column_major_slice(matrix, columns, columns);
        let Decomposed { values, vectors } = decompose(matrix)?.falling();
        Ok(Self { values, vectors })
    }

    /// The `count` largest values and their vectors, where that is faster than finding all; all of them where it is
    /// not. Fills in the upper triangle.
    pub(crate) fn leading(
        matrix: &mut [f64],
        columns: usize,
        count: usize,
    ) -> Result<Self, LearnError> {
        if leading::is_worth(columns, count) {
            for column in 0..columns {
                for row in 0..column {
                    matrix[column * columns + row] = matrix[row * columns + column];
                }
            }
            let whole = MatRef::from_column_major_slice(matrix, columns, columns);
            if let Some(Decomposed { values, vectors }) = leading::leading(whole, count) {
                return Ok(Self { values, vectors });
            }
        }
        Self::of(matrix, columns)
    }

    /// The unit vector of value `index`, with the sign that makes its entry of largest magnitude (the
    /// first of them on a tie) positive.
    pub(crate) fn vector(&self, index: usize) -> Vec<f64> {
        let column = self.vectors.col(index);
        let vector: Vec<f64> = column.iter().copied().collect();
        let mut largest = 0.0_f64;
        for value in &vector {
            if value.abs() > largest.abs() {
                largest = *value;
            }
        }
        let sign = if largest < 0.0 { -1.0 } else { 1.0 };
        vector.into_iter().map(|value| value * sign).collect()
    }

    /// Bytes that decomposing takes beside the matrix itself.
    pub(crate) fn memory_bytes(columns: usize) -> u64 {
        if columns == 0 {
            return 0;
        }
        // Beyond this the square alone has left the address space, and the kernels' own sums overflow.
        if columns > 1 << 24 {
            return u64::MAX;
        }
        let scratch = self_adjoint_evd_scratch::<f64>(
            columns,
            ComputeEigenvectors::Yes,
            parallelism(),
            parameters(),
        );
        let vectors = (columns as u64) * (columns as u64 + 1) * 8;
        vectors.saturating_add(scratch.unaligned_bytes_required() as u64)
    }
}
