//! AVX2: eight products of pairs at a time.

use std::arch::x86_64::*;

use super::Line;

type Vector = [__m256i; 2];

#[inline]
#[target_feature(enable = "avx2")]
fn splat(value: i32) -> Vector {
    [_mm256_set1_epi32(value); 2]
}

#[inline]
#[target_feature(enable = "avx2")]
fn load(lanes: &Lanes) -> Vector {
    let at = std::ptr::from_ref(lanes).cast::<__m256i>();
    // SAFETY: lanes are 64 bytes, aligned to 64.
    unsafe { [_mm256_load_si256(at), _mm256_load_si256(at.add(1))] }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(vector: Vector, lanes: &mut Lanes) {
    let at = std::ptr::from_mut(lanes).cast::<__m256i>();
    // SAFETY: lanes are 64 bytes, aligned to 64.
    unsafe {
        _mm256_store_si256(at, vector[0]);
        _mm256_store_si256(at.add(1), vector[1]);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn multiply_add(sum: Vector, line: &Line, pair: i32) -> Vector {
    let at = std::ptr::from_ref(line).cast::<__m256i>();
    // SAFETY: a line is 64 bytes, aligned to 64.
    let (low, high) = unsafe { (_mm256_load_si256(at), _mm256_load_si256(at.add(1))) };
    let pair = _mm256_set1_epi32(pair);
    [
        _mm256_add_epi32(sum[0], _mm256_madd_epi16(low, pair)),
        _mm256_add_epi32(sum[1], _mm256_madd_epi16(high, pair)),
    ]
}

/// Where `score` is less, it becomes the best, and `number` where it was found.
#[inline]
#[target_feature(enable = "avx2")]
fn keep_less(best: &mut Vector, at: &mut Vector, score: Vector, number: Vector) {
    for half in 0..2 {
        let less = _mm256_cmpgt_epi32(best[half], score[half]);
        best[half] = _mm256_min_epi32(best[half], score[half]);
        at[half] = _mm256_blendv_epi8(at[half], number[half], less);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn min(a: Vector, b: Vector) -> Vector {
    [_mm256_min_epi32(a[0], b[0]), _mm256_min_epi32(a[1], b[1])]
}

#[inline]
#[target_feature(enable = "avx2")]
fn add(a: Vector, b: Vector) -> Vector {
    [_mm256_add_epi32(a[0], b[0]), _mm256_add_epi32(a[1], b[1])]
}

kernels!(4, 1, #[target_feature(enable = "avx2")]);
