//! No bytes make decoding panic, print or take more memory than the limits allow.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests say what they expect by failing"
)]

use std::path::Path;

use pomona_image::{DecodeError, Excess, Limits, decode};

fn photos() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new("tests/references/photos");
    let mut photos: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().to_string_lossy().into_owned();
            (name, std::fs::read(entry.path()).unwrap())
        })
        .collect();
    photos.sort();
    assert!(photos.len() > 100);
    photos
}

/// A small generator with the same numbers on every machine (Marsaglia's xorshift64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }
}

fn damage(photo: &[u8], random: &mut Random) -> Vec<u8> {
    let mut bytes = photo.to_vec();
    match random.below(5) {
        // Cut.
        0 => bytes.truncate(random.below(bytes.len())),
        // Single bits.
        1 => {
            for _ in 0..=random.below(8) {
                let at = random.below(bytes.len());
                bytes[at] ^= 1 << random.below(8);
            }
        }
        // Bits of the header, where sizes and tables stand.
        2 => {
            for _ in 0..=random.below(4) {
                let at = random.below(bytes.len().min(200));
                bytes[at] = random.next() as u8;
            }
        }
        // A run of garbage.
        3 => {
            let start = random.below(bytes.len());
            let end = bytes.len().min(start + 1 + random.below(40));
            bytes[start..end].fill_with(|| random.next() as u8);
        }
        // A piece out, or doubled.
        _ => {
            let start = random.below(bytes.len());
            let end = bytes.len().min(start + 1 + random.below(60));
            if random.below(2) == 0 {
                bytes.drain(start..end);
            } else {
                let piece = bytes[start..end].to_vec();
                bytes.splice(start..start, piece);
            }
        }
    }
    bytes
}

/// Small, so that the damaged sizes of these files are refused and not filled.
const LIMITS: Limits = Limits {
    max_pixels: 1_000_000,
    max_bytes: 1_000_000,
};

#[test]
fn ten_thousand_damaged_files_give_pixels_or_a_reason() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let photos = photos();
    let (mut decoded, mut refused) = (0, 0);
    for round in 0..10_000 {
        let (name, photo) = &photos[round % photos.len()];
        let bytes = damage(photo, &mut random);
        match decode(&bytes, &LIMITS) {
            Ok(photo) => {
                assert!((1..=8).contains(&photo.orientation), "{name}");
                assert!(
                    photo.image.pixels().len() as u64 <= 3 * LIMITS.max_pixels,
                    "{name}"
                );
                decoded += 1;
            }
            Err(error) => {
                let message = error.to_string();
                let for_programmers = ["::", " { ", "Error(", "ChunkType"];
                assert!(
                    !for_programmers.iter().any(|mark| message.contains(mark)),
                    "{name}: {message}"
                );
                refused += 1;
            }
        }
    }
    // The damage bites, and not all of it is fatal.
    assert!(
        decoded > 1000 && refused > 1000,
        "{decoded} decoded, {refused} refused"
    );
}

#[test]
fn garbage_behind_every_magic_number() {
    let mut random = Random(42);
    for (_, photo) in photos() {
        for kept in [3, 8, 12, 20, 40, 80] {
            let mut bytes = photo[..kept.min(photo.len())].to_vec();
            bytes.extend((0..400).map(|_| random.next() as u8));
            let _ = decode(&bytes, &LIMITS);
        }
    }
}

#[test]
fn every_cut_of_a_lossless_photo_is_refused() {
    for (name, photo) in photos() {
        if ![
            "png-rgb.png",
            "qoi-rgb.qoi",
            "jpeg-444.jpg",
            "jpeg-progressive-420.jpg",
        ]
        .contains(&name.as_str())
        {
            continue;
        }
        // The last bytes of PNG (IEND) and QOI (padding) hold nothing.
        let tail = if name.ends_with("jpg") { 1 } else { 20 };
        for length in 0..photo.len() - tail {
            assert!(
                decode(&photo[..length], &LIMITS).is_err(),
                "{name} cut to {length}"
            );
        }
    }
}

#[test]
fn nothing_and_no_image() {
    assert!(matches!(decode(b"", &LIMITS), Err(DecodeError::Empty)));
    for bytes in [
        &b"hello"[..],
        b"\0",
        b"<html></html>",
        b"PK\x03\x04",
        &[0xff; 100],
    ] {
        assert!(matches!(
            decode(bytes, &LIMITS),
            Err(DecodeError::NotAnImage { .. })
        ));
    }
    assert_eq!(
        decode(b"hello there", &LIMITS).unwrap_err().to_string(),
        "the content is not an image (it looks like text)"
    );
    assert_eq!(
        decode(b"\0\0\0\x1cftypheic\0\0\0\0mif1heic", &LIMITS)
            .unwrap_err()
            .to_string(),
        "HEIC is not supported; convert the photo to JPEG or PNG"
    );
}

#[test]
fn limits_are_exact_and_say_what_they_are() {
    for (name, photo) in photos() {
        let Ok(whole) = decode(&photo, &Limits::default()) else {
            continue;
        };
        let pixels = u64::from(whole.image.width()) * u64::from(whole.image.height());
        let at = Limits {
            max_pixels: pixels,
            max_bytes: photo.len() as u64,
        };
        assert!(decode(&photo, &at).is_ok(), "{name}");
        let under = Limits {
            max_pixels: pixels - 1,
            ..at
        };
        assert!(
            matches!(
                decode(&photo, &under),
                Err(DecodeError::TooLarge {
                    excess: Excess::Pixels { .. }
                })
            ),
            "{name}"
        );
        let under = Limits {
            max_bytes: at.max_bytes - 1,
            ..at
        };
        assert!(
            matches!(
                decode(&photo, &under),
                Err(DecodeError::TooLarge {
                    excess: Excess::Bytes { .. }
                })
            ),
            "{name}"
        );
    }
}

#[test]
fn a_jpeg_of_hundreds_of_scans_is_refused() {
    let (_, photo) = photos()
        .into_iter()
        .find(|(name, _)| name == "jpeg-progressive-444.jpg")
        .unwrap();
    let last = photo
        .windows(2)
        .rposition(|pair| pair == b"\xff\xda")
        .unwrap();
    let mut bytes = photo[..photo.len() - 2].to_vec();
    for _ in 0..200 {
        bytes.extend_from_slice(&photo[last..photo.len() - 2]);
    }
    bytes.extend_from_slice(b"\xff\xd9");
    assert!(matches!(
        decode(&bytes, &LIMITS),
        Err(DecodeError::TooLarge {
            excess: Excess::Scans { .. }
        })
    ));
}
