use std::path::Path as FilePath;

use futures::TryStreamExt;

use super::*;

fn touch(root: &FilePath, path: &str) {
    let file = root.join(path);
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(file, b"x").unwrap();
}

async fn listed(root: &FilePath, filter: ListingFilter) -> Vec<ListedImage> {
    let source = ImageSource::folder(root).await.unwrap();
    let images = source.list(filter, LabelRule::default());
    images.try_collect().await.unwrap()
}

async fn paths(root: &FilePath, globs: &[&str], excluded: Vec<Place>) -> Vec<String> {
    let globs: Vec<String> = globs.iter().map(|&glob| glob.to_owned()).collect();
    let filter = ListingFilter::new(&globs, excluded).unwrap();
    let images = listed(root, filter).await;
    images.into_iter().map(|image| image.path).collect()
}

#[tokio::test]
async fn paths_come_in_byte_order_and_hidden_ones_do_not() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for path in [
        "b/1.jpg",
        "a.jpg",
        "a/2.jpg",
        "a-b/3.jpg",
        "a/.x.jpg",
        ".git/4.jpg",
        "a/z/5.png",
        "é.jpg",
    ] {
        touch(root, path);
    }
    std::fs::create_dir(root.join("empty")).unwrap();
    let found = paths(root, &[], vec![]).await;
    let mut sorted = found.clone();
    sorted.sort();
    assert_eq!(found, sorted);
    assert_eq!(
        found,
        [
            "a-b/3.jpg",
            "a.jpg",
            "a/2.jpg",
            "a/z/5.png",
            "b/1.jpg",
            "é.jpg"
        ]
    );
}

#[cfg(unix)]
#[tokio::test]
async fn a_folder_is_left_out_by_any_path_to_it() {
    let (folder, beside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (root, link) = (folder.path(), beside.path().join("photos"));
    std::os::unix::fs::symlink(root, &link).unwrap();
    touch(root, "a/1.jpg");
    touch(root, "b/run/2.jpg");
    let out = Place::of_path(&link.join("b/run")).unwrap();
    assert_eq!(paths(root, &[], vec![out]).await, ["a/1.jpg"]);
    // Before it is there, too.
    let met = root.canonicalize().unwrap().join("c/later");
    assert_eq!(local::real(&link.join("c/later")), met);
}

#[tokio::test]
async fn globs_add_up_and_folders_can_be_left_out() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    for path in ["a/1.jpg", "a/2.png", "b/3.jpg", "b/c/4.jpg", "out/5.jpg"] {
        touch(root, path);
    }
    assert_eq!(
        paths(root, &["*.png", "b/*.jpg"], vec![]).await,
        ["a/2.png", "b/3.jpg"]
    );
    let out = Place::of_path(&root.join("out")).unwrap();
    assert_eq!(
        paths(root, &["*.jpg"], vec![out]).await,
        ["a/1.jpg", "b/3.jpg", "b/c/4.jpg"]
    );
    assert!(matches!(
        ListingFilter::new(&["a[".to_owned()], vec![]),
        Err(EngineError::Glob { .. })
    ));
}

#[cfg(unix)]
#[tokio::test]
async fn links_are_followed_loops_survived_and_dangling_ones_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    touch(root, "a/1.jpg");
    std::os::unix::fs::symlink("..", root.join("a/up")).unwrap();
    std::os::unix::fs::symlink("a", root.join("twin")).unwrap();
    std::os::unix::fs::symlink("nowhere", root.join("dangling.jpg")).unwrap();
    let images = listed(root, ListingFilter::default()).await;
    let paths: Vec<_> = images.iter().map(|image| image.path.as_str()).collect();
    assert_eq!(paths, ["a/1.jpg", "dangling.jpg", "twin/1.jpg"]);
    assert!(
        images[1]
            .problem
            .as_ref()
            .unwrap()
            .contains("leads nowhere")
    );
    assert_eq!(images[2].label.as_deref(), Some("twin"));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_name_that_is_not_unicode_keeps_its_row() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let name = std::ffi::OsStr::from_bytes(b"k\xffwi.jpg");
    std::fs::write(folder.path().join(name), b"x").unwrap();
    let images = listed(folder.path(), ListingFilter::default()).await;
    assert_eq!(images.len(), 1);
    assert!(images[0].problem.as_ref().unwrap().contains("Unicode"));
}

#[tokio::test]
async fn a_missing_folder_and_a_file_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    touch(folder.path(), "file");
    let missing = ImageSource::folder(&folder.path().join("no"))
        .await
        .unwrap_err()
        .to_string();
    let file = ImageSource::folder(&folder.path().join("file"))
        .await
        .unwrap_err()
        .to_string();
    assert!(missing.contains("nothing at this path") && file.contains("is a file"));
}
