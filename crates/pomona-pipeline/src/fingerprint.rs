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
}
