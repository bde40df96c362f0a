use rayon::prelude::*;

use super::Descriptor;
use super::distance::Distance;
use super::hamming;
use super::kernel::{self, Lanes, Point};

/// Rows that one thread looks at at a time.
const PART_ROWS: usize = kernel::POTENTIAL_BLOCKS * kernel::LANES;

/// Rows and what it costs to stand for each by the nearest centre chosen so far: squared distance or differing bits,
/// in whole units.
pub(crate) struct Potentials<'a> {
    rows: &'a [Descriptor],
    parts: Vec<Part>,
}

/// Some of the rows, the sum of their costs, and what the costs are.
struct Part {
    total: u64,
    packed: Packed,
}

enum Packed {
    Euclidean(Vec<kernel::Block>, Vec<Lanes>),
    Hamming(Vec<hamming::Block>, Vec<[u64; hamming::LANES]>),
}

impl<'a> Potentials<'a> {
    /// Costs before any centre is chosen: beyond all others.
    pub(crate) fn new(distance: Distance, rows: &'a [Descriptor]) -> Self {
        let parts = rows
            .par_chunks(PART_ROWS)
            .map(|rows| Part {
                total: 0,
                packed: Packed::new(distance, rows),
            })
            .collect();
        Self { rows, parts }
    }

    /// Σ of the costs.
    pub(crate) fn total(&self) -> u64 {
        self.parts.iter().map(|part| part.total).sum()
    }

    /// What the total would be with each of at most 16 candidates.
    pub(crate) fn with_each(&self, candidates: &[usize]) -> Vec<u64> {
        let candidates: Vec<Descriptor> = candidates.iter().map(|row| self.rows[*row]).collect();
        let candidates = &candidates[..candidates.len().min(kernel::CANDIDATES)];
        self.parts
            .par_iter()
            .map(|part| part.packed.with_each(candidates))
            .reduce(
                || vec![0; candidates.len()],
                |mut sums, more| {
                    sums.iter_mut()
                        .zip(more)
                        .for_each(|(sum, more)| *sum += more);
                    sums
                },
            )
    }

    /// Takes a row as a centre.
    pub(crate) fn choose(&mut self, row: usize) {
        let centre = self.rows[row];
        self.parts
            .par_iter_mut()
            .for_each(|part| part.total = part.packed.lower(&centre));
    }

    /// The row within whose costs, laid end to end, the point `at` lies; `at` is below the total.
    pub(crate) fn row_at(&self, mut at: u64) -> usize {
        for (number, part) in self.parts.iter().enumerate() {
            if at < part.total {
                return number * PART_ROWS + part.packed.row_at(at);
            }
            at -= part.total;
        }
        0
    }
}

impl Packed {
    fn new(distance: Distance, rows: &[Descriptor]) -> Self {
        match distance {
            Distance::Euclidean => {
                let value = |row: usize, at: usize| centred(&rows[row], at);
                let blocks = kernel::blocks(rows.len(), value, |row| norm(&rows[row]), 0);
                let mut closest = vec![Lanes([i32::MAX; kernel::LANES]); blocks.len()];
                // Lanes without a row cost nothing.
                let beyond = blocks.len() * kernel::LANES - rows.len();
                if let Some(last) = closest.last_mut() {
                    last.0[kernel::LANES - beyond..].fill(0);
                }
                Self::Euclidean(blocks, closest)
            }
            Distance::Hamming => {
                let blocks = hamming::blocks(rows);
                let mut closest = vec![[u64::MAX; hamming::LANES]; blocks.len()];
                let beyond = blocks.len() * hamming::LANES - rows.len();
                if let Some(last) = closest.last_mut() {
                    last[hamming::LANES - beyond..].fill(0);
                }
                Self::Hamming(blocks, closest)
            }
        }
    }

    fn with_each(&self, candidates: &[Descriptor]) -> Vec<u64> {
        match self {
            Self::Euclidean(blocks, closest) => {
                let points: Vec<(Point, i32)> = candidates.iter().map(point).collect();
                let mut sums = vec![0; points.len()];
                kernel::potentials(&points, blocks, closest, &mut sums);
                sums
            }
            Self::Hamming(blocks, closest) => candidates
                .iter()
                .map(|candidate| hamming::potential(candidate, blocks, closest))
                .collect(),
        }
    }

    fn lower(&mut self, centre: &Descriptor) -> u64 {
        match self {
            Self::Euclidean(blocks, closest) => kernel::lower(&point(centre), blocks, closest),
            Self::Hamming(blocks, closest) => hamming::lower(centre, blocks, closest),
        }
    }

    fn row_at(&self, at: u64) -> usize {
        fn find(costs: impl Iterator<Item = u64>, mut at: u64) -> usize {
            for (row, cost) in costs.enumerate() {
                if at < cost {
                    return row;
                }
                at -= cost;
            }
            0
        }
        match self {
            Self::Euclidean(_, closest) => find(
                closest
                    .iter()
                    .flat_map(|lanes| lanes.0)
                    .map(|cost| u64::from(cost.cast_unsigned())),
                at,
            ),
            Self::Hamming(_, closest) => find(closest.iter().flatten().copied(), at),
        }
    }
}

fn centred(row: &Descriptor, at: usize) -> i16 {
    i16::from(row[at]) - 128
}

/// |x|² about 128, at most 2¹⁹.
fn norm(row: &Descriptor) -> i32 {
    (0..row.len())
        .map(|at| i32::from(centred(row, at)).pow(2))
        .sum()
}

/// −2y and |y|²: with |x|² and Σ −2y·x they make |x − y|².
fn point(row: &Descriptor) -> (Point, i32) {
    (kernel::point(|at| -2 * centred(row, at)), norm(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cost(distance: Distance, a: &Descriptor, b: &Descriptor) -> u64 {
        let values = a.iter().zip(b);
        match distance {
            Distance::Euclidean => values.map(|(a, b)| u64::from(a.abs_diff(*b)).pow(2)).sum(),
            Distance::Hamming => values.map(|(a, b)| u64::from((a ^ b).count_ones())).sum(),
        }
    }

    /// More rows than a part holds, and neither parts nor blocks are full.
    #[test]
    fn costs_and_draws_agree_with_the_definition() {
        let rows: Vec<Descriptor> = (0..2 * PART_ROWS + 5)
            .map(|row| std::array::from_fn(|at| ((row * 7_919 + at * 104_729) % 65_521) as u8))
            .collect();
        let last = rows.len() - 1;
        for distance in Distance::ALL {
            let mut potentials = Potentials::new(distance, &rows);
            let chosen = [3, PART_ROWS + 1, last];
            for centre in chosen {
                potentials.choose(centre);
            }
            let nearest = |row: &Descriptor, centres: &[usize]| {
                let costs = centres.iter().map(|at| cost(distance, row, &rows[*at]));
                costs.min().unwrap()
            };
            let costs: Vec<u64> = rows.iter().map(|row| nearest(row, &chosen)).collect();
            assert_eq!(potentials.total(), costs.iter().sum::<u64>());

            let candidates = [0, 17, PART_ROWS - 1, PART_ROWS, last - 1, 9, 8, 7, 6, 5];
            let expected: Vec<u64> = candidates
                .iter()
                .map(|candidate| {
                    let lowered = rows.iter().zip(&costs);
                    lowered
                        .map(|(row, least)| cost(distance, row, &rows[*candidate]).min(*least))
                        .sum()
                })
                .collect();
            assert_eq!(potentials.with_each(&candidates), expected);

            // Both ends of each row's share; rows that cost nothing have none.
            let mut start = 0;
            for (row, cost) in costs.iter().enumerate() {
                if *cost > 0 {
                    assert_eq!(potentials.row_at(start), row);
                    assert_eq!(potentials.row_at(start + cost - 1), row);
                }
                start += cost;
            }
        }
    }
}
