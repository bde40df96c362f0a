//! Networks by name.

use std::path::{Path, PathBuf};

use pomona_vision::{Network, NetworkOptions, Preprocessing};

use super::cache::{read, verified};
use super::fetch::fetch;
use super::listed::names;
use super::{AssetError, Cache};

/// A network that can be asked for by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KnownBackbone {
    /// The name.
    pub name: &'static str,
    /// The file's name.
    pub file: &'static str,
    /// Where the file can be had; `None` where it is inside the program.
    pub url: Option<&'static str>,
    /// The file's size.
    pub bytes: u64,
    /// The file's SHA-256, in hexadecimal.
    pub sha256: &'static str,
    /// How images are fed, for people.
    pub preprocessing: &'static str,
    /// The licence of the weights.
    pub license: &'static str,
}

static KNOWN: [KnownBackbone; 3] = [
    KnownBackbone {
        name: "efficientnet_lite0",
        file: "efficientnet_lite0.onnx",
        url: None,
        bytes: 7_180_206,
        sha256: "9fe39d57264b61e807bdace74a6931c427d57f6b8864881ddfb6758d620a6049",
        preprocessing: "(pixel - 127) / 128",
        license: "Apache-2.0",
    },
    KnownBackbone {
        name: "mobilenet_v2",
        file: "mobilenetv2-12.onnx",
        url: Some(
            "https://huggingface.co/onnxmodelzoo/mobilenetv2-12/resolve/main/mobilenetv2-12.onnx",
        ),
        bytes: 13_964_571,
        sha256: "c0c3f76d93fa3fd6580652a45618618a220fced18babf65774ed169de0432ad5",
        preprocessing: "imagenet",
        license: "Apache-2.0",
    },
    KnownBackbone {
        name: "resnet50",
        file: "resnet50-v1-12.onnx",
        url: Some(
            "https://huggingface.co/onnxmodelzoo/resnet50-v1-12/resolve/main/resnet50-v1-12.onnx",
        ),
        bytes: 102_576_593,
        sha256: "3f03fdef724b22947eed826f1eef1dc5c34151bb4c37d634f1db89dfa2dd1526",
        preprocessing: "imagenet",
        license: "Apache-2.0",
    },
];

/// The networks that have a name of their own; the first is the default.
#[must_use]
pub fn known_backbones() -> &'static [KnownBackbone] {
    &KNOWN
}

/// The file of a known or an added network, from the cache or fetched into it.
///
/// # Errors
///
/// [`AssetError::Unfetched`] says where to put a file that cannot be fetched.
pub fn backbone_file(name: &str) -> Result<PathBuf, AssetError> {
    Cache::from_environment()?.backbone_file(name)
}

/// The network of a name, or in a file: a path that ends in `.onnx`, with an optional file beside it that ends in
/// `.json`. What `options` names goes before what lies beside the file.
///
/// # Errors
///
/// [`AssetError`] where the file cannot be had or is no such network.
pub fn open_backbone(name: &str, options: &NetworkOptions) -> Result<Network, AssetError> {
    if is_file_name(name) {
        return open_file(name, Path::new(name), options);
    }
    // The network inside the program needs no cache.
    if name == KNOWN[0].name && options.layer.is_none() && options.preprocessing.is_none() {
        return Ok(Network::builtin()?);
    }
    Cache::from_environment()?.open_backbone(name, options)
}

/// Copies an ONNX file into the cache under a name. The network is returned for its warnings.
///
/// # Errors
///
/// [`AssetError`] where the file is no such network, or the name is not to be given.
pub fn add_backbone(
    name: &str,
    onnx: &Path,
    preprocessing: Option<&Preprocessing>,
    layer: Option<&str>,
) -> Result<Network, AssetError> {
    Cache::from_environment()?.add_backbone(name, onnx, preprocessing, layer)
}

impl Cache {
    /// As the function [`backbone_file`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn backbone_file(&self, name: &str) -> Result<PathBuf, AssetError> {
        if let Some(known) = KNOWN.iter().find(|known| known.name == name) {
            return self.known_file(known);
        }
        let place = self.added_file(name);
        if is_name(name) && place.is_file() {
            return Ok(place);
        }
        Err(AssetError::UnknownBackbone {
            name: name.to_owned(),
            known: names(self)?,
        })
    }

    fn known_file(&self, known: &'static KnownBackbone) -> Result<PathBuf, AssetError> {
        let url = known.url.ok_or(AssetError::Builtin { name: known.name })?;
        let place = self.known_place(known);
        let there = verified(&place, known.sha256);
        if matches!(there, Ok(true)) {
            return Ok(place);
        }
        self.expect_online(known.name)
            .and_then(|()| fetch(url, known.bytes, known.sha256, &place))
            .map_err(|error| AssetError::Unfetched {
                name: known.name,
                file: known.file,
                bytes: known.bytes,
                sha256: known.sha256,
                url,
                place: place.clone(),
                // A file that is there but is another says more than that it could not be fetched.
                source: Box::new(there.err().unwrap_or(error)),
            })?;
        Ok(place)
    }

    /// As the function [`open_backbone`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn open_backbone(
        &self,
        name: &str,
        options: &NetworkOptions,
    ) -> Result<Network, AssetError> {
        let Some(known) = KNOWN.iter().find(|known| known.name == name) else {
            return open_file(name, &self.backbone_file(name)?, options);
        };
        if known.url.is_none() {
            return Ok(Network::builtin_with(options)?);
        }
        let mut options = options.clone();
        if options.preprocessing.is_none() {
            options.preprocessing = Some(known.preprocessing.parse()?);
        }
        let bytes = read(&self.known_file(known)?)?;
        Ok(Network::from_onnx(name, &bytes, &options)?)
    }

    /// As the function [`add_backbone`].
    ///
    /// # Errors
    ///
    /// As there.
    pub fn add_backbone(
        &self,
        name: &str,
        onnx: &Path,
        preprocessing: Option<&Preprocessing>,
        layer: Option<&str>,
    ) -> Result<Network, AssetError> {
        if !is_name(name) || KNOWN.iter().any(|known| known.name == name) {
            return Err(AssetError::BackboneName {
                name: name.to_owned(),
            });
        }
        let options = beside(
            onnx,
            &NetworkOptions {
                layer: layer.map(str::to_owned),
                preprocessing: preprocessing.cloned(),
            },
        )?;
        let bytes = read(onnx)?;
        let network = Network::from_onnx(name, &bytes, &options)?;
        let place = self.added_file(name);
        // First what describes it: the network is there when its file is.
        let described = Sidecar {
            layer: Some(network.layer().to_owned()),
            preprocessing: network.preprocessing().clone(),
        };
        Self::write(
            &place.with_extension("json"),
            described.to_json().as_bytes(),
        )?;
        Self::write(&place, &bytes)?;
        Ok(network)
    }

    pub(super) fn known_place(&self, known: &KnownBackbone) -> PathBuf {
        self.folder().join("backbones").join(known.file)
    }

    pub(super) fn added_folder(&self) -> PathBuf {
        self.folder().join("backbones").join("added")
    }

    fn added_file(&self, name: &str) -> PathBuf {
        self.added_folder().join(format!("{name}.onnx"))
    }
}

/// What may lie beside an ONNX file: a normalisation, and the layer if it is not the one found by itself.
struct Sidecar {
    layer: Option<String>,
    preprocessing: Preprocessing,
}

impl Sidecar {
    fn from_json(bytes: &[u8]) -> Result<Self, pomona_vision::VisionError> {
        let mut fields: serde_json::Map<String, serde_json::Value> =
            serde_json::from_slice(bytes).map_err(pomona_vision::VisionError::Sidecar)?;
        let layer = match fields.remove("layer") {
            None => None,
            Some(layer) => {
                Some(serde_json::from_value(layer).map_err(pomona_vision::VisionError::Sidecar)?)
            }
        };
        let rest = serde_json::Value::Object(fields).to_string();
        Ok(Self {
            layer,
            preprocessing: Preprocessing::from_json(rest.as_bytes())?,
        })
    }

    fn to_json(&self) -> String {
        let mut fields = serde_json::to_value(&self.preprocessing).unwrap_or_default();
        if let Some(layer) = &self.layer {
            fields["layer"] = layer.as_str().into();
        }
        format!("{fields:#}\n")
    }
}

/// The options with what lies beside the file for all that they leave open.
fn beside(onnx: &Path, options: &NetworkOptions) -> Result<NetworkOptions, AssetError> {
    let path = onnx.with_extension("json");
    if !path.is_file() {
        return Ok(options.clone());
    }
    let sidecar =
        Sidecar::from_json(&read(&path)?).map_err(|source| AssetError::Sidecar { path, source })?;
    Ok(NetworkOptions {
        layer: options.layer.clone().or(sidecar.layer),
        preprocessing: options
            .preprocessing
            .clone()
            .or(Some(sidecar.preprocessing)),
    })
}

fn open_file(name: &str, path: &Path, options: &NetworkOptions) -> Result<Network, AssetError> {
    let name = Path::new(name)
        .file_stem()
        .map_or_else(|| name.into(), |stem| stem.to_string_lossy());
    let options = beside(path, options)?;
    Ok(Network::from_onnx(&name, &read(path)?, &options)?)
}

fn is_file_name(name: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("onnx"))
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name
            .bytes()
            .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'))
}
