//! WebDataset's samples: members that share their name up to the first dot of the base name.

use std::collections::HashMap;

use crate::member::Member;

const IMAGES: [&str; 10] = [
    "jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff", "qoi", "ppm",
];

/// Known companions of images. `cls` and `label` hold the label, the first one going before.
const SIDE_FILES: [&str; 8] = ["cls", "label", "txt", "json", "csv", "npy", "pyd", "pth"];

/// An image and its label, as places in the list of members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SampleImage {
    /// Which member is the image.
    pub member: usize,
    /// Which member is its label: `cls`, or else `label`, of the same sample.
    pub label: Option<usize>,
}

/// Members by what they are. Each member is in exactly one of the lists; all lists are in the order of the archive.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Samples {
    /// jpg, jpeg, png, webp, gif, bmp, tif, tiff, qoi and ppm, in any case.
    pub images: Vec<SampleImage>,
    /// cls, label, txt, json, csv, npy, pyd and pth, in any case.
    pub side_files: Vec<usize>,
    /// All others, with members without an extension and those whose base name begins with a dot.
    pub unknown: Vec<usize>,
}

/// Tells images from their companions, by their names alone.
///
/// An image's label has the image's name but for what follows the last dot, or else but for what follows the first:
/// `a.left.jpg` goes with `a.left.cls`, or else with `a.cls`. So `2024.05.jpg` and `2024.06.jpg`, which are one sample,
/// may have a label each. A label need not stand beside its image.
pub fn samples(members: &[Member]) -> Samples {
    let mut found = Samples::default();
    // By name without extension: the place, and whether it is a `cls`.
    let mut labels: HashMap<&str, (usize, bool)> = HashMap::new();
    for (place, member) in members.iter().enumerate() {
        let (stem, extension) = split(&member.name);
        if IMAGES.iter().any(|known| is(extension, known)) {
            found.images.push(SampleImage {
                member: place,
                label: None,
            });
        } else if SIDE_FILES.iter().any(|known| is(extension, known)) {
            found.side_files.push(place);
        } else {
            found.unknown.push(place);
        }
        let is_cls = is(extension, "cls");
        if is_cls || is(extension, "label") {
            let first = labels.entry(stem).or_insert((place, is_cls));
            if is_cls && !first.1 {
                *first = (place, true);
            }
        }
    }
    for image in &mut found.images {
        let Some(member) = members.get(image.member) else {
            continue;
        };
        let key = sample_key(&member.name).unwrap_or_default();
        let label = labels
            .get(split(&member.name).0)
            .or_else(|| labels.get(key));
        image.label = label.map(|(place, _)| *place);
    }
    found
}

/// The name of a member's sample: its own up to the first dot of the base name. `None` where there is no such dot, or
/// nothing before it, as in `a/.hidden`.
pub fn sample_key(name: &str) -> Option<&str> {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = name[base..].find('.').filter(|dot| *dot > 0)?;
    Some(&name[..base + dot])
}

/// The name up to the last dot, and what follows it: nothing for names that belong to no sample.
fn split(name: &str) -> (&str, &str) {
    match (sample_key(name), name.rsplit_once('.')) {
        (Some(_), Some(parts)) => parts,
        _ => (name, ""),
    }
}

/// Whether a member holds the label of its sample.
pub(crate) fn is_label(name: &str) -> bool {
    let (_, extension) = split(name);
    is(extension, "cls") || is(extension, "label")
}

fn is(extension: &str, known: &str) -> bool {
    extension.eq_ignore_ascii_case(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn members(names: &[&str]) -> Vec<Member> {
        names
            .iter()
            .map(|name| Member {
                name: (*name).to_owned(),
                offset: 512,
                size: 0,
                modified_secs: 0,
                label: None,
            })
            .collect()
    }

    #[test]
    fn keys_end_at_the_first_dot_of_the_base_name() {
        assert_eq!(sample_key("a.b/000.left.jpg"), Some("a.b/000"));
        assert_eq!(sample_key("000.jpg"), Some("000"));
        assert_eq!(sample_key("a.b/000"), None);
        assert_eq!(sample_key("a/.jpg"), None);
        assert_eq!(sample_key(""), None);
    }

    #[test]
    fn images_find_their_labels() {
        let members = members(&[
            "a/1.label", // 0
            "a/1.JPG",   // 1
            "a/1.cls",   // 2
            "a/1.json",  // 3
            "b/1.jpg",   // 4: another sample
            "c.left.png",
            "c.right.Tiff",
            "c.label", // 7
            "d.jpg",
            "d.CLS",     // 9: not beside it, and upper case
            "readme",    // 10
            "x.raw",     // 11
            "a/._1.jpg", // 12: not a picture, but what macOS keeps beside one
            "2.5.jpg",   // 13: the same key as the next ones
            "2.5.cls",   // 14
            "2.6.jpg",   // 15: has none
        ]);
        let found = samples(&members);
        let images: Vec<_> = found
            .images
            .iter()
            .map(|image| (image.member, image.label))
            .collect();
        assert_eq!(
            images,
            [
                (1, Some(2)),
                (4, None),
                (5, Some(7)),
                (6, Some(7)),
                (8, Some(9)),
                (13, Some(14)),
                (15, None),
            ]
        );
        assert_eq!(found.side_files, [0, 2, 3, 7, 9, 14]);
        assert_eq!(found.unknown, [10, 11, 12]);
    }
}
