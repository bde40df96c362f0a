//! What stands for a row when rows are drawn: the draw follows from the seed and the row's key, never from
//! where or when the row is read.

/// Key of a descriptor: of the photo's path and the key point's number within the photo.
///
/// FNV-1a (64 bits) of the path's UTF-8 bytes, mixed with the number by SplitMix64's finaliser. It is the same on
/// every machine. Two rows that share a key are drawn together or not at all, which harms nothing.
pub fn row_key(path: &str, index: u32) -> u64 {
    PathKey::new(path).row(index)
}

/// What the keys of all key points of a photo share.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathKey(u64);

impl PathKey {
    /// Hashes the path.
    pub fn new(path: &str) -> Self {
        Self(mix(fnv(path.as_bytes())))
    }

    /// Key of the photo's key point `index`.
    pub fn row(self, index: u32) -> u64 {
        mix(self
            .0
            .wrapping_add((u64::from(index) + 1).wrapping_mul(STEP)))
    }

    /// Key of the photo's key point that lies at x, y (pixels) on this level of the pyramid. It follows from the place
    /// alone, so rows may be read in any order: the bits of x and y, the path's key and the octave, mixed one
    /// after the other. Within a photo and octave, no two places share a key; −0 and 0 are two places.
    pub fn at(self, x: f32, y: f32, octave: u8) -> u64 {
        let place = (u64::from(x.to_bits()) << 32) | u64::from(y.to_bits());
        mix(mix(self.0 ^ mix(place)).wrapping_add((u64::from(octave) + 1).wrapping_mul(STEP)))
    }
}

/// 2⁶⁴ ÷ the golden ratio, SplitMix64's increment.
const STEP: u64 = 0x9e37_79b9_7f4a_7c15;

/// FNV-1a, 64 bits.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

/// SplitMix64's finaliser: one-to-one on 64 bits.
fn mix(value: u64) -> u64 {
    let mixed = (value ^ (value >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// What rows are drawn for; each use draws independently of the others.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Draw {
    Sample,
    Compare,
    Batch(u32),
}

/// A uniform hash of rows' keys, for one seed and one use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Lot(u64);

impl Lot {
    pub(crate) fn new(seed: u64, draw: Draw) -> Self {
        let salt = match draw {
            Draw::Sample => 1,
            Draw::Compare => 2,
            Draw::Batch(pass) => 3 + u64::from(pass),
        };
        Self(mix(
            mix(seed.wrapping_add(STEP)).wrapping_add(salt.wrapping_mul(STEP))
        ))
    }

    pub(crate) fn of(self, key: u64) -> u64 {
        mix(key ^ self.0)
    }
}

/// Lots below this take part; [`u64::MAX`] lets every row in.
pub(crate) fn threshold(wanted: u64, rows: u64) -> u64 {
    if wanted >= rows {
        return u64::MAX;
    }
    // wanted < rows, so the quotient is below 2⁶⁴.
    ((u128::from(wanted) << 64) / u128::from(rows)) as u64
}

/// Whether a lot takes part.
pub(crate) fn takes_part(lot: u64, threshold: u64) -> bool {
    threshold == u64::MAX || lot < threshold
}

/// SplitMix64 (Steele, Lea and Flood 2014).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(mix(seed ^ STEP))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(STEP);
        mix(self.0)
    }

    /// Uniform in 0..bound; the bias is below bound ÷ 2⁶⁴.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }
}
