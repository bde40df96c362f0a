//! AVX-512 with VNNI: sixteen products of pairs, added, in one instruction.

use std::arch::x86_64::*;

use super::Line;

type Vector = __m512i;

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(value: i32) -> Vector {
    _mm512_set1_epi32(value)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load(lanes: &Lanes) -> Vector {
    // SAFETY: lanes are 64 bytes, aligned to 64.
    unsafe { _mm512_load_si512(std::ptr::from_ref(lanes).cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store(vector: Vector, lanes: &mut Lanes) {
    // SAFETY: lanes are 64 bytes, aligned to 64.
    unsafe { _mm512_store_si512(std::ptr::from_mut(lanes).cast(), vector) }
}

#[inline]
#[target_feature(enable = "avx512f,avx512vnni")]
fn multiply_add(sum: Vector, line: &Line, pair: i32) -> Vector {
    // SAFETY: a line is 64 bytes, aligned to 64.
    let line = unsafe { _mm512_load_si512(std::ptr::from_ref(line).cast()) };
    _mm512_dpwssd_epi32(sum, line, _mm512_set1_epi32(pair))
}

/// Where `score` is less, it becomes the best, and `number` where it was found.
#[inline]
#[target_feature(enable = "avx512f")]
fn keep_less(best: &mut Vector, at: &mut Vector, score: Vector, number: Vector) {
    let less = _mm512_cmplt_epi32_mask(score, *best);
    *best = _mm512_min_epi32(*best, score);
    *at = _mm512_mask_mov_epi32(*at, less, number);
}

#[inline]
#[target_feature(enable = "avx512f")]
fn min(a: Vector, b: Vector) -> Vector {
    _mm512_min_epi32(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: Vector, b: Vector) -> Vector {
    _mm512_add_epi32(a, b)
}

kernels!(6, 4, #[target_feature(enable = "avx512f,avx512vnni")]);
