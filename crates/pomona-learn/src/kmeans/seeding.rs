use super::Descriptor;
use super::distance::Distance;
use super::kernel::CANDIDATES;
use super::keys::Random;
use super::potentials::Potentials;

/// First centres by greedy k-means++ (Arthur and Vassilvitskii 2007), as scikit-learn does it: each next centre is
/// the best of 2 + ⌊ln k⌋ rows, drawn with probabilities proportional to their costs so far. All sums are whole
/// numbers, so the choice follows from seed and rows alone.
///
/// Centres differ from each other; there are fewer than `words` only where no more different rows are.
pub(crate) fn seed_centres(
    distance: Distance,
    rows: &[Descriptor],
    words: usize,
    seed: u64,
) -> Vec<Descriptor> {
    if rows.is_empty() {
        return Vec::new();
    }
    let trials = (2 + (words as f64).ln() as usize).min(CANDIDATES);
    let mut random = Random::new(seed);
    let mut potentials = Potentials::new(distance, rows);
    let first = random.below(rows.len() as u64) as usize;
    potentials.choose(first);
    let mut centres = vec![rows[first]];
    let mut candidates = Vec::with_capacity(trials);
    while centres.len() < words {
        let total = potentials.total();
        if total == 0 {
            break;
        }
        candidates.clear();
        candidates.extend((0..trials).map(|_| potentials.row_at(random.below(total))));
        let sums = potentials.with_each(&candidates);
        let best = sums.iter().zip(&candidates).min_by_key(|(sum, _)| **sum);
        let Some((_, &best)) = best else {
            break;
        };
        potentials.choose(best);
        centres.push(rows[best]);
    }
    centres
}
