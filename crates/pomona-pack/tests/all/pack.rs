//! Folders of archives: what is written, in which order, and what is refused.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures::TryStreamExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use pomona_pack::{
    IndexFault, LabelProblem, NameProblem, PackError, PackSettings, PackSummary, PackWriter,
    label_images, read_index, read_labels, scan_all,
};

use crate::store::Counting;
use crate::support::tiny;

const SMALL: PackSettings = PackSettings {
    // Six images and five labels of `small_pack`, so that the sixth label goes beyond.
    archive_bytes: 21_600,
};

fn bytes(byte: u8, size: usize) -> Bytes {
    vec![byte; size].into()
}

async fn writer(store: &Arc<impl ObjectStore>, settings: PackSettings) -> PackWriter {
    let store: Arc<dyn ObjectStore> = store.clone();
    PackWriter::create(store, Path::from("out"), settings)
        .await
        .unwrap()
}

/// Thirty samples of an image and its label, in archives of some samples each.
async fn small_pack(store: &Arc<impl ObjectStore>) -> PackSummary {
    let mut writer = writer(store, SMALL).await;
    for number in 0..30_u8 {
        let image = bytes(number, 1500 + usize::from(number));
        let label = Bytes::from(format!(" fruit {}\n", number % 3));
        let name = format!("a/{number:03}");
        writer
            .add(&format!("{name}.jpg"), i64::from(number), image)
            .await
            .unwrap();
        writer.add(&format!("{name}.cls"), 0, label).await.unwrap();
    }
    writer.finish().await.unwrap()
}

async fn names(store: &impl ObjectStore) -> BTreeSet<String> {
    let objects: Vec<_> = store.list(None).try_collect().await.unwrap();
    objects
        .into_iter()
        .map(|o| o.location.to_string())
        .collect()
}

async fn replace(store: &InMemory, name: &str, change: impl FnOnce(&str) -> String) {
    let location = Path::from(name);
    let old = store.get(&location).await.unwrap().bytes().await.unwrap();
    let new = change(std::str::from_utf8(&old).unwrap());
    assert_ne!(old, new, "nothing was changed");
    store.put(&location, new.into()).await.unwrap();
}

#[tokio::test]
async fn an_index_says_what_a_scan_finds() {
    let store = Arc::new(InMemory::new());
    let summary = small_pack(&store).await;
    assert!(summary.archives.len() > 2);
    assert_eq!((summary.version, summary.members), (1, 60));

    let pack = read_index(store.clone(), Path::from("out")).await.unwrap();
    assert_eq!(pack.summary(), &summary);
    let archives: Vec<_> = pack.archives().try_collect().await.unwrap();
    assert_eq!(archives.len(), summary.archives.len());
    let mut number = 0_u8;
    for archive in archives {
        assert!(archive.meta.size <= SMALL.archive_bytes + 1024);
        let (location, size) = (archive.meta.location.clone(), archive.meta.size);
        let mut found = scan_all(store.clone(), location.clone(), size, tiny(700)).await;
        assert!(found.error.is_none() && found.problems.is_empty());
        let problems = label_images(store.as_ref(), &location, &mut found.members)
            .await
            .unwrap();
        assert!(problems.is_empty());
        // With labels read from the archive, and with those of the index.
        assert_eq!(found.members, archive.members);
        for sample in archive.members.chunks(2) {
            assert_eq!(sample[0].name, format!("a/{number:03}.jpg"));
            assert_eq!(sample[0].label, Some(format!("fruit {}", number % 3)));
            // An image and its label are in one archive.
            assert_eq!(sample[1].name, format!("a/{number:03}.cls"));
            assert_eq!(sample[1].label, None);
            let range = sample[0].offset..sample[0].offset + sample[0].size;
            let image = store.get_range(&location, range).await.unwrap();
            assert_eq!(image, bytes(number, 1500 + usize::from(number)));
            number += 1;
        }
    }
    assert_eq!(number, 30);
}

#[tokio::test]
async fn the_same_members_give_the_same_bytes() {
    let stores = [Arc::new(InMemory::new()), Arc::new(InMemory::new())];
    for store in &stores {
        small_pack(store).await;
    }
    let all = names(stores[0].as_ref()).await;
    assert_eq!(all, names(stores[1].as_ref()).await);
    for name in all {
        let location = Path::from(name);
        let [one, two] = [&stores[0], &stores[1]].map(|store| store.get(&location));
        let one = one.await.unwrap().bytes().await.unwrap();
        assert_eq!(one, two.await.unwrap().bytes().await.unwrap());
    }
}

#[tokio::test]
async fn pack_json_is_written_last_and_only_once() {
    let store = Arc::new(Counting::default());
    small_pack(&store).await;
    let written = store.counts.written.lock().unwrap().clone();
    assert_eq!(written.last().unwrap(), "out/pack.json");
    assert_eq!(
        &written[..2],
        ["out/pack-00000.tar", "out/pack-00000.index"]
    );

    let folder = Path::from("out");
    let again = PackWriter::create(store.clone(), folder.clone(), SMALL).await;
    assert!(matches!(again, Err(PackError::PackExists { .. })));

    // Two at once: the second to finish is refused.
    let store = Arc::new(Counting::default());
    let mut one = writer(&store, SMALL).await;
    let two = writer(&store, SMALL).await;
    one.add("a.jpg", 0, bytes(1, 5)).await.unwrap();
    one.finish().await.unwrap();
    assert!(matches!(
        two.finish().await,
        Err(PackError::PackExists { .. })
    ));
    let pack = read_index(store.clone(), folder).await.unwrap();
    assert_eq!(pack.summary().members, 1);
}

#[tokio::test]
async fn large_archives_go_in_parts() {
    let store = Arc::new(Counting::default());
    let mut writer = writer(&store, PackSettings::default()).await;
    for number in 0..5_u8 {
        let image = bytes(number, 5_000_000);
        writer
            .add(&format!("{number}.jpg"), 0, image)
            .await
            .unwrap();
    }
    let summary = writer.finish().await.unwrap();
    let counts = &store.counts;
    assert_eq!(counts.uploads.load(Ordering::SeqCst), 1);
    // 25,005,056 bytes and the end, in parts of 8 MiB.
    assert_eq!(counts.parts.load(Ordering::SeqCst), 3);
    assert_eq!(counts.aborted.load(Ordering::SeqCst), 0);
    let archive = &summary.archives[0];
    let location = Path::from(format!("out/{}", archive.name));
    let found = scan_all(
        store.clone(),
        location.clone(),
        archive.bytes,
        tiny(1 << 20),
    )
    .await;
    assert!(found.error.is_none());
    assert_eq!(found.members.len(), 5);
    for (number, member) in (0..5_u8).zip(&found.members) {
        let range = member.offset..member.offset + member.size;
        let image = store.get_range(&location, range).await.unwrap();
        assert!(image == bytes(number, 5_000_000));
    }
}

#[tokio::test]
async fn an_error_aborts_the_upload_and_leaves_no_pack() {
    for failing in 1..100 {
        let store = Arc::new(Counting::default());
        store.counts.failing_write.store(failing, Ordering::SeqCst);
        let settings = PackSettings {
            archive_bytes: 30_000_000,
        };
        let mut writer = writer(&store, settings).await;
        let mut result = Ok(());
        for number in 0..5_u8 {
            let image = bytes(number, 9_000_000);
            result = writer.add(&format!("{number}.jpg"), 0, image).await;
            if result.is_err() {
                let again = writer.add("b.jpg", 0, bytes(1, 1)).await;
                assert!(matches!(again, Err(PackError::WriterFailed)));
                break;
            }
        }
        let failed = match result {
            Ok(()) => writer.finish().await.is_err(),
            Err(_) => {
                assert!(matches!(result, Err(PackError::Store { .. })));
                writer.discard().await.unwrap();
                assert!(names(store.as_ref()).await.is_empty());
                true
            }
        };
        settle(&store).await;
        let counts = &store.counts;
        let [begun, done, aborted] = [&counts.uploads, &counts.completed, &counts.aborted]
            .map(|count| count.load(Ordering::SeqCst));
        assert_eq!(begun, done + aborted, "write {failing}");
        let found = read_index(store.clone(), Path::from("out")).await;
        if !failed {
            found.unwrap();
            // All writes there are have failed once: of two archives, their parts and indexes, and of `pack.json`.
            assert!(failing > 10, "{failing}");
            return;
        }
        assert!(matches!(found, Err(PackError::NoPack { .. })));
    }
    panic!("every write fails");
}

/// Waits for aborts that run in the background.
async fn settle(store: &Counting) {
    let counts = &store.counts;
    for _ in 0..1000 {
        let ended = counts.completed.load(Ordering::SeqCst) + counts.aborted.load(Ordering::SeqCst);
        if ended == counts.uploads.load(Ordering::SeqCst) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn a_writer_that_is_dropped_aborts_its_upload() {
    let store = Arc::new(Counting::default());
    let mut writer = writer(&store, PackSettings::default()).await;
    writer.add("a.jpg", 0, bytes(1, 20_000_000)).await.unwrap();
    assert_eq!(store.counts.uploads.load(Ordering::SeqCst), 1);
    drop(writer);
    settle(&store).await;
    assert_eq!(store.counts.aborted.load(Ordering::SeqCst), 1);
    assert!(names(store.as_ref()).await.is_empty());
}

#[tokio::test]
async fn names_that_cannot_be_packed_leave_the_writer_as_it_was() {
    let store = Arc::new(InMemory::new());
    let mut writer = writer(&store, SMALL).await;
    writer.add("a.jpg", 0, bytes(1, 5)).await.unwrap();
    for (name, expected) in [
        ("../a.jpg", NameProblem::Parent),
        ("a\\b.jpg", NameProblem::Backslash),
        ("", NameProblem::Empty),
    ] {
        match writer.add(name, 0, bytes(1, 5)).await {
            Err(PackError::Name { problem, .. }) => assert_eq!(problem, expected),
            other => panic!("{other:?}"),
        }
    }
    let twice = writer.add("./a.jpg", 0, bytes(1, 5)).await;
    assert!(matches!(twice, Err(PackError::Duplicate { .. })));
    writer.add("b.jpg", 0, bytes(1, 5)).await.unwrap();
    assert_eq!(writer.finish().await.unwrap().members, 2);
}

#[tokio::test]
async fn names_with_dots_do_not_make_an_archive_endless() {
    let store = Arc::new(InMemory::new());
    let mut writer = writer(&store, SMALL).await;
    for number in 0..100 {
        // One sample, by its name.
        let name = format!("2024.05.{number}.jpg");
        writer.add(&name, 0, bytes(1, 1000)).await.unwrap();
    }
    // Names are told apart within an archive only.
    let first = writer.add("2024.05.0.jpg", 0, bytes(1, 1000)).await;
    first.unwrap();
    let summary = writer.finish().await.unwrap();
    assert!(summary.archives.len() >= 3, "{}", summary.archives.len());
}

#[tokio::test]
async fn an_empty_pack_is_a_pack() {
    let store = Arc::new(InMemory::new());
    let folder = Path::from("out");
    let none = read_index(store.clone(), folder.clone()).await;
    assert!(matches!(none, Err(PackError::NoPack { .. })));
    writer(&store, SMALL).await.finish().await.unwrap();
    let pack = read_index(store.clone(), folder).await.unwrap();
    let archives: Vec<_> = pack.archives().try_collect().await.unwrap();
    assert!(archives.is_empty());
    let too_small = PackSettings { archive_bytes: 1 };
    let refused = PackWriter::create(store, Path::from("b"), too_small).await;
    assert!(matches!(refused, Err(PackError::Setting { .. })));
}

/// What reading the first archive gives after `change`.
async fn after(change: impl AsyncFnOnce(&InMemory)) -> PackError {
    let store = Arc::new(InMemory::new());
    small_pack(&store).await;
    change(&store).await;
    let pack = match read_index(store.clone(), Path::from("out")).await {
        Ok(pack) => pack,
        Err(error) => return error,
    };
    let archives: Result<Vec<_>, _> = pack.archives().try_collect().await;
    archives.unwrap_err()
}

fn fault(error: PackError) -> IndexFault {
    match error {
        PackError::Index { fault, .. } => fault,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_index_that_does_not_fit_is_refused() {
    const INDEX: &str = "out/pack-00000.index";
    const PACK: &str = "out/pack.json";

    let archive = Path::from("out/pack-00000.tar");
    let changed = after(async |store| {
        store.put(&archive, "short".into()).await.unwrap();
    });
    let changed = changed.await;
    assert!(matches!(
        changed,
        PackError::ArchiveChanged { found_bytes: 5, .. }
    ));
    let gone = after(async |store| store.delete(&archive).await.unwrap()).await;
    assert!(matches!(gone, PackError::Store { .. }), "{gone:?}");

    let cut = after(async |store| {
        replace(store, INDEX, |text| text[..text.len() - 9].to_owned()).await;
    });
    assert!(matches!(fault(cut.await), IndexFault::Length { .. }));
    let flipped = after(async |store| {
        replace(store, INDEX, |text| text.replacen("000.jpg", "009.jpg", 1)).await;
    });
    assert!(matches!(fault(flipped.await), IndexFault::Checksum));
    let newer = after(async |store| {
        replace(store, PACK, |text| {
            text.replace("\"version\": 1", "\"version\": 2")
        })
        .await;
    });
    let newer = newer.await;
    assert!(matches!(
        newer,
        PackError::Version {
            found: 2,
            known: 1,
            ..
        }
    ));
    let totals = after(async |store| {
        replace(store, PACK, |text| {
            text.replacen("\"members\": 60", "\"members\": 61", 1)
        })
        .await;
    });
    assert!(matches!(fault(totals.await), IndexFault::Totals));
    let outside = after(async |store| {
        replace(store, PACK, |text| {
            text.replace("pack-00001.tar", "../000001.tar")
        })
        .await;
    });
    assert!(matches!(fault(outside.await), IndexFault::Name { .. }));
    let half = after(async |store| {
        replace(store, PACK, |text| text[..text.len() / 2].to_owned()).await;
    });
    assert!(matches!(fault(half.await), IndexFault::Json { .. }));
}

#[tokio::test]
async fn labels_are_read_in_few_requests_and_within_limits() {
    let store = Arc::new(Counting::default());
    let mut archive = Vec::new();
    let mut places = Vec::new();
    for number in 0..3000_u64 {
        let label = format!("  label {number}\n");
        // Each label beside ten kilobytes of something else.
        archive.resize(archive.len() + 10_000, b'x');
        places.push((archive.len() as u64, label.len() as u64));
        archive.extend_from_slice(label.as_bytes());
    }
    places.reverse();
    places.push((0, 1025));
    places.push((5, 0));
    let latin = archive.len() as u64;
    archive.extend_from_slice(b"\xE4");
    places.push((latin, 1));
    let location = Path::from("a.tar");
    store.put(&location, archive.into()).await.unwrap();
    let labels = read_labels(store.as_ref(), &location, &places)
        .await
        .unwrap();
    assert_eq!(labels.len(), 3003);
    // 30 MB, by 8 MiB.
    assert_eq!(store.counts.range_calls.load(Ordering::SeqCst), 4);
    for (number, label) in labels[..3000].iter().rev().enumerate() {
        assert_eq!(label, &Ok(format!("label {number}")));
    }
    let rest = [
        Err(LabelProblem::TooLong { bytes: 1025 }),
        Ok(String::new()),
        Err(LabelProblem::NotUtf8),
    ];
    assert_eq!(labels[3000..], rest);
}

/// Version 1 as it was first written. It is read for ever, and written as long as the version is 1.
const INDEX_1: &str = r#"{"format":"pomona-pack-index","version":1,"archive":"pack-00000.tar","bytes":3072,"members":2}
{"name":"a/1.jpg","offset":512,"size":3,"modified_secs":5,"label":"kiwi"}
{"name":"a/1.cls","offset":1536,"size":5,"modified_secs":6}
"#;
const PACK_1: &str = r#"{
  "format": "pomona-pack",
  "version": 1,
  "members": 2,
  "content_bytes": 8,
  "archive_bytes": 3072,
  "archives": [
    {
      "name": "pack-00000.tar",
      "bytes": 3072,
      "members": 2,
      "content_bytes": 8,
      "index": "pack-00000.index",
      "index_bytes": 229,
      "index_crc32": 4132184999
    }
  ]
}
"#;

#[tokio::test]
async fn version_1_is_written_and_read() {
    let store = Arc::new(InMemory::new());
    let mut writer = writer(&store, SMALL).await;
    writer.add("a/1.jpg", 5, "jpg".into()).await.unwrap();
    writer.add("a/1.cls", 6, "kiwi\n".into()).await.unwrap();
    writer.finish().await.unwrap();
    let text = async |name: &str| {
        let object = store.get(&Path::from(name)).await.unwrap();
        String::from_utf8(object.bytes().await.unwrap().to_vec()).unwrap()
    };
    assert_eq!(text("out/pack-00000.index").await, INDEX_1);
    assert_eq!(text("out/pack.json").await, PACK_1);

    let store = Arc::new(InMemory::new());
    for (name, content) in [
        ("pack.json", Bytes::from(PACK_1)),
        ("pack-00000.index", Bytes::from(INDEX_1)),
        ("pack-00000.tar", bytes(0, 3072)),
    ] {
        let location = Path::from(format!("out/{name}"));
        store.put(&location, content.into()).await.unwrap();
    }
    let pack = read_index(store, Path::from("out")).await.unwrap();
    let archives: Vec<_> = pack.archives().try_collect().await.unwrap();
    let members = &archives[0].members;
    assert_eq!(members.len(), 2);
    assert_eq!(members[0].label.as_deref(), Some("kiwi"));
    assert_eq!((members[1].offset, members[1].size), (1536, 5));
}

/// Packing may run on another task.
#[tokio::test]
async fn a_pack_is_written_on_another_task() {
    let store = Arc::new(InMemory::new());
    let packing = tokio::spawn({
        let store = store.clone();
        async move { small_pack(&store).await }
    });
    let summary = packing.await.unwrap();
    let giving_up = tokio::spawn(async move {
        let other: Arc<dyn ObjectStore> = store;
        let mut writer = PackWriter::create(other, Path::from("b"), SMALL)
            .await
            .unwrap();
        writer.add("a.jpg", 0, bytes(1, 1)).await.unwrap();
        writer.discard().await
    });
    giving_up.await.unwrap().unwrap();
    assert_eq!(summary.members, 60);
}
