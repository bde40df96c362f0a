//! Which images belong together?

use crate::listing::ListedImage;

/// A group of images: the unit of work, of commit and of retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Number of the shard, in listing order.
    pub index: u32,
    /// Its images, in listing order; never empty.
    pub images: Vec<ListedImage>,
}

/// How large a shard may become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ShardSize {
    /// Most images in one shard.
    pub images: usize,
    /// Most bytes in one shard, as listed; one larger image has a shard of its own.
    pub bytes: u64,
}

impl Default for ShardSize {
    fn default() -> Self {
        Self {
            images: 256,
            bytes: 256_000_000,
        }
    }
}

/// Groups images into shards as they come: membership follows from the order alone.
#[derive(Debug)]
pub struct ShardBuilder {
    size: ShardSize,
    next: u32,
    group: Vec<ListedImage>,
    bytes: u64,
}

impl ShardBuilder {
    /// Shards are numbered from `first`.
    #[must_use]
    pub fn new(size: ShardSize, first: u32) -> Self {
        Self {
            size,
            next: first,
            group: Vec::new(),
            bytes: 0,
        }
    }

    /// Adds an image; gives the shard before it, where it does not fit in any more.
    pub fn push(&mut self, image: ListedImage) -> Option<Shard> {
        let is_full = self.group.len() >= self.size.images
            || self.bytes.saturating_add(image.size_bytes) > self.size.bytes;
        let full = if is_full { self.finish() } else { None };
        self.bytes = self.bytes.saturating_add(image.size_bytes);
        self.group.push(image);
        // A full one need not wait for the next image.
        if full.is_none() && self.group.len() >= self.size.images {
            return self.finish();
        }
        full
    }

    /// The last shard; none where nothing was added since the one before.
    pub fn finish(&mut self) -> Option<Shard> {
        if self.group.is_empty() {
            return None;
        }
        let shard = Shard {
            index: self.next,
            images: std::mem::take(&mut self.group),
        };
        self.next += 1;
        self.bytes = 0;
        Some(shard)
    }

    /// The number of the next shard.
    #[must_use]
    pub fn next(&self) -> u32 {
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(size_bytes: u64) -> ListedImage {
        ListedImage {
            path: size_bytes.to_string(),
            size_bytes,
            ..ListedImage::default()
        }
    }

    #[test]
    fn shards_are_bounded_by_images_and_by_bytes_and_lose_nothing() {
        let size = ShardSize {
            images: 3,
            bytes: 100,
        };
        let sizes = [10, 10, 10, 10, 90, 1, 500, 0, 0, 0, 0];
        let mut builder = ShardBuilder::new(size, 7);
        let mut found: Vec<Shard> = sizes
            .into_iter()
            .filter_map(|size| builder.push(image(size)))
            .collect();
        found.extend(builder.finish());
        let numbers: Vec<u32> = found.iter().map(|shard| shard.index).collect();
        assert_eq!(numbers, (7..7 + found.len() as u32).collect::<Vec<_>>());
        let found: Vec<Vec<u64>> = found
            .iter()
            .map(|shard| shard.images.iter().map(|image| image.size_bytes).collect())
            .collect();
        assert_eq!(
            found,
            [
                vec![10, 10, 10],
                vec![10, 90],
                vec![1],
                vec![500],
                vec![0, 0, 0],
                vec![0]
            ]
        );
    }
}
