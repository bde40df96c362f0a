//! Sessions, threads and batches.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use pomona_vision::{Backbone, Engine, Network, Session, VisionError};

use crate::support::{drawn, engines, network};

#[test]
fn features_do_not_depend_on_neighbours_or_threads() {
    for name in ["gemm", "matmul", "pointwise", "batch_of_two"] {
        for engine in engines() {
            let backbone = Backbone::new(network(name, None).unwrap(), engine, 2);
            let images: Vec<_> = (0..7).map(drawn).collect();
            let together = backbone.features(&images).unwrap();
            let alone: Vec<f32> = images
                .iter()
                .flat_map(|image| backbone.features(std::slice::from_ref(image)).unwrap())
                .collect();
            assert_eq!(bits(&together), bits(&alone), "{name}");
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..5 {
                            assert_eq!(bits(&backbone.features(&images).unwrap()), bits(&together));
                        }
                    });
                }
            });
        }
    }
}

fn bits(features: &[f32]) -> Vec<u32> {
    features.iter().map(|value| value.to_bits()).collect()
}

#[test]
fn images_of_another_size_are_stretched() {
    let backbone = Backbone::new(network("gemm", None).unwrap(), engines().remove(0), 1);
    let network = backbone.network();
    let kernel = network.preprocessing().kernel;
    let image = pomona_image::resize(&drawn(0), 40, 23, kernel);
    let stretched = pomona_image::resize(&image, 16, 16, kernel);
    assert_eq!(
        backbone.features(&[image]).unwrap(),
        backbone.features(&[stretched]).unwrap()
    );
    assert!(backbone.features(&[]).unwrap().is_empty());
}

/// Counts the sessions made and the runs under way at once.
#[derive(Default)]
struct Counting {
    made: AtomicUsize,
    runs: Arc<Runs>,
}

#[derive(Default)]
struct Runs {
    /// Under way now, and the most there were.
    count: Mutex<(usize, usize)>,
    more: Condvar,
}

struct Counted(Arc<Runs>);

impl Engine for Counting {
    fn name(&self) -> String {
        "counting".to_owned()
    }

    fn session(&self, network: &Network) -> Result<Box<dyn Session>, VisionError> {
        // The first session cannot be had.
        if self.made.fetch_add(1, Ordering::SeqCst) == 0 {
            return Err(VisionError::UnknownPreset {
                name: network.name().to_owned(),
            });
        }
        Ok(Box::new(Counted(Arc::clone(&self.runs))))
    }
}

impl Session for Counted {
    fn run(&mut self, _: usize, _: &[f32], features: &mut [f32]) -> Result<(), VisionError> {
        let mut count = self.0.count.lock().unwrap();
        count.0 += 1;
        count.1 = count.1.max(count.0);
        self.0.more.notify_all();
        // Until there were two at once; then a moment for a third, which must not come.
        let long = Duration::from_secs(5);
        let waited = self
            .0
            .more
            .wait_timeout_while(count, long, |count| count.1 < 2);
        let (count, _) = waited.unwrap();
        let moment = Duration::from_millis(20);
        let waited = self
            .0
            .more
            .wait_timeout_while(count, moment, |count| count.1 < 3);
        let (mut count, _) = waited.unwrap();
        count.0 -= 1;
        features.fill(1.0);
        Ok(())
    }
}

#[test]
fn there_are_never_more_sessions_than_asked_for_and_a_failed_one_is_not_counted() {
    let engine = Arc::new(Counting::default());
    let backbone = Backbone::new(network("gemm", None).unwrap(), engine.clone(), 2);
    assert!(backbone.features(&[drawn(0)]).is_err());
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| backbone.features(&[drawn(0), drawn(1)]).unwrap());
        }
    });
    assert_eq!(engine.made.load(Ordering::SeqCst), 3);
    assert_eq!(engine.runs.count.lock().unwrap().1, 2);
}

#[test]
fn wrong_lengths_are_errors() {
    let network = network("gemm", None).unwrap();
    for engine in engines() {
        let mut session = engine.session(&network).unwrap();
        let mut features = [0.0; 6];
        let tensor = vec![0.0; 3 * 16 * 16];
        assert!(session.run(1, &tensor, &mut features).is_ok());
        assert!(session.run(2, &tensor, &mut features).is_err());
        assert!(session.run(1, &tensor[1..], &mut features).is_err());
        assert!(session.run(1, &tensor, &mut features[1..]).is_err());
    }
}
