//! Files of this machine appear whole or not at all, whatever they are called.

use std::path::Path;

use pomona_store::{Place, StoreError};

fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().display().to_string());
            }
        }
    }
    found.sort();
    found
}

#[tokio::test]
async fn files_of_any_name_are_written_read_listed_and_removed() {
    let root = tempfile::tempdir().unwrap();
    for run in ["run", "a b", "plum #1", "100%", "%20", "梅 ~é", "[x]{y}^"] {
        let folder = root.path().join(run).join("out");
        // It does not exist yet.
        let place = Place::of_path(&folder).unwrap().work_folder().unwrap();
        let names = [
            "plain.json",
            "with space.jpg",
            "hash#tag.jpg",
            "IMG#12",
            "%41.jpg",
            "50%.jpg",
            "ünïcode/日本.jpg",
            "~x/[y].jpg",
            "deep/er/than/that.jpg",
        ];
        for name in names {
            let child = place.join(name);
            child.write(name.to_owned()).await.unwrap();
            assert_eq!(std::fs::read_to_string(folder.join(name)).unwrap(), name);
            assert_eq!(child.read().await.unwrap(), name, "{run}/{name}");
            assert_eq!(child.meta().await.unwrap().unwrap().size, name.len() as u64);
            assert!(child.is_file().await.unwrap());
            assert!(!child.write_new("other").await.unwrap(), "{name} is there");
            assert_eq!(child.relative_to(&place).unwrap(), name);
        }
        let mut expected = names.map(str::to_owned).to_vec();
        expected.sort();
        assert_eq!(files(&folder), expected);
        assert!(place.join("new").write_new("new").await.unwrap());
        for child in place.all_below().await.unwrap() {
            child.delete().await.unwrap();
        }
        place.join("IMG#12").delete().await.unwrap();
        assert_eq!(files(&folder), Vec::<String>::new());
        place.join("IMG#12").delete().await.unwrap();
    }
}

#[tokio::test]
async fn a_file_in_the_making_is_in_one_place_and_then_nowhere() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::of_path(root.path()).unwrap().work_folder().unwrap();
    let large = vec![7_u8; 20 << 20];
    for is_finished in [true, false] {
        let mut writer = place.join("features/large.parquet").writer();
        writer.write(large.clone()).await.unwrap();
        let found = files(root.path());
        let making: Vec<_> = found
            .iter()
            .filter(|file| *file != "features/large.parquet")
            .collect();
        assert_eq!(making.len(), 1, "{found:?}");
        assert!(making[0].starts_with(".pomona/tmp/"), "{found:?}");
        if is_finished {
            assert_eq!(found.len(), 1, "not there before its end");
            writer.finish().await.unwrap();
            let written = std::fs::read(root.path().join("features/large.parquet")).unwrap();
            assert!(written == large);
        } else {
            writer.abandon().await;
        }
        place.remove_empty_work_folder();
        assert_eq!(files(root.path()), ["features/large.parquet"]);
        assert!(!root.path().join(".pomona").exists());
    }
}

#[tokio::test]
async fn a_folder_may_be_given_in_many_ways() {
    let root = tempfile::tempdir().unwrap();
    let real = root.path().join("real");
    std::fs::create_dir(&real).unwrap();
    let mut ways = vec![
        real.clone(),
        real.join("../real"),
        real.join("."),
        root.path().join("gone/../real"),
    ];
    #[cfg(unix)]
    {
        let link = root.path().join("link");
        std::os::unix::fs::symlink(&real, &link).unwrap();
        ways.push(link);
    }
    // As seen from here.
    let here = std::env::current_dir().unwrap();
    let up: std::path::PathBuf = here.components().skip(1).map(|_| "..").collect();
    ways.push(up.join(real.strip_prefix("/").unwrap()));
    let first = Place::of_path(&real).unwrap();
    for (number, way) in ways.iter().enumerate() {
        if way.starts_with(root.path().join("gone")) {
            std::fs::create_dir(root.path().join("gone")).unwrap();
        }
        let place = Place::of_path(way).unwrap();
        assert_eq!(place, first, "{}", way.display());
        assert_eq!(place.shown(), *way, "told as it was typed");
        let name = format!("{number}.json");
        place
            .work_folder()
            .unwrap()
            .join(&name)
            .write("{}")
            .await
            .unwrap();
        assert!(real.join(&name).exists());
    }
}

#[tokio::test]
async fn what_a_killed_run_left_is_found_and_removed() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::of_path(root.path()).unwrap();
    assert_eq!(
        Place::of_path(&root.path().join("none"))
            .unwrap()
            .leftovers()
            .await
            .unwrap(),
        []
    );
    let left = [
        ".pomona/tmp/.pomona-x1.tmp",
        ".pomona/tmp/.pomona-x2.tmp#1",
        ".pomona-x3.tmp",
        "features/features-00001.parquet#2",
    ];
    let kept = [
        "features/features-00001.parquet",
        "features/a.parquet#backup",
        "notes.tmp",
        ".pomona-notes",
        "photo #1",
    ];
    for file in left.iter().chain(&kept) {
        let file = root.path().join(file);
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        std::fs::write(file, "x").unwrap();
    }
    assert_eq!(place.leftovers().await.unwrap().len(), left.len());
    assert_eq!(place.clean().await.unwrap(), left.len() as u64);
    let mut expected = kept.map(str::to_owned).to_vec();
    expected.sort();
    assert_eq!(files(root.path()), expected);
    assert!(!root.path().join(".pomona").exists());
    assert_eq!(place.clean().await.unwrap(), 0);
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_that_cannot_be_written_says_which_and_why() {
    use std::os::unix::fs::PermissionsExt;
    let root = tempfile::tempdir().unwrap();
    std::fs::write(root.path().join("file"), "x").unwrap();
    let error = Place::of_path(&root.path().join("file/run"))
        .unwrap()
        .work_folder()
        .unwrap_err();
    assert!(error.to_string().contains("file/run"), "{error}");
    let error = Place::of_path(root.path())
        .unwrap()
        .join("file/x")
        .write("y")
        .await
        .unwrap_err();
    assert!(error.to_string().contains("ot a directory"), "{error}");

    let folder = root.path().join("run");
    std::fs::create_dir(&folder).unwrap();
    std::fs::set_permissions(&folder, std::fs::Permissions::from_mode(0o555)).unwrap();
    // Whoever may do everything is refused nothing.
    if std::fs::write(folder.join("probe"), "x").is_ok() {
        return;
    }
    let error = Place::of_path(&folder)
        .unwrap()
        .join("x")
        .write("y")
        .await
        .unwrap_err();
    assert!(matches!(
        &error,
        StoreError::Object {
            source: object_store::Error::PermissionDenied { .. },
            ..
        }
    ));
    assert!(error.hint().unwrap().contains("may write"), "{error}");
}

#[tokio::test]
async fn what_is_not_there_is_told_apart_from_what_cannot_be_read() {
    let root = tempfile::tempdir().unwrap();
    let place = Place::of_path(&root.path().join("none.json")).unwrap();
    assert_eq!(place.read_if_there().await.unwrap(), None);
    assert_eq!(place.meta().await.unwrap(), None);
    assert!(!place.is_file().await.unwrap() && !place.is_folder().await.unwrap());
    let told = place.read().await.unwrap_err().to_string();
    assert!(
        told.contains("none.json") && told.contains("No such file"),
        "{told}"
    );
}
