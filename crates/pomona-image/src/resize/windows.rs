//! The horizontal pass on processors that pick any bytes out of 64 at once (AVX-512 VBMI).
//!
//! Sixteen neighbouring values of an output row come from few neighbouring pixels, as long as an image is not made
//! much smaller. Those are loaded once, and each step picks the value that the next weight belongs to. The sums are
//! those of the other passes, to the bit, without turning the image by a quarter and back.

use super::coefficients::{Coefficients, PRECISION_BITS};

/// Values summed at once.
const LANES: usize = 16;
/// Bytes that a load holds.
const WINDOW_BYTES: usize = 64;
/// Rows that go through all groups before the next: they stay in the cache.
const STRIP_ROWS: usize = 16;

/// What is done for each output row from one length to another.
pub(super) struct Windows {
    groups: Vec<Group>,
    steps: Vec<Step>,
}

/// Sixteen values of an output row.
struct Group {
    /// The first of them.
    at: usize,
    /// The first byte of the input row that they come from.
    from: usize,
    /// How many of the steps are theirs.
    steps: usize,
}

/// One weight of each value, and where in the load it finds what it weighs.
#[repr(align(64))]
struct Step {
    picks: [i32; LANES],
    weights: [i32; LANES],
}

impl Windows {
    /// None where a row is shorter than one group, or where a group comes from more than one load.
    pub(super) fn new(coefficients: &Coefficients) -> Option<Self> {
        let values = coefficients.len() * 3;
        let last = values.checked_sub(LANES)?;
        let positions: Vec<(usize, &[i32])> = coefficients.positions().collect();
        let mut windows = Self {
            groups: Vec::with_capacity(values.div_ceil(LANES)),
            steps: Vec::new(),
        };
        for at in (0..values).step_by(LANES) {
            // The last one ends with the row: what it shares with the one before is written twice.
            let at = at.min(last);
            let lanes: [(usize, &[i32]); LANES] = std::array::from_fn(|lane| {
                let (first, weights) = positions[(at + lane) / 3];
                (first * 3 + (at + lane) % 3, weights)
            });
            let from = lanes.iter().map(|(first, _)| first - first % 3).min()?;
            let steps = lanes.iter().map(|(_, weights)| weights.len()).max()?;
            for number in 0..steps {
                let mut step = Step {
                    picks: [0; LANES],
                    weights: [0; LANES],
                };
                for (lane, (first, weights)) in lanes.iter().enumerate() {
                    let Some(&weight) = weights.get(number) else {
                        continue;
                    };
                    let pick = first + number * 3 - from;
                    if pick >= WINDOW_BYTES {
                        return None;
                    }
                    step.picks[lane] = pick as i32;
                    step.weights[lane] = weight;
                }
                windows.steps.push(step);
            }
            windows.groups.push(Group { at, from, steps });
        }
        Some(windows)
    }

    /// Whether this processor can.
    pub(super) fn can_run() -> bool {
        std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vbmi")
    }

    /// Rows of `in_stride` bytes to rows of `out_stride`, those that the coefficients were made for.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    pub(super) fn run(&self, source: &[u8], in_stride: usize, out: &mut [u8], out_stride: usize) {
        use std::arch::x86_64::{
            __m128i, _mm_storeu_si128, _mm512_add_epi32, _mm512_cvtepi32_epi8, _mm512_loadu_si512,
            _mm512_maskz_loadu_epi8, _mm512_maskz_permutexvar_epi8, _mm512_max_epi32,
            _mm512_min_epi32, _mm512_mullo_epi32, _mm512_set1_epi32, _mm512_setzero_si512,
            _mm512_srai_epi32,
        };
        /// The lowest byte of each lane.
        const LOWEST: u64 = 0x1111_1111_1111_1111;

        let half = _mm512_set1_epi32(1 << (PRECISION_BITS - 1));
        let (zero, most) = (_mm512_setzero_si512(), _mm512_set1_epi32(255));
        let strips = source.chunks(in_stride * STRIP_ROWS);
        for (source, out) in strips.zip(out.chunks_mut(out_stride * STRIP_ROWS)) {
            let mut rest = self.steps.as_slice();
            for group in &self.groups {
                let (steps, after) = rest.split_at(group.steps);
                rest = after;
                let rows = source.chunks_exact(in_stride);
                for (row, out_row) in rows.zip(out.chunks_exact_mut(out_stride)) {
                    let bytes = &row[group.from..];
                    let there = u64::MAX >> WINDOW_BYTES.saturating_sub(bytes.len());
                    // SAFETY: bytes that are not there are not loaded.
                    let window = unsafe { _mm512_maskz_loadu_epi8(there, bytes.as_ptr().cast()) };
                    let mut sum = half;
                    for step in steps {
                        // SAFETY: both arrays are 64 bytes long.
                        let (picks, weights) = unsafe {
                            (
                                _mm512_loadu_si512(step.picks.as_ptr().cast()),
                                _mm512_loadu_si512(step.weights.as_ptr().cast()),
                            )
                        };
                        let values = _mm512_maskz_permutexvar_epi8(LOWEST, picks, window);
                        sum = _mm512_add_epi32(sum, _mm512_mullo_epi32(weights, values));
                    }
                    let value = _mm512_srai_epi32::<PRECISION_BITS>(sum);
                    let value = _mm512_min_epi32(_mm512_max_epi32(value, zero), most);
                    let target = &mut out_row[group.at..][..LANES];
                    // SAFETY: 16 bytes lie there; the store asks for no alignment.
                    unsafe {
                        _mm_storeu_si128(
                            target.as_mut_ptr().cast::<__m128i>(),
                            _mm512_cvtepi32_epi8(value),
                        );
                    }
                }
            }
        }
    }
}
