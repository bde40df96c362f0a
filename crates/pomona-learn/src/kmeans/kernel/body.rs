/// The kernels, written once over an instruction set's `Vector` and its operations `splat`, `load`, `store`,
/// `multiply_add`, `keep_less`, `min` and `add`. A tile is so many points by so many blocks as fit its registers.
macro_rules! kernels {
    ($tile_points:literal, $tile_blocks:literal, $(#[$attribute:meta])*) => {
        use super::{Block, CANDIDATES, LANES, Lanes, PAIRS, POINTS, Point, POTENTIAL_BLOCKS};

        $(#[$attribute])*
        pub(super) fn nearest(points: &[Point], blocks: &[Block], labels: &mut [u32]) {
            debug_assert!(points.len() <= POINTS);
            let points = &points[..points.len().min(POINTS)];
            let mut best = [splat(i32::MAX); POINTS];
            let mut at = [splat(0); POINTS];
            let (groups, rest) = blocks.as_chunks::<$tile_blocks>();
            for (group, blocks) in groups.iter().enumerate() {
                sweep(points, blocks, group * $tile_blocks, &mut best, &mut at);
            }
            for (number, block) in rest.iter().enumerate() {
                let number = groups.len() * $tile_blocks + number;
                sweep(points, std::array::from_ref(block), number, &mut best, &mut at);
            }
            for ((best, at), label) in best.iter().zip(&at).zip(labels.iter_mut()) {
                *label = first_least(*best, *at);
            }
        }

        /// Scores some blocks against all points.
        $(#[$attribute])*
        #[inline]
        fn sweep<const B: usize>(
            points: &[Point],
            blocks: &[Block; B],
            first: usize,
            best: &mut [Vector; POINTS],
            at: &mut [Vector; POINTS],
        ) {
            let (tiles, rest) = points.as_chunks::<$tile_points>();
            let (best_tiles, _) = best.as_chunks_mut::<$tile_points>();
            let (at_tiles, _) = at.as_chunks_mut::<$tile_points>();
            for ((tile_points, best), at) in tiles.iter().zip(best_tiles).zip(at_tiles) {
                tile(tile_points, blocks, first, best, at);
            }
            let done = tiles.len() * $tile_points;
            for ((point, best), at) in rest.iter().zip(&mut best[done..]).zip(&mut at[done..]) {
                tile(
                    std::array::from_ref(point),
                    blocks,
                    first,
                    std::array::from_mut(best),
                    std::array::from_mut(at),
                );
            }
        }

        $(#[$attribute])*
        #[inline]
        fn tile<const P: usize, const B: usize>(
            points: &[Point; P],
            blocks: &[Block; B],
            first: usize,
            best: &mut [Vector; P],
            at: &mut [Vector; P],
        ) {
            let mut scores = [[splat(0); B]; P];
            for scores in &mut scores {
                for b in 0..B {
                    scores[b] = load(&blocks[b].start);
                }
            }
            for pair in 0..PAIRS {
                for b in 0..B {
                    let line = &blocks[b].lines[pair];
                    for p in 0..P {
                        scores[p][b] = multiply_add(scores[p][b], line, points[p][pair]);
                    }
                }
            }
            for p in 0..P {
                for b in 0..B {
                    let number = splat((first + b) as i32);
                    keep_less(&mut best[p], &mut at[p], scores[p][b], number);
                }
            }
        }

        /// Number of the vector with the least score, of equal ones the first.
        $(#[$attribute])*
        #[inline]
        fn first_least(best: Vector, at: Vector) -> u32 {
            let (mut scores, mut numbers) = (Lanes([0; LANES]), Lanes([0; LANES]));
            store(best, &mut scores);
            store(at, &mut numbers);
            let mut least = i32::MAX;
            for score in scores.0 {
                least = least.min(score);
            }
            let mut first = u32::MAX;
            for lane in 0..LANES {
                let number = numbers.0[lane] as u32 * LANES as u32 + lane as u32;
                let number = if scores.0[lane] == least { number } else { u32::MAX };
                first = first.min(number);
            }
            first
        }

        $(#[$attribute])*
        pub(super) fn potentials(
            candidates: &[(Point, i32)],
            blocks: &[Block],
            closest: &[Lanes],
            sums: &mut [u64],
        ) {
            debug_assert!(blocks.len() <= POTENTIAL_BLOCKS && candidates.len() <= CANDIDATES);
            let (groups, rest) = candidates.as_chunks::<8>();
            let (group_sums, rest_sums) = sums.split_at_mut(groups.len() * 8);
            for (candidates, sums) in groups.iter().zip(group_sums.as_chunks_mut::<8>().0) {
                some_potentials(candidates, blocks, closest, sums);
            }
            for (candidate, sum) in rest.iter().zip(rest_sums) {
                let (candidate, sum) = (std::array::from_ref(candidate), std::array::from_mut(sum));
                some_potentials(candidate, blocks, closest, sum);
            }
        }

        $(#[$attribute])*
        #[inline]
        fn some_potentials<const P: usize>(
            candidates: &[(Point, i32); P],
            blocks: &[Block],
            closest: &[Lanes],
            sums: &mut [u64; P],
        ) {
            let mut totals = [splat(0); P];
            for (block, closest) in blocks.iter().zip(closest) {
                let start = load(&block.start);
                let mut scores = [start; P];
                for p in 0..P {
                    scores[p] = add(start, splat(candidates[p].1));
                }
                for pair in 0..PAIRS {
                    let line = &block.lines[pair];
                    for p in 0..P {
                        scores[p] = multiply_add(scores[p], line, candidates[p].0[pair]);
                    }
                }
                let closest = load(closest);
                for p in 0..P {
                    totals[p] = add(totals[p], min(scores[p], closest));
                }
            }
            for p in 0..P {
                sums[p] += sum(totals[p]);
            }
        }

        $(#[$attribute])*
        pub(super) fn lower(
            candidate: &(Point, i32),
            blocks: &[Block],
            closest: &mut [Lanes],
        ) -> u64 {
            let mut total = splat(0);
            for (block, closest) in blocks.iter().zip(closest) {
                let mut score = add(load(&block.start), splat(candidate.1));
                for pair in 0..PAIRS {
                    score = multiply_add(score, &block.lines[pair], candidate.0[pair]);
                }
                let least = min(score, load(closest));
                store(least, closest);
                total = add(total, least);
            }
            sum(total)
        }

        /// Sum of lanes that are not negative.
        $(#[$attribute])*
        #[inline]
        fn sum(vector: Vector) -> u64 {
            let mut lanes = Lanes([0; LANES]);
            store(vector, &mut lanes);
            let mut sum = 0;
            for lane in lanes.0 {
                sum += u64::from(lane.cast_unsigned());
            }
            sum
        }
    };
}
