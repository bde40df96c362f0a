//! FAST-9 corners: which pixels, and how strong.

use super::instructions::compiled_twice;
use super::plane::{Plane, load};

/// The circle of radius 3 around a pixel, in order.
const CIRCLE: [(isize, isize); 16] = [
    (0, 3),
    (1, 3),
    (2, 2),
    (3, 1),
    (3, 0),
    (3, -1),
    (2, -2),
    (1, -3),
    (0, -3),
    (-1, -3),
    (-2, -2),
    (-3, -1),
    (-3, 0),
    (-3, 1),
    (-2, 2),
    (-1, 3),
];
/// Its radius: closer to the border there are no corners.
const RADIUS: usize = 3;
const LANES: usize = 32;
type Lanes = [u8; LANES];

/// A corner of a level.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Corner {
    pub(super) x: u32,
    pub(super) y: u32,
    /// First the FAST score, later the Harris response.
    pub(super) score: f32,
}

/// Rows of scores in use. A column of zeros stands at either side.
#[derive(Debug, Clone, Default)]
pub(super) struct Rows {
    rows: [Vec<u8>; 3],
}

/// Finds the corners of a level that are at least `edge` pixels from its border and stronger than their eight
/// neighbours, row by row from the top, each from the left.
///
/// The score is the largest threshold at which the pixel is still a corner: nine neighbours on the circle are all
/// brighter, or all darker, by more than that.
pub(super) fn corners(
    instructions: super::Instructions,
    level: &Plane,
    edge: usize,
    threshold: u8,
    rows: &mut Rows,
    out: &mut Vec<Corner>,
) {
    out.clear();
    let edge = edge.max(RADIUS);
    if level.width <= 2 * edge || level.height <= 2 * edge {
        return;
    }
    // Neighbours have scores too where a circle fits around them.
    let ring = edge.min(RADIUS.max(edge - 1));
    let (left, right) = (ring, level.width - ring);
    let (top, bottom) = (ring, level.height - ring);
    let length = (right - left) + 2;
    for row in &mut rows.rows {
        row.clear();
        row.resize(length + LANES, 0);
    }
    let [above, here, below] = &mut rows.rows;
    // Whether the row `here` and the one below have corners at all.
    let mut any_here = false;
    for y in top..=bottom {
        let any_below = if y < bottom {
            let circle = level.at(left, y);
            score_row(
                instructions,
                &level.pixels,
                level.stride,
                circle,
                threshold,
                right - left,
                &mut below[1..],
            )
        } else {
            below.fill(0);
            false
        };
        // `here` is the row y − 1.
        if any_here && (edge..level.height - edge).contains(&(y.wrapping_sub(1))) {
            let columns = edge - left + 1..level.width - edge - left + 1;
            peaks(
                instructions,
                above,
                here,
                below,
                columns,
                |column, score| {
                    out.push(Corner {
                        x: (column - 1 + left) as u32,
                        y: (y - 1) as u32,
                        score: f32::from(score),
                    });
                },
            );
        }
        any_here = any_below;
        std::mem::swap(above, here);
        std::mem::swap(here, below);
    }
}

/// Hands on the columns of `here` that are larger than their eight neighbours.
fn peaks(
    instructions: super::Instructions,
    above: &[u8],
    here: &[u8],
    below: &[u8],
    columns: std::ops::Range<usize>,
    mut found: impl FnMut(usize, u8),
) {
    let mut column = columns.start;
    while column < columns.end {
        let mut bits = peaks_block(instructions, above, here, below, column);
        while bits != 0 {
            let at = column + bits.trailing_zeros() as usize;
            if at < columns.end {
                found(at, here[at]);
            }
            bits &= bits - 1;
        }
        column += LANES;
    }
}

compiled_twice! {
    /// Which of the pixels from `column` are larger than their eight neighbours: a bit each, from the lowest.
    fn peaks_block(above: &[u8], here: &[u8], below: &[u8], column: usize) -> u32 {
        let scores: Lanes = load(here, column);
        if largest_lane(&scores) == 0 {
            return 0;
        }
        let mut others = largest(load(here, column - 1), load(here, column + 1));
        for row in [above, below] {
            for start in column - 1..=column + 1 {
                others = largest(others, load(row, start));
            }
        }
        let mut bits = 0;
        for lane in 0..LANES {
            bits |= u32::from(scores[lane] > others[lane]) << lane;
        }
        bits
    }
}

compiled_twice! {
    /// Scores of `count` pixels from `start`; 0 where there is no corner. Whether there was one.
    fn score_row(
        pixels: &[u8],
        stride: usize,
        start: usize,
        threshold: u8,
        count: usize,
        out: &mut [u8],
    ) -> bool {
        let mut offsets = [0; 16];
        for (offset, (x, y)) in offsets.iter_mut().zip(CIRCLE) {
            *offset = y * stride as isize + x;
        }
        let mut any = false;
        let mut done = 0;
        while done < count {
            let at = start + done;
            let scores = score_block(pixels, at, &offsets, threshold);
            let scores = match scores {
                Some(scores) => {
                    any = true;
                    scores
                }
                None => [0; LANES],
            };
            let lanes = LANES.min(count - done);
            if lanes == LANES {
                if let Some(block) = out[done..].first_chunk_mut::<LANES>() {
                    *block = scores;
                }
            } else {
                out[done..done + lanes].copy_from_slice(&scores[..lanes]);
            }
            done += LANES;
        }
        any
    }
}

/// Scores of the pixels from `at`; none where all are 0.
#[inline(always)]
fn score_block(pixels: &[u8], at: usize, offsets: &[isize; 16], threshold: u8) -> Option<Lanes> {
    let centre: Lanes = load(pixels, at);
    // Nine in a row of sixteen cover two neighbours of these four.
    let (mut brighter, mut darker) = ([[0; LANES]; 4], [[0; LANES]; 4]);
    for index in 0..4 {
        let value = load(pixels, at.wrapping_add_signed(offsets[4 * index]));
        brighter[index] = less(value, centre);
        darker[index] = less(centre, value);
    }
    let possible = largest(two_of_four(&brighter), two_of_four(&darker));
    if largest_lane(&possible) <= threshold {
        return None;
    }
    let (mut brighter, mut darker) = ([[0; LANES]; 16], [[0; LANES]; 16]);
    for index in 0..16 {
        let value = load(pixels, at.wrapping_add_signed(offsets[index]));
        brighter[index] = less(value, centre);
        darker[index] = less(centre, value);
    }
    let mut scores = largest(nine_in_a_row(&brighter), nine_in_a_row(&darker));
    if largest_lane(&scores) <= threshold {
        return None;
    }
    for score in &mut scores {
        // Still a corner at one less than the difference.
        let corner = if *score > threshold { 0xFF } else { 0 };
        *score = score.saturating_sub(1) & corner;
    }
    Some(scores)
}

/// The best of the pairs of neighbours, each as good as its lesser one.
#[inline(always)]
fn two_of_four(four: &[Lanes; 4]) -> Lanes {
    let mut best = [0; LANES];
    for index in 0..4 {
        best = largest(best, smallest(four[index], four[(index + 1) % 4]));
    }
    best
}

/// The best of the sixteen runs of nine, each as good as its least one.
#[inline(always)]
fn nine_in_a_row(circle: &[Lanes; 16]) -> Lanes {
    // Runs of two, four and eight: each of two runs half as long.
    let (mut two, mut four) = ([[0; LANES]; 16], [[0; LANES]; 16]);
    for at in 0..16 {
        two[at] = smallest(circle[at], circle[(at + 1) % 16]);
    }
    for at in 0..16 {
        four[at] = smallest(two[at], two[(at + 2) % 16]);
    }
    let mut best = [0; LANES];
    for at in 0..16 {
        let eight = smallest(four[at], four[(at + 4) % 16]);
        best = largest(best, smallest(eight, circle[(at + 8) % 16]));
    }
    best
}

// Plain loops: what takes closures is not sure to be compiled into its caller, and so not for its instructions.

#[inline(always)]
fn less(mut one: Lanes, other: Lanes) -> Lanes {
    for lane in 0..LANES {
        one[lane] = one[lane].saturating_sub(other[lane]);
    }
    one
}

#[inline(always)]
fn smallest(mut one: Lanes, other: Lanes) -> Lanes {
    for lane in 0..LANES {
        one[lane] = one[lane].min(other[lane]);
    }
    one
}

#[inline(always)]
fn largest(mut one: Lanes, other: Lanes) -> Lanes {
    for lane in 0..LANES {
        one[lane] = one[lane].max(other[lane]);
    }
    one
}

#[inline(always)]
fn largest_lane(lanes: &Lanes) -> u8 {
    let mut most = 0;
    for &lane in lanes {
        most = lane.max(most);
    }
    most
}

#[cfg(test)]
mod tests {
    use super::super::Instructions;
    use super::*;

    /// The definition, pixel by pixel: the score, or 0.
    fn score(level: &Plane, x: usize, y: usize, threshold: u8) -> u8 {
        let (width, height) = (level.width, level.height);
        if x < RADIUS || y < RADIUS || x + RADIUS >= width || y + RADIUS >= height {
            return 0;
        }
        let centre = level.at(x, y);
        let difference = |index: usize| {
            let (x, y) = CIRCLE[index % 16];
            let value = level.pixels[centre.wrapping_add_signed(y * level.stride as isize + x)];
            i32::from(value) - i32::from(level.pixels[centre])
        };
        let run =
            |start: usize, sign: i32| (start..start + 9).map(|at| sign * difference(at)).min();
        let best = (0..16)
            .flat_map(|start| [run(start, 1), run(start, -1)])
            .flatten()
            .max();
        match best {
            Some(best) if best > i32::from(threshold) => best as u8 - 1,
            _ => 0,
        }
    }

    #[test]
    fn corners_are_those_of_the_definition() {
        let mut state = 1_u32;
        let mut random = |bound: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) % bound
        };
        let mut total = 0;
        let small = [(7, 7), (8, 7), (8, 9), (10, 9), (8, 13), (13, 13)].repeat(10);
        for (width, height) in small.into_iter().chain([(39, 21), (71, 40), (40, 71)]) {
            // Hardly any corner, some, and at every third pixel.
            for (spots, contrast) in [(width * height / 150 + 1, 24), (width * height / 20, 255)] {
                let mut level = Plane::default();
                level.reshape(width, height, 0);
                level.pixels.fill(100);
                for _ in 0..spots {
                    let (x, y) = (random(width as u32), random(height as u32));
                    let at = level.at(x as usize, y as usize);
                    let value = 100 + contrast as i32 / 2 - random(contrast) as i32;
                    level.pixels[at] = value.clamp(0, 255) as u8;
                }
                for threshold in [0, 20] {
                    for edge in [0, 3, 4, 6] {
                        let mut expected = Vec::new();
                        let edge_or_radius = RADIUS.max(edge);
                        let inside =
                            |side: usize| edge_or_radius..side.saturating_sub(edge_or_radius);
                        for y in inside(height) {
                            for x in inside(width) {
                                let here = score(&level, x, y, threshold);
                                let beaten = (y - 1..=y + 1)
                                    .flat_map(|other| (x - 1..=x + 1).map(move |x| (x, other)))
                                    .filter(|&other| other != (x, y))
                                    .any(|(x, y)| score(&level, x, y, threshold) >= here);
                                if !beaten {
                                    expected.push(Corner {
                                        x: x as u32,
                                        y: y as u32,
                                        score: f32::from(here),
                                    });
                                }
                            }
                        }
                        total += expected.len();
                        for instructions in [Instructions::BASELINE, Instructions::widest()] {
                            let mut found = Vec::new();
                            let rows = &mut Rows::default();
                            corners(instructions, &level, edge, threshold, rows, &mut found);
                            assert_eq!(found, expected, "{width} x {height}, {threshold}, {edge}");
                        }
                    }
                }
            }
        }
        assert!(total > 500, "{total}");
    }
}
