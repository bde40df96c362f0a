use rayon::prelude::*;

use super::driver::{Clustering, KMeans};
use super::error::KMeansError;
use super::settings::KMeansSettings;
use super::{DESCRIPTOR_BYTES, descriptors_in, one_per_row};

/// Least rows of a part: below, starting and merging it costs more than counting.
const PART_ROWS: usize = 1_024;

/// Learns a codebook of n descriptors held in memory, with so many threads (at least 1). Keys are those of
/// [`PathKey`](super::PathKey), or anything else that tells rows apart. Neither the order of the rows nor the
/// number of threads changes the codebook.
pub fn fit(
    descriptors: &[u8],
    keys: &[u64],
    settings: &KMeansSettings,
    threads: usize,
) -> Result<Clustering, KMeansError> {
    let rows = descriptors_in("learning a codebook", descriptors)?.len();
    one_per_row("learning a codebook", rows, keys.len())?;
    let threads = threads.max(1);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(KMeansError::Threads)?;
    // Some parts per thread, so that none waits long for another.
    let part = rows.div_ceil(4 * threads).max(PART_ROWS);
    let parts = || {
        descriptors
            .par_chunks(part * DESCRIPTOR_BYTES)
            .zip(keys.par_chunks(part))
    };
    pool.install(|| {
        let mut kmeans = KMeans::new(settings.clone())?;
        let sample = parts()
            .map(|(rows, keys)| {
                let mut sample = kmeans.sample();
                sample.update(rows, keys).map(|()| sample)
            })
            .try_reduce(
                || kmeans.sample(),
                |mut sample, other| sample.merge(&other).map(|()| sample),
            )?;
        kmeans.seed(sample)?;
        while let Some(plan) = kmeans.plan() {
            let totals = parts()
                .map(|(rows, keys)| {
                    let mut totals = super::PassTotals::new(plan);
                    totals.update(plan, rows, keys).map(|()| totals)
                })
                .try_reduce(
                    || super::PassTotals::new(plan),
                    |mut totals, other| totals.merge(&other).map(|()| totals),
                )?;
            kmeans.finish_pass(totals)?;
        }
        kmeans.finish()
    })
}
