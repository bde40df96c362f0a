//! The codebook against scikit-learn's k-means.

use anyhow::{Context, Result};

use super::{Figure, Measured, NO_SHARED};
use crate::place::Place;
use crate::process::{json, median, number, run};

const SEEDS: [&str; 3] = ["0", "1", "2"];
const WORDS: &str = "1000";
const THREADS: &str = "2";
const PASSES: &str = "300";

pub(crate) fn measure(place: &Place) -> Result<Measured> {
    let Some(shared) = &place.shared else {
        return Ok(Measured::Skipped(NO_SHARED));
    };
    let text = |path: std::path::PathBuf| path.display().to_string();
    let mut sums = Vec::new();
    // 1,142 photos: one shard or eight.
    for (name, workers, images) in [("codebook-1", "1", "65536"), ("codebook-7", "7", "163")] {
        let out = place.scratch(name);
        let mut arguments = place.reference_photos_run(shared, "run", &out);
        arguments.extend(
            [
                "--features",
                "orb",
                "--words",
                WORDS,
                "--workers",
                workers,
                "--shard-images",
                images,
            ]
            .map(str::to_owned),
        );
        run(&place.pomona, &arguments)?;
        let record: serde_json::Value =
            serde_json::from_slice(&std::fs::read(out.join("run.json"))?)?;
        let shards = std::fs::read_dir(out.join("descriptors"))?.count();
        let sum = record["words"]["codebook_sha256"]
            .as_str()
            .context("the codebook's hash")?
            .to_owned();
        sums.push((shards, sum));
    }
    let same = sums[0].1 == sums[1].1;

    let file = text(place.scratch("descriptors.bin"));
    let rows = place.python(
        "descriptors_file.py",
        &[&text(place.scratch("codebook-1")), &file],
    )?;
    let example = place.example("pomona-learn", "kmeans_rate")?;
    let (mut inertia, mut time, mut ours, mut theirs) = (vec![], vec![], vec![], vec![]);
    for seed in SEEDS {
        let arguments = [file.as_str(), WORDS, seed, THREADS, PASSES];
        let rival = place.python("sklearn_kmeans.py", &arguments)?;
        let own = json(&run(&example, &arguments)?)?;
        inertia.push(number(&own, "inertia")? / number(&rival, "inertia")?);
        time.push(number(&own, "seconds")? / number(&rival, "seconds")?);
        ours.push(number(&own, "seconds")?);
        theirs.push(number(&rival, "seconds")?);
    }
    let (inertia, time) = (median(inertia), median(time));
    Ok(Measured::Figures(vec![
        Figure::new(
            &format!(
                "k-means, 1,000 words, {} descriptors: final inertia ÷ scikit-learn's (k-means++, one start, at most {PASSES} passes), median of {} seeds",
                rows["rows"],
                SEEDS.len()
            ),
            "≤ 1.01",
            format!("{inertia:.4}"),
            inertia <= 1.01,
        ),
        Figure::new(
            "time ÷ scikit-learn's, both on 2 cores",
            "≤ 1.0",
            format!(
                "{time:.2} ({:.2} s against {:.2} s)",
                median(ours),
                median(theirs)
            ),
            time <= 1.0,
        ),
        Figure::new(
            "same seed, the same photos in other shards and with other workers: the codebook",
            "the same to the bit",
            format!(
                "{} ({} shard, 1 worker; {} shards, 7 workers)",
                if same { "the same" } else { "another" },
                sums[0].0,
                sums[1].0
            ),
            same,
        ),
    ]))
}
