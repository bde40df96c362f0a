//! Any processor; the compiler finds what vector instructions it may use.

use super::Line;

type Vector = [i32; 16];

#[inline]
fn splat(value: i32) -> Vector {
    [value; 16]
}

#[inline]
fn load(lanes: &Lanes) -> Vector {
    lanes.0
}

#[inline]
fn store(vector: Vector, lanes: &mut Lanes) {
    lanes.0 = vector;
}

#[inline]
fn multiply_add(mut sum: Vector, line: &Line, pair: i32) -> Vector {
    // All factors are 16 bits wide before they are widened: that is what vector instructions multiply.
    let (low, high) = (pair as i16, (pair >> 16) as i16);
    for (sum, [first, second]) in sum.iter_mut().zip(line.0.as_chunks().0) {
        let product =
            (i32::from(*first) * i32::from(low)).wrapping_add(i32::from(*second) * i32::from(high));
        *sum = sum.wrapping_add(product);
    }
    sum
}

/// Where `score` is less, it becomes the best, and `number` where it was found.
#[inline]
fn keep_less(best: &mut Vector, at: &mut Vector, score: Vector, number: Vector) {
    for lane in 0..LANES {
        let less = score[lane] < best[lane];
        best[lane] = if less { score[lane] } else { best[lane] };
        at[lane] = if less { number[lane] } else { at[lane] };
    }
}

#[inline]
fn min(a: Vector, b: Vector) -> Vector {
    std::array::from_fn(|lane| a[lane].min(b[lane]))
}

#[inline]
fn add(a: Vector, b: Vector) -> Vector {
    std::array::from_fn(|lane| a[lane].wrapping_add(b[lane]))
}

kernels!(4, 1,);
