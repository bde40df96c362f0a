//! Objects that stand for folders, as consoles and other programs make them.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use futures::TryStreamExt;
use object_store::list::{PaginatedListOptions, PaginatedListResult, PaginatedListStore};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ListResult, ObjectMeta, ObjectStore, ObjectStoreExt, Result};
use pomona_store::list_ordered;

/// Keys with their sizes, given page by page as S3 does: a page holds keys and folders, in the order of their bytes.
struct Keys {
    sizes: BTreeMap<String, u64>,
    page: usize,
}

#[async_trait]
impl PaginatedListStore for Keys {
    async fn list_paginated(
        &self,
        prefix: Option<&str>,
        options: PaginatedListOptions,
    ) -> Result<PaginatedListResult> {
        let prefix = prefix.unwrap_or_default();
        let mut entries: Vec<(String, Option<u64>)> = Vec::new();
        for (key, size) in self.sizes.iter().filter(|(key, _)| key.starts_with(prefix)) {
            let below = &key[prefix.len()..];
            let folder = options
                .delimiter
                .as_ref()
                .and_then(|_| below.find('/'))
                .map(|slash| key[..=prefix.len() + slash].to_owned());
            match folder {
                Some(folder) if entries.last().is_some_and(|(last, _)| *last == folder) => {}
                Some(folder) => entries.push((folder, None)),
                None => entries.push((key.clone(), Some(*size))),
            }
        }
        let start: usize = options.page_token.map_or(0, |token| token.parse().unwrap());
        let end = entries.len().min(start + self.page);
        let mut result = ListResult {
            common_prefixes: Vec::new(),
            objects: Vec::new(),
        };
        for (name, size) in &entries[start..end] {
            let location = Path::parse(name)?;
            match size {
                None => result.common_prefixes.push(location),
                Some(size) => result.objects.push(ObjectMeta {
                    location,
                    last_modified: std::time::SystemTime::UNIX_EPOCH.into(),
                    size: *size,
                    e_tag: None,
                    version: None,
                }),
            }
        }
        Ok(PaginatedListResult {
            result,
            page_token: (end < entries.len()).then(|| end.to_string()),
        })
    }
}

async fn listed(keys: &[&str], page: usize, below: &str) -> Vec<String> {
    let size = |key: &str| u64::from(!key.ends_with('/'));
    let sizes = keys.iter().map(|key| ((*key).to_owned(), size(key)));
    let pages: Arc<dyn PaginatedListStore> = Arc::new(Keys {
        sizes: sizes.collect(),
        page,
    });
    let unused: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let objects: Vec<ObjectMeta> = list_ordered(&unused, Some(&pages), true, &Path::from(below))
        .try_collect()
        .await
        .unwrap();
    objects
        .iter()
        .map(|object| object.location.to_string())
        .collect()
}

#[tokio::test]
async fn folders_that_are_objects_are_left_out_wherever_they_come() {
    // The last names sort between `a` and `a/`.
    let keys = [
        "p/",
        "p/a/",
        "p/a/1.jpg",
        "p/a/b/",
        "p/a/b/2.jpg",
        "p/a/c/",
        "p/a/c/d/",
        "p/a/c/d/3.jpg",
        "p/a/c-d.jpg",
        "p/a/c.jpg",
        "p/a-b/4.jpg",
        "p/a.jpg",
        "p/a b/",
        "p/a b/5.jpg",
    ];
    let mut photos: Vec<&str> = keys.into_iter().filter(|key| !key.ends_with('/')).collect();
    photos.sort_unstable();
    for page in [1, 2, 3, 5, 1000] {
        for below in ["", "p"] {
            assert_eq!(
                listed(&keys, page, below).await,
                photos,
                "{page} below {below:?}"
            );
        }
        assert_eq!(listed(&keys, page, "p/a/c").await, ["p/a/c/d/3.jpg"]);
    }
}

#[tokio::test]
async fn many_folders_that_are_objects() {
    let folders: Vec<String> = (0..1200).map(|number| format!("{number:04}/")).collect();
    let photos: Vec<String> = folders
        .iter()
        .map(|folder| format!("{folder}plum.jpg"))
        .collect();
    let keys: Vec<&str> = folders.iter().chain(&photos).map(String::as_str).collect();
    assert_eq!(listed(&keys, 1000, "").await, photos);
}

#[tokio::test]
async fn so_they_are_where_everything_is_sorted_here() {
    let store = InMemory::new();
    for (key, bytes) in [
        ("a", ""),
        ("a-b.jpg", "plum"),
        ("a/1.jpg", "plum"),
        ("empty.jpg", ""),
        ("full", "plum"),
        ("full/2.jpg", "plum"),
    ] {
        store.put(&Path::from(key), bytes.into()).await.unwrap();
    }
    let store: Arc<dyn ObjectStore> = Arc::new(store);
    let objects: Vec<ObjectMeta> = list_ordered(&store, None, false, &Path::default())
        .try_collect()
        .await
        .unwrap();
    let found: Vec<&str> = objects
        .iter()
        .map(|object| object.location.as_ref())
        .collect();
    assert_eq!(
        found,
        ["a-b.jpg", "a/1.jpg", "empty.jpg", "full", "full/2.jpg"]
    );
}

#[tokio::test]
async fn another_order_is_refused() {
    struct Backwards(Keys);
    #[async_trait]
    impl PaginatedListStore for Backwards {
        async fn list_paginated(
            &self,
            prefix: Option<&str>,
            options: PaginatedListOptions,
        ) -> Result<PaginatedListResult> {
            let mut page = self.0.list_paginated(prefix, options).await?;
            page.result.objects.reverse();
            Ok(page)
        }
    }
    let sizes = ["a.jpg", "b.jpg"].map(|key| (key.to_owned(), 1)).into();
    let pages: Arc<dyn PaginatedListStore> = Arc::new(Backwards(Keys { sizes, page: 10 }));
    let unused: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let found: Result<Vec<ObjectMeta>> =
        list_ordered(&unused, Some(&pages), true, &Path::default())
            .try_collect()
            .await;
    let told = pomona_store::reason(&found.unwrap_err());
    assert!(told.contains("`a.jpg` after `b.jpg`"), "{told}");
}

#[tokio::test]
async fn trees_of_any_shape_are_listed_in_order() {
    // Names that sort around the slash, some of them folders' markers.
    const NAMES: [&str; 8] = ["a", "a-", "a.b", "a b", "b", "b0", "c", "ä"];
    let mut state = 7_u64;
    let mut drawn = move |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as usize % below
    };
    for round in 0..60 {
        let mut keys: Vec<String> = Vec::new();
        for _ in 0..drawn(200) {
            let mut key = "p".to_owned();
            for _ in 0..=drawn(4) {
                key = format!("{key}/{}", NAMES[drawn(NAMES.len().min(2 + round / 6))]);
            }
            keys.push(if drawn(6) == 0 {
                key + "/"
            } else {
                key + ".jpg"
            });
        }
        // The marker of a folder without anything in it is an empty object.
        let has_below = |marker: &str| {
            let mut photos = keys.iter().filter(|key| !key.ends_with('/'));
            photos.any(|key| key.starts_with(marker))
        };
        let keys: Vec<&str> = keys
            .iter()
            .map(String::as_str)
            .filter(|key| !key.ends_with('/') || has_below(key))
            .collect();
        let mut photos: Vec<&str> = keys
            .iter()
            .copied()
            .filter(|key| !key.ends_with('/'))
            .collect();
        photos.sort_unstable();
        photos.dedup();
        for page in [2, 9, 30, 1000] {
            assert_eq!(listed(&keys, page, "p").await, photos, "{page} of {keys:?}");
        }
    }
}
