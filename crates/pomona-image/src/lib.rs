//! How do bytes become upright RGB pixels, safely, and pixels a prepared image?
//!
//! [`decode`] takes the bytes of one photo and gives an upright 8-bit RGB image or an error that says why not;
//! nothing is allocated for pixels before the header passed the [`Limits`]. [`resize`] repeats Pillow's
//! `Image.resize` to the bit, so that a photo gives the same numbers here as in a notebook. A [`Preparation`]
//! is a chain of optional steps (grey, exposure, contrast, noise) applied in the order given.
//!
//! The crate does no I/O: bytes in, pixels out.
//!
//! ```
//! use pomona_image::{Kernel, Limits, Preparation, RgbImage, decode, encode_png, resize};
//!
//! let photo = encode_png(&RgbImage::from_pixels(2, 1, vec![255, 0, 0, 0, 0, 255])?)?;
//!
//! let decoded = decode(&photo, &Limits::default())?;
//! assert_eq!(decoded.format.name(), "PNG");
//! let preparation: Preparation = "grey,levels=1:1".parse()?;
//! let prepared = preparation.apply(decoded.image);
//! let input = resize(&prepared, 224, 224, Kernel::Bicubic);
//! assert_eq!(input.pixels().len(), 224 * 224 * 3);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod decode;
mod encode;
mod error;
mod exif;
mod flatten;
mod format;
mod jpeg;
mod limits;
mod orientation;
mod preparation;
mod quiet;
mod raster;
mod resize;
mod rgb;
mod thumbnail;
mod tiff;
mod webp;

pub use decode::{Decoded, decode};
pub use encode::{EncodeError, encode_jpeg, encode_png};
pub use error::{Damage, DecodeError, Excess};
pub use format::Format;
pub use limits::Limits;
pub use preparation::{Preparation, PreparationError, Step};
pub use resize::{Kernel, resize};
pub use rgb::{RgbImage, ShapeError};
pub use thumbnail::thumbnail;
