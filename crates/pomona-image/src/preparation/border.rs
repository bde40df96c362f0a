//! What lies outside an image.

use crate::rgb::RgbImage;

/// The index inside `0..length` that `index` mirrors to, the edge itself not repeated (`gfedcb|abcdefgh|gfedcba`), as
/// OpenCV's `BORDER_REFLECT_101`.
pub(super) fn mirrored(index: isize, length: usize) -> usize {
    let last = length as isize - 1;
    if last == 0 {
        return 0;
    }
    let folded = index.rem_euclid(2 * last);
    (if folded > last {
        2 * last - folded
    } else {
        folded
    }) as usize
}

/// The index inside `0..length` nearest to `index` (`aaaaaa|abcdefgh|hhhhhh`), as OpenCV's `BORDER_REPLICATE`.
pub(super) fn repeated(index: isize, length: usize) -> usize {
    index.clamp(0, length as isize - 1) as usize
}

/// Rows `top..bottom` (which may lie outside) of the image with `margin` pixels on the left and right, HWC.
pub(super) fn padded_rows(
    image: &RgbImage,
    top: isize,
    bottom: isize,
    margin: usize,
    outside: fn(isize, usize) -> usize,
) -> Vec<u8> {
    let (width, height) = image.sides();
    let mut rows = Vec::with_capacity((bottom - top).max(0) as usize * (width + 2 * margin) * 3);
    for y in top..bottom {
        let row = &image.pixels()[outside(y, height) * width * 3..][..width * 3];
        let mut push = |x: isize| {
            let at = outside(x, width) * 3;
            rows.extend_from_slice(&row[at..at + 3]);
        };
        (-(margin as isize)..0).for_each(&mut push);
        rows.extend_from_slice(row);
        let mut push = |x: isize| {
            let at = outside(x, width) * 3;
            rows.extend_from_slice(&row[at..at + 3]);
        };
        (width as isize..(width + margin) as isize).for_each(&mut push);
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indices_fold_back() {
        let folded: Vec<_> = (-4..7).map(|index| mirrored(index, 3)).collect();
        assert_eq!(folded, [0, 1, 2, 1, 0, 1, 2, 1, 0, 1, 2]);
        assert_eq!(mirrored(-9, 1), 0);
        assert_eq!([repeated(-2, 3), repeated(1, 3), repeated(5, 3)], [0, 1, 2]);
    }
}
