//! Python's tarfile and GNU tar as references, in both directions.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::sync::Arc;

use crate::support::{content, python, scanned, tiny};
use bytes::Bytes;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use pomona_pack::{PackSettings, PackWriter, ProblemKind};

/// Writes an archive in the form of its second argument, and prints `name, offset, size, mtime, first byte` of the
/// members as tarfile itself reads them back.
const WRITE: &str = r#"
import io, json, sys, tarfile
path, form = sys.argv[1], getattr(tarfile, sys.argv[2] + "_FORMAT")
names = ["a.jpg", "a/b/c.jpg", "./dot.jpg", "empty.jpg"]
names += ["p" * 60 + "/" + "n" * 90 + ".jpg", "p/" * 70 + "n.jpg"]
if form != tarfile.USTAR_FORMAT:
    names += ["n" * 101, "n" * 300 + ".jpg", ("ö" * 80 + "/") * 4 + "x.jpg", "new\nline=.jpg"]
names += ["ä.jpg", "中文/图.png"]
with tarfile.open(path, "w", format=form) as archive:
    folder = tarfile.TarInfo("a/b/")
    folder.type = tarfile.DIRTYPE
    archive.addfile(folder)
    for number, name in enumerate(names):
        info = tarfile.TarInfo(name)
        info.size = 0 if name == "empty.jpg" else number * 211 + 1
        info.mtime = 1_700_000_000 + number
        if form == tarfile.PAX_FORMAT:
            info.mtime += 0.75
            info.pax_headers = {"comment": "c" * 700}
        if form == tarfile.GNU_FORMAT and number == 0:
            info.mtime = -5
        archive.addfile(info, io.BytesIO(bytes([number % 251]) * info.size))
    for kind, name in [(tarfile.SYMTYPE, "link"), (tarfile.LNKTYPE, "hard"), (tarfile.FIFOTYPE, "pipe")]:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, "l" * 90 if form == tarfile.USTAR_FORMAT else "l" * 300
        archive.addfile(info)
with tarfile.open(path) as archive:
    print(json.dumps([[m.name.removeprefix("./"), m.offset_data, m.size, int(m.mtime // 1)]
                      for m in archive if m.isreg()]))
"#;

#[tokio::test]
async fn archives_of_python_are_read_as_python_reads_them() {
    let folder = tempfile::tempdir().unwrap();
    for form in ["USTAR", "GNU", "PAX"] {
        let path = folder.path().join(form);
        let printed = python(WRITE, &[path.as_os_str(), OsStr::new(form)]);
        let expected: Vec<(String, u64, u64, i64)> = serde_json::from_str(&printed).unwrap();
        let archive = std::fs::read(&path).unwrap();
        for block in [512, 1000, 1 << 20] {
            let found = scanned(&archive, tiny(block)).await;
            assert!(found.error.is_none(), "{form}: {:?}", found.error);
            let members: Vec<_> = found
                .members
                .iter()
                .map(|m| (m.name.clone(), m.offset, m.size, m.modified_secs))
                .collect();
            assert_eq!(members, expected, "{form}");
            for (number, member) in found.members.iter().enumerate() {
                let byte = u8::try_from(number).unwrap();
                assert!(content(&archive, member).iter().all(|b| *b == byte));
            }
            let problems: Vec<_> = found.problems.iter().map(|p| (&*p.name, p.kind)).collect();
            assert_eq!(
                problems,
                [
                    ("link", ProblemKind::SymbolicLink),
                    ("hard", ProblemKind::HardLink),
                    ("pipe", ProblemKind::Device)
                ],
                "{form}"
            );
        }
    }
}

/// Prints name, size, time and bytes (as hexadecimal digits) of all members of the archives named.
const READ: &str = r#"
import json, sys, tarfile
rows = []
for path in sys.argv[1:]:
    with tarfile.open(path) as archive:
        for m in archive:
            assert m.isreg() and m.mode == 0o644 and m.uid == m.gid == 0, m
            rows.append([m.name, int(m.mtime), archive.extractfile(m).read().hex()])
print(json.dumps(rows))
"#;

fn files() -> Vec<(String, i64, Vec<u8>)> {
    let mut files: Vec<(String, i64, Vec<u8>)> = vec![
        ("a.jpg".into(), 1_700_000_000, vec![1; 600]),
        ("b/ö.png".into(), 0, vec![]),
        ("old.jpg".into(), -86_400, vec![2; 512]),
        ("future.jpg".into(), 10_000_000_000, vec![3; 511]),
        (format!("{}/x.jpg", "d".repeat(150)), 5, vec![4; 1]),
        (format!("{}.jpg", "n".repeat(150)), 6, vec![5; 513]),
        (format!("{}x.jpg", "ä/".repeat(300)), 7, vec![6; 20_000]),
    ];
    for number in 0..40 {
        let bytes = vec![number; usize::from(number) * 100];
        files.push((format!("many/{number}.jpg"), i64::from(number), bytes));
    }
    files
}

#[tokio::test]
async fn packs_are_opened_by_python_and_by_gnu_tar() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(LocalFileSystem::new_with_prefix(folder.path()).unwrap());
    let settings = PackSettings {
        archive_bytes: 50_000,
    };
    let mut writer = PackWriter::create(store, Path::from("p"), settings)
        .await
        .unwrap();
    for (name, modified, bytes) in files() {
        writer
            .add(&name, modified, Bytes::from(bytes))
            .await
            .unwrap();
    }
    let summary = writer.finish().await.unwrap();
    assert!(summary.archives.len() > 1);
    let paths: Vec<_> = summary
        .archives
        .iter()
        .map(|archive| folder.path().join("p").join(&archive.name))
        .collect();

    let arguments: Vec<_> = paths.iter().map(|path| path.as_os_str()).collect();
    let rows: Vec<(String, i64, String)> = serde_json::from_str(&python(READ, &arguments)).unwrap();
    let expected: Vec<_> = files()
        .into_iter()
        .map(|(name, modified, bytes)| {
            let digits = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            (name, modified, digits)
        })
        .collect();
    assert_eq!(rows, expected);

    let out = folder.path().join("out");
    std::fs::create_dir(&out).unwrap();
    for path in &paths {
        let tar = std::process::Command::new("tar")
            .arg("-xf")
            .arg(path)
            .arg("-C")
            .arg(&out)
            .env("LC_ALL", "C.UTF-8")
            .output()
            .unwrap();
        assert!(tar.status.success());
        let errors = String::from_utf8_lossy(&tar.stderr);
        let told = |line: &str| line.contains("time stamp") || line.contains("old");
        assert!(errors.lines().all(told), "{errors}");
    }
    let wanted: BTreeMap<_, _> = files()
        .into_iter()
        .map(|(n, _, bytes)| (n, bytes))
        .collect();
    for (name, bytes) in wanted {
        assert_eq!(std::fs::read(out.join(&name)).unwrap(), bytes, "{name}");
    }
}

/// A sparse file as GNU tar stores it, in its old form (whose map has blocks of its own) and in that of pax, then a
/// file behind it.
#[tokio::test]
async fn sparse_files_are_told_and_passed() {
    use std::io::{Seek, SeekFrom, Write};

    let folder = tempfile::tempdir().unwrap();
    let mut sparse = std::fs::File::create(folder.path().join("holes.jpg")).unwrap();
    for number in 0..60 {
        sparse.seek(SeekFrom::Start(number << 16)).unwrap();
        sparse.write_all(b"picture").unwrap();
    }
    drop(sparse);
    std::fs::write(folder.path().join("whole.jpg"), b"whole").unwrap();
    for form in ["gnu", "posix"] {
        let tar = std::process::Command::new("tar")
            .current_dir(folder.path())
            .args([
                "-S",
                "-cf",
                form,
                "--format",
                form,
                "holes.jpg",
                "whole.jpg",
            ])
            .output()
            .unwrap();
        let errors = String::from_utf8_lossy(&tar.stderr);
        assert!(tar.status.success(), "{errors}");
        let archive = std::fs::read(folder.path().join(form)).unwrap();
        let found = scanned(&archive, tiny(512)).await;
        assert!(found.error.is_none(), "{form}: {:?}", found.error);
        let kinds: Vec<_> = found.problems.iter().map(|problem| problem.kind).collect();
        assert_eq!(kinds, [ProblemKind::Sparse], "{form}");
        assert_eq!(found.members.len(), 1);
        assert_eq!(found.members[0].name, "whole.jpg");
        assert_eq!(content(&archive, &found.members[0]), b"whole");
    }
}
