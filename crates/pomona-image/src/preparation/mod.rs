//! Optional steps between decoding and resizing, in the order given.

mod bilateral;
mod border;
mod clahe;
mod error;
mod levels;
mod median;
mod nlm;
mod step;
mod tone;

use std::fmt;
use std::str::FromStr;

pub use error::PreparationError;
pub use step::Step;

use crate::rgb::RgbImage;

/// A chain of preparation steps, written as `grey,levels,clahe=2.0:8,median=3`; by default no step.
///
/// Steps are separated by commas and applied from left to right; parameters follow `=` and are separated by colons;
/// those left out take their defaults. [`Step`] says what each does. `Display` writes every parameter, and parsing
/// that gives the same chain.
///
/// ```
/// use pomona_image::Preparation;
///
/// let preparation: Preparation = "grey,clahe,median".parse()?;
/// assert_eq!(preparation.to_string(), "grey,clahe=2.0:8,median=3");
/// # Ok::<(), pomona_image::PreparationError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Preparation(Vec<Step>);

impl Preparation {
    /// A chain of `steps`, applied in their order.
    ///
    /// # Errors
    /// [`PreparationError::Parameter`] for a parameter outside its range.
    pub fn new(steps: Vec<Step>) -> Result<Self, PreparationError> {
        for step in &steps {
            step.check()?;
        }
        Ok(Self(steps))
    }

    /// The steps in their order.
    pub fn steps(&self) -> &[Step] {
        &self.0
    }

    /// Whether there is no step, so that [`apply`](Self::apply) changes nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The image after all steps; its size is unchanged.
    pub fn apply(&self, image: RgbImage) -> RgbImage {
        self.0.iter().fold(image, |image, step| match *step {
            Step::Grey => tone::grey(image),
            Step::Gamma { exponent } => tone::gamma(image, exponent),
            Step::Levels { dark, light } => levels::apply(image, dark, light),
            Step::Clahe { clip, tiles } => clahe::apply(image, clip, tiles),
            Step::Median { size } => median::apply(&image, size),
            Step::Bilateral {
                diameter,
                sigma_colour,
                sigma_space,
            } => bilateral::apply(&image, diameter, sigma_colour, sigma_space),
            Step::NonLocalMeans {
                strength,
                template,
                search,
            } => nlm::apply(&image, strength, template, search),
        })
    }
}

impl FromStr for Preparation {
    type Err = PreparationError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.trim().is_empty() {
            return Ok(Self::default());
        }
        text.split(',')
            .map(Step::parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl fmt::Display for Preparation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, step) in self.0.iter().enumerate() {
            if index > 0 {
                formatter.write_str(",")?;
            }
            write!(formatter, "{step}")?;
        }
        Ok(())
    }
}
