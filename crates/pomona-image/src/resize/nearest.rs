//! The nearest pixel (`ImagingScaleAffine` in Pillow's `Geometry.c`).

use crate::rgb::RgbImage;

pub(super) fn resize(image: &RgbImage, width: u32, height: u32) -> RgbImage {
    let columns = sources(image.width(), width);
    let stride = image.width() as usize * 3;
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    for y in sources(image.height(), height) {
        let row = &image.pixels()[y * stride..][..stride];
        for &x in &columns {
            pixels.extend_from_slice(&row[x * 3..x * 3 + 3]);
        }
    }
    RgbImage::from_parts(width, height, pixels)
}

/// For each output position the input position, by steps added up as Pillow adds them.
fn sources(from: u32, to: u32) -> Vec<usize> {
    let step = f64::from(from) / f64::from(to);
    let mut at = step * 0.5;
    (0..to)
        .map(|_| {
            let source = (at as usize).min(from as usize - 1);
            at += step;
            source
        })
        .collect()
}
