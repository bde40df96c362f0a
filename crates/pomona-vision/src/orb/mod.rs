//! ORB key points and descriptors (Rublee, Rabaud, Konolige and Bradski, "ORB: an efficient alternative to SIFT or
//! SURF", ICCV 2011), with the numbers of OpenCV 5.0.0.
//!
//! Each level of a pyramid is searched for FAST-9 corners; the strongest by Harris' measure are kept, oriented by
//! their centre of brightness and described by 256 comparisons of smoothed pixels.
//!
//! ```
//! use pomona_vision::orb::{Orb, OrbSettings};
//!
//! let mut orb = Orb::new(OrbSettings::default())?;
//! let photo = pomona_image::RgbImage::from_pixels(1, 1, vec![255, 200, 0])?;
//! assert!(orb.detect(&photo).is_empty());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod blur;
mod brief;
mod detector;
mod fast;
mod instructions;
mod orientation;
mod pattern;
mod plane;
mod rank;
mod resize;
mod settings;

use instructions::Instructions;

pub use detector::{Descriptor, KeyPoint, Orb};
pub use settings::{OrbError, OrbSettings};
