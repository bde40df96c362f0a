//! Turning stored pixels upright.

use crate::rgb::RgbImage;

/// The image as it is to be looked at, from pixels as they are stored and the EXIF orientation (1..=8).
///
/// 1 as stored, 2 mirrored, 3 turned by half, 4 flipped, 5 transposed, 6 to be turned clockwise, 7 transposed across
/// the other diagonal, 8 to be turned counter-clockwise; as Pillow's `ImageOps.exif_transpose`. Other values leave
/// the pixels as they are.
pub(crate) fn upright(image: RgbImage, orientation: u8) -> RgbImage {
    let (width, height) = image.sides();
    // For the pixel (x, y) of the result: index of the first source pixel of its row, and the step to the next.
    let (right, down) = (1_isize, width as isize);
    let last_x = width as isize - 1;
    let last_y = (height as isize - 1) * down;
    let (start, step_x, step_y, turned) = match orientation {
        2 => (last_x, -right, down, false),
        3 => (last_x + last_y, -right, -down, false),
        4 => (last_y, right, -down, false),
        5 => (0, down, right, true),
        6 => (last_y, -down, right, true),
        7 => (last_x + last_y, -down, -right, true),
        8 => (last_x, down, -right, true),
        _ => return image,
    };
    let (out_width, out_height) = if turned {
        (height, width)
    } else {
        (width, height)
    };
    let source = image.pixels();
    let mut pixels = vec![0; source.len()];
    for (y, row) in pixels.chunks_exact_mut(out_width * 3).enumerate() {
        let mut at = start + step_y * y as isize;
        for pixel in row.chunks_exact_mut(3) {
            let from = at as usize * 3;
            pixel.copy_from_slice(&source[from..from + 3]);
            at += step_x;
        }
    }
    RgbImage::from_parts(out_width as u32, out_height as u32, pixels)
}
