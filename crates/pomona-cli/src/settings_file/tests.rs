//! A small command line of the shape of the real one, and settings files for it.

mod mistakes;
mod precedence;
mod shown;
mod unusual;

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand, ValueEnum};

use super::{Parsed, SettingsError, parse_in, show_json};

/// Set wherever the tests run; its value is a text.
const SET_VARIABLE: &str = "PATH";

#[derive(Debug, Parser, PartialEq)]
#[command(name = "pomona", version, propagate_version = true)]
struct Cli {
    /// Say nothing.
    #[arg(long, short, global = true)]
    quiet: bool,
    /// Report as JSON.
    #[arg(long, global = true)]
    json: bool,
    /// Who asks.
    #[arg(long, global = true)]
    name: Option<String>,
    /// Most requests at once.
    #[arg(long, global = true, value_parser = clap::value_parser!(u16).range(1..))]
    requests: Option<u16>,
    /// Settings file.
    #[arg(long, global = true, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Print the settings.
    #[arg(long, global = true)]
    show_settings: bool,
    #[command(subcommand)]
    command: Sub,
}

#[derive(Debug, Subcommand, PartialEq)]
enum Sub {
    /// Everything.
    Run(RunArgs),
    /// Features to a model.
    Fit {
        /// Where the features are.
        #[arg(value_name = "RUN|FEATURES")]
        features: PathBuf,
        /// Model file.
        #[arg(long)]
        out: PathBuf,
        /// Components to keep.
        #[arg(long, default_value_t = 0.95)]
        components: f64,
    },
    /// How far a run is.
    Status { run: PathBuf },
    /// What became of a photo.
    Why { run: PathBuf, path: String },
    /// Any program.
    Exec {
        run: PathBuf,
        #[arg(long)]
        shell: Option<String>,
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        rest: Vec<String>,
    },
    /// Many machines.
    Cluster {
        #[command(subcommand)]
        command: Cluster,
    },
}

#[derive(Debug, Args, PartialEq)]
struct RunArgs {
    /// Folder of photos.
    photos: PathBuf,
    /// Folder for the run.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Kind of features.
    #[arg(long, value_enum)]
    features: Option<Kind>,
    #[command(flatten)]
    listing: Listing,
    /// Use a model.
    #[arg(long)]
    model: Option<PathBuf>,
    /// Components to keep.
    #[arg(long, default_value_t = 0.95, conflicts_with = "model")]
    components: f64,
    /// Do not divide.
    #[arg(long, requires = "report_to")]
    no_scale: bool,
    /// Who gets the report.
    #[arg(long)]
    report_to: Option<String>,
    /// Normalisation.
    #[arg(long, alias = "normalize", allow_hyphen_values = true)]
    normalise: Option<String>,
    /// The runtime's library.
    #[arg(long, env = SET_VARIABLE)]
    library: Option<PathBuf>,
    /// A share.
    #[arg(long, env = "POMONA_TEST_THAT_IS_NEVER_SET", default_value = "0.5")]
    share: String,
    #[arg(long, hide = true)]
    fault: Option<String>,
}

#[derive(Debug, Args, PartialEq)]
#[command(next_help_heading = "Which photos")]
struct Listing {
    /// Only files that match.
    #[arg(long)]
    glob: Vec<String>,
    /// Most images in a shard.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=65_536))]
    shard_images: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    Network,
    Orb,
}

#[derive(Debug, Subcommand, PartialEq)]
enum Cluster {
    /// One that works.
    Executor {
        /// Address of the scheduler.
        #[arg(long, default_value = "127.0.0.1:1")]
        scheduler: String,
        /// Say more.
        #[arg(long, short, action = clap::ArgAction::Count)]
        verbose: u8,
        /// Whether to keep files.
        #[arg(long)]
        keep: Option<bool>,
    },
    /// One that hands out.
    Scheduler {
        /// Port.
        #[arg(long, default_value_t = 50050)]
        port: u16,
    },
}

/// A folder with a settings file.
struct Place {
    folder: tempfile::TempDir,
}

impl Place {
    fn new(file: &str) -> Self {
        let place = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        place.write("pomona.toml", file);
        place
    }

    fn write(&self, name: &str, file: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, file).unwrap();
        path
    }

    fn parse(&self, line: &str) -> Result<Parsed, SettingsError> {
        self.parse_with(words(line), None)
    }

    fn parse_with(
        &self,
        line: Vec<OsString>,
        variable: Option<&OsStr>,
    ) -> Result<Parsed, SettingsError> {
        parse_in(Cli::command(), line, variable, self.folder.path())
    }

    /// What the program is told.
    fn cli(&self, line: &str) -> Cli {
        match self.parse(line) {
            Ok(parsed) => cli(&parsed),
            Err(error) => panic!("{error}"),
        }
    }

    /// What is said, with `DIR/` for the folder, and the hint.
    fn told(&self, line: &str) -> (String, Option<String>) {
        match self.parse(line) {
            Ok(parsed) => panic!("taken: {:?}", cli(&parsed)),
            Err(error) => {
                let folder = format!("{}/", self.folder.path().display());
                (error.to_string().replace(&folder, ""), error.hint())
            }
        }
    }
}

fn words(line: &str) -> Vec<OsString> {
    line.split_whitespace().map(OsString::from).collect()
}

fn cli(parsed: &Parsed) -> Cli {
    Cli::from_arg_matches(&parsed.matches).unwrap()
}

fn run(cli: Cli) -> RunArgs {
    match cli.command {
        Sub::Run(args) => args,
        other => panic!("{other:?}"),
    }
}

/// Where a setting comes from, and its value.
fn told_of(parsed: &Parsed, key: &str) -> serde_json::Value {
    show_json(parsed)["settings"][key].clone()
}
