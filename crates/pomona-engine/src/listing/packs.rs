//! Archives among the objects: each of their members is an image of its own.

use std::collections::VecDeque;
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path as ObjectPath;
use pomona_pack::{
    Member, Pack, PackError, ScanSettings, label_images, read_index, samples, scan_all,
};

use super::{ImageListing, ListedImage, ListingFilter, Part, location};
use crate::error::EngineError;
use crate::label::LabelRule;

/// Bytes read at once for the headers of an archive over a network, and on this machine.
const NETWORK_BLOCK_BYTES: u64 = 8 << 20;
const LOCAL_BLOCK_BYTES: u64 = 16 << 10;

/// Whether an object is an archive, by its name.
pub(super) fn is_archive(path: &str) -> bool {
    path.len() > 4
        && path
            .get(path.len() - 4..)
            .is_some_and(|end| end.eq_ignore_ascii_case(".tar"))
}

/// What archives are opened with.
#[derive(Clone)]
pub(super) struct Packs {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) root_name: String,
    pub(super) is_remote: bool,
    pub(super) filter: ListingFilter,
    pub(super) labels: LabelRule,
}

/// A listing under way.
struct State {
    listed: std::pin::Pin<Box<futures::stream::Peekable<ImageListing>>>,
    packs: Packs,
    /// Archives whose members come before everything that is not yet listed.
    waiting: VecDeque<ListedImage>,
    ready: BoxStream<'static, Result<ListedImage, EngineError>>,
    /// Whether the folder's own index was looked for, and what came of it.
    is_pack: Option<bool>,
}

impl Packs {
    /// The same listing, with the members of archives in the place of the archives, still in the byte order of paths.
    ///
    /// A folder that `pomona pack` wrote is listed by its index, and its images have the paths that they had before;
    /// a member of another archive has the archive's name before its own.
    pub(super) fn expand(self, listed: ImageListing) -> ImageListing {
        let state = State {
            listed: Box::pin(listed.peekable()),
            packs: self,
            waiting: VecDeque::new(),
            ready: futures::stream::empty().boxed(),
            is_pack: None,
        };
        futures::stream::try_unfold(state, |mut state| async move {
            let next = state.next().await?;
            Ok(next.map(|image| (image, state)))
        })
        .boxed()
    }

    /// The members of one archive, by their own names.
    pub(super) fn of_one(self, archive: ListedImage) -> ImageListing {
        futures::stream::once(async move {
            let members = self.members(&archive, "").await?;
            Ok::<_, EngineError>(futures::stream::iter(members.into_iter().map(Ok)))
        })
        .try_flatten()
        .boxed()
    }

    async fn members(
        &self,
        archive: &ListedImage,
        prefix: &str,
    ) -> Result<Vec<ListedImage>, EngineError> {
        let unreadable = |reason: String| ListedImage {
            problem: Some(reason),
            ..archive.clone()
        };
        if archive.problem.is_some() {
            return Ok(vec![archive.clone()]);
        }
        let place = location(&archive.path)?;
        let settings = ScanSettings {
            block_bytes: if self.is_remote {
                NETWORK_BLOCK_BYTES
            } else {
                LOCAL_BLOCK_BYTES
            },
            ..ScanSettings::default()
        };
        let scanned = scan_all(
            Arc::clone(&self.store),
            place.clone(),
            archive.size_bytes,
            settings,
        )
        .await;
        let mut members = scanned.members;
        let mut images = Vec::with_capacity(members.len());
        let kinds = samples(&members);
        if kinds.images.iter().any(|image| image.label.is_some()) {
            label_images(self.store.as_ref(), &place, &mut members)
                .await
                .map_err(pack_error)?;
        }
        let shared: Arc<str> = Arc::from(archive.path.as_str());
        let places = kinds.images.iter().map(|image| image.member);
        for place in places.chain(kinds.unknown) {
            if let Some(member) = members.get(place) {
                images.extend(self.image(member, &shared, prefix));
            }
        }
        for problem in scanned.problems {
            images.push(ListedImage {
                path: format!("{}/#{}", archive.path, problem.offset),
                ..unreadable(problem.to_string())
            });
        }
        match scanned.error {
            Some(PackError::Store { source, .. }) if pomona_store::is_fatal(&source) => {
                return Err(EngineError::Store(source));
            }
            // What was found before the damage is good.
            Some(error) => images.push(unreadable(error.to_string())),
            None => {}
        }
        images.retain(|image| self.filter.takes(&image.path) || image.problem.is_some());
        images.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(images)
    }

    fn image(&self, member: &Member, archive: &Arc<str>, prefix: &str) -> Option<ListedImage> {
        let path = format!("{prefix}{}", member.name);
        if path.split('/').any(|part| part.starts_with('.')) {
            return None;
        }
        let label = match &member.label {
            Some(label) if self.labels.is_parent() => Some(label.clone()),
            _ => self.labels.label(&path, &self.root_name),
        };
        Some(ListedImage {
            path,
            label,
            size_bytes: member.size,
            last_modified_micros: member.modified_secs.saturating_mul(1_000_000),
            part: Some(Part {
                archive: Arc::clone(archive),
                offset: member.offset,
            }),
            ..ListedImage::default()
        })
    }

    /// The images of a folder that `pomona pack` wrote.
    fn indexed(self, pack: Pack) -> BoxStream<'static, Result<ListedImage, EngineError>> {
        pack.archives()
            .map_err(pack_error)
            .map_ok(move |archive| {
                let name: Arc<str> =
                    Arc::from(archive.meta.location.filename().unwrap_or_default());
                let images: Vec<_> = archive
                    .members
                    .iter()
                    .filter_map(|member| self.image(member, &name, ""))
                    .filter(|image| self.filter.takes(&image.path))
                    .map(Ok)
                    .collect();
                futures::stream::iter(images)
            })
            .try_flatten()
            .boxed()
    }
}

fn pack_error(error: PackError) -> EngineError {
    EngineError::Pack(error)
}

impl State {
    async fn next(&mut self) -> Result<Option<ListedImage>, EngineError> {
        loop {
            if let Some(image) = self.ready.try_next().await? {
                return Ok(Some(image));
            }
            // A member's path begins with its archive's and a slash: what sorts before that comes first.
            if let Some(archive) = self.waiting.front() {
                let from = format!("{}/", archive.path);
                let is_later = match self.listed.as_mut().peek().await {
                    Some(Ok(next)) => next.path > from,
                    _ => true,
                };
                if is_later && let Some(archive) = self.waiting.pop_front() {
                    let members = self.packs.members(&archive, &from).await?;
                    self.ready = futures::stream::iter(members.into_iter().map(Ok)).boxed();
                    continue;
                }
            }
            let Some(image) = self.listed.try_next().await? else {
                if self.waiting.is_empty() {
                    return Ok(None);
                }
                continue;
            };
            if self.is_pack == Some(true) {
                // All of it is listed by the index.
                continue;
            }
            let is_archive = is_archive(&image.path);
            let is_index = image.path.ends_with(".index");
            if self.is_pack.is_none() && (is_archive || is_index) && !image.path.contains('/') {
                let found = read_index(Arc::clone(&self.packs.store), ObjectPath::default()).await;
                match found {
                    Ok(pack) => {
                        self.is_pack = Some(true);
                        self.ready = self.packs.clone().indexed(pack);
                        continue;
                    }
                    Err(PackError::NoPack { .. }) => self.is_pack = Some(false),
                    Err(error) => return Err(pack_error(error)),
                }
            }
            if !is_archive {
                return Ok(Some(image));
            }
            self.waiting.push_back(image);
        }
    }
}
