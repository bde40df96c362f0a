//! Bytes to features, as a scalar function.

use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryBuilder, FixedSizeListArray, Float32Array, Int32Builder,
    LargeBinaryArray, StringBuilder, StructArray,
};
use datafusion::arrow::buffer::NullBuffer;
use datafusion::arrow::datatypes::{DataType, Field, Fields, Int64Type};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use pomona_image::{DecodeError, Limits, Preparation, RgbImage};
use pomona_vision::{Backbone, VisionError};
use rayon::ThreadPool;
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use crate::error::EngineError;

/// What became of one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// Features were computed.
    Ok,
    /// The object holds no bytes.
    Empty,
    /// The content is no image of any known format.
    NotAnImage,
    /// The content is an image of a format that is not read.
    UnsupportedFormat,
    /// The content claims a format and breaks its rules.
    Corrupt,
    /// More bytes or pixels than allowed.
    TooLarge,
    /// The object could not be fetched.
    Unreadable,
}

impl Status {
    /// All of them, `Ok` first.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Empty,
        Self::NotAnImage,
        Self::UnsupportedFormat,
        Self::Corrupt,
        Self::TooLarge,
        Self::Unreadable,
    ];

    /// As it stands in the ledger.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Empty => "empty",
            Self::NotAnImage => "not_an_image",
            Self::UnsupportedFormat => "unsupported_format",
            Self::Corrupt => "corrupt",
            Self::TooLarge => "too_large",
            Self::Unreadable => "unreadable",
        }
    }

    /// The status that the ledger calls `name`.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.name() == name)
    }

    fn of(error: &DecodeError) -> Self {
        match error {
            DecodeError::Empty => Self::Empty,
            DecodeError::NotAnImage { .. } => Self::NotAnImage,
            DecodeError::UnsupportedFormat { .. } => Self::UnsupportedFormat,
            DecodeError::TooLarge { .. } => Self::TooLarge,
            _ => Self::Corrupt,
        }
    }
}

/// Work done so far, counted while it is done.
#[derive(Debug, Default)]
pub struct ExtractCounters {
    done: AtomicU64,
    failed: AtomicU64,
    bytes: AtomicU64,
    prepare_nanos: AtomicU64,
    network_nanos: AtomicU64,
}

/// A reading of [`ExtractCounters`].
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct ExtractReading {
    /// Images with features.
    pub done: u64,
    /// Images without.
    pub failed: u64,
    /// Bytes of all of them.
    pub bytes: u64,
    /// Time spent on hashing, decoding, preparing and resizing, added up over the threads; seconds.
    pub prepare_secs: f64,
    /// Time spent in the network, added up over the threads; seconds.
    pub network_secs: f64,
}

impl ExtractCounters {
    /// What was counted so far.
    #[must_use]
    pub fn read(&self) -> ExtractReading {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        ExtractReading {
            done: load(&self.done),
            failed: load(&self.failed),
            bytes: load(&self.bytes),
            prepare_secs: load(&self.prepare_nanos) as f64 * 1e-9,
            network_secs: load(&self.network_nanos) as f64 * 1e-9,
        }
    }

    fn add_time(counter: &AtomicU64, since: Instant) {
        let nanos = u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX);
        counter.fetch_add(nanos, Ordering::Relaxed);
    }
}

/// Everything that decides what one image becomes.
pub struct Extractor {
    backbone: Backbone,
    reference: String,
    preparation: Preparation,
    limits: Limits,
    thumbnail_px: u32,
    threads: ThreadPool,
    counters: ExtractCounters,
}

impl std::fmt::Debug for Extractor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Extractor")
            .field("backbone", &self.backbone.network().name())
            .finish_non_exhaustive()
    }
}

/// One image, worked out.
struct Row {
    outcome: std::result::Result<Pixels, (Status, String)>,
    content_sha256: Option<String>,
}

/// Decoded, prepared and resized.
struct Pixels {
    width_px: u32,
    height_px: u32,
    /// Taken out when the network is shown it.
    input: Option<RgbImage>,
    thumbnail: Vec<u8>,
}

impl Extractor {
    /// Prepares `workers` threads that share `backbone`, which was asked for as `reference`; thumbnails fit into `thumbnail_px` squared.
    ///
    /// # Errors
    /// [`EngineError::Threads`].
    pub fn new(
        backbone: Backbone,
        reference: String,
        preparation: Preparation,
        limits: Limits,
        thumbnail_px: u32,
        workers: usize,
    ) -> std::result::Result<Self, EngineError> {
        let threads = rayon::ThreadPoolBuilder::new()
            .num_threads(workers)
            .thread_name(|index| format!("extract-{index}"))
            .build()
            .map_err(|error| EngineError::Threads(Box::new(error)))?;
        Ok(Self {
            backbone,
            reference,
            preparation,
            limits,
            thumbnail_px,
            threads,
            counters: ExtractCounters::default(),
        })
    }

    /// The network and its engine.
    #[must_use]
    pub fn backbone(&self) -> &Backbone {
        &self.backbone
    }

    /// How the network was asked for: its name or its file.
    #[must_use]
    pub fn reference(&self) -> &str {
        &self.reference
    }

    /// The steps between decoding and resizing.
    #[must_use]
    pub fn preparation(&self) -> &Preparation {
        &self.preparation
    }

    /// What was done so far.
    #[must_use]
    pub fn counters(&self) -> &ExtractCounters {
        &self.counters
    }

    /// The features of images that must all be readable, in order.
    ///
    /// # Errors
    /// [`EngineError::ImageFailed`] for the first that is not, named by its place, and [`EngineError::Vision`].
    pub fn features(&self, contents: &[&[u8]]) -> std::result::Result<Vec<f32>, EngineError> {
        let mut inputs = Vec::with_capacity(contents.len());
        for (place, content) in contents.iter().enumerate() {
            let pixels = self
                .pixels(content)
                .map_err(|error| EngineError::ImageFailed {
                    path: format!("image {place}"),
                    status: Status::of(&error).name(),
                    reason: error.to_string(),
                })?;
            inputs.extend(pixels.input);
        }
        Ok(self.backbone.features(&inputs)?)
    }

    fn pixels(&self, content: &[u8]) -> std::result::Result<Pixels, DecodeError> {
        let decoded = pomona_image::decode(content, &self.limits)?.image;
        let (width_px, height_px) = (decoded.width(), decoded.height());
        // A photo without a thumbnail is still a photo.
        let thumbnail =
            pomona_image::encode_jpeg(&pomona_image::thumbnail(&decoded, self.thumbnail_px), 75)
                .unwrap_or_default();
        let prepared = self.preparation.apply(decoded);
        let network = self.backbone.network();
        let input = pomona_image::resize(
            &prepared,
            network.input().width,
            network.input().height,
            network.preprocessing().kernel,
        );
        Ok(Pixels {
            width_px,
            height_px,
            input: Some(input),
            thumbnail,
        })
    }

    fn row(&self, content: Option<&[u8]>, size_bytes: i64, read_error: Option<&str>) -> Row {
        let started = Instant::now();
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
        ExtractCounters::add_time(&self.counters.prepare_nanos, started);
        Row {
            outcome,
            content_sha256,
        }
    }

    /// Works out some rows on the threads; rows come back in order with the features of those that have any.
    fn rows(
        &self,
        contents: &LargeBinaryArray,
        sizes: &[i64],
        read_errors: &[Option<&str>],
    ) -> std::result::Result<Vec<(Row, Vec<f32>)>, VisionError> {
        let chunk = self.backbone.batch_size().max(1);
        let count = contents.len();
        let chunks: Vec<_> = self.threads.install(|| {
            (0..count.div_ceil(chunk))
                .into_par_iter()
                .map(|number| {
                    let mut rows = Vec::with_capacity(chunk);
                    let mut inputs = Vec::with_capacity(chunk);
                    for index in number * chunk..((number + 1) * chunk).min(count) {
                        let content = contents.is_valid(index).then(|| contents.value(index));
                        let mut row = self.row(content, sizes[index], read_errors[index]);
                        if let Ok(pixels) = &mut row.outcome {
                            inputs.extend(pixels.input.take());
                        }
                        rows.push(row);
                    }
                    let started = Instant::now();
                    let features = if inputs.is_empty() {
                        Vec::new()
                    } else {
                        self.backbone.features(&inputs)?
                    };
                    ExtractCounters::add_time(&self.counters.network_nanos, started);
                    let mut features = features.chunks_exact(self.backbone.feature_count());
                    let rows = rows
                        .into_iter()
                        .map(|row| {
                            let own = match &row.outcome {
                                Ok(_) => features.next().unwrap_or_default().to_vec(),
                                Err(_) => Vec::new(),
                            };
                            (row, own)
                        })
                        .collect::<Vec<_>>();
                    let counters = &self.counters;
                    let done = rows.iter().filter(|(row, _)| row.outcome.is_ok()).count() as u64;
                    counters.done.fetch_add(done, Ordering::Relaxed);
                    counters
                        .failed
                        .fetch_add(rows.len() as u64 - done, Ordering::Relaxed);
                    Ok(rows)
                })
                .collect::<std::result::Result<_, VisionError>>()
        })?;
        let bytes: i64 = sizes.iter().sum();
        self.counters
            .bytes
            .fetch_add(bytes.unsigned_abs(), Ordering::Relaxed);
        Ok(chunks.into_iter().flatten().collect())
    }
}

/// Fields of what the function `extract` returns; `feature_count` values in each `features`.
///
/// status, error (null when ok), content_sha256 (lower-case hex; null when not fetched), width and height (of the
/// upright image, null when not decoded), thumbnail (JPEG; null when not decoded), features (null when not ok).
#[must_use]
pub fn extracted_fields(feature_count: usize) -> Fields {
    Fields::from(vec![
        Field::new("status", DataType::Utf8, false),
        Field::new("error", DataType::Utf8, true),
        Field::new("content_sha256", DataType::Utf8, true),
        Field::new("width", DataType::Int32, true),
        Field::new("height", DataType::Int32, true),
        Field::new("thumbnail", DataType::Binary, true),
        Field::new("features", float_list_type(feature_count), true),
    ])
}

/// A list of `length` f32 values, none of them null.
#[must_use]
pub fn float_list_type(length: usize) -> DataType {
    DataType::FixedSizeList(
        Arc::new(Field::new("item", DataType::Float32, false)),
        i32::try_from(length).unwrap_or(i32::MAX),
    )
}

/// The scalar function `extract(content, size_bytes, read_error)`: one step takes bytes and returns the feature row.
///
/// It is marked volatile, so that no optimiser ever runs it twice.
#[must_use]
pub fn extract_function(extractor: Arc<Extractor>) -> ScalarUDF {
    ScalarUDF::new_from_impl(ExtractFunction {
        signature: Signature::exact(
            vec![DataType::LargeBinary, DataType::Int64, DataType::Utf8],
            Volatility::Volatile,
        ),
        return_type: DataType::Struct(extracted_fields(extractor.backbone.feature_count())),
        extractor,
    })
}

#[derive(Debug)]
struct ExtractFunction {
    signature: Signature,
    return_type: DataType,
    extractor: Arc<Extractor>,
}

impl PartialEq for ExtractFunction {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.extractor, &other.extractor)
    }
}

impl Eq for ExtractFunction {}

impl Hash for ExtractFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        Arc::as_ptr(&self.extractor).hash(state);
    }
}

impl ScalarUDFImpl for ExtractFunction {
    fn name(&self) -> &'static str {
        "extract"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arguments: &[DataType]) -> Result<DataType> {
        Ok(self.return_type.clone())
    }

    fn invoke_with_args(&self, arguments: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let columns = ColumnarValue::values_to_arrays(&arguments.args)?;
        let [contents, sizes, read_errors] = columns.as_slice() else {
            return Err(DataFusionError::Internal(
                "extract takes three columns".to_owned(),
            ));
        };
        let contents = contents.as_binary::<i64>();
        let sizes = sizes.as_primitive::<Int64Type>();
        let read_errors: Vec<Option<&str>> = read_errors.as_string::<i32>().iter().collect();
        let rows = self
            .extractor
            .rows(contents, sizes.values(), &read_errors)
            .map_err(|error| EngineError::from(error).into_datafusion())?;
        let columns = assemble(&rows, self.extractor.backbone.feature_count())?;
        let DataType::Struct(fields) = &self.return_type else {
            return Err(DataFusionError::Internal(
                "extract returns a struct".to_owned(),
            ));
        };
        Ok(ColumnarValue::Array(Arc::new(StructArray::try_new(
            fields.clone(),
            columns,
            None,
        )?)))
    }
}

/// Columns in the order of [`extracted_fields`].
fn assemble(rows: &[(Row, Vec<f32>)], feature_count: usize) -> Result<Vec<ArrayRef>> {
    let mut statuses = StringBuilder::new();
    let mut errors = StringBuilder::new();
    let mut hashes = StringBuilder::new();
    let mut widths = Int32Builder::new();
    let mut heights = Int32Builder::new();
    let mut thumbnails = BinaryBuilder::new();
    let mut features = Vec::with_capacity(rows.len() * feature_count);
    for (row, own) in rows {
        hashes.append_option(row.content_sha256.as_deref());
        match &row.outcome {
            Ok(pixels) => {
                statuses.append_value(Status::Ok.name());
                errors.append_null();
                widths.append_option(i32::try_from(pixels.width_px).ok());
                heights.append_option(i32::try_from(pixels.height_px).ok());
                thumbnails.append_value(&pixels.thumbnail);
                features.extend_from_slice(own);
            }
            Err((status, reason)) => {
                statuses.append_value(status.name());
                errors.append_value(reason);
                widths.append_null();
                heights.append_null();
                thumbnails.append_null();
                features.resize(features.len() + feature_count, 0.0);
            }
        }
    }
    let DataType::FixedSizeList(item, length) = float_list_type(feature_count) else {
        return Err(DataFusionError::Internal("features are lists".to_owned()));
    };
    let is_ok = NullBuffer::from_iter(rows.iter().map(|(row, _)| row.outcome.is_ok()));
    let features = FixedSizeListArray::try_new(
        item,
        length,
        Arc::new(Float32Array::from(features)),
        Some(is_ok),
    )?;
    Ok(vec![
        Arc::new(statuses.finish()),
        Arc::new(errors.finish()),
        Arc::new(hashes.finish()),
        Arc::new(widths.finish()),
        Arc::new(heights.finish()),
        Arc::new(thumbnails.finish()),
        Arc::new(features),
    ])
}
