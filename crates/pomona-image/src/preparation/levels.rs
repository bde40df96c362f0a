//! Automatic levels (Pillow's `ImageOps.autocontrast` with `preserve_tone`).

use super::tone::{look_up, luma, table};
use crate::rgb::RgbImage;

pub(super) fn apply(image: RgbImage, dark: f64, light: f64) -> RgbImage {
    let mut histogram = [0_u64; 256];
    for pixel in image.pixels().chunks_exact(3) {
        histogram[usize::from(luma(pixel))] += 1;
    }
    let pixels = image.pixels().len() as f64 / 3.0;
    let share = |per_cent: f64| (pixels * per_cent / 100.0).floor() as u64;
    cut(histogram.iter_mut(), share(dark));
    cut(histogram.iter_mut().rev(), share(light));

    let lowest = histogram.iter().position(|&count| count > 0);
    let highest = histogram.iter().rposition(|&count| count > 0);
    let (Some(lowest), Some(highest)) = (lowest, highest) else {
        return image;
    };
    if highest <= lowest {
        return image;
    }
    let scale = 255.0 / (highest - lowest) as f64;
    let offset = -(lowest as f64) * scale;
    // The cast cuts the fraction off and stops at 0 and 255, as Pillow does.
    look_up(
        image,
        &table(|value| (f64::from(value) * scale + offset) as u8),
    )
}

/// Takes `pixels` away from the first bins on.
fn cut<'a>(bins: impl Iterator<Item = &'a mut u64>, mut pixels: u64) {
    for count in bins {
        let taken = pixels.min(*count);
        *count -= taken;
        pixels -= taken;
        if pixels == 0 {
            break;
        }
    }
}
