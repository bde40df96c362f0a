//! Photos that nobody took, listed as a bucket would list them.

use pomona_engine::{ListedImage, Shard};

/// A folder a day and camera, as many buckets have them.
const PHOTOS_A_FOLDER: u64 = 10_000;
/// Cameras, after which the next month begins.
const CAMERAS: u64 = 40;
/// The start of 2026, microseconds since 1970.
const NEW_YEAR_MICROS: i64 = 1_767_225_600_000_000;

/// The shard of so many photos that comes at this place.
pub(crate) fn shard(index: u32, images: u64) -> Shard {
    let first = u64::from(index) * images;
    Shard {
        index,
        images: (first..first + images).map(photo).collect(),
    }
}

fn photo(number: u64) -> ListedImage {
    let folder = number / PHOTOS_A_FOLDER;
    let camera = folder % CAMERAS;
    let month = folder / CAMERAS;
    let (year, month) = (2026 + month / 12, month % 12 + 1);
    let label = format!("camera-{camera:02}");
    // What a hash of the content would look like.
    let mixed = u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
    ListedImage {
        path: format!("{year}/{month:02}/{label}/{number:09}.jpg"),
        label: Some(label),
        size_bytes: 60_000 + number * 7_919 % 180_000,
        last_modified_micros: NEW_YEAR_MICROS + i64::try_from(number).unwrap_or(0) * 250_000,
        etag: Some(format!("\"{mixed:032x}\"")),
        ..ListedImage::default()
    }
}
