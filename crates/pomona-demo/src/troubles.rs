//! Files as people have them: some that are no photos, some damaged, some good but unusual.

use crate::error::DemoError;
use crate::folder::at;
use crate::paint::paint;
use crate::photo::{encode, subject_of};
use crate::scene::{Part, Scene};
use image::{ImageBuffer, Rgb};
use std::fs;
use std::path::Path;

/// Width and height of these photos in pixels.
const SIDE: usize = 160;

/// A CMYK JPEG; tools/demo_photos/make_cmyk.py made it, because few encoders write them.
const CMYK: &[u8] = include_bytes!("../assets/troubles/cmyk.jpg");

const TEXT: &str = "Troubles/Pear/shopping list.jpg";
const EMPTY: &str = "Troubles/Pear/empty.jpg";
const TRUNCATED: &str = "Troubles/Pear/truncated.jpg";
const SIDEWAYS: &str = "Troubles/Banana/sideways.jpg";
const SIXTEEN_BITS: &str = "Troubles/Lemon/sixteen_bits.png";
const CMYK_NAME: &str = "Troubles/Apple Red/cmyk.jpg";

/// Paths of the files, relative to the demonstration folder.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    [TEXT, EMPTY, TRUNCATED, SIDEWAYS, SIXTEEN_BITS, CMYK_NAME].into_iter()
}

/// Writes the files below `root`. Returns how many and their bytes in all.
pub(crate) fn write(root: &Path, seed: u64) -> Result<(usize, u64), DemoError> {
    let photo = |label: &'static str| -> Result<Vec<u8>, DemoError> {
        let (index, subject) = subject_of(label)?;
        let mut scene = Scene::new(seed, index, Part::Test, 0);
        (scene.turn, scene.tilt, scene.mirrored) = (0.0, 1.0, false);
        Ok(paint(&subject, &scene, SIDE))
    };
    let pear = encode("Pear", SIDE, photo("Pear")?)?;
    let banana = encode("Banana", SIDE, turned_left(&photo("Banana")?))?;
    let files = [
        (TEXT, b"pears, bananas, a lemon\n".to_vec()),
        (EMPTY, Vec::new()),
        (TRUNCATED, pear[..pear.len() / 2].to_vec()),
        (SIDEWAYS, with_orientation(&banana, 6)),
        (SIXTEEN_BITS, sixteen_bits("Lemon", &photo("Lemon")?)?),
        (CMYK_NAME, CMYK.to_vec()),
    ];
    let mut bytes = 0;
    for (name, content) in &files {
        let path = root.join(name);
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).map_err(at(folder))?;
        }
        fs::write(&path, content).map_err(at(&path))?;
        bytes += content.len() as u64;
    }
    Ok((files.len(), bytes))
}

/// The photo a quarter turn to the left, as a phone held sideways stores it.
fn turned_left(pixels: &[u8]) -> Vec<u8> {
    let mut turned = Vec::with_capacity(pixels.len());
    for y in 0..SIDE {
        for x in 0..SIDE {
            let from = (x * SIDE + SIDE - 1 - y) * 3;
            turned.extend_from_slice(&pixels[from..from + 3]);
        }
    }
    turned
}

/// The JPEG with an EXIF block that tells its orientation (Exif 2.3, tag 0x0112), after the start marker.
fn with_orientation(jpeg: &[u8], orientation: u8) -> Vec<u8> {
    #[rustfmt::skip]
    let exif = [
        0xFF, 0xE1, 0x00, 0x22,
        b'E', b'x', b'i', b'f', 0, 0,
        // Big-endian TIFF, its directory at byte 8.
        b'M', b'M', 0, 42, 0, 0, 0, 8,
        // One entry: orientation, one 16-bit number.
        0, 1, 0x01, 0x12, 0, 3, 0, 0, 0, 1, 0, orientation, 0, 0,
        // No further directory.
        0, 0, 0, 0,
    ];
    let (start, rest) = jpeg.split_at(jpeg.len().min(2));
    [start, &exif, rest].concat()
}

/// A PNG with 16 bits for each of red, green and blue.
fn sixteen_bits(label: &'static str, pixels: &[u8]) -> Result<Vec<u8>, DemoError> {
    let wide: Vec<u16> = pixels.iter().map(|&v| u16::from(v) * 257).collect();
    let mut png = std::io::Cursor::new(Vec::new());
    if let Some(image) = ImageBuffer::<Rgb<u16>, _>::from_raw(SIDE as u32, SIDE as u32, wide) {
        image
            .write_to(&mut png, image::ImageFormat::Png)
            .map_err(|source| DemoError::Picture { label, source })?;
    }
    Ok(png.into_inner())
}
