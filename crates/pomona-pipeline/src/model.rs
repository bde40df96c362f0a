//! `model.pomona`: what was fitted, with everything that it needs.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use pomona_engine::Extractor;
use pomona_image::Preparation;
use pomona_learn::{Reducer, SealedFile, Section};
use pomona_vision::Preprocessing;
use serde::{Deserialize, Serialize};

use crate::error::PipelineError;
use crate::folder::write_whole;
use crate::self_test::SelfTest;

/// How bytes became features: which network, and how images were prepared for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Extraction {
    /// Name of the network.
    pub backbone: String,
    /// How it was asked for: its name, or its file's absolute path.
    pub backbone_reference: String,
    /// SHA-256 of everything in the network that decides the features.
    pub backbone_sha256: String,
    /// The tensor that the features are.
    pub layer: String,
    /// Values in each list of features.
    pub feature_count: usize,
    /// Height and width of the network's input.
    pub input_px: [u32; 2],
    /// From pixels to the network's input.
    pub preprocessing: Preprocessing,
    /// Steps between decoding and resizing, as `--prepare` takes them; empty for none.
    pub preparation: String,
}

const EXTRACTION_KEY: &str = "pomona.extraction";

impl Extraction {
    /// What `extractor` does.
    #[must_use]
    pub fn of(extractor: &Extractor) -> Self {
        let network = extractor.backbone().network();
        let input = network.input();
        Self {
            backbone: network.name().to_owned(),
            backbone_reference: extractor.reference().to_owned(),
            backbone_sha256: network.hash().to_owned(),
            layer: network.layer().to_owned(),
            feature_count: network.feature_count(),
            input_px: [input.height, input.width],
            preprocessing: network.preprocessing().clone(),
            preparation: extractor.preparation().to_string(),
        }
    }

    /// As schema metadata of Parquet files.
    pub(crate) fn metadata(&self) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("pomona.backbone".to_owned(), self.backbone.clone()),
            (
                "pomona.backbone_sha256".to_owned(),
                self.backbone_sha256.clone(),
            ),
            (
                EXTRACTION_KEY.to_owned(),
                serde_json::to_string(self).unwrap_or_default(),
            ),
        ])
    }

    /// From the schema metadata of a Parquet file; none where another program wrote it.
    pub(crate) fn from_metadata<'a>(
        metadata: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Option<Self> {
        metadata
            .into_iter()
            .find(|(key, _)| *key == EXTRACTION_KEY)
            .and_then(|(_, json)| serde_json::from_str(json).ok())
    }

    /// Refuses another network, or images prepared otherwise.
    pub(crate) fn check_same(&self, other: &Self) -> Result<(), PipelineError> {
        let mismatch = |what, expected: &str, got: &str| PipelineError::Mismatch {
            what,
            expected: expected.to_owned(),
            got: got.to_owned(),
        };
        if self.backbone_sha256 != other.backbone_sha256 {
            return Err(mismatch(
                "the network is another one",
                &format!("{} ({})", self.backbone, short(&self.backbone_sha256)),
                &format!("{} ({})", other.backbone, short(&other.backbone_sha256)),
            ));
        }
        if self.preparation != other.preparation {
            let shown = |steps: &str| {
                if steps.is_empty() {
                    "none".to_owned()
                } else {
                    steps.to_owned()
                }
            };
            return Err(mismatch(
                "images are prepared otherwise (--prepare)",
                &shown(&self.preparation),
                &shown(&other.preparation),
            ));
        }
        Ok(())
    }

    /// The preparation, read.
    pub(crate) fn preparation(&self, model: &Path) -> Result<Preparation, PipelineError> {
        if self.preparation.is_empty() {
            return Ok(Preparation::default());
        }
        self.preparation
            .parse()
            .map_err(|source| PipelineError::Model {
                model: model.to_owned(),
                source: Box::new(source),
            })
    }
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

/// What a model was fitted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataFingerprint {
    /// Rows.
    pub rows: u64,
    /// SHA-256 over path and content hash of every image, or over the files where there is no ledger; hex.
    pub sha256: String,
}

/// A fitted model and what it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    /// How bytes become features; unknown when the features came from another program.
    pub extraction: Option<Extraction>,
    /// From features to components.
    pub reducer: Reducer,
    /// What it was fitted on.
    pub data: DataFingerprint,
    /// The seed of everything random in the fit.
    pub seed: u64,
    /// Small inputs and what must come of them.
    pub self_test: SelfTest,
}

#[derive(Serialize, Deserialize)]
struct Header {
    pomona: String,
    extraction: Option<Extraction>,
    data: DataFingerprint,
    seed: u64,
    self_test_images: usize,
}

impl ModelFile {
    /// Writes the model, whole or not at all.
    ///
    /// # Errors
    /// [`PipelineError::Io`].
    pub fn save(&self, file: &Path) -> Result<(), PipelineError> {
        let header = Header {
            pomona: env!("CARGO_PKG_VERSION").to_owned(),
            extraction: self.extraction.clone(),
            data: self.data.clone(),
            seed: self.seed,
            self_test_images: self.self_test.images.len(),
        };
        let header = serde_json::to_value(header).map_err(PipelineError::broken(file))?;
        let mut sealed = SealedFile::new(header);
        self.reducer.write_into(&mut sealed);
        for (number, image) in self.self_test.images.iter().enumerate() {
            sealed.sections.insert(
                format!("self_test.image.{number}"),
                Section::Bytes(image.clone()),
            );
        }
        for (name, values) in [
            ("self_test.features", &self.self_test.features),
            ("self_test.components", &self.self_test.components),
        ] {
            sealed
                .sections
                .insert(name.to_owned(), Section::F32(values.clone()));
        }
        let bytes = sealed.to_bytes().map_err(PipelineError::broken(file))?;
        write_whole(file, |out| out.write_all(&bytes))
    }

    /// Reads a model and checks its seal, and that its test features still give their components.
    ///
    /// # Errors
    /// [`PipelineError::Model`] and [`PipelineError::SelfTest`].
    pub fn load(file: &Path) -> Result<Self, PipelineError> {
        let bytes = fs::read(file).map_err(PipelineError::io(file))?;
        let unusable = |source: Box<dyn std::error::Error + Send + Sync>| PipelineError::Model {
            model: file.to_owned(),
            source,
        };
        let sealed = SealedFile::from_bytes(&bytes).map_err(|error| unusable(error.into()))?;
        let header: Header =
            Header::deserialize(&sealed.header).map_err(|error| unusable(error.into()))?;
        let reducer = Reducer::read_from(&sealed).map_err(|error| unusable(error.into()))?;
        let section = |name: &str| {
            sealed
                .f32s(name)
                .map(<[f32]>::to_vec)
                .ok_or_else(|| unusable(format!("the section {name} is missing").into()))
        };
        let images = (0..header.self_test_images)
            .map(|number| {
                let name = format!("self_test.image.{number}");
                sealed
                    .bytes(&name)
                    .map(<[u8]>::to_vec)
                    .ok_or_else(|| unusable(format!("the section {name} is missing").into()))
            })
            .collect::<Result<_, _>>()?;
        let model = Self {
            extraction: header.extraction,
            self_test: SelfTest {
                images,
                features: section("self_test.features")?,
                components: section("self_test.components")?,
            },
            reducer,
            data: header.data,
            seed: header.seed,
        };
        model.self_test.check_reducer(&model.reducer, file)?;
        Ok(model)
    }
}
