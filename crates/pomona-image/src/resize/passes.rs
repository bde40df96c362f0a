//! The two passes. Both are weighted sums of rows: the horizontal pass works on strips turned by a quarter, so that
//! neighbouring values of a sum lie side by side and the compiler can use vector instructions.

use super::coefficients::{Coefficients, PRECISION_BITS};
use crate::rgb::RgbImage;

/// Rows turned at once: 32 pixels of 3 bytes are whole vectors, and a strip stays in the cache.
const STRIP_ROWS: usize = 32;

/// Values summed at once.
const LANES: usize = 32;

pub(super) fn vertical(image: &RgbImage, coefficients: &Coefficients) -> RgbImage {
    let stride = image.width() as usize * 3;
    let mut pixels = vec![0; stride * coefficients.len()];
    weigh_rows(image.pixels(), stride, coefficients, &mut pixels);
    RgbImage::from_parts(image.width(), coefficients.len() as u32, pixels)
}

pub(super) fn horizontal(image: &RgbImage, coefficients: &Coefficients) -> RgbImage {
    let (width, height) = image.sides();
    let out_width = coefficients.len();
    let mut pixels = vec![0; out_width * height * 3];
    #[cfg(target_arch = "x86_64")]
    if let Some(windows) = coefficients.windows() {
        // SAFETY: there are windows only where the processor can.
        unsafe { windows.run(image.pixels(), width * 3, &mut pixels, out_width * 3) };
        return RgbImage::from_parts(out_width as u32, image.height(), pixels);
    }
    turned_horizontal(image, coefficients, &mut pixels);
    RgbImage::from_parts(out_width as u32, image.height(), pixels)
}

/// The horizontal pass as a vertical one on strips turned by a quarter.
fn turned_horizontal(image: &RgbImage, coefficients: &Coefficients, pixels: &mut [u8]) {
    let width = image.sides().0;
    let out_width = coefficients.len();
    let mut turned = vec![0; width * STRIP_ROWS * 3];
    let mut weighed = vec![0; out_width * STRIP_ROWS * 3];
    let strips = image.pixels().chunks(width * STRIP_ROWS * 3);
    for (out, strip) in pixels.chunks_mut(out_width * STRIP_ROWS * 3).zip(strips) {
        let rows = strip.len() / (width * 3);
        // HWC → WHC, weighed, and back.
        let turned = &mut turned[..width * rows * 3];
        let weighed = &mut weighed[..out_width * rows * 3];
        turn(strip, width, rows, turned);
        weigh_rows(turned, rows * 3, coefficients, weighed);
        turn(weighed, rows, out_width, out);
    }
}

/// Rows turned together: their pixels of a column lie side by side in the target.
const TOGETHER: usize = 16;

/// Writes the `rows` × `columns` pixels of `source` as `columns` × `rows`.
fn turn(source: &[u8], columns: usize, rows: usize, target: &mut [u8]) {
    let source = &source.as_chunks::<3>().0[..rows * columns];
    let target = &mut target.as_chunks_mut::<3>().0[..rows * columns];
    let whole = rows - rows % TOGETHER;
    for y in (0..whole).step_by(TOGETHER) {
        let block: [&[[u8; 3]]; TOGETHER] =
            std::array::from_fn(|row| &source[(y + row) * columns..][..columns]);
        for x in 0..columns {
            let out = &mut target[x * rows + y..][..TOGETHER];
            for (pixel, row) in out.iter_mut().zip(&block) {
                *pixel = row[x];
            }
        }
    }
    for y in whole..rows {
        let row = &source[y * columns..][..columns];
        for (x, pixel) in row.iter().enumerate() {
            target[x * rows + y] = *pixel;
        }
    }
}

/// Each row of `out` is the weighted sum of rows of `source`; rows have `stride` values.
fn weigh_rows(source: &[u8], stride: usize, coefficients: &Coefficients, out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f")
        && std::arch::is_x86_feature_detected!("avx512bw")
    {
        // SAFETY: the processor has both.
        return unsafe { weigh_rows_avx512(source, stride, coefficients, out) };
    }
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2.
        return unsafe { weigh_rows_avx2(source, stride, coefficients, out) };
    }
    weigh_rows_portably(source, stride, coefficients, out);
}

/// The same code, compiled for processors that multiply eight 32-bit numbers at once.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn weigh_rows_avx2(source: &[u8], stride: usize, coefficients: &Coefficients, out: &mut [u8]) {
    weigh_rows_portably(source, stride, coefficients, out);
}

/// The same sums, 64 or 16 at once, in registers: the compiler keeps those of the portable code in memory.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
fn weigh_rows_avx512(source: &[u8], stride: usize, coefficients: &Coefficients, out: &mut [u8]) {
    if stride < 16 {
        return weigh_rows_portably(source, stride, coefficients, out);
    }
    for (out_row, (first, weights)) in out.chunks_exact_mut(stride).zip(coefficients.positions()) {
        let rows = &source[first * stride..];
        let wide = stride / 64 * 64;
        for at in (0..wide).step_by(64) {
            weigh_avx512::<4>(rows, at, stride, weights, out_row);
        }
        for at in (wide..stride).step_by(16) {
            // The last one ends with the row: what it shares with the one before is written twice.
            weigh_avx512::<1>(rows, at.min(stride - 16), stride, weights, out_row);
        }
    }
}

/// `N` vectors of 16 neighbouring values of one output row.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw")]
fn weigh_avx512<const N: usize>(
    rows: &[u8],
    at: usize,
    stride: usize,
    weights: &[i32],
    out_row: &mut [u8],
) {
    use std::arch::x86_64::{
        __m128i, _mm_loadu_si128, _mm_storeu_si128, _mm512_add_epi32, _mm512_cvtepi32_epi8,
        _mm512_cvtepu8_epi32, _mm512_max_epi32, _mm512_min_epi32, _mm512_mullo_epi32,
        _mm512_set1_epi32, _mm512_setzero_si512, _mm512_srai_epi32,
    };
    const SHIFT: u32 = PRECISION_BITS;
    let mut sums = [_mm512_set1_epi32(1 << (SHIFT - 1)); N];
    for (tap, &weight) in weights.iter().enumerate() {
        let weight = _mm512_set1_epi32(weight);
        let values = rows[at + tap * stride..][..N * 16].as_chunks::<16>().0;
        for (sum, values) in sums.iter_mut().zip(values) {
            // SAFETY: 16 bytes lie there; the load asks for no alignment.
            let bytes = unsafe { _mm_loadu_si128(values.as_ptr().cast::<__m128i>()) };
            let products = _mm512_mullo_epi32(weight, _mm512_cvtepu8_epi32(bytes));
            *sum = _mm512_add_epi32(*sum, products);
        }
    }
    let (zero, most) = (_mm512_setzero_si512(), _mm512_set1_epi32(255));
    let values = out_row[at..][..N * 16].as_chunks_mut::<16>().0;
    for (sum, values) in sums.into_iter().zip(values) {
        let value = _mm512_srai_epi32::<SHIFT>(sum);
        let value = _mm512_cvtepi32_epi8(_mm512_min_epi32(_mm512_max_epi32(value, zero), most));
        // SAFETY: 16 bytes lie there; the store asks for no alignment.
        unsafe { _mm_storeu_si128(values.as_mut_ptr().cast::<__m128i>(), value) };
    }
}

#[inline(always)]
fn weigh_rows_portably(source: &[u8], stride: usize, coefficients: &Coefficients, out: &mut [u8]) {
    for (out_row, (first, weights)) in out.chunks_exact_mut(stride).zip(coefficients.positions()) {
        let rows = &source[first * stride..];
        let (blocks, rest) = out_row.as_chunks_mut::<LANES>();
        let done = blocks.len() * LANES;
        for (index, block) in blocks.iter_mut().enumerate() {
            weigh(rows, index * LANES, stride, weights, block);
        }
        for (index, value) in rest.iter_mut().enumerate() {
            weigh::<1>(
                rows,
                done + index,
                stride,
                weights,
                std::array::from_mut(value),
            );
        }
    }
}

/// `N` neighbouring values of one output row, of the column `at` and after.
#[inline(always)]
fn weigh<const N: usize>(
    rows: &[u8],
    at: usize,
    stride: usize,
    weights: &[i32],
    out: &mut [u8; N],
) {
    // Half of one, so that cutting the fraction off rounds.
    let mut sums = [1_i32 << (PRECISION_BITS - 1); N];
    let mut start = at;
    for &weight in weights {
        let Some(values) = rows.get(start..).and_then(<[u8]>::first_chunk::<N>) else {
            break;
        };
        for (sum, &value) in sums.iter_mut().zip(values) {
            // Weights add up to one and overshoot by less than half: no sum leaves 32 bits.
            *sum = sum.wrapping_add(weight.wrapping_mul(i32::from(value)));
        }
        start += stride;
    }
    // A loop: `map` of an array stays a function of its own, compiled for the oldest processor.
    for (value, sum) in out.iter_mut().zip(sums) {
        *value = (sum >> PRECISION_BITS).clamp(0, 255) as u8;
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kernel;
    use super::*;

    #[test]
    fn turning_twice_gives_the_same_and_once_gives_columns_as_rows() {
        for (columns, rows) in [(1, 1), (3, 15), (7, 16), (5, 17), (2, 33)] {
            let source: Vec<u8> = (0..columns * rows * 3).map(|index| index as u8).collect();
            let (mut turned, mut back) = (vec![0; source.len()], vec![0; source.len()]);
            turn(&source, columns, rows, &mut turned);
            for (x, y) in (0..columns).flat_map(|x| (0..rows).map(move |y| (x, y))) {
                let (from, to) = ((y * columns + x) * 3, (x * rows + y) * 3);
                assert_eq!(
                    turned[to..to + 3],
                    source[from..from + 3],
                    "{columns} × {rows}"
                );
            }
            turn(&turned, rows, columns, &mut back);
            assert_eq!(back, source);
        }
    }

    /// Sizes with and without windows, and rows that end in the middle of a load.
    #[test]
    fn rows_are_summed_alike_turned_and_not() {
        for (from, to) in [
            (1, 6),
            (2, 7),
            (5, 40),
            (37, 50),
            (100, 224),
            (224, 150),
            (300, 16),
        ] {
            for kernel in [Kernel::Bilinear, Kernel::Bicubic, Kernel::Lanczos3] {
                let coefficients = Coefficients::new(kernel, from, to);
                let height = 19;
                let pixels = (0..from * height * 3)
                    .map(|index| (index.wrapping_mul(2_654_435_761) >> 24) as u8)
                    .collect();
                let image = RgbImage::from_parts(from, height, pixels);
                let mut turned = vec![1; (to * height * 3) as usize];
                turned_horizontal(&image, &coefficients, &mut turned);
                let summed = horizontal(&image, &coefficients);
                assert_eq!(summed.pixels(), turned, "{from} to {to}, {kernel:?}");
            }
        }
    }

    /// Compiled for other processors the code must give what the reference tests check on this one.
    #[test]
    fn all_compilations_give_the_same() {
        let coefficients = Coefficients::new(Kernel::Lanczos3, 37, 50);
        let stride = 75;
        let source: Vec<u8> = (0..37 * stride)
            .map(|index| (index * 89 % 256) as u8)
            .collect();
        let (mut chosen, mut portable) = (vec![0; 50 * stride], vec![1; 50 * stride]);
        weigh_rows(&source, stride, &coefficients, &mut chosen);
        weigh_rows_portably(&source, stride, &coefficients, &mut portable);
        assert_eq!(chosen, portable);
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx2") {
            let mut narrower = vec![2; 50 * stride];
            // SAFETY: the processor has AVX2.
            unsafe { weigh_rows_avx2(&source, stride, &coefficients, &mut narrower) };
            assert_eq!(chosen, narrower);
        }
    }
}
