//! A server, and places on it.

use std::path::Path;

use futures::{StreamExt, TryStreamExt};
use pomona_store::{Place, StoreError, StoreSettings, Stores, TrafficReading};
use pomona_testbed::{Bucket, Builder, Server};
use tempfile::TempDir;

/// A server over a folder that is removed with it.
pub(crate) struct Bench {
    pub(crate) server: Server,
    _root: TempDir,
}

pub(crate) fn bench() -> Bench {
    bench_with(|builder| builder)
}

pub(crate) fn bench_with(change: impl FnOnce(Builder) -> Builder) -> Bench {
    let root = tempfile::tempdir().unwrap();
    let server = change(Bucket::builder(root.path())).start().unwrap();
    server.bucket_dir("photos").unwrap();
    Bench {
        server,
        _root: root,
    }
}

impl Bench {
    /// A client of its own: its own connections, limits, and memory of what it wrote.
    pub(crate) fn stores(&self) -> Stores {
        self.stores_with(StoreSettings::default())
    }

    pub(crate) fn stores_with(&self, settings: StoreSettings) -> Stores {
        stores_in(settings, self.server.environment())
    }

    pub(crate) async fn place(&self, below: &str) -> Place {
        place(&self.stores(), below).await.unwrap()
    }

    /// Puts files where the server finds them.
    pub(crate) fn fill<'a>(&self, keys: impl IntoIterator<Item = &'a str>, bytes: &[u8]) {
        let bucket = self.server.bucket_dir("photos").unwrap();
        for key in keys {
            let file = bucket.join(key);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, bytes).unwrap();
        }
        self.server.refresh().unwrap();
    }
}

pub(crate) fn stores_in(settings: StoreSettings, environment: Vec<(String, String)>) -> Stores {
    let network = tokio::runtime::Handle::current();
    Stores::with_environment(settings, network, environment).unwrap()
}

/// `s3://photos/BELOW`.
pub(crate) async fn place(stores: &Stores, below: &str) -> Result<Place, StoreError> {
    let url = format!("s3://photos/{below}");
    stores.place(Path::new(&url)).await
}

pub(crate) async fn traffic(stores: &Stores) -> TrafficReading {
    stores.traffic().await.swap_remove(0).1
}

/// Does something to every item, 64 at once.
pub(crate) async fn each<T, U, F: Future<Output = Result<U, StoreError>>>(
    items: impl IntoIterator<Item = T>,
    work: impl Fn(T) -> F,
) -> Result<Vec<U>, StoreError> {
    futures::stream::iter(items)
        .map(work)
        .buffered(64)
        .try_collect()
        .await
}

pub(crate) async fn listed(place: &Place) -> Result<Vec<String>, object_store::Error> {
    let root = place.path().as_ref().to_owned();
    place
        .list_ordered()
        .map_ok(|object| {
            let path = object.location.as_ref();
            path.strip_prefix(&root)
                .unwrap_or(path)
                .trim_start_matches('/')
                .to_owned()
        })
        .try_collect()
        .await
}
