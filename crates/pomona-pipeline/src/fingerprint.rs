//! Which images something was made from, whatever the order in which they are seen.

use sha2::{Digest, Sha256};

use crate::model::DataFingerprint;

/// The sum, modulo 2^256, of the SHA-256 of each image's path and content. It does not depend on the order of the
/// images, nor on how they are cut into shards.
#[derive(Debug, Clone, Default)]
pub(crate) struct Fingerprint {
    sum: [u64; 4],
    rows: u64,
}

impl Fingerprint {
    /// Adds an image: its path, and its content's hash in hex.
    pub(crate) fn add(&mut self, path: &str, content_sha256: &str) {
        let mut hash = Sha256::new();
        hash.update(path.as_bytes());
        hash.update([0]);
        hash.update(content_sha256.as_bytes());
        let digest = hash.finalize();
        let mut carry = false;
        for (limb, bytes) in self.sum.iter_mut().zip(digest.chunks(8)) {
            let mut word = [0; 8];
            word.copy_from_slice(bytes);
            let (once, one) = limb.overflowing_add(u64::from_le_bytes(word));
            let (twice, other) = once.overflowing_add(u64::from(carry));
            *limb = twice;
            carry = one || other;
        }
        self.rows += 1;
    }

    /// Reads one that was written down; none where it is not of this kind.
    pub(crate) fn of(data: &DataFingerprint) -> Option<Self> {
        let mut sum = [0; 4];
        let digits = data.sha256.as_bytes();
        if digits.len() != 64 {
            return None;
        }
        for (limb, digits) in sum.iter_mut().zip(digits.chunks(16)) {
            let text = std::str::from_utf8(digits).ok()?;
            *limb = u64::from_str_radix(text, 16).ok()?.swap_bytes();
        }
        Some(Self {
            sum,
            rows: data.rows,
        })
    }

    /// Takes another one's images out.
    pub(crate) fn remove(&mut self, other: &Self) {
        let mut borrow = false;
        for (limb, taken) in self.sum.iter_mut().zip(&other.sum) {
            let (once, one) = limb.overflowing_sub(*taken);
            let (twice, two) = once.overflowing_sub(u64::from(borrow));
            *limb = twice;
            borrow = one || two;
        }
        self.rows = self.rows.wrapping_sub(other.rows);
    }

    /// As it is written down.
    pub(crate) fn finish(&self) -> DataFingerprint {
        DataFingerprint {
            rows: self.rows,
            sha256: self
                .sum
                .iter()
                .flat_map(|limb| limb.to_le_bytes())
                .map(|byte| format!("{byte:02x}"))
                .collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(images: &[(&str, &str)]) -> DataFingerprint {
        let mut fingerprint = Fingerprint::default();
        for (path, content) in images {
            fingerprint.add(path, content);
        }
        fingerprint.finish()
    }

    #[test]
    fn order_does_not_matter_and_everything_else_does() {
        let both = of(&[("a", "1"), ("b", "2")]);
        assert_eq!(both, of(&[("b", "2"), ("a", "1")]));
        assert_ne!(both, of(&[("a", "2"), ("b", "1")]));
        assert_ne!(both, of(&[("a", "1")]));
        assert_ne!(of(&[("a", "1")]), of(&[("a", "1"), ("a", "1")]));
    }

    #[test]
    fn what_is_taken_out_is_as_if_it_had_never_been_there() {
        let mut both = Fingerprint::of(&of(&[("a", "1"), ("b", "2"), ("c", "3")])).unwrap();
        both.remove(&Fingerprint::of(&of(&[("b", "2")])).unwrap());
        assert_eq!(both.finish(), of(&[("a", "1"), ("c", "3")]));
    }
}
