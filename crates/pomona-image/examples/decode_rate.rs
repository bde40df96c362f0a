//! How many photos a second one core decodes and resizes to 224 × 224: `decode_rate FOLDER [SECONDS]`.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pomona_image::{Kernel, Limits, decode, resize};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let folder = arguments
        .next()
        .ok_or("usage: decode_rate FOLDER [SECONDS]")?;
    let seconds: f64 = arguments.next().map_or(Ok(3.0), |text| text.parse())?;

    let mut paths = Vec::new();
    collect(Path::new(&folder), &mut paths)?;
    paths.sort();
    let photos: Vec<_> = paths
        .iter()
        .take(2000)
        .map(std::fs::read)
        .collect::<Result<_, _>>()?;

    let limits = Limits::default();
    let mut spent = [Duration::ZERO; 2];
    let (mut decoded, mut failed) = (0_u32, 0_u32);
    let start = Instant::now();
    while start.elapsed().as_secs_f64() < seconds {
        for photo in &photos {
            let begun = Instant::now();
            let Ok(photo) = decode(photo, &limits) else {
                failed += 1;
                continue;
            };
            let between = Instant::now();
            std::hint::black_box(resize(&photo.image, 224, 224, Kernel::Bicubic));
            spent[0] += between - begun;
            spent[1] += between.elapsed();
            decoded += 1;
        }
        if decoded == 0 {
            break;
        }
    }
    let total = (spent[0] + spent[1]).as_secs_f64();
    let mut out = std::io::stdout().lock();
    use std::io::Write;
    writeln!(
        out,
        "{} files, {decoded} decodings, {failed} failed: {:.0} images/s, {:.3} ms each ({:.3} decode + {:.3} resize)",
        photos.len(),
        f64::from(decoded) / total,
        1e3 * total / f64::from(decoded),
        1e3 * spent[0].as_secs_f64() / f64::from(decoded),
        1e3 * spent[1].as_secs_f64() / f64::from(decoded),
    )?;
    Ok(())
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
