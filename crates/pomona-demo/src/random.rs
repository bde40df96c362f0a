//! Random numbers that a seed gives again, on any machine.

/// SplitMix64 (Steele, Lea, Flood 2014): small, and every start gives another sequence.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    /// A sequence of its own for each combination of keys.
    pub(crate) fn keyed(keys: &[u64]) -> Self {
        let mut random = Self(0);
        for &key in keys {
            random.0 = random.next() ^ key;
        }
        // One step more, so that neighbouring last keys do not give neighbouring numbers.
        random.0 = random.next();
        random
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from `low` up to, not including, `high`.
    pub(crate) fn between(&mut self, low: f32, high: f32) -> f32 {
        let unit = (self.next() >> 40) as f32 / (1u32 << 24) as f32;
        low + unit * (high - low)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reference_sequence() {
        // The first values of the authors' splitmix64.c from state 1234567.
        let mut random = Random(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn keys_matter_and_numbers_stay_inside() {
        let first = |keys: &[u64]| Random::keyed(keys).between(0.0, 1.0);
        assert!((first(&[1, 2]) - first(&[2, 1])).abs() > 1e-6);
        assert!((first(&[1, 2]) - first(&[1, 3])).abs() > 1e-6);
        let mut random = Random::keyed(&[7]);
        let mean = (0..10_000)
            .map(|_| random.between(-2.0, 4.0))
            .inspect(|v| assert!((-2.0..4.0).contains(v)))
            .sum::<f32>()
            / 10_000.0;
        assert!((mean - 1.0).abs() < 0.1, "{mean}");
    }
}
