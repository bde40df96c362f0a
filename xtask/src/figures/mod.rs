//! Every figure, each in its file.

mod accuracy;
mod bucket;
mod build;
mod chaos;
mod cluster;
mod codebook;
mod damaged;
mod deadlines;
mod engines;
mod faults;
mod features;
mod fit;
mod forecast;
mod growth;
mod killed;
mod memory;
mod neighbours;
mod objects;
mod orb;
mod pca;
mod rate;
mod repeat;
mod roads;
mod scale;
mod troubles;
mod up;
mod words;

use anyhow::{Result, bail};

use crate::place::Place;
use crate::process::say;

/// One figure and what it must reach.
pub(crate) struct Figure {
    pub(crate) what: String,
    pub(crate) required: String,
    pub(crate) got: String,
    /// Whether it reaches it; `None` for a figure that is only told.
    pub(crate) passed: Option<bool>,
}

impl Figure {
    pub(crate) fn new(what: &str, required: &str, got: String, passed: bool) -> Self {
        Self {
            passed: Some(passed),
            ..Self::told(what, required, got)
        }
    }

    pub(crate) fn told(what: &str, required: &str, got: String) -> Self {
        Self {
            what: what.to_owned(),
            required: required.to_owned(),
            got,
            passed: None,
        }
    }
}

/// What a measurement gives: its figures, or why it was not made.
pub(crate) enum Measured {
    Figures(Vec<Figure>),
    Skipped(&'static str),
}

const NO_SHARED: &str = "the shared photos are not here (POMONA_SHARED)";

type Measure = fn(&Place) -> Result<Measured>;

const ALL: [(&str, Measure); 26] = [
    ("features", features::measure),
    ("pca", pca::measure),
    ("rate", rate::measure),
    ("memory", memory::measure),
    ("damaged", damaged::measure),
    ("fit", fit::measure),
    ("neighbours", neighbours::measure),
    ("repeat", repeat::measure),
    ("engines", engines::measure),
    ("bucket", bucket::measure),
    ("objects", objects::measure),
    ("faults", faults::measure),
    ("killed", killed::measure),
    ("growth", growth::measure),
    ("troubles", troubles::measure),
    ("cluster", cluster::measure),
    ("chaos", chaos::measure),
    ("scale", scale::measure),
    ("forecast", forecast::measure),
    ("deadlines", deadlines::measure),
    ("up", up::measure),
    ("orb", orb::measure),
    ("codebook", codebook::measure),
    ("words", words::measure),
    ("roads", roads::measure),
    ("build", build::measure),
];

pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|(name, _)| *name).collect()
}

/// Measures the named figures, or all but the slowest. True where all reach what they must.
pub(crate) fn run(wanted: &[String]) -> Result<bool> {
    for name in wanted {
        if !names().contains(&name.as_str()) {
            bail!(
                "there is no figure `{name}`; there are {}",
                names().join(", ")
            );
        }
    }
    let place = Place::prepare()?;
    let mut all_passed = true;
    for (name, measure) in ALL {
        let is_wanted =
            wanted.iter().any(|one| one == name) || (wanted.is_empty() && name != "build");
        if !is_wanted {
            continue;
        }
        match measure(&place)? {
            Measured::Skipped(why) => say(&format!("{name}: SKIPPED, {why}")),
            Measured::Figures(figures) => {
                for figure in figures {
                    let verdict = match figure.passed {
                        Some(true) => "reached",
                        Some(false) => "MISSED",
                        None => "told",
                    };
                    all_passed &= figure.passed != Some(false);
                    say(&format!(
                        "{name}: {}: {} (required: {}) {verdict}",
                        figure.what, figure.got, figure.required
                    ));
                }
            }
        }
    }
    Ok(all_passed)
}
