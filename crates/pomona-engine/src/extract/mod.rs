//! From an object's bytes to its features.

mod counters;
mod function;
mod keypoints;
mod method;
mod status;

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::array::{Array, LargeBinaryArray};
use pomona_image::{DecodeError, Limits, Preparation};
use pomona_vision::Backbone;
use pomona_vision::orb::OrbSettings;
use rayon::ThreadPool;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

pub use counters::{ExtractCounters, ExtractReading};
pub(crate) use function::{ExtractFunction, extract_elsewhere};
pub use function::{extract_function, extracted_fields, float_list_type};
pub(crate) use keypoints::keypoint_fields;
pub use keypoints::{DESCRIPTOR_BYTES, PATCH_PX};
pub use status::Status;

use crate::error::EngineError;
use method::{Detectors, Method, Product};

/// Everything that decides what one image becomes.
pub struct Extractor {
    method: Method,
    preparation: Preparation,
    limits: Limits,
    thumbnail_px: u32,
    threads: ThreadPool,
    counters: ExtractCounters,
}

impl std::fmt::Debug for Extractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let method = match &self.method {
            Method::Network { backbone, .. } => backbone.network().name(),
            Method::Orb(_) => "orb",
        };
        f.debug_struct("Extractor")
            .field("method", &method)
            .finish_non_exhaustive()
    }
}

/// What every image is put through, whatever its features are.
#[derive(Debug, Clone)]
pub struct Handling {
    /// Steps between decoding and what makes the features.
    pub preparation: Preparation,
    /// What an image may cost.
    pub limits: Limits,
    /// Thumbnails fit into a square of so many pixels.
    pub thumbnail_px: u32,
    /// Threads.
    pub workers: usize,
}

/// Threads that make ready. Dropping it waits for them: a program that ends while an engine makes a session may crash.
pub struct WarmUp {
    extractor: Arc<Extractor>,
}

impl Drop for WarmUp {
    fn drop(&mut self) {
        self.extractor.threads.broadcast(|_| ());
    }
}

/// One image, worked out.
struct Row {
    outcome: std::result::Result<Pixels, (Status, String)>,
    content_sha256: Option<String>,
}

/// Decoded, prepared, and what came of it.
struct Pixels {
    width_px: u32,
    height_px: u32,
    thumbnail: Vec<u8>,
    product: Product,
}

impl Extractor {
    /// Features are the values of `backbone`, which was asked for as `reference`.
    ///
    /// # Errors
    /// [`EngineError::Threads`].
    pub fn network(
        backbone: Backbone,
        reference: String,
        handling: Handling,
    ) -> std::result::Result<Self, EngineError> {
        Self::new(
            Method::Network {
                backbone: Box::new(backbone),
                reference,
            },
            handling,
        )
    }

    /// Images become key points and their descriptors.
    ///
    /// # Errors
    /// [`EngineError::Threads`] and [`EngineError::Orb`].
    pub fn orb(
        settings: OrbSettings,
        handling: Handling,
    ) -> std::result::Result<Self, EngineError> {
        Self::new(Method::Orb(Detectors::new(settings)?), handling)
    }

    fn new(method: Method, handling: Handling) -> std::result::Result<Self, EngineError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(handling.workers)
            .thread_name(|index| format!("extract-{index}"))
            .build()
            .map_err(|error| EngineError::Threads(Box::new(error)))?;
        Ok(Self {
            method,
            preparation: handling.preparation,
            limits: handling.limits,
            thumbnail_px: handling.thumbnail_px,
            threads,
            counters: ExtractCounters::default(),
        })
    }

    /// Has every thread make what it works with, while something else goes on. What fails here fails again, and is
    /// told, with the first image.
    #[must_use = "threads may be at it until this is dropped"]
    pub fn warm_up(self: &Arc<Self>) -> WarmUp {
        if let Method::Network { .. } = &self.method {
            let extractor = Arc::clone(self);
            self.threads.spawn_broadcast(move |_| {
                if let Method::Network { backbone, .. } = &extractor.method {
                    let _ = backbone.warm_up();
                }
            });
        }
        WarmUp {
            extractor: Arc::clone(self),
        }
    }

    /// Lets go of memory that further images would need; they get it anew.
    pub fn rest(&self) {
        if let Method::Network { backbone, .. } = &self.method {
            backbone.rest();
        }
    }

    /// The network and its engine, and how the network was asked for: its name or its file.
    #[must_use]
    pub fn backbone(&self) -> Option<(&Backbone, &str)> {
        match &self.method {
            Method::Network {
                backbone,
                reference,
            } => Some((backbone, reference)),
            Method::Orb(_) => None,
        }
    }

    /// How key points are found, where images become key points.
    #[must_use]
    pub fn orb_settings(&self) -> Option<OrbSettings> {
        match &self.method {
            Method::Network { .. } => None,
            Method::Orb(detectors) => Some(detectors.settings()),
        }
    }

    /// The steps between decoding and what makes the features.
    #[must_use]
    pub fn preparation(&self) -> &Preparation {
        &self.preparation
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> &ExtractCounters {
        &self.counters
    }

    /// The features of images that must all be readable, in order, row-major; none where images become key points.
    ///
    /// # Errors
    /// [`EngineError::ImageFailed`] for the first that is not, named by its place, and [`EngineError::Vision`].
    pub fn features(&self, contents: &[&[u8]]) -> std::result::Result<Vec<f32>, EngineError> {
        Ok(self
            .products(contents)?
            .into_iter()
            .flat_map(|product| match product {
                Product::Features(features) => features,
                _ => Vec::new(),
            })
            .collect())
    }

    /// The descriptors of images that must all be readable, one block of whole descriptors an image; empty blocks
    /// where images become something else.
    ///
    /// # Errors
    /// [`EngineError::ImageFailed`] for the first that is not, named by its place.
    pub fn descriptors(
        &self,
        contents: &[&[u8]],
    ) -> std::result::Result<Vec<Vec<u8>>, EngineError> {
        Ok(self
            .products(contents)?
            .into_iter()
            .map(|product| match product {
                Product::KeyPoints(keypoints) => keypoints
                    .iter()
                    .flat_map(keypoints::FoundKeyPoint::descriptor)
                    .collect(),
                _ => Vec::new(),
            })
            .collect())
    }

    fn products(&self, contents: &[&[u8]]) -> std::result::Result<Vec<Product>, EngineError> {
        let mut products = Vec::with_capacity(contents.len());
        for (place, content) in contents.iter().enumerate() {
            let pixels = self
                .pixels(content)
                .map_err(|error| EngineError::ImageFailed {
                    path: format!("image {place}"),
                    status: Status::of(&error).name(),
                    reason: error.to_string(),
                })?;
            products.push(pixels.product);
        }
        self.method
            .finish(&mut products.iter_mut().collect::<Vec<_>>())?;
        Ok(products)
    }

    fn pixels(&self, content: &[u8]) -> std::result::Result<Pixels, DecodeError> {
        let decoded = pomona_image::decode(content, &self.limits)?.image;
        let (width_px, height_px) = (decoded.width(), decoded.height());
        // A photo without a thumbnail is still a photo.
        let thumbnail =
            pomona_image::encode_jpeg(&pomona_image::thumbnail(&decoded, self.thumbnail_px), 75)
                .unwrap_or_default();
        let prepared = self.preparation.apply(decoded);
        let product = Product::Input(self.method.fitted(prepared));
        Ok(Pixels {
            width_px,
            height_px,
            thumbnail,
            product,
        })
    }

    fn row(&self, content: Option<&[u8]>, size_bytes: i64, read_error: Option<&str>) -> Row {
        let outcome = match (content, read_error) {
            (_, Some(reason)) => Err((Status::Unreadable, reason.to_owned())),
            (None, None) => Err((
                Status::TooLarge,
                format!(
                    "{size_bytes} bytes, more than the {} allowed (--max-bytes)",
                    self.limits.max_bytes
                ),
            )),
            (Some(content), None) => self
                .pixels(content)
                .map_err(|error| (Status::of(&error), error.to_string())),
        };
        let content_sha256 = content.map(|content| {
            use std::fmt::Write as _;
            Sha256::digest(content)
                .iter()
                .fold(String::with_capacity(64), |mut hex, byte| {
                    let _ = write!(hex, "{byte:02x}");
                    hex
                })
        });
        Row {
            outcome,
            content_sha256,
        }
    }

    /// Works out some rows on the threads; rows come back in order.
    fn rows(
        &self,
        contents: &LargeBinaryArray,
        sizes: &[i64],
        read_errors: &[Option<&str>],
    ) -> std::result::Result<Vec<Row>, EngineError> {
        let chunk = self.method.batch_size();
        let count = contents.len();
        let chunks: Vec<_> = self.threads.install(|| {
            (0..count.div_ceil(chunk))
                .into_par_iter()
                // Else a thread without work finds none to take over where others have begun theirs.
                .with_max_len(1)
                .map(|number| {
                    let started = Instant::now();
                    let mut rows: Vec<Row> = (number * chunk..((number + 1) * chunk).min(count))
                        .map(|index| {
                            let content = contents.is_valid(index).then(|| contents.value(index));
                            self.row(content, sizes[index], read_errors[index])
                        })
                        .collect();
                    ExtractCounters::add_time(&self.counters.prepare_nanos, started);
                    let started = Instant::now();
                    let mut products: Vec<&mut Product> = rows
                        .iter_mut()
                        .filter_map(|row| Some(&mut row.outcome.as_mut().ok()?.product))
                        .collect();
                    let done = products.len();
                    self.method.finish(&mut products)?;
                    ExtractCounters::add_time(&self.counters.features_nanos, started);
                    self.counters.add_images(done, rows.len() - done);
                    Ok(rows)
                })
                .collect::<std::result::Result<_, EngineError>>()
        })?;
        self.counters
            .add_bytes(sizes.iter().sum::<i64>().unsigned_abs());
        Ok(chunks.into_iter().flatten().collect())
    }
}
