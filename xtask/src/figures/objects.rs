//! Many small objects: when does the work begin, and when is all listed?

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use super::{Figure, Measured, NO_SHARED};
use crate::bucket::{Shop, arguments};
use crate::place::Place;

const FOLDERS: usize = 100;
const PER_FOLDER: usize = 1000;

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let mut figures = Vec::new();
    for (told, folders, per_folder) in [
        ("in 100 folders", FOLDERS, PER_FOLDER),
        ("in one folder", 1, FOLDERS * PER_FOLDER),
    ] {
        let shop = Shop::open(place, &format!("objects-{folders}"))?;
        let photo = place.reference_photos(shared)?.swap_remove(0);
        let content = std::fs::read(photo)?;
        for folder in 0..folders {
            let folder = shop.photos().join(format!("label-{folder:03}"));
            std::fs::create_dir_all(&folder)?;
            for number in 0..per_folder {
                std::fs::write(folder.join(format!("{number:06}.jpg")), &content)?;
            }
        }
        shop.server.refresh()?;
        let started = Instant::now();
        let mut child = Command::new(&place.pomona)
            .args(arguments("extract", "s3://photos", "s3://runs/objects"))
            .envs(shop.environment())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()?;
        let events = BufReader::new(child.stderr.take().context("its events")?);
        let (mut first, mut listed) = (None, None);
        for line in events.lines() {
            let event: serde_json::Value = serde_json::from_str(&line?).unwrap_or_default();
            if event["event"] != "progress" {
                continue;
            }
            let at = started.elapsed().as_secs_f64();
            if event["done"].as_u64() > Some(0) {
                first.get_or_insert(at);
            }
            if event["listing_ended"] == true {
                listed.get_or_insert(at);
            }
            if first.is_some() && listed.is_some() {
                break;
            }
        }
        child.kill()?;
        child.wait()?;
        let (first, listed) = (
            first.context("no image was worked on")?,
            listed.context("the listing did not end")?,
        );
        std::fs::remove_dir_all(shop.photos())?;
        figures.push(Figure::new(
            &format!("100,000 objects {told}: from the command to the first image done"),
            "≤ 2 s",
            format!("{first:.2} s"),
            first <= 2.0,
        ));
        figures.push(Figure::new(
            &format!("100,000 objects {told}: from the command to the end of the listing"),
            "≤ 20 s",
            format!("{listed:.2} s"),
            listed <= 20.0,
        ));
    }
    Ok(Measured::Figures(figures))
}
