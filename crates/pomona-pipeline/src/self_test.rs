//! Small inputs whose results a model file carries, so that a program that computes otherwise is found out.

use std::path::Path;

use pomona_engine::{EngineError, Extractor};
use pomona_image::RgbImage;
use pomona_learn::Reducer;

use crate::error::PipelineError;
use crate::words::WordModel;

/// Features may differ by this much between engines and machines: L2 norm of the difference over that of the
/// expected values. The engines are held to a tenth of it.
const FEATURE_TOLERANCE: f64 = 1e-3;
/// Components follow from the same features in double precision.
const COMPONENT_TOLERANCE: f64 = 1e-5;
const SIDE_PX: u32 = 32;
/// Key points need room around them.
const KEYPOINT_SIDE_PX: u32 = 128;

/// Tiny images, the features they gave and the components these gave, when the model was fitted.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SelfTest {
    /// PNG files; none where the features came from another program.
    pub images: Vec<Vec<u8>>,
    /// Rows of features, row-major; those of the images where there are any.
    pub features: Vec<f32>,
    /// Rows of components, row-major.
    pub components: Vec<f32>,
}

impl SelfTest {
    /// Test images, shown to `extractor`.
    pub(crate) fn of_extractor(
        extractor: &Extractor,
        words: Option<&WordModel>,
        reducer: &Reducer,
    ) -> Result<Self, PipelineError> {
        let side_px = if words.is_some() {
            KEYPOINT_SIDE_PX
        } else {
            SIDE_PX
        };
        let images: Vec<Vec<u8>> = patterns(side_px)
            .iter()
            .filter_map(|pattern| pomona_image::encode_png(pattern).ok())
            .collect();
        let features = features(extractor, words, &images)?;
        Self::of_features(images, features, reducer)
    }

    /// Rows about the mean, for features whose network is not known.
    pub(crate) fn of_reducer(reducer: &Reducer) -> Result<Self, PipelineError> {
        let rows = (0..3).flat_map(|row| {
            reducer.mean.iter().enumerate().map(move |(column, mean)| {
                let step = ((row * 7 + column * 3) % 11) as f64 / 11.0 - 0.5;
                (mean + step * mean.abs().max(1.0)) as f32
            })
        });
        Self::of_features(Vec::new(), rows.collect(), reducer)
    }

    fn of_features(
        images: Vec<Vec<u8>>,
        features: Vec<f32>,
        reducer: &Reducer,
    ) -> Result<Self, PipelineError> {
        let mut components = Vec::new();
        reducer.transform(&features, &mut components)?;
        Ok(Self {
            images,
            features,
            components,
        })
    }

    /// Whether the stored features still give the stored components.
    pub(crate) fn check_reducer(
        &self,
        reducer: &Reducer,
        model: &Path,
    ) -> Result<(), PipelineError> {
        let mut components = Vec::new();
        reducer.transform(&self.features, &mut components)?;
        compare(
            "components",
            &self.components,
            &components,
            COMPONENT_TOLERANCE,
            model,
        )
    }

    /// Whether the stored images still give the stored features.
    pub(crate) fn check_extractor(
        &self,
        extractor: &Extractor,
        words: Option<&WordModel>,
        model: &Path,
    ) -> Result<(), PipelineError> {
        if self.images.is_empty() {
            return Ok(());
        }
        let features = features(extractor, words, &self.images)?;
        compare(
            "features",
            &self.features,
            &features,
            FEATURE_TOLERANCE,
            model,
        )
    }
}

fn compare(
    what: &str,
    expected: &[f32],
    got: &[f32],
    tolerance: f64,
    model: &Path,
) -> Result<(), PipelineError> {
    let failed = |reason: String| PipelineError::SelfTest {
        model: model.to_owned(),
        reason,
    };
    if expected.len() != got.len() {
        return Err(failed(format!(
            "{} {what} instead of {}",
            got.len(),
            expected.len()
        )));
    }
    let square =
        |values: &mut dyn Iterator<Item = f64>| values.map(|value| value * value).sum::<f64>();
    let difference = square(
        &mut expected
            .iter()
            .zip(got)
            .map(|(a, b)| f64::from(*a) - f64::from(*b)),
    );
    let norm = square(&mut expected.iter().map(|value| f64::from(*value)));
    let relative = (difference / norm.max(f64::MIN_POSITIVE)).sqrt();
    // Written so that a NaN fails.
    if relative <= tolerance {
        Ok(())
    } else {
        Err(failed(format!(
            "{what} differ by {relative:.1e} relative, more than {tolerance:.0e}"
        )))
    }
}

fn features(
    extractor: &Extractor,
    words: Option<&WordModel>,
    images: &[Vec<u8>],
) -> Result<Vec<f32>, PipelineError> {
    let contents: Vec<&[u8]> = images.iter().map(Vec::as_slice).collect();
    Ok(match words {
        Some(words) => words
            .features(&extractor.descriptors(&contents)?)
            .map_err(EngineError::from)?,
        None => extractor.features(&contents)?,
    })
}

/// A ramp, a disc and a chequerboard in colour, drawn on 32 × 32 cells.
fn patterns(side_px: u32) -> Vec<RgbImage> {
    let (side, cell) = (side_px as i32, (side_px / SIDE_PX).max(1) as i32);
    let paint = |colour: fn(i32, i32) -> [u8; 3]| {
        let pixels = (0..side * side)
            .flat_map(|index| colour(index % side / cell, index / side / cell))
            .collect();
        RgbImage::from_pixels(side_px, side_px, pixels).ok()
    };
    [
        paint(|x, y| [(x * 8) as u8, (y * 8) as u8, 255 - (x * 8) as u8]),
        paint(|x, y| match (x - 16).pow(2) + (y - 16).pow(2) {
            0..100 => [220, 60, 40],
            _ => [255, 255, 255],
        }),
        paint(|x, y| {
            if (x / 4 + y / 4) % 2 == 0 {
                [40, 160, 60]
            } else {
                [250, 220, 30]
            }
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_differences_pass_and_large_ones_and_nan_do_not() {
        let model = Path::new("m");
        compare("x", &[3.0, 4.0], &[3.0, 4.000_01], 1e-3, model).unwrap();
        for wrong in [vec![3.0, 4.1], vec![3.0, f32::NAN], vec![3.0]] {
            let error = compare("x", &[3.0, 4.0], &wrong, 1e-3, model).unwrap_err();
            assert!(matches!(error, PipelineError::SelfTest { .. }));
        }
    }

    #[test]
    fn there_are_three_different_patterns() {
        let patterns = patterns(SIDE_PX);
        assert_eq!(patterns.len(), 3);
        assert!(
            patterns[0].pixels() != patterns[1].pixels()
                && patterns[1].pixels() != patterns[2].pixels()
        );
    }
}
