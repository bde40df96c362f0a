//! Key points as Arrow columns.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, FixedSizeBinaryBuilder, Float32Builder, Int32Builder, ListArray, StructArray,
};
use datafusion::arrow::buffer::OffsetBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields};
use datafusion::error::{DataFusionError, Result};
use pomona_image::RgbImage;
use pomona_vision::orb::{Descriptor, KeyPoint};

/// Bytes of a descriptor.
pub const DESCRIPTOR_BYTES: i32 = 32;
/// Pixels of a patch's side.
pub const PATCH_PX: u32 = 32;
const PATCH_BYTES: i32 = (PATCH_PX * PATCH_PX) as i32;
/// Patches kept of an image, most.
const PATCHES: usize = 4;

/// A key point, what describes it, and of some the patch around it.
pub(super) struct FoundKeyPoint {
    keypoint: KeyPoint,
    descriptor: Descriptor,
    patch: Option<Vec<u8>>,
}

impl FoundKeyPoint {
    pub(super) fn descriptor(&self) -> Descriptor {
        self.descriptor
    }
}

/// Keeps the patches of some key points, at even steps from the first to the last.
pub(super) fn found(image: &RgbImage, all: Vec<(KeyPoint, Descriptor)>) -> Vec<FoundKeyPoint> {
    let step = all.len().div_ceil(PATCHES).max(1);
    all.into_iter()
        .enumerate()
        .map(|(number, (keypoint, descriptor))| FoundKeyPoint {
            keypoint,
            descriptor,
            patch: (number % step == 0).then(|| patch(image, &keypoint)),
        })
        .collect()
}

/// The square that the descriptor looks at, turned upright and brought to [`PATCH_PX`] × [`PATCH_PX`] grey pixels,
/// row-major. Beyond the border the border's pixels go on.
fn patch(image: &RgbImage, keypoint: &KeyPoint) -> Vec<u8> {
    let (width, height) = (image.width() as usize, image.height() as usize);
    let step = keypoint.size / PATCH_PX as f32;
    let (sine, cosine) = keypoint.angle_degrees.to_radians().sin_cos();
    let grey = |x: usize, y: usize| {
        let [red, green, blue] =
            [0, 1, 2].map(|channel| f32::from(image.pixels()[(y * width + x) * 3 + channel]));
        // ITU-R BT.601, as key points are found on.
        0.299 * red + 0.587 * green + 0.114 * blue
    };
    let within = |at: f32, side: usize| {
        let at = at.clamp(0.0, side.saturating_sub(1) as f32);
        let low = at.floor();
        (
            low as usize,
            (low as usize + 1).min(side.saturating_sub(1)),
            at - low,
        )
    };
    let mut pixels = Vec::with_capacity(PATCH_BYTES as usize);
    for row in 0..PATCH_PX {
        for column in 0..PATCH_PX {
            let along = (column as f32 + 0.5 - PATCH_PX as f32 / 2.0) * step;
            let down = (row as f32 + 0.5 - PATCH_PX as f32 / 2.0) * step;
            let (left, right, x) = within(keypoint.x + along * cosine - down * sine, width);
            let (top, bottom, y) = within(keypoint.y + along * sine + down * cosine, height);
            let upper = grey(left, top) * (1.0 - x) + grey(right, top) * x;
            let lower = grey(left, bottom) * (1.0 - x) + grey(right, bottom) * x;
            pixels.push((upper * (1.0 - y) + lower * y).round() as u8);
        }
    }
    pixels
}

/// Fields of one key point: x, y and size in pixels of the photo as it was shown to the detector, angle_degrees
/// (0..=360, clockwise from the right), response, octave (level of the pyramid), descriptor (256 bits; bit `i` is
/// bit `i % 8`, from the lowest, of byte `i / 8`), patch (32 × 32 grey pixels of what the descriptor looks at,
/// turned upright; null for most).
pub(crate) fn keypoint_fields() -> Fields {
    let number = |name: &str| Field::new(name, DataType::Float32, false);
    Fields::from(vec![
        number("x"),
        number("y"),
        number("size"),
        number("angle_degrees"),
        number("response"),
        Field::new("octave", DataType::Int32, false),
        Field::new(
            "descriptor",
            DataType::FixedSizeBinary(DESCRIPTOR_BYTES),
            false,
        ),
        Field::new("patch", DataType::FixedSizeBinary(PATCH_BYTES), true),
    ])
}

/// The type of an image's key points.
pub(crate) fn keypoints_type() -> DataType {
    DataType::List(keypoint_item())
}

fn keypoint_item() -> Arc<Field> {
    Arc::new(Field::new(
        "item",
        DataType::Struct(keypoint_fields()),
        false,
    ))
}

/// One list an image; empty for images without any.
pub(super) fn keypoint_lists(images: &[&[FoundKeyPoint]]) -> Result<ArrayRef> {
    let mut numbers: [Float32Builder; 5] = Default::default();
    let mut octaves = Int32Builder::new();
    let mut descriptors = FixedSizeBinaryBuilder::new(DESCRIPTOR_BYTES);
    let mut patches = FixedSizeBinaryBuilder::new(PATCH_BYTES);
    for FoundKeyPoint {
        keypoint,
        descriptor,
        patch,
    } in images.iter().copied().flatten()
    {
        let values = [
            keypoint.x,
            keypoint.y,
            keypoint.size,
            keypoint.angle_degrees,
            keypoint.response,
        ];
        for (builder, value) in numbers.iter_mut().zip(values) {
            builder.append_value(value);
        }
        octaves.append_value(i32::from(keypoint.octave));
        descriptors.append_value(descriptor)?;
        match patch {
            Some(pixels) => patches.append_value(pixels)?,
            None => patches.append_null(),
        }
    }
    let mut columns: Vec<ArrayRef> = numbers
        .iter_mut()
        .map(|builder| Arc::new(builder.finish()) as ArrayRef)
        .collect();
    columns.push(Arc::new(octaves.finish()));
    columns.push(Arc::new(descriptors.finish()));
    columns.push(Arc::new(patches.finish()));
    let keypoints = StructArray::try_new(keypoint_fields(), columns, None)?;
    let lengths = images.iter().map(|image| image.len());
    // A batch is at most some thousand images of at most some thousand key points.
    let total: usize = images.iter().map(|image| image.len()).sum();
    if i32::try_from(total).is_err() {
        return Err(DataFusionError::ResourcesExhausted(format!(
            "{total} key points in one batch: ask for fewer (--keypoints)"
        )));
    }
    Ok(Arc::new(ListArray::try_new(
        keypoint_item(),
        OffsetBuffer::from_lengths(lengths),
        Arc::new(keypoints),
        None,
    )?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ramp from left to right: turned by a quarter it goes from top to bottom.
    #[test]
    fn patches_are_turned_upright() {
        let side = 64_u32;
        let pixels = (0..side * side)
            .flat_map(|index| [(index % side * 4) as u8; 3])
            .collect();
        let image = RgbImage::from_pixels(side, side, pixels).unwrap();
        let mut keypoint = KeyPoint {
            x: 31.5,
            y: 31.5,
            size: 32.0,
            angle_degrees: 0.0,
            response: 1.0,
            octave: 0,
        };
        let upright = patch(&image, &keypoint);
        assert_eq!(upright[0], 64);
        assert_eq!(upright[31], 188);
        assert_eq!(upright[31 * 32], 64);
        keypoint.angle_degrees = 90.0;
        let turned = patch(&image, &keypoint);
        // The patch's right is the photo's down, so its down is the photo's left.
        assert_eq!(turned[0], 188);
        assert_eq!(turned[31], 188);
        assert_eq!(turned[31 * 32], 64);
    }

    #[test]
    fn some_patches_of_an_image_are_kept_and_those_at_its_border_too() {
        let image = RgbImage::from_pixels(2, 1, vec![255; 6]).unwrap();
        let keypoint = KeyPoint {
            x: 1.0,
            y: 0.0,
            size: 111.0,
            angle_degrees: 33.0,
            response: 1.0,
            octave: 7,
        };
        let all = found(&image, vec![(keypoint, [0; 32]); 10]);
        let kept: Vec<_> = all.iter().filter_map(|one| one.patch.as_ref()).collect();
        assert_eq!(kept.len(), 4);
        assert!(kept.iter().all(|patch| **patch == [255; 1024]));
        assert!(found(&image, Vec::new()).is_empty());
    }
}
