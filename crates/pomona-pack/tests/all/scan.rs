//! Damaged, hostile and large archives.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::store::Counting;
use crate::support::{content, runtime, scanned, tiny};
use bytes::Bytes;
use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use pomona_pack::{
    Damage, NAME_LIMIT_BYTES, NameProblem, PackError, PackSettings, PackWriter, ProblemKind,
    ScanSettings, Scanned, scan_all,
};
use proptest::prelude::*;
use tar::{EntryType, Header};

/// A header as given, with a checksum that fits.
fn header(name: &[u8], size: u64, kind: u8) -> Vec<u8> {
    let mut header = Header::new_ustar();
    header.as_old_mut().name[..name.len()].copy_from_slice(name);
    header.set_size(size);
    header.set_mtime(1);
    header.set_entry_type(EntryType::new(kind));
    header.set_cksum();
    header.as_bytes().to_vec()
}

/// A header and bytes behind it, padded.
fn entry(name: &[u8], kind: u8, bytes: &[u8]) -> Vec<u8> {
    let mut out = header(name, bytes.len() as u64, kind);
    out.extend_from_slice(bytes);
    out.resize(out.len().next_multiple_of(512), 0);
    out
}

fn archive(entries: &[Vec<u8>]) -> Vec<u8> {
    let mut out = entries.concat();
    out.extend_from_slice(&[0; 1024]);
    out
}

fn scan_now(bytes: &[u8]) -> Scanned {
    runtime().block_on(scanned(bytes, tiny(512)))
}

fn names(found: &Scanned) -> Vec<&str> {
    found.members.iter().map(|m| m.name.as_str()).collect()
}

fn kinds(found: &Scanned) -> Vec<ProblemKind> {
    found.problems.iter().map(|problem| problem.kind).collect()
}

#[test]
fn names_stay_inside_and_are_unique() {
    let found = scan_now(&archive(&[
        entry(b"./a.jpg", b'0', b"a"),
        entry(b"../up.jpg", b'0', b"b"),
        entry(b"/etc/x.jpg", b'0', b"c"),
        entry(b"..\\up.jpg", b'0', b"d"),
        entry(b"a.jpg", b'0', b"e"),
        entry(b"b\xFF.jpg", b'0', b"f"),
        entry(b"C:/x.jpg", b'0', b"g"),
        entry(b"dir/", b'0', b""),
        entry(b"dir2", b'5', b""),
        entry(b"odd", b'Z', b"bytes"),
        entry(b"last.jpg", b'\0', b"h"),
    ]));
    assert!(found.error.is_none(), "{:?}", found.error);
    assert_eq!(names(&found), ["a.jpg", "etc/x.jpg", "last.jpg"]);
    assert_eq!(
        kinds(&found),
        [
            ProblemKind::Name(NameProblem::Parent),
            ProblemKind::Name(NameProblem::Backslash),
            ProblemKind::Duplicate,
            ProblemKind::Name(NameProblem::NotUtf8),
            ProblemKind::Name(NameProblem::Drive),
            ProblemKind::UnknownKind('Z'),
        ]
    );
    assert_eq!(found.problems[0].offset, 1024);
    assert_eq!(
        found.problems[0].to_string(),
        "../up.jpg: the name has a component “..” (at byte 1024)"
    );
}

#[test]
fn names_that_are_too_long_are_told_without_being_read() {
    let most = "n".repeat(NAME_LIMIT_BYTES);
    let long = "n".repeat(NAME_LIMIT_BYTES + 1);
    let path = format!("{} path={long}\n", long.len() + 11);
    let found = scan_now(&archive(&[
        entry(b"x", b'L', format!("{most}\0").as_bytes()),
        entry(b"cut", b'0', b"a"),
        entry(b"x", b'L', format!("{long}n\0").as_bytes()),
        entry(b"cut", b'0', b"b"),
        entry(b"x", b'x', path.as_bytes()),
        entry(b"cut", b'0', b"c"),
        entry(b"after.jpg", b'0', b"d"),
    ]));
    assert!(found.error.is_none(), "{:?}", found.error);
    assert_eq!(names(&found), [most.as_str(), "after.jpg"]);
    let limit_bytes = NAME_LIMIT_BYTES;
    let too_long = ProblemKind::Name(NameProblem::TooLong { limit_bytes });
    assert_eq!(kinds(&found), [too_long, too_long]);
}

#[test]
fn extended_headers_go_before_the_fields() {
    let found = scan_now(&archive(&[
        entry(b"g", b'g', b"11 mtime=7\n"),
        entry(b"x", b'x', b"11 path=ab\n9 size=5\n"),
        // Its own size is 0.
        [header(b"cut", 0, b'0'), entry(b"", b'0', b"")].concat(),
        entry(b"plain", b'0', b"c"),
    ]));
    assert_eq!(names(&found)[0], "ab");
    let ab = &found.members[0];
    assert_eq!((ab.offset, ab.size, ab.modified_secs), (2560, 5, 7));
    // The five bytes are the next header, which is therefore passed.
    assert_eq!(names(&found), ["ab", "plain"]);
    assert_eq!(found.members[1].modified_secs, 7);
}

#[test]
fn sizes_in_base_256() {
    let mut large = Header::new_gnu();
    large.as_old_mut().name[..1].copy_from_slice(b"a");
    large.as_old_mut().size = *b"\x80\0\0\0\0\0\0\0\0\0\0\x03";
    large.set_entry_type(EntryType::Regular);
    large.set_cksum();
    let mut bytes = large.as_bytes().to_vec();
    bytes.extend_from_slice(b"abc");
    bytes.resize(1024, 0);
    let found = scan_now(&archive(&[bytes]));
    assert!(found.error.is_none());
    assert_eq!(found.members[0].size, 3);

    // Sizes beyond the archive, up to the largest there are.
    for size in [
        *b"\x80\0\0\0\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
        *b"\x80\0\0\0\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    ] {
        for kind in [b'0', b'L', b'x', b'g', b'S', b'K', b'V', b'Z'] {
            large.as_old_mut().size = size;
            large.set_entry_type(EntryType::new(kind));
            large.set_cksum();
            let found = scan_now(&archive(&[large.as_bytes().to_vec()]));
            let cut = matches!(found.error, Some(PackError::Truncated { offset: 0, .. }));
            assert!(cut, "{kind}: {:?}", found.error);
        }
    }
    // Beyond 64 bits, and negative.
    for size in [[0xBF; 12], [0xFF; 12]] {
        large.as_old_mut().size = size;
        large.set_cksum();
        let found = scan_now(&archive(&[large.as_bytes().to_vec()]));
        let offset_zero = matches!(
            found.error,
            Some(PackError::Damaged {
                offset: 0,
                damage: Damage::Size,
                ..
            })
        );
        assert!(offset_zero, "{:?}", found.error);
    }
}

#[test]
fn damage_says_where_and_keeps_what_came_before() {
    let good = entry(b"a.jpg", b'0', b"a");
    let second = 1024;
    let damaged = |bytes: Vec<u8>| {
        let found = scan_now(&archive(&[good.clone(), bytes]));
        assert_eq!(names(&found), ["a.jpg"]);
        match found.error {
            Some(PackError::Damaged { offset, damage, .. }) => (offset, damage),
            other => panic!("{other:?}"),
        }
    };
    let mut wrong = entry(b"b.jpg", b'0', b"b");
    wrong[3] ^= 1;
    assert_eq!(damaged(wrong), (second, Damage::Checksum));
    let bad = entry(b"x", b'x', b"99 path=b\n");
    assert_eq!(damaged(bad), (second, Damage::ExtendedHeader));
    let dangling = entry(b"x", b'L', b"name\0");
    assert_eq!(damaged(dangling), (second + 1024, Damage::Dangling));
    let long = entry(b"x", b'x', &vec![0; (1 << 20) + 1]);
    let limit_bytes = 1 << 20;
    assert_eq!(
        damaged(long),
        (second, Damage::ExtendedHeaderTooLong { limit_bytes })
    );
}

#[test]
fn bytes_behind_the_end_are_told() {
    let first = archive(&[entry(b"a.jpg", b'0', b"a")]);
    let found = scan_now(&[first.clone(), first.clone()].concat());
    assert_eq!(names(&found), ["a.jpg"]);
    assert_eq!(kinds(&found), [ProblemKind::AfterEnd { bytes: 2048 }]);
    assert_eq!(found.problems[0].offset, 2048);

    // Padding is none of that, but two megabytes of zeros are no padding.
    let padded = |bytes: usize| [first.clone(), vec![0; bytes]].concat();
    assert_eq!(kinds(&scan_now(&padded(9000))), []);
    assert_eq!(kinds(&scan_now(&padded(2 << 20))).len(), 1);
}

#[test]
fn more_members_than_the_limit_end_the_scan() {
    let entries: Vec<_> = (0..4)
        .map(|n| entry(format!("{n}.jpg").as_bytes(), b'0', b"a"))
        .collect();
    let settings = ScanSettings {
        max_members: 3,
        ..tiny(512)
    };
    let found = runtime().block_on(scanned(&archive(&entries), settings));
    assert_eq!(found.members.len(), 3);
    let told = matches!(
        found.error,
        Some(PackError::TooManyMembers { limit: 3, .. })
    );
    assert!(told, "{:?}", found.error);
}

#[test]
fn an_object_that_has_become_shorter_is_an_error() {
    let bytes = archive(&[entry(b"a.jpg", b'0', &[1; 2000])]);
    runtime().block_on(async {
        let (store, location) = crate::support::holding(&bytes[..1000]).await;
        let found = scan_all(store, location, bytes.len() as u64, ScanSettings::default()).await;
        let told = matches!(found.error, Some(PackError::ShortRead { .. }));
        assert!(told, "{:?}", found.error);
    });
}

#[tokio::test]
async fn large_members_are_not_read() {
    let store = Arc::new(Counting::default());
    let counts = Arc::clone(&store.counts);
    let entries: Vec<_> = (0..8)
        .map(|n| entry(format!("{n}.jpg").as_bytes(), b'0', &vec![1; 3 << 20]))
        .collect();
    let bytes = archive(&entries);
    let (size, location) = (bytes.len() as u64, Path::from("a.tar"));
    store
        .put(&location, Bytes::from(bytes).into())
        .await
        .unwrap();
    let found = scan_all(store, location, size, tiny(1 << 20)).await;
    assert!(found.error.is_none());
    assert_eq!(found.members.len(), 8);
    // One piece of 1 MiB, then 64 KiB a member.
    let read = counts.bytes_read.load(Ordering::SeqCst);
    assert!(read <= (1 << 20) + (8 << 16), "{read}");
    assert_eq!(counts.reads.load(Ordering::SeqCst), 9);
}

#[tokio::test]
async fn a_name_of_megabytes_is_not_read() {
    let store = Arc::new(Counting::default());
    let counts = Arc::clone(&store.counts);
    let bytes = archive(&[
        entry(b"x", b'L', &vec![b'n'; 4 << 20]),
        entry(b"cut", b'0', b"a"),
        entry(b"b.jpg", b'0', b"b"),
    ]);
    let (size, location) = (bytes.len() as u64, Path::from("a.tar"));
    let put = store.put(&location, Bytes::from(bytes).into());
    put.await.unwrap();
    let found = scan_all(store, location, size, tiny(4096)).await;
    assert_eq!(names(&found), ["b.jpg"]);
    assert_eq!(found.problems.len(), 1);
    let read = counts.bytes_read.load(Ordering::SeqCst);
    assert!(read <= 3 * 4096, "{read}");
}

/// Names of one to a few hundred bytes, some of them not ASCII.
fn name() -> impl Strategy<Value = String> {
    let part = prop_oneof!["[a-zä中 =\n.0-9]{1,8}", "[a-zö]{90,160}", "[a-z]{1,3}"]
        .prop_map(|part| format!("n{part}"));
    prop::collection::vec(part, 1..5).prop_map(|parts| parts.join("/"))
}

fn files() -> impl Strategy<Value = Vec<(String, i64, Vec<u8>)>> {
    let secs = prop_oneof![any::<i64>(), 0..2_000_000_000_i64];
    let size = prop_oneof![0..3_usize, 505..520_usize, 0..5000_usize];
    let file = (name(), secs, size, any::<u8>());
    prop::collection::vec(file, 0..12).prop_map(|files| {
        let mut seen = std::collections::HashSet::new();
        files
            .into_iter()
            .filter(|(name, ..)| seen.insert(name.clone()))
            .map(|(name, secs, size, byte)| (name, secs, vec![byte; size]))
            .collect()
    })
}

/// The one archive of a pack of `files`.
async fn packed(files: &[(String, i64, Vec<u8>)]) -> Vec<u8> {
    let store = Arc::new(InMemory::new());
    let mut writer = PackWriter::create(store.clone(), Path::default(), PackSettings::default())
        .await
        .unwrap();
    for (name, secs, bytes) in files {
        writer
            .add(name, *secs, Bytes::copy_from_slice(bytes))
            .await
            .unwrap();
    }
    let summary = writer.finish().await.unwrap();
    let Some(archive) = summary.archives.first() else {
        return archive(&[]);
    };
    let archive = store.get(&Path::from(archive.name.as_str())).await.unwrap();
    archive.bytes().await.unwrap().to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read(files in files(), block in 512_u64..3000) {
        runtime().block_on(async {
            let archive = packed(&files).await;
            prop_assert_eq!(&archive, &packed(&files).await);
            let found = scanned(&archive, tiny(block)).await;
            prop_assert!(found.error.is_none(), "{:?}", found.error);
            prop_assert!(found.problems.is_empty(), "{:?}", found.problems);
            let read: Vec<_> = found.members.iter()
                .map(|m| (m.name.clone(), m.modified_secs, content(&archive, m).to_vec()))
                .collect();
            prop_assert_eq!(read, files);
            Ok(())
        })?;
    }

    #[test]
    fn an_archive_cut_anywhere_gives_its_whole_members_and_says_where(files in files(), odd in 0_usize..512) {
        runtime().block_on(async {
            let archive = packed(&files).await;
            let whole = scanned(&archive, tiny(512)).await.members;
            for cut in (0..archive.len()).step_by(512).flat_map(|cut| [cut, cut + odd]) {
                if cut >= archive.len() - 512 {
                    // One of the two blocks of the end is left: nothing is missing.
                    continue;
                }
                let found = scanned(&archive[..cut], tiny(512)).await;
                let cut = cut as u64;
                let kept: Vec<_> = whole.iter().filter(|m| m.offset + m.size <= cut).cloned().collect();
                prop_assert_eq!(found.members, kept);
                match found.error {
                    Some(PackError::Truncated { offset, needed_bytes, size_bytes, .. }) => {
                        prop_assert!(offset < cut && cut < needed_bytes && size_bytes == cut);
                    }
                    Some(PackError::Unterminated { size_bytes, .. }) => prop_assert_eq!(size_bytes, cut),
                    other => prop_assert!(false, "cut at {}: {:?}", cut, other),
                }
            }
            Ok(())
        })?;
    }

    #[test]
    fn garbage_never_panics(
        files in files(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        mend in any::<bool>(),
    ) {
        runtime().block_on(async {
            let mut archive = packed(&files).await;
            for (place, byte) in changes {
                let place = place.index(archive.len());
                archive[place] = byte;
                if mend {
                    // With a checksum that fits, damage goes deeper.
                    let from = place / 512 * 512;
                    let mut header = Header::from_byte_slice(&archive[from..from + 512]).clone();
                    header.set_cksum();
                    archive[from..from + 512].copy_from_slice(header.as_bytes());
                }
            }
            let found = scanned(&archive, tiny(512)).await;
            for member in &found.members {
                prop_assert!(member.offset + member.size <= archive.len() as u64);
                prop_assert!(!member.name.split('/').any(|part| part == ".." || part.is_empty()));
            }
            Ok(())
        })?;
    }

    #[test]
    fn noise_never_panics(bytes in prop::collection::vec(any::<u8>(), 0..4000)) {
        let found = scan_now(&bytes);
        prop_assert!(found.error.is_some());
    }
}
