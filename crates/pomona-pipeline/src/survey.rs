//! A look at photos before anything is done with them.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use pomona_engine::{EngineError, ImageSource, LabelRule, ListedImage, ListingFilter};
use pomona_forecast::{Photos, Transfer};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use crate::context::Context;
use crate::error::PipelineError;

/// Requests in flight while the sample is fetched: as many as two shards of a run have.
const REQUESTS: usize = 96;
/// A sample of less says nothing of the network's speed.
const TELLING_BYTES: u64 = 8 << 20;
/// Neighbouring members of an archive are fetched together, up to so many bytes.
const TOGETHER_BYTES: u64 = 4 << 20;

/// What a survey may take.
#[derive(Debug, Clone)]
pub struct SurveyRequest {
    /// Which objects are listed.
    pub filter: ListingFilter,
    /// How labels are found.
    pub labels: LabelRule,
    /// Larger objects are not fetched by a run.
    pub max_object_bytes: u64,
    /// Most photos in the sample.
    pub sample_images: usize,
    /// Most bytes of it, as a share of all.
    pub sample_share: f64,
    /// Photos that are taken even where they are more than that.
    pub least_images: usize,
    /// How long the listing may take; what it does not reach is estimated.
    pub list_at_most: Duration,
    /// Seed of the choice.
    pub seed: u64,
}

/// A photo of the sample.
#[derive(Debug, Clone)]
pub struct Sampled {
    /// Path relative to the root.
    pub path: String,
    /// Its bytes.
    pub content: Bytes,
}

/// What was found.
#[derive(Debug, Clone)]
pub struct Survey {
    /// How much there is.
    pub photos: Photos,
    /// Objects larger than allowed.
    pub too_large: u64,
    /// Bytes of the largest that is not.
    pub largest_bytes: u64,
    /// Photos with each label; those without under the empty name. Of what was listed.
    pub labels: BTreeMap<String, u64>,
    /// Seconds that the listing took.
    pub list_secs: f64,
    /// The sample, in the order of paths.
    pub sample: Vec<Sampled>,
    /// Its bytes.
    pub sample_bytes: u64,
    /// How it came, where it came over a network.
    pub transfer: Option<Transfer>,
}

/// Lists the photos of `source`, as long as it may, and fetches a sample of them.
///
/// The sample is drawn evenly from all that was listed, and the same for the same photos.
///
/// # Errors
/// [`PipelineError::NothingToDo`] where there are none, and those of the store.
pub async fn survey(
    context: &Context,
    source: &ImageSource,
    request: &SurveyRequest,
) -> Result<Survey, PipelineError> {
    let began = Instant::now();
    let before = requests_so_far(context).await;
    let mut found = Found::new(request);
    let mut listing = source.list(request.filter.clone(), request.labels.clone());
    let mut is_whole = true;
    while let Some(image) = listing.next().await {
        found.add(image?);
        if context.cancel.is_cancelled() {
            return Err(PipelineError::Interrupted);
        }
        if began.elapsed() > request.list_at_most {
            is_whole = false;
            break;
        }
    }
    drop(listing);
    let list_secs = began.elapsed().as_secs_f64();
    if found.images == 0 {
        return Err(PipelineError::NothingToDo {
            what: format!("there are no photos in {}", source.place()),
        });
    }
    let listing_requests = requests_so_far(context).await - before;
    let times = if is_whole {
        1.0
    } else {
        found.share_unseen(source).await?
    };
    let grown = |number: u64| (number as f64 * times).round() as u64;
    let photos = Photos {
        images: grown(found.images),
        bytes: grown(found.bytes),
        requests: grown(listing_requests + found.reads),
        is_estimate: !is_whole,
    };
    let wanted = found.sample(photos.bytes);
    let (sample, transfer) = fetch(source, &wanted).await?;
    Ok(Survey {
        photos,
        too_large: found.too_large,
        largest_bytes: found.largest_bytes,
        sample_bytes: sample.iter().map(|one| one.content.len() as u64).sum(),
        labels: found.labels,
        list_secs,
        sample,
        transfer: source.place().is_remote().then_some(transfer),
    })
}

/// Requests over a network that all places have had.
async fn requests_so_far(context: &Context) -> u64 {
    let traffic = context.stores.traffic().await;
    traffic.iter().map(|(_, reading)| reading.requests).sum()
}

/// What a listing gave so far.
struct Found<'a> {
    request: &'a SurveyRequest,
    images: u64,
    bytes: u64,
    reads: u64,
    too_large: u64,
    largest_bytes: u64,
    labels: BTreeMap<String, u64>,
    /// An even choice of what was listed, in no order.
    chosen: Vec<ListedImage>,
    choosable: u64,
    dice: StdRng,
    last: String,
    /// The archive that is read from, and bytes that are fetched of it in one request.
    archive: Option<(String, u64)>,
}

impl<'a> Found<'a> {
    fn new(request: &'a SurveyRequest) -> Self {
        Self {
            request,
            images: 0,
            bytes: 0,
            reads: 0,
            too_large: 0,
            largest_bytes: 0,
            labels: BTreeMap::new(),
            chosen: Vec::new(),
            choosable: 0,
            dice: StdRng::seed_from_u64(request.seed),
            last: String::new(),
            archive: None,
        }
    }

    fn add(&mut self, image: ListedImage) {
        self.images += 1;
        *self
            .labels
            .entry(image.label.clone().unwrap_or_default())
            .or_default() += 1;
        self.last.clone_from(&image.path);
        if image.problem.is_some() {
            return;
        }
        if image.size_bytes > self.request.max_object_bytes {
            self.too_large += 1;
            return;
        }
        self.bytes += image.size_bytes;
        self.largest_bytes = self.largest_bytes.max(image.size_bytes);
        self.count_read(&image);
        // Each has the same chance to be among the chosen (Vitter's algorithm R).
        self.choosable += 1;
        if self.chosen.len() < self.request.sample_images {
            self.chosen.push(image);
        } else {
            let place = self.dice.random_range(0..self.choosable) as usize;
            if let Some(chosen) = self.chosen.get_mut(place) {
                *chosen = image;
            }
        }
    }

    fn count_read(&mut self, image: &ListedImage) {
        let Some(part) = &image.part else {
            self.reads += 1;
            return;
        };
        match &mut self.archive {
            Some((archive, bytes))
                if **archive == *part.archive && *bytes + image.size_bytes <= TOGETHER_BYTES =>
            {
                *bytes += image.size_bytes;
            }
            _ => {
                self.archive = Some((part.archive.to_string(), image.size_bytes));
                self.reads += 1;
            }
        }
    }

    /// How many times as much there is as was listed: by the folders below the root that the listing has passed.
    async fn share_unseen(&self, source: &ImageSource) -> Result<f64, PipelineError> {
        let root = source.store().list_with_delimiter(None);
        let root = root.await.map_err(EngineError::Store)?;
        let mut folders: Vec<String> = root
            .common_prefixes
            .iter()
            .filter_map(|folder| folder.filename().map(str::to_owned))
            .collect();
        folders.sort_unstable();
        let at = self.last.split('/').next().unwrap_or_default();
        let passed = folders.partition_point(|folder| folder.as_str() < at);
        Ok(if passed == 0 {
            1.0
        } else {
            folders.len() as f64 / passed as f64
        })
    }

    /// The sample: as many of the chosen as are allowed, in the order of paths.
    fn sample(&mut self, all_bytes: u64) -> Vec<ListedImage> {
        let most = (all_bytes as f64 * self.request.sample_share) as u64;
        let mut bytes = 0;
        let mut sample = Vec::new();
        // The chosen are in the order in which they were found, as far as none took another's place.
        for left in (1..=self.chosen.len()).rev() {
            let image = self.chosen.swap_remove(self.dice.random_range(0..left));
            if bytes + image.size_bytes > most && sample.len() >= self.request.least_images {
                break;
            }
            bytes += image.size_bytes;
            sample.push(image);
        }
        sample.sort_by(|one, other| one.path.cmp(&other.path));
        sample
    }
}

/// Fetches the sample, many at a time.
async fn fetch(
    source: &ImageSource,
    wanted: &[ListedImage],
) -> Result<(Vec<Sampled>, Transfer), PipelineError> {
    let began = Instant::now();
    let fetched: Vec<(Option<Sampled>, f64)> = futures::stream::iter(wanted)
        .map(|image| async move {
            let began = Instant::now();
            let content = content(source.store().as_ref(), image).await;
            let sampled = match content {
                Ok(content) => Some(Sampled {
                    path: image.path.clone(),
                    content,
                }),
                // It may have gone since; a run would say so of it alone.
                Err(object_store::Error::NotFound { .. }) => None,
                Err(error) => return Err(PipelineError::Engine(EngineError::Store(error))),
            };
            Ok((sampled, began.elapsed().as_secs_f64()))
        })
        .buffered(REQUESTS)
        .try_collect()
        .await?;
    let secs = began.elapsed().as_secs_f64();
    let request_secs =
        fetched.iter().map(|(_, secs)| secs).sum::<f64>() / fetched.len().max(1) as f64;
    let sample: Vec<Sampled> = fetched
        .into_iter()
        .filter_map(|(sampled, _)| sampled)
        .collect();
    let bytes: u64 = sample.iter().map(|one| one.content.len() as u64).sum();
    let transfer = Transfer {
        request_secs,
        in_flight: REQUESTS as u32,
        bytes_per_sec: (bytes >= TELLING_BYTES).then(|| bytes as f64 / secs.max(1e-9)),
    };
    Ok((sample, transfer))
}

async fn content(store: &dyn ObjectStore, image: &ListedImage) -> object_store::Result<Bytes> {
    match &image.part {
        Some(part) => {
            let archive = object_store::path::Path::parse(&*part.archive)?;
            let range = part.offset..part.offset + image.size_bytes;
            store.get_range(&archive, range).await
        }
        None => {
            let location = object_store::path::Path::parse(&image.path)?;
            store.get(&location).await?.bytes().await
        }
    }
}
