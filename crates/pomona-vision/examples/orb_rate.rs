//! How many photos a second one core reads, decodes and describes by ORB key points.
//!
//! `cargo run -p pomona-vision --example orb_rate -- LIST`, where LIST names a file a line. Prints one line of JSON.
//! `tools/figures/opencv_orb_rate.py` does the same with OpenCV.
#![expect(
    clippy::print_stdout,
    reason = "the program's result is one line on standard output"
)]

use std::time::Instant;

use pomona_vision::orb::{Orb, OrbSettings};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let list = std::env::args().nth(1).ok_or("which list of files?")?;
    let list = std::fs::read_to_string(list)?;
    let files: Vec<&str> = list.lines().collect();
    let mut orb = Orb::new(OrbSettings::default())?;
    let limits = pomona_image::Limits::default();
    let mut keypoints = 0;
    let started = Instant::now();
    for file in &files {
        let image = pomona_image::decode(&std::fs::read(file)?, &limits)?.image;
        keypoints += orb.detect(&image).len();
    }
    let rate = files.len() as f64 / started.elapsed().as_secs_f64();
    println!("{{\"images_per_second\": {rate}, \"keypoints\": {keypoints}}}");
    Ok(())
}
