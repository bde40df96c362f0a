//! What lies below a place, in the byte order of paths.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;

use futures::stream::{BoxStream, StreamExt};
use futures::{Stream, TryStreamExt};
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Path;
use object_store::{Error, ListResult, ObjectMeta, ObjectStore, Result};
use tokio::sync::mpsc;

/// Folders listed at once.
const FOLDERS_AT_ONCE: usize = 64;
/// Pages of a folder that wait to be taken.
const PAGES_AHEAD: usize = 4;
/// A first page with so many folders means many small ones: one listing of everything is faster then.
const MANY_FOLDERS: usize = 500;
/// So few folders do not keep a network busy: the folders in them are listed side by side too.
const FEW_FOLDERS: usize = 8;

/// Objects in the byte order of their paths, as they are found.
pub type Listing = BoxStream<'static, Result<ObjectMeta>>;

type Pages = Arc<dyn PaginatedListStore>;
type Page = Result<Vec<ObjectMeta>>;

/// What a task sends: without its end, what it found is not all there is.
enum Sent<T> {
    Item(T),
    End,
}

type Sender<T> = mpsc::Sender<Sent<T>>;
type Receiver<T> = mpsc::Receiver<Sent<T>>;

#[derive(Debug, thiserror::Error)]
#[error("the listing ended before everything was listed")]
struct Unfinished;

/// Lists everything below `prefix` in the byte order of the paths. Where the store gives pages in order, the folders of
/// the first level, or of the first two where the first has few, are listed side by side, and what is found first is
/// given first; else everything is listed, then sorted. Begin it on a runtime: the listing runs ahead of who reads it.
///
/// Folders' markers are left out: objects of no bytes whose name ends with a slash, or that stand right before others
/// below them.
#[must_use]
pub fn list_ordered(
    store: &Arc<dyn ObjectStore>,
    pages: Option<&Pages>,
    is_ordered: bool,
    prefix: &Path,
) -> Listing {
    match (pages, is_ordered) {
        (Some(pages), true) => without_markers(side_by_side(Arc::clone(pages), prefix)),
        _ => sorted(Arc::clone(store), prefix.clone()),
    }
}

fn sorted(store: Arc<dyn ObjectStore>, prefix: Path) -> Listing {
    futures::stream::once(async move {
        let mut all: Vec<ObjectMeta> = store.list(Some(&prefix)).try_collect().await?;
        all.sort_by(|one, other| one.location.as_ref().cmp(other.location.as_ref()));
        let has_below = |path: &str| {
            let below = format!("{path}/");
            let first = all.partition_point(|object| object.location.as_ref() < below.as_str());
            all.get(first)
                .is_some_and(|object| object.location.as_ref().starts_with(&below))
        };
        let is_marker: Vec<bool> = all
            .iter()
            .map(|object| object.size == 0 && has_below(object.location.as_ref()))
            .collect();
        let objects = all
            .into_iter()
            .zip(is_marker)
            .filter(|(_, is_marker)| !is_marker)
            .map(|(object, _)| Ok(object));
        Ok::<_, Error>(futures::stream::iter(objects))
    })
    .try_flatten()
    .boxed()
}

/// One part of the listing, in its place.
enum Part {
    Objects(Vec<ObjectMeta>),
    Folder(Receiver<Page>),
    Failed(Error),
}

/// What a task sends, and an error where it ended without its end.
fn received<T: Send + 'static>(receiver: Receiver<T>) -> BoxStream<'static, Result<T>> {
    futures::stream::unfold(Some(receiver), |receiver| async move {
        let mut receiver = receiver?;
        match receiver.recv().await {
            Some(Sent::Item(item)) => Some((Ok(item), Some(receiver))),
            Some(Sent::End) => None,
            None => {
                let error = Error::Generic {
                    store: "listing",
                    source: Box::new(Unfinished),
                };
                Some((Err(error), None))
            }
        }
    })
    .boxed()
}

fn side_by_side(pages: Pages, prefix: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
    let mut start = prefix.as_ref().to_owned();
    if !start.is_empty() {
        start.push('/');
    }
    let (sender, receiver) = mpsc::channel(FOLDERS_AT_ONCE);
    tokio::spawn(async move {
        // Nobody listens any more where sending fails.
        if let Err(error) = first_level(&pages, start, &sender).await {
            let _ = sender.send(Sent::Item(Part::Failed(error))).await;
        }
        let _ = sender.send(Sent::End).await;
    });
    received(receiver)
        .flat_map(|part| -> Pin<Box<dyn Stream<Item = Page> + Send>> {
            match part {
                Ok(Part::Objects(objects)) => futures::stream::iter([Ok(objects)]).boxed(),
                Ok(Part::Failed(error)) | Err(error) => futures::stream::iter([Err(error)]).boxed(),
                Ok(Part::Folder(receiver)) => received(receiver)
                    .map(|page| page.and_then(|page| page))
                    .boxed(),
            }
        })
        .map_ok(|page| futures::stream::iter(page.into_iter().map(Ok)))
        .try_flatten()
        .boxed()
}

/// Whether it is the marker of the folder that the prefix names. Its name ends with a slash, which paths do not keep:
/// it would seem to come too late.
fn is_marker_of(prefix: &str, object: &ObjectMeta) -> bool {
    prefix.strip_suffix('/') == Some(object.location.as_ref())
}

/// Lists the first level that has more than one entry, and starts the listing of each folder in it.
async fn first_level(pages: &Pages, mut prefix: String, sender: &Sender<Part>) -> Result<()> {
    let mut token = None;
    loop {
        let is_first = token.is_none();
        let (page, next) = page_of(pages, &prefix, token.take(), Some("/")).await?;
        let (objects, folders) = (page.objects, page.common_prefixes);
        if is_first && next.is_none() && objects.is_empty() && folders.len() == 1 {
            prefix = format!("{}/", folders[0]);
            continue;
        }
        let is_of_few = is_first && next.is_none() && folders.len() <= FEW_FOLDERS;
        if is_first && next.is_some() && folders.len() >= MANY_FOLDERS {
            let (all, receiver) = mpsc::channel(PAGES_AHEAD);
            let sent = sender.send(Sent::Item(Part::Folder(receiver))).await;
            if sent.is_ok() {
                folder(pages, prefix, false, &all).await;
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
            if !before.is_empty()
                && sender
                    .send(Sent::Item(Part::Objects(before)))
                    .await
                    .is_err()
            {
                return Ok(());
            }
            let Some(below) = folders.next() else {
                break;
            };
            let (found, receiver) = mpsc::channel(PAGES_AHEAD);
            if sender
                .send(Sent::Item(Part::Folder(receiver)))
                .await
                .is_err()
            {
                return Ok(());
            }
            let pages = Arc::clone(pages);
            tokio::spawn(async move { folder(&pages, below, is_of_few, &found).await });
        }
        match next {
            Some(next) => token = Some(next),
            None => return Ok(()),
        }
    }
}

/// Lists everything below a folder: page by page, or where it has more than a page, its own folders side by side.
async fn folder(pages: &Pages, prefix: String, is_one_of_few: bool, found: &Sender<Page>) {
    let mut token = None;
    if is_one_of_few {
        // Both at once: a folder of one page is done then, and one of more has lost nothing.
        let level = {
            let (pages, prefix) = (Arc::clone(pages), prefix.clone());
            tokio::spawn(async move { page_of(&pages, &prefix, None, Some("/")).await })
        };
        let (objects, next) = match page_of(pages, &prefix, None, None).await {
            Ok(first) => first,
            Err(error) => {
                let _ = found.send(Sent::Item(Err(error))).await;
                let _ = found.send(Sent::End).await;
                return;
            }
        };
        // Of a folder's marker the slash is missing: it may be last and seem to come earlier.
        let last = objects
            .objects
            .iter()
            .map(|object| object.location.clone())
            .max();
        if found.send(Sent::Item(Ok(objects.objects))).await.is_err() {
            return;
        }
        let Some(next) = next else {
            let _ = found.send(Sent::End).await;
            return;
        };
        if let (Some(last), Ok(Ok((level, None)))) = (last, level.await)
            && level.objects.is_empty()
        {
            below(pages, level.common_prefixes, &last, found).await;
            return;
        }
        token = Some(next);
    }
    loop {
        let (page, next) = match page_of(pages, &prefix, token.take(), None).await {
            Ok((page, next)) => (Ok(page.objects), next),
            Err(error) => (Err(error), None),
        };
        if found.send(Sent::Item(page)).await.is_err() {
            return;
        }
        if next.is_none() {
            // Nobody listens any more where this fails.
            let _ = found.send(Sent::End).await;
            return;
        }
        token = next;
    }
}

/// Lists folders side by side, as far as they hold what comes after `last`.
async fn below(pages: &Pages, folders: Vec<Path>, last: &Path, found: &Sender<Page>) {
    let mut left = folders
        .into_iter()
        .map(|folder| format!("{folder}/"))
        .filter(|folder| last.as_ref() < folder.as_str() || last.as_ref().starts_with(folder));
    let mut running = VecDeque::new();
    loop {
        while running.len() < FOLDERS_AT_ONCE
            && let Some(folder_below) = left.next()
        {
            let (sender, receiver) = mpsc::channel(PAGES_AHEAD);
            let pages = Arc::clone(pages);
            tokio::spawn(async move {
                folder_from(&pages, folder_below, &sender).await;
            });
            running.push_back(received(receiver));
        }
        let Some(mut next) = running.pop_front() else {
            let _ = found.send(Sent::End).await;
            return;
        };
        while let Some(page) = next.next().await {
            let page = page
                .and_then(|page| page)
                .map(|mut objects: Vec<ObjectMeta>| {
                    objects.retain(|object| object.location.as_ref() > last.as_ref());
                    objects
                });
            if found.send(Sent::Item(page)).await.is_err() {
                return;
            }
        }
    }
}

/// A task of its own type: the folders of a folder are listed page by page.
fn folder_from<'a>(
    pages: &'a Pages,
    prefix: String,
    found: &'a Sender<Page>,
) -> futures::future::BoxFuture<'a, ()> {
    Box::pin(folder(pages, prefix, false, found))
}

/// One page of what lies below a folder, without the folder's marker, and the token of the next one.
async fn page_of(
    pages: &Pages,
    prefix: &str,
    token: Option<String>,
    delimiter: Option<&'static str>,
) -> Result<(ListResult, Option<String>)> {
    let options = PaginatedListOptions {
        delimiter: delimiter.map(Into::into),
        page_token: token,
        ..PaginatedListOptions::default()
    };
    let page = pages.list_paginated(Some(prefix), options).await?;
    let mut result = page.result;
    result
        .objects
        .retain(|object| !is_marker_of(prefix, object));
    Ok((result, page.page_token))
}

/// Leaves out folders' markers, and refuses an order that is not the one promised.
fn without_markers(found: BoxStream<'static, Result<ObjectMeta>>) -> Listing {
    let state = (found.peekable(), String::new());
    futures::stream::try_unfold(state, |(mut found, mut last)| async move {
        loop {
            let Some(object) = found.try_next().await? else {
                return Ok(None);
            };
            let path = object.location.as_ref();
            let is_late = !last.is_empty() && path <= last.as_str();
            // A marker `a/` comes after `a-b` and is called `a` here.
            if is_late && object.size == 0 {
                continue;
            }
            if is_late {
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
