//! A network, an engine, and sessions for several threads.

use std::borrow::Cow;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use pomona_image::RgbImage;

use crate::preprocessing::Normaliser;
use crate::{Engine, Network, Session, VisionError};

/// Images a run takes where the graph leaves it open. With one thread a session one image a run was the fastest with
/// MobileNetV2, within 3 % of it with EfficientNet-Lite0 and within 5 % with a network of ResNet50's shape, and it
/// takes the least memory (`examples/rate.rs` measures it).
const BATCH: usize = 1;

/// Turns images into features, by several threads at once.
///
/// An image's features follow from its pixels alone, to the bit: neither the images beside it nor the number of
/// threads change them.
pub struct Backbone {
    network: Network,
    engine: Arc<dyn Engine>,
    normaliser: Normaliser,
    most: usize,
    pool: Mutex<Pool>,
    freed: Condvar,
}

#[derive(Default)]
struct Pool {
    idle: Vec<Slot>,
    made: usize,
}

/// A session and the memory it works on.
struct Slot {
    session: Box<dyn Session>,
    tensor: Vec<f32>,
    features: Vec<f32>,
}

impl Backbone {
    /// With at most `sessions` sessions (at least one), each made when a thread first finds none idle.
    #[must_use]
    pub fn new(network: Network, engine: Arc<dyn Engine>, sessions: usize) -> Self {
        let normaliser = Normaliser::new(network.preprocessing());
        Self {
            network,
            engine,
            normaliser,
            most: sessions.max(1),
            pool: Mutex::default(),
            freed: Condvar::new(),
        }
    }

    /// How many features an image has.
    #[must_use]
    pub fn feature_count(&self) -> usize {
        self.network.feature_count()
    }

    /// The network.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The engine's name and version.
    #[must_use]
    pub fn engine_name(&self) -> String {
        self.engine.name()
    }

    /// How many images a run of the network takes.
    #[must_use]
    pub fn batch_size(&self) -> usize {
        self.network.fixed_batch().unwrap_or(BATCH).max(1)
    }

    /// The features of each image, `n × feature_count`, row-major.
    ///
    /// Images of another size are stretched to the input size. Runs on the calling thread; where all sessions are
    /// in use it waits for one.
    ///
    /// # Errors
    ///
    /// Those of [`Engine::session`] and [`Session::run`].
    pub fn features(&self, images: &[RgbImage]) -> Result<Vec<f32>, VisionError> {
        let (batch, count) = (self.batch_size(), self.feature_count());
        let values = self.network.input().values();
        let mut features = vec![0.0; images.len() * count];
        if images.is_empty() {
            return Ok(features);
        }
        let mut lease = self.lease()?;
        let Some(slot) = &mut lease.slot else {
            return Ok(features);
        };
        slot.tensor.resize(batch * values, 0.0);
        slot.features.resize(batch * count, 0.0);
        for (images, features) in images
            .chunks(batch)
            .zip(features.chunks_mut((batch * count).max(1)))
        {
            for (image, tensor) in images.iter().zip(slot.tensor.chunks_exact_mut(values)) {
                self.fill(image, tensor);
            }
            // A short batch is run whole: what is left from before beside it changes nothing.
            slot.session.run(batch, &slot.tensor, &mut slot.features)?;
            features.copy_from_slice(&slot.features[..features.len()]);
        }
        Ok(features)
    }

    /// Makes a session, where there may be another, and lets it run once, so that the first images need not wait for it.
    ///
    /// # Errors
    ///
    /// Those of [`features`](Self::features).
    pub fn warm_up(&self) -> Result<(), VisionError> {
        let batch = self.batch_size();
        let mut lease = self.lease()?;
        if let Some(slot) = &mut lease.slot {
            slot.tensor
                .resize(batch * self.network.input().values(), 0.0);
            slot.features.resize(batch * self.feature_count(), 0.0);
            slot.session.run(batch, &slot.tensor, &mut slot.features)?;
        }
        Ok(())
    }

    /// Lets go of all sessions that nobody uses, but for one. More are made again when they are needed.
    pub fn rest(&self) {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        let rest = pool.idle.len().saturating_sub(1);
        pool.idle.truncate(1);
        pool.made = pool.made.saturating_sub(rest);
    }

    fn fill(&self, image: &RgbImage, tensor: &mut [f32]) {
        let input = self.network.input();
        let sized = if (image.width(), image.height()) == (input.width, input.height) {
            Cow::Borrowed(image)
        } else {
            Cow::Owned(pomona_image::resize(
                image,
                input.width,
                input.height,
                self.network.preprocessing().kernel,
            ))
        };
        self.normaliser.fill(&sized, input.layout, tensor);
    }

    /// An idle session, a new one, or the next to be free.
    fn lease(&self) -> Result<Lease<'_>, VisionError> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(slot) = pool.idle.pop() {
                return Ok(Lease {
                    backbone: self,
                    slot: Some(slot),
                });
            }
            if pool.made < self.most {
                pool.made += 1;
                break;
            }
            pool = self
                .freed
                .wait(pool)
                .unwrap_or_else(PoisonError::into_inner);
        }
        drop(pool);
        // From here on the lease gives the place back if no session comes of it.
        let mut lease = Lease {
            backbone: self,
            slot: None,
        };
        lease.slot = Some(Slot {
            session: self.engine.session(&self.network)?,
            tensor: Vec::new(),
            features: Vec::new(),
        });
        Ok(lease)
    }
}

/// A session out of the pool, given back when dropped.
struct Lease<'a> {
    backbone: &'a Backbone,
    slot: Option<Slot>,
}

impl Drop for Lease<'_> {
    fn drop(&mut self) {
        let mut pool = self
            .backbone
            .pool
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        match self.slot.take() {
            Some(slot) => pool.idle.push(slot),
            None => pool.made -= 1,
        }
        self.backbone.freed.notify_one();
    }
}
