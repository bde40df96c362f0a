//! Scores of descriptors against many vectors at once, in integers.
//!
//! Vectors stand side by side in [`Block`]s of [`LANES`]; a point's values are broadcast to all lanes. Products
//! of 16-bit values are summed in 32 bits without overflow, so every kernel gives the same bits.

#[macro_use]
mod body;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

use super::DESCRIPTOR_BYTES;

/// Vectors in a block.
pub(crate) const LANES: usize = 16;
/// Pairs of neighbouring values in a vector.
pub(crate) const PAIRS: usize = DESCRIPTOR_BYTES / 2;
/// Points scored at a time: their best scores so far stay in the nearest cache.
pub(crate) const POINTS: usize = 96;
/// Most points whose potentials are summed at a time.
pub(crate) const CANDIDATES: usize = 16;
/// Most blocks over which potentials are summed in 32 bits: 2²¹ is the largest squared distance.
pub(crate) const POTENTIAL_BLOCKS: usize = 256;

/// One pair of values of each of 16 vectors.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([i16; 2 * LANES]);

/// One 32-bit value for each of 16 vectors.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Lanes(pub(crate) [i32; LANES]);

/// Sixteen vectors of 32 values, transposed by pairs, and what their scores start from.
#[derive(Clone)]
#[repr(C, align(64))]
pub(crate) struct Block {
    lines: [Line; PAIRS],
    start: Lanes,
}

/// A point's 32 values of 16 bits, two to a number, the first in the lower half.
pub(crate) type Point = [i32; PAIRS];

pub(crate) fn point(values: impl Fn(usize) -> i16) -> Point {
    std::array::from_fn(|pair| {
        let low = u32::from(values(2 * pair).cast_unsigned());
        let high = u32::from(values(2 * pair + 1).cast_unsigned());
        (low | (high << 16)).cast_signed()
    })
}

/// Blocks of `count` vectors. Lanes beyond them hold zeros and start from `vacant`.
pub(crate) fn blocks(
    count: usize,
    value: impl Fn(usize, usize) -> i16,
    start: impl Fn(usize) -> i32,
    vacant: i32,
) -> Vec<Block> {
    (0..count.div_ceil(LANES))
        .map(|block| {
            let mut packed = Block {
                lines: [Line([0; 2 * LANES]); PAIRS],
                start: Lanes([vacant; LANES]),
            };
            for (lane, vector) in (block * LANES..count).take(LANES).enumerate() {
                for (pair, line) in packed.lines.iter_mut().enumerate() {
                    line.0[2 * lane] = value(vector, 2 * pair);
                    line.0[2 * lane + 1] = value(vector, 2 * pair + 1);
                }
                packed.start.0[lane] = start(vector);
            }
            packed
        })
        .collect()
}

/// Which instructions a score is computed with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kernel {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl Kernel {
    /// The kernels this processor has, the slowest first.
    fn available() -> impl DoubleEndedIterator<Item = Self> {
        [
            Some(Self::Portable),
            #[cfg(target_arch = "x86_64")]
            is_x86_feature_detected!("avx2").then_some(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            (is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512vnni"))
                .then_some(Self::Avx512),
        ]
        .into_iter()
        .flatten()
    }

    fn best() -> Self {
        Self::available().next_back().unwrap_or(Self::Portable)
    }
}

/// Calls a kernel's function.
macro_rules! call {
    ($kernel:expr, $function:ident($($argument:expr),*)) => {
        match $kernel {
            Kernel::Portable => portable::$function($($argument),*),
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx2 => {
                // SAFETY: the processor was seen to have these instructions.
                unsafe { avx2::$function($($argument),*) }
            }
            #[cfg(target_arch = "x86_64")]
            Kernel::Avx512 => {
                // SAFETY: as above.
                unsafe { avx512::$function($($argument),*) }
            }
        }
    };
}

/// The vector with the least score `start + Σ point·vector` for each of at most [`POINTS`] points; of equal ones
/// the first.
pub(crate) fn nearest(points: &[Point], blocks: &[Block], labels: &mut [u32]) {
    call!(Kernel::best(), nearest(points, blocks, labels));
}

/// Adds to each candidate's sum Σ min(score, closest) over at most [`POTENTIAL_BLOCKS`] blocks. A candidate is a
/// point and what is added to its scores.
pub(crate) fn potentials(
    candidates: &[(Point, i32)],
    blocks: &[Block],
    closest: &[Lanes],
    sums: &mut [u64],
) {
    call!(
        Kernel::best(),
        potentials(candidates, blocks, closest, sums)
    );
}

/// Lowers `closest` to the candidate's score where that is less, and gives the sum of what it then holds.
pub(crate) fn lower(candidate: &(Point, i32), blocks: &[Block], closest: &mut [Lanes]) -> u64 {
    call!(Kernel::best(), lower(candidate, blocks, closest))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All kernels of this processor against the definition, on vectors of extreme and of equal values.
    #[test]
    fn kernels_agree_with_the_definition() {
        for count in [1, 15, 16, 17, 47, 64, 65, 130] {
            let value = |vector: usize, at: usize| match vector % 5 {
                0 => i16::MIN,
                1 => 32_512,
                _ => ((vector / 2 * 7_919 + at * 104_729) % 65_000) as i16,
            };
            let start = |vector: usize| (vector % 3) as i32 * 100_000_000;
            let packed = blocks(count, value, start, i32::MAX);
            let values = |row: usize, at: usize| match row % 4 {
                0 => 1024,
                1 => -1016,
                _ => ((row * 31 + at * 17) % 2041) as i16 - 1016,
            };
            let points: Vec<Point> = (0..POINTS - 1)
                .map(|row| point(|at| values(row, at)))
                .collect();
            let score = |row: usize, vector: usize| {
                (0..DESCRIPTOR_BYTES)
                    .map(|at| i32::from(values(row, at)) * i32::from(value(vector, at)))
                    .sum::<i32>()
                    + start(vector)
            };
            let expected: Vec<u32> = (0..points.len())
                .map(|row| (0..count).min_by_key(|&vector| score(row, vector)).unwrap() as u32)
                .collect();
            for kernel in Kernel::available() {
                let mut labels = vec![u32::MAX; points.len()];
                call!(kernel, nearest(&points, &packed, &mut labels));
                assert_eq!(labels, expected, "{kernel:?}, {count} vectors");
            }
        }
    }

    #[test]
    fn potentials_agree_with_the_definition() {
        let rows = 203_usize;
        let value = |row: usize, at: usize| ((row * 37 + at * 91) % 256) as i16 - 128;
        let norm = |row: usize| (0..32).map(|at| i32::from(value(row, at)).pow(2)).sum();
        let packed = blocks(rows, value, norm, 0);
        let candidates: Vec<(Point, i32)> = (0..11)
            .map(|row| (point(|at| -2 * value(row, at)), norm(row)))
            .collect();
        let cost = |a: usize, b: usize| {
            (0..32)
                .map(|at| i32::from(value(a, at) - value(b, at)).pow(2))
                .sum::<i32>()
        };
        let near = |row: usize| cost(row, 100);
        let mut closest = vec![Lanes([0; LANES]); packed.len()];
        for row in 0..rows {
            closest[row / LANES].0[row % LANES] = near(row);
        }
        let expected: Vec<u64> = (0..11)
            .map(|candidate| {
                (0..rows)
                    .map(|row| cost(row, candidate).min(near(row)) as u64)
                    .sum()
            })
            .collect();
        for kernel in Kernel::available() {
            let mut sums = vec![0; 11];
            call!(
                kernel,
                potentials(&candidates, &packed, &closest, &mut sums)
            );
            assert_eq!(sums, expected, "{kernel:?}");
            let mut lowered = closest.clone();
            let sum = call!(kernel, lower(&candidates[3], &packed, &mut lowered));
            assert_eq!(sum, expected[3], "{kernel:?}");
            for row in 0..rows {
                assert_eq!(
                    lowered[row / LANES].0[row % LANES],
                    cost(row, 3).min(near(row))
                );
            }
        }
    }
}
