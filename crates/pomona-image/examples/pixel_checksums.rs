//! One line a photo, for comparison with other decoders: `pixel_checksums FOLDER [WIDTH HEIGHT]`.
//!
//! Path relative to the folder, width, height and CRC-32 of the upright RGB bytes (after a bicubic resize, where a size
//! is given), separated by tabs; or the path and why it was not decoded. `tools/reference_images_compare.py` reads this.

use std::io::Write;
use std::path::{Path, PathBuf};

use pomona_image::{Kernel, Limits, decode, resize};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = PathBuf::from(
        arguments
            .next()
            .ok_or("usage: pixel_checksums FOLDER [WIDTH HEIGHT]")?,
    );
    let size = match (arguments.next(), arguments.next()) {
        (Some(width), Some(height)) => Some((width.parse()?, height.parse()?)),
        _ => None,
    };
    let mut paths = Vec::new();
    collect(&folder, &mut paths)?;
    paths.sort();

    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for path in paths {
        let name = path.strip_prefix(&folder)?.display();
        match decode(&std::fs::read(&path)?, &Limits::default()) {
            Err(error) => writeln!(out, "{name}\t{error}")?,
            Ok(photo) => {
                let image = match size {
                    Some((width, height)) => resize(&photo.image, width, height, Kernel::Bicubic),
                    None => photo.image,
                };
                let sum = crc32(image.pixels());
                writeln!(
                    out,
                    "{name}\t{}\t{}\t{sum:08x}",
                    image.width(),
                    image.height()
                )?;
            }
        }
    }
    Ok(())
}

/// CRC-32 as in zlib.
fn crc32(bytes: &[u8]) -> u32 {
    let table: Vec<u32> = (0..256_u32)
        .map(|byte| (0..8).fold(byte, |crc, _| (crc >> 1) ^ (0xedb8_8320 * (crc & 1))))
        .collect();
    !bytes.iter().fold(!0, |crc, &byte| {
        table[((crc ^ u32::from(byte)) & 0xff) as usize] ^ (crc >> 8)
    })
}

fn collect(folder: &Path, paths: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, paths)?;
        } else {
            paths.push(path);
        }
    }
    Ok(())
}
