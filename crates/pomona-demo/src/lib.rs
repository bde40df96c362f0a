//! Which photos does a person try it on first?
//!
//! [`render`] draws a set of photos in the manner of Fruits-360 from 32 pictures inside the crate: each fruit or
//! vegetable turned, tilted, lit and on white, in folders `Training/<label>` and `Test/<label>`.
//!
//! Not for: measuring how well anything recognises real fruit; the photos of one label are all of one picture.

mod error;
mod folder;
mod paint;
mod photo;
mod pictures;
mod random;
mod scene;
mod settings;
mod troubles;

pub use error::DemoError;
pub use settings::{DemoSettings, MAX_PER_LABEL, SIZE_RANGE_PX};

use folder::{NewFolder, at};
use paint::{Subject, paint};
use pictures::PICTURES;
use scene::{Part, Scene};
use std::fs;
use std::path::Path;

/// What was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DemoSummary {
    /// Labels.
    pub labels: usize,
    /// Photos under `Training` and `Test`.
    pub photos: usize,
    /// Files under `Troubles`.
    pub troubles: usize,
    /// Bytes of all files.
    pub bytes: u64,
}

/// The labels, sorted.
pub fn labels() -> impl ExactSizeIterator<Item = &'static str> {
    PICTURES.iter().map(|picture| picture.label)
}

/// Renders the demonstration photos into the folder `root`.
///
/// The folder appears whole or not at all. `root` must be free, an empty folder, or a folder of demonstration
/// photos with nothing else in it, which is replaced. `progress` is told how many photos are done, of how many.
///
/// Photos are named `NNN_S.jpg` after their number and their width in pixels; a photo depends on the seed, its
/// label, its part and its number only.
///
/// # Errors
/// See [`DemoError`]; nothing is left behind.
pub fn render(
    root: &Path,
    settings: &DemoSettings,
    progress: &mut dyn FnMut(usize, usize),
) -> Result<DemoSummary, DemoError> {
    settings.check()?;
    let folder = NewFolder::start(root)?;
    let parts = [
        (Part::Training, settings.per_label_training),
        (Part::Test, settings.per_label_test),
    ];
    let total = PICTURES.len() * parts.iter().map(|(_, photos)| photos).sum::<usize>();
    let mut summary = DemoSummary {
        labels: PICTURES.len(),
        photos: 0,
        troubles: 0,
        bytes: 0,
    };
    progress(0, total);
    for (index, picture) in PICTURES.iter().enumerate() {
        let subject = Subject::decode(picture)?;
        for (part, photos) in parts {
            let place = folder.path().join(part.folder()).join(picture.label);
            if photos > 0 {
                fs::create_dir_all(&place).map_err(at(&place))?;
            }
            for number in 0..photos {
                let scene = Scene::new(settings.seed, index, part, number);
                let side = settings.size_px as usize;
                let jpeg = photo::encode(picture.label, side, paint(&subject, &scene, side))?;
                let file = place.join(format!("{number:03}_{side}.jpg"));
                fs::write(&file, &jpeg).map_err(at(&file))?;
                summary.photos += 1;
                summary.bytes += jpeg.len() as u64;
                progress(summary.photos, total);
            }
        }
    }
    if settings.with_troubles {
        let (files, bytes) = troubles::write(&folder.path(), settings.seed)?;
        summary.troubles = files;
        summary.bytes += bytes;
    }
    folder.finish()?;
    Ok(summary)
}
