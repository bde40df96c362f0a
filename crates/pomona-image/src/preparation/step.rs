//! The steps, their parameters and how both are written. One table holds names, defaults and ranges.

use std::fmt;

use super::error::PreparationError;

/// One preparation step. Every step keeps the size of the image.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// `grey`: luma of ITU-R BT.601, `(19595 R + 38470 G + 7471 B + 32768) >> 16`, in all three channels; as Pillow's
    /// `convert("L")`.
    Grey,
    /// `gamma=EXPONENT`: every value becomes `255 · (value / 255)^exponent`, rounded. Below 1 lightens.
    Gamma {
        /// The exponent, 0.1..=10; by default 0.8.
        exponent: f64,
    },
    /// `levels=DARK:LIGHT`: automatic levels. The luma's darkest `dark` and lightest `light` per cent of pixels are cut
    /// off, and what remains is stretched to 0..=255, by one table for the three channels, so that hues stay; as
    /// Pillow's `ImageOps.autocontrast(cutoff=(dark, light), preserve_tone=True)`.
    Levels {
        /// Per cent of pixels cut off at the dark end, 0..=49; by default 1.
        dark: f64,
        /// Per cent of pixels cut off at the light end, 0..=49; by default 1.
        light: f64,
    },
    /// `clahe=CLIP:TILES`: contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of the luma, chroma
    /// kept; as OpenCV's `createCLAHE(clip, (tiles, tiles))` on Y of `COLOR_RGB2YCrCb`.
    Clahe {
        /// How far a histogram bin may rise above the mean, 0.1..=100; by default 2.
        clip: f64,
        /// Tiles along each side, 1..=64; by default 8.
        tiles: u32,
    },
    /// `median=SIZE`: each value becomes the median of the square around it, channel by channel, the edge repeated
    /// outwards; as OpenCV's `medianBlur`.
    Median {
        /// Side of the square in pixels, odd, 3..=31; by default 3.
        size: u32,
    },
    /// `bilateral=DIAMETER:SIGMA_COLOUR:SIGMA_SPACE`: a mean over the disc around a pixel, weighted by a Gaussian of
    /// the distance and a Gaussian of the colour difference (sum of the absolute differences of the channels), the
    /// image mirrored at its edges (Tomasi and Manduchi 1998); as OpenCV's `bilateralFilter`.
    Bilateral {
        /// Diameter of the disc in pixels, odd, 3..=31; by default 5.
        diameter: u32,
        /// Deviation of the colour difference, 1..=255; by default 25.
        sigma_colour: f64,
        /// Deviation of the distance in pixels, 0.1..=100; by default 2.
        sigma_space: f64,
    },
    /// `nlm=STRENGTH:TEMPLATE:SEARCH`: non-local means (Buades 2005): a mean over the search square, weighted by
    /// `exp(−d / strength²)`, `d` being the mean squared difference between the template squares around the two
    /// pixels; as OpenCV's `fastNlMeansDenoising` on three channels.
    NonLocalMeans {
        /// Strength, 0.1..=100; by default 10.
        strength: f64,
        /// Side of the template square in pixels, odd, 1..=15; by default 3.
        template: u32,
        /// Side of the search square in pixels, odd, 3..=35; by default 7.
        search: u32,
    },
}

/// A parameter as written in a chain.
struct Parameter {
    name: &'static str,
    default: f64,
    least: f64,
    most: f64,
    shape: Shape,
}

#[derive(Clone, Copy, PartialEq)]
enum Shape {
    Any,
    Whole,
    Odd,
}

/// A step as written in a chain.
struct Form {
    name: &'static str,
    parameters: &'static [Parameter],
}

const fn parameter(
    name: &'static str,
    default: f64,
    least: f64,
    most: f64,
    shape: Shape,
) -> Parameter {
    Parameter {
        name,
        default,
        least,
        most,
        shape,
    }
}

const GREY: Form = Form {
    name: "grey",
    parameters: &[],
};
const GAMMA: Form = Form {
    name: "gamma",
    parameters: &[parameter("the exponent", 0.8, 0.1, 10.0, Shape::Any)],
};
const LEVELS: Form = Form {
    name: "levels",
    parameters: &[
        parameter(
            "the per cent cut off at the dark end",
            1.0,
            0.0,
            49.0,
            Shape::Any,
        ),
        parameter(
            "the per cent cut off at the light end",
            1.0,
            0.0,
            49.0,
            Shape::Any,
        ),
    ],
};
const CLAHE: Form = Form {
    name: "clahe",
    parameters: &[
        parameter("the clip limit", 2.0, 0.1, 100.0, Shape::Any),
        parameter(
            "the number of tiles along a side",
            8.0,
            1.0,
            64.0,
            Shape::Whole,
        ),
    ],
};
const MEDIAN: Form = Form {
    name: "median",
    parameters: &[parameter("the side in pixels", 3.0, 3.0, 31.0, Shape::Odd)],
};
const BILATERAL: Form = Form {
    name: "bilateral",
    parameters: &[
        parameter("the diameter in pixels", 5.0, 3.0, 31.0, Shape::Odd),
        parameter("the deviation of the colour", 25.0, 1.0, 255.0, Shape::Any),
        parameter("the deviation of the distance", 2.0, 0.1, 100.0, Shape::Any),
    ],
};
const NON_LOCAL_MEANS: Form = Form {
    name: "nlm",
    parameters: &[
        parameter("the strength", 10.0, 0.1, 100.0, Shape::Any),
        parameter(
            "the side of the template in pixels",
            3.0,
            1.0,
            15.0,
            Shape::Odd,
        ),
        parameter(
            "the side of the search in pixels",
            7.0,
            3.0,
            35.0,
            Shape::Odd,
        ),
    ],
};

const FORMS: [&Form; 7] = [
    &GREY,
    &GAMMA,
    &LEVELS,
    &CLAHE,
    &MEDIAN,
    &BILATERAL,
    &NON_LOCAL_MEANS,
];

impl Parameter {
    fn accepts(&self, value: f64) -> bool {
        (self.least..=self.most).contains(&value)
            && match self.shape {
                Shape::Any => true,
                Shape::Whole => value.fract() == 0.0,
                Shape::Odd => value % 2.0 == 1.0,
            }
    }

    fn check(
        &self,
        step: &'static str,
        value: f64,
        given: impl fmt::Display,
    ) -> Result<f64, PreparationError> {
        if self.accepts(value) {
            return Ok(value);
        }
        let kind = match self.shape {
            Shape::Any => "a number",
            Shape::Whole => "a whole number",
            Shape::Odd => "an odd number",
        };
        Err(PreparationError::Parameter {
            step,
            parameter: self.name,
            range: format!("{kind} from {} to {}", self.least, self.most),
            given: given.to_string(),
        })
    }
}

impl Step {
    /// One step of a chain: a name, then perhaps `=` and parameters separated by colons.
    pub(super) fn parse(text: &str) -> Result<Self, PreparationError> {
        let text = text.trim();
        let (name, given) = match text.split_once('=') {
            Some((name, given)) => (name.trim(), given.split(':').collect()),
            None => (text, Vec::new()),
        };
        let Some(form) = FORMS.iter().find(|form| form.name == name) else {
            return Err(PreparationError::UnknownStep {
                name: name.to_owned(),
                known: FORMS.map(|form| form.name).join(", "),
            });
        };
        if given.len() > form.parameters.len() {
            return Err(PreparationError::TooManyParameters {
                step: form.name,
                most: form.parameters.len(),
            });
        }
        let mut values = [0.0; 3];
        let mut given = given.into_iter();
        for (value, parameter) in values.iter_mut().zip(form.parameters) {
            *value = match given.next() {
                None => parameter.default,
                Some(text) => {
                    let text = text.trim();
                    parameter.check(form.name, text.parse().unwrap_or(f64::NAN), text)?
                }
            };
        }
        Ok(Self::from_values(form, values))
    }

    /// `values` are within the ranges of the form's parameters.
    fn from_values(form: &Form, [first, second, third]: [f64; 3]) -> Self {
        match form.name {
            "gamma" => Step::Gamma { exponent: first },
            "levels" => Step::Levels {
                dark: first,
                light: second,
            },
            "clahe" => Step::Clahe {
                clip: first,
                tiles: second as u32,
            },
            "median" => Step::Median { size: first as u32 },
            "bilateral" => Step::Bilateral {
                diameter: first as u32,
                sigma_colour: second,
                sigma_space: third,
            },
            "nlm" => Step::NonLocalMeans {
                strength: first,
                template: second as u32,
                search: third as u32,
            },
            _ => Step::Grey,
        }
    }

    fn form_and_values(&self) -> (&'static Form, [f64; 3]) {
        match *self {
            Step::Grey => (&GREY, [0.0; 3]),
            Step::Gamma { exponent } => (&GAMMA, [exponent, 0.0, 0.0]),
            Step::Levels { dark, light } => (&LEVELS, [dark, light, 0.0]),
            Step::Clahe { clip, tiles } => (&CLAHE, [clip, tiles.into(), 0.0]),
            Step::Median { size } => (&MEDIAN, [size.into(), 0.0, 0.0]),
            Step::Bilateral {
                diameter,
                sigma_colour,
                sigma_space,
            } => (&BILATERAL, [diameter.into(), sigma_colour, sigma_space]),
            Step::NonLocalMeans {
                strength,
                template,
                search,
            } => (&NON_LOCAL_MEANS, [strength, template.into(), search.into()]),
        }
    }

    /// Whether every parameter is in its range.
    pub(super) fn check(&self) -> Result<(), PreparationError> {
        let (form, values) = self.form_and_values();
        for (parameter, value) in form.parameters.iter().zip(values) {
            parameter.check(form.name, value, value)?;
        }
        Ok(())
    }
}

impl fmt::Display for Step {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::Grey => formatter.write_str("grey"),
            Step::Gamma { exponent } => write!(formatter, "gamma={exponent}"),
            Step::Levels { dark, light } => write!(formatter, "levels={dark}:{light}"),
            // The clip limit keeps its point, so that it is not taken for a count.
            Step::Clahe { clip, tiles } => write!(formatter, "clahe={clip:?}:{tiles}"),
            Step::Median { size } => write!(formatter, "median={size}"),
            Step::Bilateral {
                diameter,
                sigma_colour,
                sigma_space,
            } => {
                write!(
                    formatter,
                    "bilateral={diameter}:{sigma_colour}:{sigma_space}"
                )
            }
            Step::NonLocalMeans {
                strength,
                template,
                search,
            } => {
                write!(formatter, "nlm={strength}:{template}:{search}")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_in_their_ranges_and_survive_writing() {
        for form in FORMS {
            let step = Step::parse(form.name).unwrap();
            step.check().unwrap();
            assert_eq!(step.form_and_values().0.name, form.name);
            assert_eq!(Step::parse(&step.to_string()), Ok(step));
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let message = |text| Step::parse(text).unwrap_err().to_string();
        assert_eq!(
            message("gray"),
            "there is no preparation step \"gray\"; the steps are grey, gamma, levels, clahe, median, bilateral, nlm"
        );
        assert_eq!(
            message("median=4"),
            "the side in pixels of the step \"median\" is an odd number from 3 to 31, not \"4\""
        );
        assert_eq!(
            message("gamma=NaN"),
            "the exponent of the step \"gamma\" is a number from 0.1 to 10, not \"NaN\""
        );
        assert_eq!(
            message("grey=1"),
            "the step \"grey\" takes at most 0 parameters"
        );
    }
}
