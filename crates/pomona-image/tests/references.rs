//! Every kind of photo against what Pillow, OpenCV, tifffile and imagecodecs say it contains
//! (`references/make_references.py`).
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "helpers of tests say what they expect by failing"
)]

use std::path::PathBuf;

use pomona_image::{DecodeError, Kernel, Limits, Preparation, RgbImage, decode, resize};

struct Case {
    file: String,
    operation: String,
    status: String,
    width: u32,
    height: u32,
    orientation: u8,
    tolerance: u8,
    changed_per_mille: usize,
    expected: Vec<u8>,
}

fn references() -> PathBuf {
    PathBuf::from("tests/references")
}

fn cases() -> Vec<Case> {
    let pixels = std::fs::read(references().join("expected.bin")).unwrap();
    std::fs::read_to_string(references().join("expected.tsv"))
        .unwrap()
        .lines()
        .map(|line| {
            let fields: Vec<&str> = line.split('\t').collect();
            let [
                file,
                operation,
                status,
                width,
                height,
                orientation,
                tolerance,
                changed,
                offset,
            ] = fields[..]
            else {
                panic!("{line}");
            };
            let (width, height): (u32, u32) = (width.parse().unwrap(), height.parse().unwrap());
            let start: usize = offset.parse().unwrap();
            Case {
                file: file.to_owned(),
                operation: operation.to_owned(),
                status: status.to_owned(),
                width,
                height,
                orientation: orientation.parse().unwrap(),
                tolerance: tolerance.parse().unwrap(),
                changed_per_mille: changed.parse().unwrap(),
                expected: pixels[start..start + (width * height * 3) as usize].to_vec(),
            }
        })
        .collect()
}

fn photo(name: &str) -> Vec<u8> {
    std::fs::read(references().join("photos").join(name)).unwrap()
}

fn status(result: &Result<pomona_image::Decoded, DecodeError>) -> &'static str {
    match result {
        Ok(_) => "ok",
        Err(DecodeError::Empty) => "empty",
        Err(DecodeError::NotAnImage { .. }) => "not_an_image",
        Err(DecodeError::UnsupportedFormat { .. }) => "unsupported",
        Err(DecodeError::Corrupt { .. }) => "corrupt",
        Err(DecodeError::TooLarge { .. }) => "too_large",
        Err(_) => "other",
    }
}

/// What differs from the reference, if anything does beyond what the case allows.
fn complaint(case: &Case, image: &RgbImage) -> Option<String> {
    if (image.width(), image.height()) != (case.width, case.height) {
        return Some(format!(
            "{} x {} instead of {} x {}",
            image.width(),
            image.height(),
            case.width,
            case.height
        ));
    }
    let differences = image
        .pixels()
        .iter()
        .zip(&case.expected)
        .map(|(a, b)| a.abs_diff(*b));
    let largest = differences.clone().max().unwrap();
    let changed = differences.filter(|difference| *difference > 0).count();
    (largest > case.tolerance || changed * 1000 > case.changed_per_mille * case.expected.len())
        .then(|| {
            format!(
                "{changed} of {} values differ, by up to {largest}",
                case.expected.len()
            )
        })
}

fn check(wanted: impl Fn(&Case) -> bool, run: impl Fn(&Case) -> Option<String>) {
    let cases: Vec<Case> = cases().into_iter().filter(wanted).collect();
    assert!(!cases.is_empty());
    let complaints: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            run(case).map(|what| format!("{} {}: {what}", case.file, case.operation))
        })
        .collect();
    assert!(
        complaints.is_empty(),
        "{} of {} cases:\n{}",
        complaints.len(),
        cases.len(),
        complaints.join("\n")
    );
}

#[test]
fn every_kind_of_photo_gives_the_pixels_other_programs_see() {
    check(
        |case| case.operation == "decode" && case.status == "ok",
        |case| match decode(&photo(&case.file), &Limits::default()) {
            Err(error) => Some(error.to_string()),
            Ok(decoded) if decoded.orientation != case.orientation => Some(format!(
                "orientation {} instead of {}",
                decoded.orientation, case.orientation
            )),
            Ok(decoded) => complaint(case, &decoded.image),
        },
    );
}

#[test]
fn what_cannot_be_decoded_says_which_way() {
    check(
        |case| case.operation == "decode" && case.status != "ok",
        |case| {
            let result = decode(&photo(&case.file), &Limits::default());
            (status(&result) != case.status)
                .then(|| format!("{} instead of {}: {result:?}", status(&result), case.status))
        },
    );
}

#[test]
fn resizing_repeats_pillow_to_the_bit() {
    check(
        |case| case.operation.starts_with("resize"),
        |case| {
            let words: Vec<&str> = case.operation.split(' ').collect();
            let kernel = match words[3] {
                "nearest" => Kernel::Nearest,
                "bilinear" => Kernel::Bilinear,
                "bicubic" => Kernel::Bicubic,
                _ => Kernel::Lanczos3,
            };
            let image = decode(&photo(&case.file), &Limits::default())
                .unwrap()
                .image;
            complaint(
                case,
                &resize(
                    &image,
                    words[1].parse().unwrap(),
                    words[2].parse().unwrap(),
                    kernel,
                ),
            )
        },
    );
}

#[test]
fn preparation_repeats_opencv_and_pillow() {
    check(
        |case| case.operation.starts_with("prepare"),
        |case| {
            let chain: Preparation = case.operation["prepare ".len()..].parse().unwrap();
            let image = decode(&photo(&case.file), &Limits::default())
                .unwrap()
                .image;
            complaint(case, &chain.apply(image))
        },
    );
}

#[test]
fn the_format_is_told_by_content_not_by_name() {
    for (file, name) in [
        ("jpeg-444.jpg", "JPEG"),
        ("png-rgb.png", "PNG"),
        ("webp-lossy.webp", "WebP"),
        ("gif-still.gif", "GIF"),
        ("bmp-24.bmp", "BMP"),
        ("tiff-rgb-raw.tif", "TIFF"),
        ("qoi-rgb.qoi", "QOI"),
    ] {
        assert_eq!(
            decode(&photo(file), &Limits::default())
                .unwrap()
                .format
                .name(),
            name
        );
    }
}
