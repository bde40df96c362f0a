//! What lies below a place, in the byte order of paths.

use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt};
use futures::{Stream, TryStreamExt};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{Error, ObjectMeta, ObjectStore, Result};
use tokio::sync::mpsc;

/// Folders listed at once.
const FOLDERS_AT_ONCE: usize = 32;
/// Pages of a folder that wait to be taken.
const PAGES_AHEAD: usize = 4;
/// A first page with so many folders means many small ones: one listing of everything is faster then.
const MANY_FOLDERS: usize = 500;

/// Objects in the byte order of their paths, as they are found.
pub type Listing = BoxStream<'static, Result<ObjectMeta>>;

type Pages = Arc<dyn PaginatedListStore>;
type Page = Result<Vec<ObjectMeta>>;

/// Lists everything below `prefix` in the byte order of the paths. Where the store gives pages in order, the folders of
/// the first level are listed side by side, and what is found first is given first; else everything is listed, then
/// sorted.
///
/// An object of no bytes with others below it is a folder's marker, and left out.
#[must_use]
pub fn list_ordered(
    store: &Arc<dyn ObjectStore>,
    pages: Option<&Pages>,
    is_ordered: bool,
    prefix: &Path,
) -> Listing {
    let found: BoxStream<'static, Result<ObjectMeta>> = match (pages, is_ordered) {
        (Some(pages), true) => side_by_side(Arc::clone(pages), prefix),
        _ => sorted(Arc::clone(store), prefix.clone()),
    };
    without_markers(found)
}

fn sorted(store: Arc<dyn ObjectStore>, prefix: Path) -> BoxStream<'static, Result<ObjectMeta>> {
    futures::stream::once(async move {
        let mut all: Vec<ObjectMeta> = store.list(Some(&prefix)).try_collect().await?;
        all.sort_by(|one, other| one.location.as_ref().cmp(other.location.as_ref()));
        Ok::<_, Error>(futures::stream::iter(all.into_iter().map(Ok)))
    })
    .try_flatten()
    .boxed()
}

/// One part of the listing, in its place.
enum Part {
    Objects(Vec<ObjectMeta>),
    Folder(mpsc::Receiver<Page>),
    Failed(Error),
}

fn side_by_side(pages: Pages, prefix: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
    let mut start = prefix.as_ref().to_owned();
    if !start.is_empty() {
        start.push('/');
    }
    let (sender, receiver) = mpsc::channel(FOLDERS_AT_ONCE);
    tokio::spawn(async move {
        if let Err(error) = first_level(&pages, start, &sender).await {
            // Nobody listens any more where this fails.
            let _ = sender.send(Part::Failed(error)).await;
        }
    });
    let parts = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|part| (part, receiver))
    });
    parts
        .flat_map(|part| -> Pin<Box<dyn Stream<Item = Page> + Send>> {
            match part {
                Part::Objects(objects) => futures::stream::iter([Ok(objects)]).boxed(),
                Part::Failed(error) => futures::stream::iter([Err(error)]).boxed(),
                Part::Folder(receiver) => {
                    futures::stream::unfold(receiver, |mut receiver| async move {
                        receiver.recv().await.map(|page| (page, receiver))
                    })
                    .boxed()
                }
            }
        })
        .map_ok(|page| futures::stream::iter(page.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

/// Lists the first level that has more than one entry, and starts the listing of each folder in it.
async fn first_level(pages: &Pages, mut prefix: String, sender: &mpsc::Sender<Part>) -> Result<()> {
    let mut token = None;
    loop {
        let options = PaginatedListOptions {
            delimiter: Some("/".into()),
            page_token: token.take(),
            ..PaginatedListOptions::default()
        };
        let is_first = options.page_token.is_none();
        let page = pages.list_paginated(Some(&prefix), options).await?;
        let (objects, folders) = (page.result.objects, page.result.common_prefixes);
        if is_first && page.page_token.is_none() && objects.is_empty() && folders.len() == 1 {
            prefix = format!("{}/", folders[0]);
            continue;
        }
        if is_first && page.page_token.is_some() && folders.len() >= MANY_FOLDERS {
            let (all, receiver) = mpsc::channel(PAGES_AHEAD);
            let sent = sender.send(Part::Folder(receiver)).await;
            if sent.is_ok() {
                folder(pages, prefix, &all).await;
            }
            return Ok(());
        }
        // Objects and folders each come in order; a folder sorts as its name with the slash.
        let mut objects = objects.into_iter().peekable();
        let mut folders = folders
            .into_iter()
            .map(|path| format!("{path}/"))
            .peekable();
        loop {
            let mut before = Vec::new();
            while let Some(object) = objects.next_if(|object| {
                folders
                    .peek()
                    .is_none_or(|folder| object.location.as_ref() < folder.as_str())
            }) {
                before.push(object);
            }
            if !before.is_empty() && sender.send(Part::Objects(before)).await.is_err() {
                return Ok(());
            }
            let Some(below) = folders.next() else {
                break;
            };
            let (found, receiver) = mpsc::channel(PAGES_AHEAD);
            if sender.send(Part::Folder(receiver)).await.is_err() {
                return Ok(());
            }
            let pages = Arc::clone(pages);
            tokio::spawn(async move { folder(&pages, below, &found).await });
        }
        match page.page_token {
            Some(next) => token = Some(next),
            None => return Ok(()),
        }
    }
}

/// Lists everything below a folder, page by page.
async fn folder(pages: &Pages, prefix: String, found: &mpsc::Sender<Page>) {
    let mut token = None;
    loop {
        let options = PaginatedListOptions {
            page_token: token.take(),
            ..PaginatedListOptions::default()
        };
        let (page, next) = match pages.list_paginated(Some(&prefix), options).await {
            Ok(page) => (Ok(page.result.objects), page.page_token),
            Err(error) => (Err(error), None),
        };
        if found.send(page).await.is_err() || next.is_none() {
            return;
        }
        token = next;
    }
}

/// Leaves out objects of no bytes that have others below them, and refuses an order that is not the one promised.
fn without_markers(found: BoxStream<'static, Result<ObjectMeta>>) -> Listing {
    let state = (found.peekable(), String::new());
    futures::stream::try_unfold(state, |(mut found, mut last)| async move {
        loop {
            let Some(object) = found.try_next().await? else {
                return Ok(None);
            };
            let path = object.location.as_ref();
            if path < last.as_str() {
                return Err(Error::Generic {
                    store: "listing",
                    source: format!("the storage lists `{path}` after `{last}`, against the order of their bytes").into(),
                });
            }
            last = path.to_owned();
            if object.size == 0 {
                let next = Pin::new(&mut found).peek().await;
                if let Some(Ok(next)) = next
                    && next
                        .location
                        .as_ref()
                        .strip_prefix(path)
                        .is_some_and(|rest| rest.starts_with('/'))
                {
                    continue;
                }
            }
            return Ok(Some((object, (found, last))));
        }
    })
    .boxed()
}
