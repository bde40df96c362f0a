//! Which images belong together?

use crate::listing::ListedImage;

/// A group of images: the unit of work, of commit and of retry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shard {
    /// Number of the shard, from 0, in listing order.
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
pub fn shards(
    images: impl Iterator<Item = ListedImage> + Send,
    size: ShardSize,
) -> impl Iterator<Item = Shard> + Send {
    let mut images = images.peekable();
    let mut index = 0;
    std::iter::from_fn(move || {
        let mut group = vec![images.next()?];
        let mut bytes = group[0].size_bytes;
        while group.len() < size.images
            && let Some(next) =
                images.next_if(|next| bytes.saturating_add(next.size_bytes) <= size.bytes)
        {
            bytes = bytes.saturating_add(next.size_bytes);
            group.push(next);
        }
        let shard = Shard {
            index,
            images: group,
        };
        index += 1;
        Some(shard)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn image(size_bytes: u64) -> ListedImage {
        ListedImage {
            path: size_bytes.to_string(),
            label: None,
            size_bytes,
            last_modified_micros: 0,
            problem: None,
        }
    }

    #[test]
    fn shards_are_bounded_by_images_and_by_bytes_and_lose_nothing() {
        let size = ShardSize {
            images: 3,
            bytes: 100,
        };
        let sizes = [10, 10, 10, 10, 90, 1, 500, 0, 0, 0, 0];
        let found: Vec<Vec<u64>> = shards(sizes.into_iter().map(image), size)
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
