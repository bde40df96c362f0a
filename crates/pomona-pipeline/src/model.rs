//! `model.pomona`: what was fitted, with everything that it needs.

use std::path::Path;

use pomona_learn::words::Norm;
use pomona_learn::{Reducer, SealedFile, Section};
use pomona_store::Place;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::error::{PipelineError, Shown};
use crate::extraction::Extraction;
use crate::self_test::SelfTest;
use crate::words::WordModel;

/// What a model was fitted on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataFingerprint {
    /// Rows.
    pub rows: u64,
    /// The sum, modulo 2^256, of the SHA-256 of each image's path and content hash, whatever their order; or the
    /// SHA-256 of the files where there is no ledger; hex.
    pub sha256: String,
}

/// A fitted model and what it needs.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    /// How bytes become features; unknown when the features came from another program.
    pub extraction: Option<Extraction>,
    /// From descriptors to features, where these are visual words.
    pub words: Option<WordModel>,
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
    /// What vectors of words are divided by, where features are words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    words_norm: Option<Norm>,
}

impl ModelFile {
    /// Writes the model, whole or not at all.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn save(&self, file: &Place) -> Result<(), PipelineError> {
        Ok(file.write_later(self.to_bytes(file)?).await?)
    }

    /// SHA-256 of the model file, hex.
    ///
    /// # Errors
    /// When the model cannot be encoded.
    pub fn sha256(&self) -> Result<String, PipelineError> {
        let bytes = self.to_bytes(Path::new("the model"))?;
        let hash = Sha256::digest(&bytes);
        Ok(hash.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    fn to_bytes(&self, file: &(impl Shown + ?Sized)) -> Result<Vec<u8>, PipelineError> {
        let header = Header {
            pomona: env!("CARGO_PKG_VERSION").to_owned(),
            extraction: self.extraction.clone(),
            data: self.data.clone(),
            seed: self.seed,
            self_test_images: self.self_test.images.len(),
            words_norm: self.words.as_ref().map(|words| words.weights.norm()),
        };
        let header = serde_json::to_value(header).map_err(PipelineError::broken(file))?;
        let mut sealed = SealedFile::new(header);
        self.reducer.write_into(&mut sealed);
        if let Some(words) = &self.words {
            words.write_into(&mut sealed);
        }
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
        sealed.to_bytes().map_err(PipelineError::broken(file))
    }

    /// Reads a model and checks its seal, and that its test features still give their components.
    ///
    /// # Errors
    /// [`PipelineError::Model`] and [`PipelineError::SelfTest`].
    pub async fn load(file: &Place) -> Result<Self, PipelineError> {
        let bytes = file.read().await?;
        let unusable = |source: Box<dyn std::error::Error + Send + Sync>| PipelineError::Model {
            model: file.shown(),
            source,
        };
        let sealed = SealedFile::from_bytes(&bytes).map_err(|error| unusable(error.into()))?;
        let header: Header =
            Header::deserialize(&sealed.header).map_err(|error| unusable(error.into()))?;
        let reducer = Reducer::read_from(&sealed).map_err(|error| unusable(error.into()))?;
        let words = header
            .words_norm
            .map(|norm| WordModel::read_from(&sealed, norm))
            .transpose()
            .map_err(unusable)?;
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
            words,
            self_test: SelfTest {
                images,
                features: section("self_test.features")?,
                components: section("self_test.components")?,
            },
            reducer,
            data: header.data,
            seed: header.seed,
        };
        model
            .self_test
            .check_reducer(&model.reducer, &file.shown())?;
        Ok(model)
    }
}
