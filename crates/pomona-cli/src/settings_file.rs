//! `pomona.toml`: every long flag, and every argument by its name, can stand in a settings file.
//!
//! There is no second list of settings: what the command line knows, the file knows. What the file says is put into the
//! command line as if it had been typed, so that one parser checks both, and a value is found in this order: command
//! line, environment variable, file, default.
//!
//! ```toml
//! workers = 4                      # for all commands that have it
//! allowed-region = ["eu-*"]
//!
//! [run]                            # for one command; wins over what stands above
//! photos = "s3://bucket/photos"    # an argument, by its name
//! no-scale = true
//!
//! [backbones.add]                  # for a command of a command
//! normalise = "imagenet"
//! ```
//!
//! A key above all tables that is a flag of some command is never taken for another command's argument of the same name.
//! Paths are taken as on the command line: relative to the current folder, not to the file.

mod check;
mod document;
mod error;
mod setting;
mod show;
mod shown;
#[cfg(test)]
mod tests;
mod weave;

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgMatches, Command};

pub(crate) use error::SettingsError;
pub(crate) use show::{show, show_json};

use document::Document;
use setting::Setting;

/// The file that is read where none is named.
const DEFAULT_FILE: &str = "pomona.toml";
/// Names a file where `--settings` does not.
const VARIABLE: &str = "POMONA_SETTINGS";
/// The flag that names a file, and the one that asks for [`show()`], by their identifiers.
const SETTINGS: &str = "settings";
const SHOW_SETTINGS: &str = "show_settings";

/// What was asked for, by whatever means.
pub(crate) struct Parsed {
    /// As clap gives them; where [`Parsed::show_settings`] holds, required ones may be missing.
    pub(crate) matches: ArgMatches,
    /// The file that was read, as it was named.
    pub(crate) file: Option<PathBuf>,
    /// Whether `--show-settings` was given.
    pub(crate) show_settings: bool,
    /// The command line with what the file adds to it.
    pub(crate) words: Vec<OsString>,
    /// The chosen command and those above it, the program first.
    names: Vec<String>,
    /// All settings of the chosen command, in the order of its help.
    settings: Vec<Setting>,
}

impl Parsed {
    /// What was typed or stands in the file for the chosen command, as words: the key of each setting, and how it would be
    /// typed. Places that are told apart by their order alone come as they are.
    pub(crate) fn given(&self) -> Vec<Given> {
        self.settings.iter().filter_map(Setting::given).collect()
    }
}

/// A setting that was given.
pub(crate) struct Given {
    /// Its key in the file: the long flag without its dashes.
    pub(crate) key: String,
    /// As it would be typed.
    pub(crate) words: Vec<OsString>,
}

/// Reads the command line, the environment and the settings file.
///
/// # Errors
///
/// [`SettingsError::CommandLine`] is clap's own, among them the requests for help and version; the others are the file's.
pub(crate) fn parse(
    command: Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Result<Parsed, SettingsError> {
    let variable = std::env::var_os(VARIABLE);
    parse_in(
        command,
        arguments.into_iter().collect(),
        variable.as_deref(),
        Path::new(""),
    )
}

/// With `variable` as the value of [`VARIABLE`], and [`DEFAULT_FILE`] looked for in `folder`.
fn parse_in(
    command: Command,
    arguments: Vec<OsString>,
    variable: Option<&OsStr>,
    folder: &Path,
) -> Result<Parsed, SettingsError> {
    let (typed, complaint) = as_typed(&command, &arguments)?;
    let path = path_of(&command, &typed);
    // Help has no settings.
    let mut built = command.clone().disable_help_subcommand(true);
    built.build();
    let leaf = at(&built, &path);
    if leaf.is_subcommand_required_set()
        && let Some(complaint) = complaint
    {
        // Which command is meant cannot come from a file.
        return Err(complaint.into());
    }
    let chosen = leaf_matches(&typed);
    let show_settings = matches!(chosen.try_get_one::<bool>(SHOW_SETTINGS), Ok(Some(true)));

    let document = match file(chosen, variable, folder) {
        Some(File::Named(name)) => Some(Document::read(&name, &built)?),
        Some(File::Default(name)) => Document::read_if_there(&name, &built)?,
        None => None,
    };
    let entries = match &document {
        Some(document) => document.settings_of(&built, &path)?,
        None => Vec::new(),
    };
    let woven = weave::weave(&command, &built, &path, &arguments, chosen, &entries)?;
    let matches = match woven.parse() {
        Ok(matches) => matches,
        Err(told) if show_settings && told.kind() == ErrorKind::MissingRequiredArgument => {
            woven.parse_what_is_there()?
        }
        Err(told) => return Err(woven.explain(told, &built, &path)),
    };
    let settings = setting::all(
        leaf,
        leaf_matches(&matches),
        &entries,
        &woven,
        show_settings,
    );
    let mut names = vec![built.get_name().to_owned()];
    names.extend(path);
    Ok(Parsed {
        words: woven.arguments().to_vec(),
        matches,
        file: document.map(|document| document.path),
        show_settings,
        names,
        settings,
    })
}

/// The command line alone. What is missing may yet come from the file: then clap's complaint is kept, and what is there
/// is taken.
fn as_typed(
    command: &Command,
    arguments: &[OsString],
) -> Result<(ArgMatches, Option<clap::Error>), SettingsError> {
    match command.clone().try_get_matches_from(arguments) {
        Ok(matches) => Ok((matches, None)),
        Err(told)
            if matches!(
                told.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            ) =>
        {
            Ok((what_is_there(command, arguments)?, Some(told)))
        }
        Err(told) => Err(told.into()),
    }
}

fn what_is_there(command: &Command, arguments: &[OsString]) -> Result<ArgMatches, clap::Error> {
    let lenient = command.clone().ignore_errors(true);
    lenient.try_get_matches_from(arguments)
}

/// The names of the chosen command and of those above it, without the program.
fn path_of(command: &Command, matches: &ArgMatches) -> Vec<String> {
    let (mut command, mut matches, mut path) = (command, matches, Vec::new());
    while let Some((name, inner)) = matches.subcommand() {
        // A command that is not declared has no settings.
        let Some(found) = command.find_subcommand(name) else {
            break;
        };
        path.push(found.get_name().to_owned());
        (command, matches) = (found, inner);
    }
    path
}

fn leaf_matches(matches: &ArgMatches) -> &ArgMatches {
    let mut leaf = matches;
    while let Some((_, inner)) = leaf.subcommand() {
        leaf = inner;
    }
    leaf
}

/// The command at `path`, or the last one on the way to it.
fn at<'c>(command: &'c Command, path: &[String]) -> &'c Command {
    path.iter().fold(command, |command, name| {
        command.find_subcommand(name).unwrap_or(command)
    })
}

enum File {
    /// It must be there.
    Named(PathBuf),
    /// It is read if it is there.
    Default(PathBuf),
}

fn file(chosen: &ArgMatches, variable: Option<&OsStr>, folder: &Path) -> Option<File> {
    let Ok(flag) = chosen.try_get_raw(SETTINGS) else {
        // A command line without the flag has no settings file.
        return None;
    };
    let named = flag.and_then(|mut values| values.next()).or(variable);
    match named {
        Some(name) if !name.is_empty() => Some(File::Named(name.into())),
        _ => Some(File::Default(folder.join(DEFAULT_FILE))),
    }
}
