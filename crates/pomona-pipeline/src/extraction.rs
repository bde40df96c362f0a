//! How bytes became features.

use std::collections::BTreeMap;
use std::path::Path;

use pomona_engine::Extractor;
use pomona_image::Preparation;
use pomona_learn::kmeans::Distance;
use pomona_learn::words::{Norm, Weighting};
use pomona_vision::Preprocessing;
use pomona_vision::orb::OrbSettings;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::PipelineError;
use crate::words::WordModel;

/// How bytes became features.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Extraction {
    /// They are values of a network.
    Network(NetworkExtraction),
    /// They are weights of visual words.
    Words(WordsExtraction),
}

/// Which network, and how images were prepared for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NetworkExtraction {
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

/// How key points were found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeyPointExtraction {
    /// What the detector was told.
    pub orb: OrbSettings,
    /// Steps between decoding and detecting, as `--prepare` takes them; empty for none.
    pub preparation: String,
}

/// How key points were found and made into words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WordsExtraction {
    /// How key points were found.
    pub keypoints: KeyPointExtraction,
    /// Words, which is the number of features.
    pub words: usize,
    /// What makes descriptors alike.
    pub distance: Distance,
    /// What a word's entry is.
    pub weighting: Weighting,
    /// What vectors are divided by.
    pub norm: Norm,
    /// SHA-256 of the codebook and the words' weights, hex.
    pub codebook_sha256: String,
}

const EXTRACTION_KEY: &str = "pomona.extraction";
const KEYPOINTS_KEY: &str = "pomona.keypoints";

type Metadata = BTreeMap<String, String>;

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_default()
}

fn read<'a, T: DeserializeOwned>(
    metadata: impl IntoIterator<Item = (&'a String, &'a String)>,
    key: &str,
) -> Option<T> {
    metadata
        .into_iter()
        .find(|(name, _)| *name == key)
        .and_then(|(_, json)| serde_json::from_str(json).ok())
}

impl NetworkExtraction {
    /// What `extractor` does; none where it finds key points.
    #[must_use]
    pub fn of(extractor: &Extractor) -> Option<Self> {
        let (backbone, reference) = extractor.backbone()?;
        let network = backbone.network();
        let input = network.input();
        Some(Self {
            backbone: network.name().to_owned(),
            backbone_reference: reference.to_owned(),
            backbone_sha256: network.hash().to_owned(),
            layer: network.layer().to_owned(),
            feature_count: network.feature_count(),
            input_px: [input.height, input.width],
            preprocessing: network.preprocessing().clone(),
            preparation: extractor.preparation().to_string(),
        })
    }
}

impl KeyPointExtraction {
    /// What `extractor` does; none where it runs a network.
    #[must_use]
    pub fn of(extractor: &Extractor) -> Option<Self> {
        Some(Self {
            orb: extractor.orb_settings()?,
            preparation: extractor.preparation().to_string(),
        })
    }

    /// As schema metadata of Parquet files.
    pub(crate) fn metadata(&self) -> Metadata {
        BTreeMap::from([(KEYPOINTS_KEY.to_owned(), json(self))])
    }

    /// From the schema metadata of a file of descriptors.
    pub(crate) fn from_metadata<'a>(
        metadata: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Option<Self> {
        read(metadata, KEYPOINTS_KEY)
    }

    /// Refuses key points that were found otherwise.
    pub(crate) fn check_same(&self, other: &Self) -> Result<(), PipelineError> {
        if self.orb != other.orb {
            return Err(mismatch(
                "key points are found otherwise (--keypoints)",
                &shown_orb(&self.orb),
                &shown_orb(&other.orb),
            ));
        }
        check_preparation(&self.preparation, &other.preparation)
    }
}

impl WordsExtraction {
    pub(crate) fn of(keypoints: KeyPointExtraction, words: &WordModel) -> Self {
        Self {
            keypoints,
            words: words.codebook.words(),
            distance: words.codebook.distance(),
            weighting: words.weights.weighting(),
            norm: words.weights.norm(),
            codebook_sha256: words.sha256(),
        }
    }
}

fn shown_orb(orb: &OrbSettings) -> String {
    format!("{} key points on {} levels", orb.features, orb.levels)
}

fn mismatch(what: &'static str, expected: &str, got: &str) -> PipelineError {
    PipelineError::Mismatch {
        what,
        expected: expected.to_owned(),
        got: got.to_owned(),
    }
}

fn check_preparation(expected: &str, got: &str) -> Result<(), PipelineError> {
    let shown = |steps: &str| {
        if steps.is_empty() {
            "none".to_owned()
        } else {
            steps.to_owned()
        }
    };
    if expected == got {
        return Ok(());
    }
    Err(mismatch(
        "images are prepared otherwise (--prepare)",
        &shown(expected),
        &shown(got),
    ))
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

impl Extraction {
    /// As schema metadata of Parquet files.
    pub(crate) fn metadata(&self) -> Metadata {
        let mut metadata = BTreeMap::from([(EXTRACTION_KEY.to_owned(), json(self))]);
        let named = match self {
            Self::Network(network) => [
                ("pomona.backbone", network.backbone.clone()),
                ("pomona.backbone_sha256", network.backbone_sha256.clone()),
            ],
            Self::Words(words) => [
                ("pomona.backbone", "orb".to_owned()),
                ("pomona.backbone_sha256", words.codebook_sha256.clone()),
            ],
        };
        metadata.extend(named.map(|(key, value)| (key.to_owned(), value)));
        metadata
    }

    /// From the schema metadata of a Parquet file; none where another program wrote it.
    pub(crate) fn from_metadata<'a>(
        metadata: impl IntoIterator<Item = (&'a String, &'a String)>,
    ) -> Option<Self> {
        read(metadata, EXTRACTION_KEY)
    }

    /// Refuses another network or codebook, or images prepared otherwise.
    pub(crate) fn check_same(&self, other: &Self) -> Result<(), PipelineError> {
        match (self, other) {
            (Self::Network(one), Self::Network(other)) => {
                if one.backbone_sha256 != other.backbone_sha256 {
                    return Err(mismatch(
                        "the network is another one",
                        &format!("{} ({})", one.backbone, short(&one.backbone_sha256)),
                        &format!("{} ({})", other.backbone, short(&other.backbone_sha256)),
                    ));
                }
                check_preparation(&one.preparation, &other.preparation)
            }
            (Self::Words(one), Self::Words(other)) => {
                one.keypoints.check_same(&other.keypoints)?;
                if one.codebook_sha256 != other.codebook_sha256 {
                    return Err(mismatch(
                        "the codebook is another one",
                        short(&one.codebook_sha256),
                        short(&other.codebook_sha256),
                    ));
                }
                Ok(())
            }
            _ => Err(mismatch(
                "the features are of another kind (--features)",
                self.kind(),
                other.kind(),
            )),
        }
    }

    /// The kind of features, as a person calls it.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Network(_) => "values of a network",
            Self::Words(_) => "visual words",
        }
    }

    /// The preparation, read.
    pub(crate) fn preparation(&self, model: &Path) -> Result<Preparation, PipelineError> {
        let text = match self {
            Self::Network(network) => &network.preparation,
            Self::Words(words) => &words.keypoints.preparation,
        };
        if text.is_empty() {
            return Ok(Preparation::default());
        }
        text.parse().map_err(|source| PipelineError::Model {
            model: model.to_owned(),
            source: Box::new(source),
        })
    }
}
