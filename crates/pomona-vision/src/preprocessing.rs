//! From RGB pixels to the numbers a network was trained on.

use std::str::FromStr;

use pomona_image::{Kernel, RgbImage};
use serde::{Deserialize, Serialize};

use crate::{Layout, VisionError};

/// How an image becomes a network's input: `(pixel − mean) / deviation`, pixels in 0..=255.
///
/// As JSON it is the file that may lie beside an ONNX file, with the same name and the ending `.json`:
///
/// ```
/// let beside = br#"{"mean": [127, 127, 127], "deviation": [128, 128, 128], "kernel": "bicubic"}"#;
/// let preprocessing = pomona_vision::Preprocessing::from_json(beside)?;
/// assert_eq!(preprocessing.mean, [127.0; 3]);
/// # Ok::<(), pomona_vision::VisionError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Preprocessing {
    /// What is taken from a pixel, by channel in the network's order.
    pub mean: [f32; 3],
    /// What the rest is divided by, by channel in the network's order.
    pub deviation: [f32; 3],
    /// The kernel that stretches an image to the input size; `bicubic` where a file does not say.
    #[serde(default = "bicubic", with = "kernel_name")]
    pub kernel: Kernel,
    /// The order of the channels; `rgb` where a file does not say.
    #[serde(default)]
    pub channel_order: ChannelOrder,
    /// Height and width in pixels, used where the graph leaves them open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_px: Option<[u32; 2]>,
}

/// The order in which a network takes the colours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChannelOrder {
    /// Red, green, blue.
    #[default]
    Rgb,
    /// Blue, green, red, as networks from Caffe and OpenCV.
    Bgr,
}

impl Preprocessing {
    /// The names [`FromStr`] knows.
    pub const PRESETS: [&'static str; 4] = ["-1..1", "0..1", "imagenet", "raw"];

    /// The same mean and deviation for each channel, RGB, bicubic.
    #[must_use]
    pub fn uniform(mean: f32, deviation: f32) -> Self {
        Self {
            mean: [mean; 3],
            deviation: [deviation; 3],
            kernel: Kernel::Bicubic,
            channel_order: ChannelOrder::Rgb,
            input_px: None,
        }
    }

    /// Reads the JSON form.
    ///
    /// # Errors
    ///
    /// [`VisionError::Sidecar`] where it is not that, [`VisionError::Preprocessing`] where its numbers cannot be used.
    pub fn from_json(bytes: &[u8]) -> Result<Self, VisionError> {
        let preprocessing: Self = serde_json::from_slice(bytes).map_err(VisionError::Sidecar)?;
        preprocessing.check()?;
        Ok(preprocessing)
    }

    /// The JSON form, always the same bytes for the same value.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    pub(crate) fn check(&self) -> Result<(), VisionError> {
        if self
            .deviation
            .iter()
            .any(|deviation| !deviation.is_finite() || *deviation == 0.0)
        {
            return Err(VisionError::Preprocessing(
                "a deviation is zero or not a number",
            ));
        }
        if self.mean.iter().any(|mean| !mean.is_finite()) {
            return Err(VisionError::Preprocessing("a mean is not a number"));
        }
        if self
            .input_px
            .is_some_and(|sides| sides.iter().any(|side| !(1..=4096).contains(side)))
        {
            return Err(VisionError::Preprocessing(
                "the input size is not within 1 to 4,096 pixels",
            ));
        }
        Ok(())
    }
}

impl FromStr for Preprocessing {
    type Err = VisionError;

    /// A preset: `-1..1` and `0..1` are the range of the input, `imagenet` the mean and deviation of the ImageNet
    /// photos as torchvision has them, `raw` leaves 0..=255.
    fn from_str(name: &str) -> Result<Self, VisionError> {
        match name {
            "-1..1" => Ok(Self::uniform(127.5, 127.5)),
            "0..1" => Ok(Self::uniform(0.0, 255.0)),
            "imagenet" => Ok(Self {
                mean: [0.485 * 255.0, 0.456 * 255.0, 0.406 * 255.0],
                deviation: [0.229 * 255.0, 0.224 * 255.0, 0.225 * 255.0],
                ..Self::uniform(0.0, 1.0)
            }),
            "raw" => Ok(Self::uniform(0.0, 1.0)),
            name => Err(VisionError::UnknownPreset {
                name: name.to_owned(),
            }),
        }
    }
}

/// What each pixel value becomes, by channel of the image: the arithmetic of [`Preprocessing`] done once.
pub(crate) struct Normaliser {
    /// By channel of the network.
    tables: [[f32; 256]; 3],
    #[cfg(target_arch = "x86_64")]
    mean: [f32; 3],
    #[cfg(target_arch = "x86_64")]
    deviation: [f32; 3],
    /// For each channel of the network, the channel of the image.
    source: [usize; 3],
}

impl Normaliser {
    pub(crate) fn new(preprocessing: &Preprocessing) -> Self {
        let tables = [0, 1, 2].map(|channel| {
            let (mean, deviation) = (
                preprocessing.mean[channel],
                preprocessing.deviation[channel],
            );
            let mut table = [0.0; 256];
            for (pixel, value) in (0_u16..).zip(&mut table) {
                *value = (f32::from(pixel) - mean) / deviation;
            }
            table
        });
        let source = match preprocessing.channel_order {
            ChannelOrder::Rgb => [0, 1, 2],
            ChannelOrder::Bgr => [2, 1, 0],
        };
        Self {
            tables,
            #[cfg(target_arch = "x86_64")]
            mean: preprocessing.mean,
            #[cfg(target_arch = "x86_64")]
            deviation: preprocessing.deviation,
            source,
        }
    }

    /// Writes one image, already of the input size, as one image of the input tensor.
    ///
    /// `tensor` holds `3 × height × width` values.
    pub(crate) fn fill(&self, image: &RgbImage, layout: Layout, tensor: &mut [f32]) {
        #[cfg(target_arch = "x86_64")]
        if std::arch::is_x86_feature_detected!("avx512f")
            && std::arch::is_x86_feature_detected!("avx512bw")
            && std::arch::is_x86_feature_detected!("avx512vbmi")
        {
            // SAFETY: the processor has all three.
            return unsafe { self.fill_avx512(image, layout, tensor) };
        }
        self.fill_from_tables(image, layout, tensor);
    }

    fn fill_from_tables(&self, image: &RgbImage, layout: Layout, tensor: &mut [f32]) {
        let (pixels, _) = image.pixels().as_chunks::<3>();
        match layout {
            Layout::Nhwc => {
                for (pixel, values) in pixels.iter().zip(tensor.as_chunks_mut::<3>().0) {
                    for channel in 0..3 {
                        values[channel] =
                            self.tables[channel][usize::from(pixel[self.source[channel]])];
                    }
                }
            }
            // HWC → CHW
            Layout::Nchw => {
                for (channel, plane) in tensor.chunks_exact_mut(pixels.len().max(1)).enumerate() {
                    let (table, source) = (&self.tables[channel], self.source[channel]);
                    for (pixel, value) in pixels.iter().zip(plane) {
                        *value = table[usize::from(pixel[source])];
                    }
                }
            }
        }
    }
}

#[cfg(target_arch = "x86_64")]
impl Normaliser {
    /// The same values, worked out anew: dividing sixteen at once takes less than looking each of them up.
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn fill_avx512(&self, image: &RgbImage, layout: Layout, tensor: &mut [f32]) {
        use std::arch::x86_64::{
            _mm512_cvtepi32_ps, _mm512_div_ps, _mm512_loadu_epi32, _mm512_loadu_ps,
            _mm512_mask_storeu_ps, _mm512_maskz_loadu_epi8, _mm512_maskz_permutexvar_epi8,
            _mm512_sub_ps,
        };
        /// Pixels worked on at once.
        const PIXELS: usize = 16;
        /// The lowest byte of each lane.
        const LOWEST: u64 = 0x1111_1111_1111_1111;

        let bytes = image.pixels();
        let count = bytes.len() / 3;
        let Some(tensor) = tensor.get_mut(..count * 3) else {
            return;
        };
        // For each vector of a load: which byte a lane takes, and for which channel of the network.
        let lanes: [[(usize, usize); PIXELS]; 3] = std::array::from_fn(|vector| {
            std::array::from_fn(|lane| match layout {
                Layout::Nchw => (lane * 3 + self.source[vector], vector),
                Layout::Nhwc => {
                    let value = vector * PIXELS + lane;
                    (value / 3 * 3 + self.source[value % 3], value % 3)
                }
            })
        });
        let constants = lanes.map(|lanes| {
            let picks = lanes.map(|(pick, _)| pick as i32);
            let means = lanes.map(|(_, channel)| self.mean[channel]);
            let deviations = lanes.map(|(_, channel)| self.deviation[channel]);
            // SAFETY: each array is as long as a vector.
            unsafe {
                (
                    _mm512_loadu_epi32(picks.as_ptr()),
                    _mm512_loadu_ps(means.as_ptr()),
                    _mm512_loadu_ps(deviations.as_ptr()),
                )
            }
        });
        for (number, pixels) in bytes[..count * 3].chunks(PIXELS * 3).enumerate() {
            let there = u64::MAX >> (64 - pixels.len());
            // SAFETY: bytes that are not there are not loaded.
            let loaded = unsafe { _mm512_maskz_loadu_epi8(there, pixels.as_ptr().cast()) };
            for (vector, (picks, means, deviations)) in constants.into_iter().enumerate() {
                let (at, values) = match layout {
                    Layout::Nchw => (vector * count + number * PIXELS, pixels.len() / 3),
                    Layout::Nhwc => (
                        (number * 3 + vector) * PIXELS,
                        pixels.len().saturating_sub(vector * PIXELS),
                    ),
                };
                let values = values.min(PIXELS);
                let Some(target) = tensor.get_mut(at..at + values) else {
                    continue;
                };
                let picked = _mm512_maskz_permutexvar_epi8(LOWEST, picks, loaded);
                let value =
                    _mm512_div_ps(_mm512_sub_ps(_mm512_cvtepi32_ps(picked), means), deviations);
                let written = (u32::from(u16::MAX) >> (PIXELS - values)) as u16;
                // SAFETY: as many values are written as the target has.
                unsafe { _mm512_mask_storeu_ps(target.as_mut_ptr(), written, value) };
            }
        }
    }
}

fn bicubic() -> Kernel {
    Kernel::Bicubic
}

mod kernel_name {
    use pomona_image::Kernel;
    use serde::ser::Error;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "lowercase")]
    enum Name {
        Nearest,
        Bilinear,
        Bicubic,
        Lanczos3,
    }

    #[expect(
        clippy::trivially_copy_pass_by_ref,
        reason = "serde passes fields by reference"
    )]
    pub(super) fn serialize<S: Serializer>(
        kernel: &Kernel,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match kernel {
            Kernel::Nearest => Name::Nearest,
            Kernel::Bilinear => Name::Bilinear,
            Kernel::Bicubic => Name::Bicubic,
            Kernel::Lanczos3 => Name::Lanczos3,
            _ => return Err(S::Error::custom("the kernel has no name")),
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Kernel, D::Error> {
        Ok(match Name::deserialize(deserializer)? {
            Name::Nearest => Kernel::Nearest,
            Name::Bilinear => Kernel::Bilinear,
            Name::Bicubic => Kernel::Bicubic,
            Name::Lanczos3 => Kernel::Lanczos3,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tensors_hold_what_the_formula_gives() {
        let preprocessing = Preprocessing {
            mean: [127.5, 116.28, 103.53],
            deviation: [127.5, 57.12, 0.37],
            ..Preprocessing::uniform(0.0, 1.0)
        };
        for order in [ChannelOrder::Rgb, ChannelOrder::Bgr] {
            let normaliser = Normaliser::new(&Preprocessing {
                channel_order: order,
                ..preprocessing.clone()
            });
            for (width, height) in [(1, 1), (3, 5), (16, 1), (7, 9), (33, 31), (64, 64)] {
                let count = (width * height) as usize;
                let pixels: Vec<u8> = (0..count * 3)
                    .map(|index| (index.wrapping_mul(2_654_435_761) >> 13) as u8)
                    .collect();
                let image = RgbImage::from_pixels(width, height, pixels.clone()).unwrap();
                for layout in [Layout::Nchw, Layout::Nhwc] {
                    let mut tensor = vec![f32::NAN; count * 3];
                    normaliser.fill(&image, layout, &mut tensor);
                    let mut from_tables = vec![f32::NAN; count * 3];
                    normaliser.fill_from_tables(&image, layout, &mut from_tables);
                    for (pixel, channel) in (0..count).flat_map(|at| (0..3).map(move |c| (at, c))) {
                        let source = match order {
                            ChannelOrder::Rgb => channel,
                            ChannelOrder::Bgr => 2 - channel,
                        };
                        let at = match layout {
                            Layout::Nchw => channel * count + pixel,
                            Layout::Nhwc => pixel * 3 + channel,
                        };
                        let expected = (f32::from(pixels[pixel * 3 + source])
                            - preprocessing.mean[channel])
                            / preprocessing.deviation[channel];
                        assert_eq!(tensor[at].to_bits(), expected.to_bits());
                        assert_eq!(from_tables[at].to_bits(), expected.to_bits());
                    }
                }
            }
        }
    }
}
