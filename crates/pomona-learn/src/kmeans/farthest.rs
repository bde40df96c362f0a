use std::cmp::Reverse;
use std::collections::BTreeSet;

use super::Descriptor;

/// How many are kept: more clusters than this are re-seeded over several passes.
pub(crate) const MOST: usize = 64;

/// A descriptor far from its centre.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Far {
    /// In cost units, largest first.
    pub(crate) cost: Reverse<u64>,
    pub(crate) row: Descriptor,
    pub(crate) word: u32,
}

/// The different descriptors that are farthest from their centres, the farthest first; of equally far ones the
/// least in bytes. The cost and the word follow from the descriptor, so it does not matter in what order
/// rows come, nor how often.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Farthest(BTreeSet<Far>);

impl Farthest {
    /// Whether a descriptor of this cost could belong to the farthest.
    pub(crate) fn may_take(&self, cost: u64) -> bool {
        cost > 0 && (self.0.len() < MOST || self.0.last().is_some_and(|least| cost >= least.cost.0))
    }

    pub(crate) fn take(&mut self, far: Far) {
        self.0.insert(far);
        if self.0.len() > MOST {
            self.0.pop_last();
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        other.0.iter().for_each(|far| self.take(*far));
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &Far> {
        self.0.iter()
    }
}
