//! From a pass's totals to the next centres.

use super::DESCRIPTOR_BYTES;
use super::codebook::{Centres, Codebook, GRID, on_grid};
use super::error::KMeansError;
use super::farthest::Far;
use super::totals::PassTotals;

/// Σ of the costs of all rows, in cost units, exact.
pub(crate) fn inertia(totals: &PassTotals, codebook: &Codebook) -> u128 {
    // Q − 2·Σ S·c + Σ n·|c|², with c in steps of 1/g: times g².
    let grid = |steps: u32| -> i128 {
        let steps = i128::from(steps);
        let mut sum = i128::from(totals.squares) * steps * steps;
        let width = totals.distance.width();
        for (word, (count, sums)) in totals
            .counts
            .iter()
            .zip(totals.sums.chunks_exact(width))
            .enumerate()
        {
            let (product, norm) = match codebook.centres() {
                Centres::Euclidean(rows) => {
                    products(sums, rows[word].iter().map(|c| u64::from(*c)))
                }
                Centres::Hamming(rows) => products(sums, bits(&rows[word])),
            };
            sum += i128::from(*count) * norm - 2 * steps * product;
        }
        sum
    };
    let sum = match codebook.centres() {
        Centres::Euclidean(_) => grid(GRID),
        Centres::Hamming(_) => grid(1),
    };
    // Only totals that no rows have could be negative.
    u128::try_from(sum).unwrap_or(0)
}

/// Σ S·c and |c|².
fn products(sums: &[u64], centre: impl Iterator<Item = u64>) -> (i128, i128) {
    let (mut product, mut norm) = (0, 0);
    for (sum, value) in sums.iter().zip(centre) {
        product += i128::from(*sum) * i128::from(value);
        norm += i128::from(value * value);
    }
    (product, norm)
}

fn bits(row: &[u8; DESCRIPTOR_BYTES]) -> impl Iterator<Item = u64> + '_ {
    row.iter()
        .flat_map(|byte| (0..8).map(move |bit| u64::from((byte >> bit) & 1)))
}

/// The centres that the rows counted ask for.
///
/// A centre becomes the mean of its rows, rounded to the grid (halves up), or the majority of their bits (a tie
/// keeps the bit). Where `reseed` is set, the centres without rows become, in order, the rows farthest from
/// their centres; such a row no longer counts where it was, and a row that is alone there stays. Other centres
/// without rows keep their place.
pub(crate) fn next_codebook(
    totals: &PassTotals,
    codebook: &Codebook,
    reseed: bool,
) -> Result<Codebook, KMeansError> {
    let mut counts = totals.counts.clone();
    let mut sums = totals.sums.clone();
    let mut moved: Vec<(usize, Far)> = Vec::new();
    if reseed {
        let mut farthest = totals.farthest.iter();
        for empty in (0..totals.counts.len()).filter(|word| totals.counts[*word] == 0) {
            let Some(far) = farthest.find(|far| counts.get(far.word as usize) > Some(&1)) else {
                break;
            };
            take_out(far, &mut counts, &mut sums, totals.distance.width());
            moved.push((empty, *far));
        }
    }
    let width = totals.distance.width();
    let rows = counts.iter().zip(sums.chunks_exact(width));
    let centres = match codebook.centres() {
        Centres::Euclidean(old) => {
            let mut centres: Vec<_> = rows
                .zip(old)
                .map(|((count, sums), old)| mean(*count, sums, old))
                .collect();
            moved
                .iter()
                .for_each(|(word, far)| centres[*word] = on_grid(&far.row));
            Centres::Euclidean(centres)
        }
        Centres::Hamming(old) => {
            let mut centres: Vec<_> = rows
                .zip(old)
                .map(|((count, sums), old)| majority(*count, sums, old))
                .collect();
            moved
                .iter()
                .for_each(|(word, far)| centres[*word] = far.row);
            Centres::Hamming(centres)
        }
    };
    Codebook::new(centres)
}

fn take_out(far: &Far, counts: &mut [u64], sums: &mut [u64], width: usize) {
    let word = far.word as usize;
    counts[word] -= 1;
    let sums = &mut sums[word * width..(word + 1) * width];
    let less = |sum: &mut u64, value: u64| *sum = sum.saturating_sub(value);
    if width == DESCRIPTOR_BYTES {
        sums.iter_mut()
            .zip(&far.row)
            .for_each(|(sum, value)| less(sum, u64::from(*value)));
    } else {
        sums.iter_mut()
            .zip(bits(&far.row))
            .for_each(|(sum, value)| less(sum, value));
    }
}

fn mean(count: u64, sums: &[u64], old: &[u16; DESCRIPTOR_BYTES]) -> [u16; DESCRIPTOR_BYTES] {
    let mut centre = *old;
    if count > 0 {
        for (value, sum) in centre.iter_mut().zip(sums) {
            // Σx is below 2⁴⁸, so nothing overflows; the mean is at most 255.
            *value = ((2 * u64::from(GRID) * sum + count) / (2 * count)) as u16;
        }
    }
    centre
}

fn majority(count: u64, sums: &[u64], old: &[u8; DESCRIPTOR_BYTES]) -> [u8; DESCRIPTOR_BYTES] {
    let mut centre = *old;
    for (at, sum) in sums.iter().enumerate() {
        let bit = 1 << (at % 8);
        match (2 * sum).cmp(&count) {
            std::cmp::Ordering::Greater => centre[at / 8] |= bit,
            std::cmp::Ordering::Less => centre[at / 8] &= !bit,
            std::cmp::Ordering::Equal => {}
        }
    }
    centre
}
