//! `pomona demo`

use std::ffi::OsStr;
use std::path::Path;

use clap::Parser;
use pomona_demo::DemoSettings;
use pomona_pipeline::Steps;

use super::run::{carry_out, finish};
use super::settings::resolve;
use crate::args::{Cli, Command, DemoArgs, RunArgs, WorkArgs};
use crate::failure::Failure;
use crate::progress::Reporter;

pub(crate) fn demo(args: &DemoArgs, reporter: &Reporter) -> Result<(), Failure> {
    let photos = args.out.join("photos");
    let settings = DemoSettings {
        seed: args.seed,
        with_troubles: !args.no_troubles,
        ..DemoSettings::default()
    };
    let summary = pomona_demo::render(&photos, &settings, &mut |_, _| {})?;
    reporter.say(&format!(
        "{} photos of {} fruits and vegetables rendered into {}",
        summary.photos,
        summary.labels,
        photos.display()
    ));
    let run = run_args(&photos, &args.out.join("run"), &args.work);
    let resolved = resolve(&run.extract, Some(&run.fit), None, &[], reporter)?;
    let outcome = carry_out(resolved, Steps::All, reporter)?;
    finish(&outcome, Steps::All, reporter);
    Ok(())
}

/// What `pomona run PHOTOS --out RUN --fresh` would be told: the demonstration does what a person would do.
fn run_args(photos: &Path, out: &Path, work: &WorkArgs) -> RunArgs {
    let workers = work.workers().to_string();
    let mut typed: Vec<&OsStr> = Vec::new();
    typed.extend(["pomona", "run", "--fresh", "--workers", &workers, "--out"].map(OsStr::new));
    if let Some(cluster) = &work.cluster {
        typed.splice(2..2, ["--cluster", cluster].map(OsStr::new));
    }
    if let Some(tls) = &work.cluster_tls {
        typed.splice(2..2, [OsStr::new("--cluster-tls"), tls.as_os_str()]);
    }
    typed.extend([out.as_os_str(), OsStr::new("--"), photos.as_os_str()]);
    match Cli::parse_from(typed).command {
        Command::Run(args) => args,
        // The line above says `run`.
        _ => std::process::exit(2),
    }
}
