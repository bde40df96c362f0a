//! Resizing, to the bit as Pillow's `Image.resize` does it.
//!
//! From Pillow's `Resample.c` for 8-bit channels: two separable passes, horizontal first, the values rounded and
//! clipped to 8 bits between them; the kernel is stretched by the scale when shrinking; weights are normalised in
//! double precision and kept as fixed-point numbers with 22 fractional bits.
//!
//! Pillow 13 starts with the vertical pass for some sizes, which moves some values by one; what is repeated here is the
//! order of all versions before it.

mod coefficients;
mod nearest;
mod passes;
#[cfg(target_arch = "x86_64")]
mod windows;

use std::cell::RefCell;
use std::rc::Rc;

use coefficients::Coefficients;

use crate::rgb::RgbImage;

/// How values between pixels are found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kernel {
    /// The nearest pixel (`Image.Resampling.NEAREST`).
    Nearest,
    /// Triangle, support 1 (`BILINEAR`).
    Bilinear,
    /// Cubic with a = −0.5, support 2 (`BICUBIC`, Pillow's default).
    Bicubic,
    /// Windowed sinc, support 3 (`LANCZOS`).
    Lanczos3,
}

/// The image at `width` × `height` pixels, aspect not kept: the bytes that Pillow's
/// `Image.resize((width, height), kernel)` gives. A side of 0 is taken as 1.
pub fn resize(image: &RgbImage, width: u32, height: u32, kernel: Kernel) -> RgbImage {
    let (width, height) = (width.max(1), height.max(1));
    if (width, height) == (image.width(), image.height()) {
        return image.clone();
    }
    if kernel == Kernel::Nearest {
        return nearest::resize(image, width, height);
    }
    // A pass that changes nothing is left out, as in Pillow.
    let widened = (width != image.width()).then(|| {
        let coefficients = cached(kernel, image.width(), width);
        passes::horizontal(image, &coefficients)
    });
    let source = widened.as_ref().unwrap_or(image);
    if height != image.height() {
        let coefficients = cached(kernel, image.height(), height);
        return passes::vertical(source, &coefficients);
    }
    widened.unwrap_or_else(|| image.clone())
}

/// Sizes remembered by each thread: a job resizes to one size from a few.
const CACHED: usize = 16;

/// The weights of one pass from one length to another.
struct Remembered {
    pass: (Kernel, u32, u32),
    coefficients: Rc<Coefficients>,
}

thread_local! {
    static CACHE: RefCell<Vec<Remembered>> = const { RefCell::new(Vec::new()) };
}

fn cached(kernel: Kernel, from: u32, to: u32) -> Rc<Coefficients> {
    let pass = (kernel, from, to);
    CACHE.with_borrow_mut(|cache| {
        if let Some(at) = cache.iter().position(|entry| entry.pass == pass) {
            // The last used stands first; the first unused falls off the end.
            cache[..=at].rotate_right(1);
        } else {
            let coefficients = Rc::new(Coefficients::new(kernel, from, to));
            cache.truncate(CACHED - 1);
            cache.insert(0, Remembered { pass, coefficients });
        }
        Rc::clone(&cache[0].coefficients)
    })
}
