//! The folder of demonstration photos: what is in it, that it repeats, and what it never touches.

use pomona_demo::{DemoError, DemoSettings, labels, render};
use sha2::{Digest as _, Sha256};
use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::path::Path;

/// All files below a folder by their path, `/`-separated.
#[expect(clippy::unwrap_used, reason = "a helper of tests")]
fn files(root: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let name: Vec<_> = path
                    .strip_prefix(root)
                    .unwrap()
                    .iter()
                    .map(|p| p.to_string_lossy())
                    .collect();
                found.insert(name.join("/"), fs::read(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(root, root, &mut found);
    found
}

/// One hash over all paths and contents.
fn fingerprint(root: &Path) -> Vec<u8> {
    let mut hash = Sha256::new();
    for (path, content) in files(root) {
        hash.update(path);
        hash.update((content.len() as u64).to_le_bytes());
        hash.update(content);
    }
    hash.finalize().to_vec()
}

fn small(seed: u64) -> DemoSettings {
    DemoSettings {
        seed,
        per_label_training: 2,
        per_label_test: 1,
        size_px: 48,
        with_troubles: false,
    }
}

fn quietly(root: &Path, settings: &DemoSettings) -> Result<pomona_demo::DemoSummary, DemoError> {
    render(root, settings, &mut |_, _| {})
}

#[test]
fn the_set_is_laid_out_as_fruits_360() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("some/where/demo");
    let mut told = Vec::new();
    let summary = render(&root, &small(1), &mut |done, of| told.push((done, of))).unwrap();
    assert_eq!(
        (summary.labels, summary.photos, summary.troubles),
        (32, 96, 0)
    );
    assert_eq!(told, (0..=96).map(|done| (done, 96)).collect::<Vec<_>>());
    let found = files(&root);
    assert_eq!(found.len(), 97, "the photos and the hidden marker");
    for label in labels() {
        for photo in [
            "Training/{}/000_48.jpg",
            "Training/{}/001_48.jpg",
            "Test/{}/000_48.jpg",
        ] {
            let jpeg = &found[&photo.replace("{}", label)];
            let decoded = pomona_image::decode(jpeg, &pomona_image::Limits::default()).unwrap();
            assert_eq!((decoded.image.width(), decoded.image.height()), (48, 48));
        }
    }
    let different: HashSet<_> = found.values().collect();
    assert_eq!(different.len(), 97, "no two photos are the same");
    let bytes: usize = found
        .iter()
        .filter(|(path, _)| path.ends_with(".jpg"))
        .map(|(_, c)| c.len())
        .sum();
    assert_eq!(summary.bytes, bytes as u64);
    let left: Vec<_> = fs::read_dir(root.parent().unwrap()).unwrap().collect();
    assert_eq!(left.len(), 1, "no temporary folder is left");
}

#[test]
fn a_seed_gives_the_same_bytes_again() {
    let base = tempfile::tempdir().unwrap();
    let at = |name: &str, settings: DemoSettings| {
        let root = base.path().join(name);
        quietly(&root, &settings).unwrap();
        fingerprint(&root)
    };
    let with_troubles = || DemoSettings {
        with_troubles: true,
        ..small(7)
    };
    assert_eq!(at("a", with_troubles()), at("b", with_troubles()));
    assert_ne!(at("c", small(7)), at("d", small(8)));
}

#[test]
fn more_photos_leave_the_others_as_they_are() {
    let base = tempfile::tempdir().unwrap();
    let (few, many) = (base.path().join("few"), base.path().join("many"));
    quietly(&few, &small(5)).unwrap();
    quietly(
        &many,
        &DemoSettings {
            per_label_training: 3,
            per_label_test: 2,
            ..small(5)
        },
    )
    .unwrap();
    let many = files(&many);
    for (path, content) in files(&few) {
        assert_eq!(many[&path], content, "{path}");
    }
}

#[test]
fn troubles_are_what_their_names_say() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("demo");
    let summary = quietly(
        &root,
        &DemoSettings {
            with_troubles: true,
            ..small(1)
        },
    )
    .unwrap();
    let found = files(&root);
    let troubles: Vec<_> = found
        .keys()
        .filter(|path| path.starts_with("Troubles/"))
        .collect();
    assert_eq!(troubles.len(), summary.troubles);
    let decoded = |path: &str| pomona_image::decode(&found[path], &pomona_image::Limits::default());
    for broken in ["shopping list.jpg", "empty.jpg", "truncated.jpg"] {
        assert!(
            decoded(&format!("Troubles/Pear/{broken}")).is_err(),
            "{broken}"
        );
    }
    // How much red, green and blue the fruit takes away from the white ground.
    let taken = |path: &str| {
        let image = decoded(path).unwrap().image;
        let mut sum = [0u64; 3];
        for pixel in image.pixels().chunks_exact(3) {
            for (s, v) in sum.iter_mut().zip(pixel) {
                *s += 255 - u64::from(*v);
            }
        }
        sum
    };
    let [red, green, blue] = taken("Troubles/Apple Red/cmyk.jpg");
    assert!(
        red * 2 < green && red * 2 < blue,
        "a red apple takes {red}, {green}, {blue}"
    );
    let [red, green, blue] = taken("Troubles/Lemon/sixteen_bits.png");
    assert!(
        red * 2 < blue && green * 2 < blue,
        "a lemon takes {red}, {green}, {blue}"
    );
    assert_eq!(
        found["Troubles/Lemon/sixteen_bits.png"][24], 16,
        "bits per sample in the PNG header"
    );
}

/// Where the top of the banana is: the photo is stored on its side and says so.
#[test]
fn the_sideways_photo_stands_upright_once_decoded() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("demo");
    quietly(
        &root,
        &DemoSettings {
            with_troubles: true,
            ..small(1)
        },
    )
    .unwrap();
    let jpeg = fs::read(root.join("Troubles/Banana/sideways.jpg")).unwrap();
    let stored = image_without_exif(&jpeg);
    let limits = pomona_image::Limits::default();
    let upright = pomona_image::decode(&jpeg, &limits).unwrap().image;
    let sideways = pomona_image::decode(&stored, &limits).unwrap().image;
    let side = upright.width() as usize;
    for y in 0..side {
        for x in 0..side {
            // Orientation 6: the stored photo is turned clockwise to be shown.
            let from = ((side - 1 - x) * side + y) * 3;
            let to = (y * side + x) * 3;
            assert_eq!(
                upright.pixels()[to..to + 3],
                sideways.pixels()[from..from + 3],
                "at {x}, {y}"
            );
        }
    }
    // The peeled banana's tip points up: above the middle the fruit is narrower than below.
    let ink = |rows: std::ops::Range<usize>| {
        upright.pixels()[rows.start * side * 3..rows.end * side * 3]
            .chunks_exact(3)
            .filter(|p| p[2] < 200)
            .count()
    };
    assert!(
        ink(0..side / 3) < ink(side / 3..side * 2 / 3),
        "the banana stands on its head or lies"
    );
}

/// The JPEG without its first segment, which holds the orientation.
fn image_without_exif(jpeg: &[u8]) -> Vec<u8> {
    assert_eq!(jpeg[2..4], [0xFF, 0xE1]);
    let length = usize::from(u16::from_be_bytes([jpeg[4], jpeg[5]]));
    [&jpeg[..2], &jpeg[4 + length..]].concat()
}

#[test]
fn a_demonstration_folder_is_replaced_whole() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("demo");
    fs::create_dir(&root).unwrap();
    quietly(
        &root,
        &DemoSettings {
            with_troubles: true,
            ..small(1)
        },
    )
    .unwrap();
    quietly(
        &root,
        &DemoSettings {
            per_label_training: 1,
            per_label_test: 0,
            ..small(2)
        },
    )
    .unwrap();
    assert_eq!(files(&root).len(), 33, "nothing of the older one is left");
    assert_eq!(fs::read_dir(base.path()).unwrap().count(), 1);
}

#[test]
fn nothing_of_other_people_is_touched() {
    let base = tempfile::tempdir().unwrap();
    let photos = base.path().join("photos");
    fs::create_dir(&photos).unwrap();
    fs::write(photos.join("holiday.jpg"), "mine").unwrap();
    assert!(matches!(
        quietly(&photos, &small(1)),
        Err(DemoError::Occupied { .. })
    ));
    let file = base.path().join("file");
    fs::write(&file, "mine").unwrap();
    assert!(matches!(
        quietly(&file, &small(1)),
        Err(DemoError::Occupied { .. })
    ));
    assert!(matches!(
        quietly(Path::new("/"), &small(1)),
        Err(DemoError::Occupied { .. })
    ));

    let demo = base.path().join("demo");
    quietly(&demo, &small(1)).unwrap();
    let before = fingerprint(&demo);
    fs::write(demo.join("Training/Banana/holiday.jpg"), "mine").unwrap();
    let error = quietly(&demo, &small(2)).unwrap_err();
    assert!(
        matches!(&error, DemoError::ForeignFile { file, .. } if file.ends_with("Banana/holiday.jpg")),
        "{error}"
    );
    fs::remove_file(demo.join("Training/Banana/holiday.jpg")).unwrap();
    assert_eq!(
        fingerprint(&demo),
        before,
        "refused, the folder is as it was"
    );
    assert_eq!(fs::read(photos.join("holiday.jpg")).unwrap(), b"mine");
    assert_eq!(
        fs::read_dir(base.path()).unwrap().count(),
        3,
        "no temporary folder is left"
    );
}

#[test]
fn a_folder_filled_meanwhile_is_kept() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("demo");
    let error = render(&root, &small(1), &mut |done, _| {
        if done == 50 {
            fs::create_dir(&root).unwrap();
            fs::write(root.join("holiday.jpg"), "mine").unwrap();
        }
    });
    assert!(matches!(error, Err(DemoError::Occupied { .. })));
    assert_eq!(files(&root).len(), 1);
    assert_eq!(
        fs::read_dir(base.path()).unwrap().count(),
        1,
        "no temporary folder is left"
    );
}

#[test]
fn settings_out_of_range_are_refused() {
    let base = tempfile::tempdir().unwrap();
    let root = base.path().join("demo");
    for settings in [
        DemoSettings {
            size_px: 15,
            ..small(1)
        },
        DemoSettings {
            size_px: 1_025,
            ..small(1)
        },
        DemoSettings {
            per_label_training: 10_001,
            ..small(1)
        },
    ] {
        let error = quietly(&root, &settings).unwrap_err();
        assert!(matches!(error, DemoError::Setting { .. }), "{error}");
        assert!(!root.exists());
    }
}
