//! The photos and OpenCV's results in the shared folder, where it is there.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use pomona_vision::orb::{Orb, OrbSettings};

use crate::support::{Found, between, descriptor, distance, key_point, picture};

/// The text of a `.gz`; none where there is no such file or no `gzip`.
fn unpacked(path: &std::path::Path) -> Option<String> {
    let file = std::fs::File::open(path).ok()?;
    let mut child = Command::new("gzip")
        .arg("-dc")
        .stdin(file)
        .stdout(Stdio::piped())
        .spawn()
        .ok()?;
    let mut text = String::new();
    child.stdout.take()?.read_to_string(&mut text).ok()?;
    child.wait().ok()?.success().then_some(text)
}

/// How many of `points` have a counterpart: same octave, within half a pixel and 2°; and the bits in which they differ
/// from it.
fn matched(points: &Found, others: &Found) -> (usize, Vec<u32>) {
    let distances: Vec<u32> = points
        .iter()
        .filter_map(|(point, bits)| {
            others
                .iter()
                .filter(|(other, _)| {
                    other.octave == point.octave
                        && (other.x - point.x).hypot(other.y - point.y) <= 0.5
                        && between(other.angle_degrees, point.angle_degrees) <= 2.0
                })
                .map(|(_, other_bits)| distance(bits, other_bits))
                .min()
        })
        .collect();
    (distances.len(), distances)
}

#[test]
#[expect(clippy::print_stderr, reason = "a test says that it was skipped")]
fn the_shared_photos_give_what_opencv_finds() {
    let shared = std::env::var_os("POMONA_SHARED")
        .map_or_else(|| PathBuf::from("../../../shared"), PathBuf::from);
    let Some(text) = unpacked(&shared.join("reference/opencv_orb.json.gz")) else {
        eprintln!("skipped: OpenCV's results are not here (POMONA_SHARED says where they are)");
        return;
    };
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut orb = Orb::new(OrbSettings {
        features: 100,
        ..OrbSettings::default()
    })
    .unwrap();
    let (mut ours, mut theirs, mut ours_matched, mut theirs_matched) = (0, 0, 0, 0);
    let mut distances = Vec::new();
    for image in reference["images"].as_array().unwrap() {
        let path = shared
            .join("data/fruits-360")
            .join(image["path"].as_str().unwrap());
        let found = orb.detect(&picture(&std::fs::read(path).unwrap()));
        let expected: Found = image["keypoints"]
            .as_array()
            .unwrap()
            .iter()
            .zip(image["descriptors"].as_array().unwrap())
            .map(|(point, bits)| (key_point(point), descriptor(bits)))
            .collect();
        ours += found.len();
        theirs += expected.len();
        ours_matched += matched(&found, &expected).0;
        let (count, bits) = matched(&expected, &found);
        theirs_matched += count;
        distances.extend(bits);
    }
    distances.sort_unstable();
    let median = distances[distances.len() / 2];
    let of_95_percent = distances[distances.len() * 95 / 100];
    eprintln!(
        "found {ours}, {ours_matched} of them by OpenCV; OpenCV {theirs}, {theirs_matched} of them here; bits that \
         differ: median {median}, 95 % within {of_95_percent}, most {}",
        distances.last().unwrap()
    );
    assert!(theirs > 500);
    assert!(ours_matched * 100 >= ours * 95);
    assert!(theirs_matched * 100 >= theirs * 95);
    assert!(median <= 2);
    assert!(of_95_percent <= 12);
}
