//! Numbers of differing bits between descriptors and many others at once.
//!
//! Eight descriptors stand side by side as 64-bit words. The loops are plain; they are compiled a second time for
//! processors that count bits of whole vectors.

use super::Descriptor;

/// Descriptors in a block.
pub(crate) const LANES: usize = 8;
const WORDS: usize = 4;

type Words = [u64; WORDS];

/// Eight descriptors, word by word.
pub(crate) type Block = [[u64; LANES]; WORDS];

fn words(row: &Descriptor) -> Words {
    let mut words = [0; WORDS];
    for (word, bytes) in words.iter_mut().zip(row.as_chunks().0) {
        *word = u64::from_le_bytes(*bytes);
    }
    words
}

/// Bits that differ, 0..=256.
pub(crate) fn apart(a: &Descriptor, b: &Descriptor) -> u32 {
    let (a, b) = (words(a), words(b));
    a.iter().zip(&b).map(|(a, b)| (a ^ b).count_ones()).sum()
}

/// Lanes beyond the last row repeat the first row: as later ones, they never win against it.
pub(crate) fn blocks(rows: &[Descriptor]) -> Vec<Block> {
    rows.chunks(LANES)
        .map(|some| {
            let mut block = [[0; LANES]; WORDS];
            for lane in 0..LANES {
                let row = words(some.get(lane).unwrap_or(&rows[0]));
                for (word, value) in block.iter_mut().zip(row) {
                    word[lane] = value;
                }
            }
            block
        })
        .collect()
}

#[inline(always)]
fn scores(block: &Block, point: &Words) -> [u64; LANES] {
    let mut scores = [0; LANES];
    for word in 0..WORDS {
        for lane in 0..LANES {
            let bits = (block[word][lane] ^ point[word]).count_ones();
            scores[lane] = u64::wrapping_add(scores[lane], u64::from(bits));
        }
    }
    scores
}

#[inline(always)]
fn nearest_body(rows: &[Descriptor], blocks: &[Block], labels: &mut [u32]) {
    for (row, label) in rows.iter().zip(labels) {
        let point = words(row);
        let (mut best, mut at) = ([u64::MAX; LANES], [0; LANES]);
        for (number, block) in blocks.iter().enumerate() {
            let scores = scores(block, &point);
            for lane in 0..LANES {
                let less = scores[lane] < best[lane];
                best[lane] = if less { scores[lane] } else { best[lane] };
                at[lane] = if less { number as u64 } else { at[lane] };
            }
        }
        let mut first = (u64::MAX, u64::MAX);
        for lane in 0..LANES {
            first = first.min((best[lane], at[lane] * LANES as u64 + lane as u64));
        }
        *label = first.1 as u32;
    }
}

#[inline(always)]
fn potential_body(candidate: &Descriptor, blocks: &[Block], closest: &[[u64; LANES]]) -> u64 {
    let candidate = words(candidate);
    let mut totals = [0_u64; LANES];
    for (block, closest) in blocks.iter().zip(closest) {
        let scores = scores(block, &candidate);
        for lane in 0..LANES {
            totals[lane] = totals[lane].wrapping_add(scores[lane].min(closest[lane]));
        }
    }
    totals.iter().sum()
}

#[inline(always)]
fn lower_body(candidate: &Descriptor, blocks: &[Block], closest: &mut [[u64; LANES]]) -> u64 {
    let candidate = words(candidate);
    let mut totals = [0_u64; LANES];
    for (block, closest) in blocks.iter().zip(closest) {
        let scores = scores(block, &candidate);
        for lane in 0..LANES {
            closest[lane] = scores[lane].min(closest[lane]);
            totals[lane] = totals[lane].wrapping_add(closest[lane]);
        }
    }
    totals.iter().sum()
}

/// Defines a function that runs its body with the widest instructions the processor has for counting bits.
macro_rules! counted {
    ($(#[$document:meta])* $name:ident = $body:ident($($argument:ident: $type:ty),*) $(-> $result:ty)?) => {
        $(#[$document])*
        pub(crate) fn $name($($argument: $type),*) $(-> $result)? {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512vl,avx512vpopcntdq")]
                fn wide($($argument: $type),*) $(-> $result)? {
                    $body($($argument),*)
                }
                #[target_feature(enable = "popcnt")]
                fn narrow($($argument: $type),*) $(-> $result)? {
                    $body($($argument),*)
                }
                if is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512vl")
                    && is_x86_feature_detected!("avx512vpopcntdq")
                {
                    // SAFETY: the processor was seen to have these instructions.
                    return unsafe { wide($($argument),*) };
                }
                if is_x86_feature_detected!("popcnt") {
                    // SAFETY: as above.
                    return unsafe { narrow($($argument),*) };
                }
            }
            $body($($argument),*)
        }
    };
}

counted! {
    /// The nearest descriptor of the blocks for each row, of equally near ones the first.
    nearest = nearest_body(rows: &[Descriptor], blocks: &[Block], labels: &mut [u32])
}

counted! {
    /// Σ min(distance to the candidate, closest).
    potential = potential_body(
        candidate: &Descriptor,
        blocks: &[Block],
        closest: &[[u64; LANES]]
    ) -> u64
}

counted! {
    /// Lowers `closest` to the distance to the candidate where that is less, and gives the sum of what it then
    /// holds.
    lower = lower_body(
        candidate: &Descriptor,
        blocks: &[Block],
        closest: &mut [[u64; LANES]]
    ) -> u64
}
