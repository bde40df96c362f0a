//! Pixels of other kinds to 8-bit RGB.

/// `a · b / 255`, rounded; both at most 255. As Pillow's `MULDIV255`.
#[inline(always)]
fn multiply_255(a: u32, b: u32) -> u32 {
    let product = a * b + 128;
    ((product >> 8) + product) >> 8
}

/// RGB from CMYK where 255 is full ink: `(255 − ink) · (255 − black) / 255`, rounded as Pillow's `convert("RGB")`.
#[inline(always)]
pub(crate) fn cmyk_to_rgb([cyan, magenta, yellow, black]: [u8; 4]) -> [u8; 3] {
    let light = 255 - u32::from(black);
    [cyan, magenta, yellow].map(|ink| (light - multiply_255(u32::from(ink), light)) as u8)
}

/// `value` with `alpha` laid on white: `(alpha · value + (255 − alpha) · 255) / 255`, rounded as Pillow's `paste`.
#[inline(always)]
fn over_white(value: u8, alpha: u8) -> u8 {
    let alpha = u32::from(alpha);
    let sum = u32::from(value) * alpha + 255 * (255 - alpha) + 128;
    (((sum >> 8) + sum) >> 8) as u8
}

/// A value in 0..1 as 0..=255, clamped and rounded; what is no number becomes 0.
#[inline(always)]
pub(crate) fn from_unit(value: f32) -> u8 {
    // The cast saturates and takes NaN to 0.
    (value * 255.0 + 0.5) as u8
}

/// How many values of a pixel mean what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    Grey,
    GreyAlpha,
    Rgb,
    Rgba,
    /// 255 is full ink.
    Cmyk,
}

impl Layout {
    pub(crate) fn channels(self) -> usize {
        match self {
            Layout::Grey => 1,
            Layout::GreyAlpha => 2,
            Layout::Rgb => 3,
            Layout::Rgba | Layout::Cmyk => 4,
        }
    }
}

/// RGB8 from values of any type that `to_byte` reduces, `layout.channels() + extra` values a pixel.
pub(crate) fn flatten<T: Copy>(
    values: &[T],
    layout: Layout,
    extra: usize,
    to_byte: impl Fn(T) -> u8,
    rgb: &mut [u8],
) {
    let pixels = rgb
        .chunks_exact_mut(3)
        .zip(values.chunks_exact(layout.channels() + extra));
    for (out, pixel) in pixels {
        let at = |index: usize| to_byte(pixel[index]);
        match layout {
            Layout::Grey => out.fill(at(0)),
            Layout::GreyAlpha => out.fill(over_white(at(0), at(1))),
            Layout::Rgb => out.copy_from_slice(&[at(0), at(1), at(2)]),
            Layout::Rgba => {
                let alpha = at(3);
                out.copy_from_slice(&[
                    over_white(at(0), alpha),
                    over_white(at(1), alpha),
                    over_white(at(2), alpha),
                ]);
            }
            Layout::Cmyk => out.copy_from_slice(&cmyk_to_rgb([at(0), at(1), at(2), at(3)])),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_is_exact_everywhere() {
        for value in 0..=255_u32 {
            for alpha in 0..=255_u32 {
                let exact = f64::from(value * alpha + 255 * (255 - alpha)) / 255.0;
                assert_eq!(
                    f64::from(over_white(value as u8, alpha as u8)),
                    exact.round()
                );
                assert_eq!(
                    f64::from(multiply_255(value, alpha)),
                    (f64::from(value * alpha) / 255.0).round()
                );
            }
        }
    }

    #[test]
    fn units() {
        assert_eq!(
            [-1.0, 0.0, 0.5, 1.0, 9.0, f32::NAN].map(from_unit),
            [0, 0, 128, 255, 255, 0]
        );
    }
}
