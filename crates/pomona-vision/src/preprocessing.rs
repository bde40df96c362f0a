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
        Self { tables, source }
    }

    /// Writes one image, already of the input size, as one image of the input tensor.
    ///
    /// `tensor` holds `3 × height × width` values.
    pub(crate) fn fill(&self, image: &RgbImage, layout: Layout, tensor: &mut [f32]) {
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
