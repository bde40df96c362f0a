//! Puts what the file says into the command line, as if it had been typed.

use std::ffi::{OsStr, OsString};

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use super::check::texts;
use super::document::{Entry, Scalar};
use super::error::SettingsError;
use super::shown::holds_secret;
use super::{at, path_of, what_is_there};

/// A command and a command line that hold what was typed and what the file adds to it.
pub(super) struct Woven {
    command: Command,
    arguments: Vec<OsString>,
    /// Where the tokens of the file begin in `arguments`: behind the name of the chosen command.
    place: usize,
    added: Vec<Added>,
}

/// One setting that the file adds.
struct Added {
    id: String,
    /// As clap's messages name it.
    shown: String,
    key: String,
    at: String,
}

impl Woven {
    /// The command line with what the file adds to it.
    pub(super) fn arguments(&self) -> &[OsString] {
        &self.arguments
    }
}

/// Adds the entries that nothing else sets. `typed` are the matches of the chosen command.
///
/// # Errors
///
/// A value of the file that is refused.
pub(super) fn weave(
    command: &Command,
    built: &Command,
    path: &[String],
    arguments: &[OsString],
    typed: &ArgMatches,
    entries: &[(Arg, &Entry)],
) -> Result<Woven, SettingsError> {
    let leaf = at(built, path);
    let from_file = positionals_from_file(leaf, typed, entries);
    let mut used = Vec::new();
    for (arg, entry) in entries {
        let id = arg.get_id().as_str();
        let wanted = if arg.is_positional() {
            from_file.iter().any(|name| name == id)
        } else {
            !is_given(typed, arg)
        };
        let texts = texts(arg, entry)?;
        if wanted && !texts.is_empty() {
            used.push((arg, *entry, texts));
        }
    }
    // Flags, so that arguments that were typed keep their places.
    let renamed: Vec<String> = used
        .iter()
        .filter(|(arg, ..)| arg.is_positional())
        .map(|(arg, ..)| arg.get_id().to_string())
        .collect();
    let mut woven = Woven {
        command: if renamed.is_empty() {
            command.clone()
        } else {
            with_flags(command.clone(), path, leaf, &renamed)
        },
        arguments: arguments.to_vec(),
        place: place_behind(command, path, arguments),
        added: Vec::new(),
    };
    if used.is_empty() {
        return Ok(woven);
    }
    let mut rebuilt = woven.command.clone();
    rebuilt.build();
    let mut probe = Probe::new(&woven.command, path, arguments);
    let mut tokens = Vec::new();
    for (arg, entry, texts) in used {
        let id = arg.get_id().as_str();
        for text in &texts {
            let token = woven.token(arg, text.map(|scalar| OsStr::new(&scalar.text)));
            probe.check(&token, entry, *text)?;
            tokens.push(token);
        }
        woven.added.push(Added {
            id: id.to_owned(),
            shown: at(&rebuilt, path)
                .get_arguments()
                .find(|arg| arg.get_id() == id)
                .map_or_else(String::new, ToString::to_string),
            key: entry.key.clone(),
            at: entry.at.clone(),
        });
    }
    woven.arguments.splice(woven.place..woven.place, tokens);
    Ok(woven)
}

/// Which arguments by position are taken from the file. Those that are typed fill the places in order, unless that would
/// leave a required one empty that the file does not have either: with `run` in the file, `pomona why PATH` means the
/// photo, not the run.
fn positionals_from_file(
    leaf: &Command,
    typed: &ArgMatches,
    entries: &[(Arg, &Entry)],
) -> Vec<String> {
    let is_typed =
        |arg: &Arg| typed.value_source(arg.get_id().as_str()) == Some(ValueSource::CommandLine);
    let in_file = |arg: &Arg| {
        entries.iter().any(|(of, _)| of.get_id() == arg.get_id())
            && (is_typed(arg) || !is_given(typed, arg))
    };
    let all: Vec<&Arg> = leaf.get_positionals().collect();
    let missing = all
        .iter()
        .any(|arg| arg.is_required_set() && !is_given(typed, arg) && !in_file(arg));
    let typed_count = all.iter().filter(|arg| is_typed(arg)).count();
    let not_in_file = all.iter().filter(|arg| !in_file(arg)).count();
    let file_first = missing && typed_count <= not_in_file;
    all.iter()
        .filter(|arg| in_file(arg) && (file_first || !is_typed(arg)))
        .map(|arg| arg.get_id().to_string())
        .collect()
}

/// Set by the command line or by the environment.
fn is_given(typed: &ArgMatches, arg: &Arg) -> bool {
    matches!(
        typed.value_source(arg.get_id().as_str()),
        Some(ValueSource::CommandLine | ValueSource::EnvVariable)
    )
}

/// The command in which some arguments by position are flags, by their identifiers.
fn with_flags(command: Command, path: &[String], leaf: &Command, renamed: &[String]) -> Command {
    let mut kept: Vec<_> = leaf
        .get_positionals()
        .filter(|arg| !renamed.iter().any(|id| arg.get_id() == id.as_str()))
        .map(|arg| (arg.get_index(), arg.get_id().to_string()))
        .collect();
    kept.sort();
    change(command, path, &|command: Command| {
        command.mut_args(|arg| {
            let id = arg.get_id().clone();
            if renamed.iter().any(|renamed| id == renamed.as_str()) {
                let arg = arg.index(None).last(false).trailing_var_arg(false);
                return arg.long(id);
            }
            match kept.iter().position(|(_, kept)| id == kept.as_str()) {
                Some(place) => arg.index(place + 1),
                None => arg,
            }
        })
    })
}

/// Changes the command at `path`, and no order.
fn change(command: Command, path: &[String], how: &dyn Fn(Command) -> Command) -> Command {
    match path.split_first() {
        None => how(command),
        Some((name, rest)) => command.mut_subcommands(|inner| {
            if inner.get_name() == name {
                change(inner, rest, how)
            } else {
                inner
            }
        }),
    }
}

/// How many arguments there are up to the name of the command at `path`. Clap itself is asked: the name may also be the
/// value of a flag before it.
fn place_behind(command: &Command, path: &[String], arguments: &[OsString]) -> usize {
    if path.is_empty() {
        return arguments.len().min(1);
    }
    let reaches = |count: usize| {
        what_is_there(command, &arguments[..count])
            .is_ok_and(|matches| path_of(command, &matches).len() >= path.len())
    };
    let (mut short, mut long) = (0, arguments.len());
    while long - short > 1 {
        let middle = short + (long - short) / 2;
        if reaches(middle) {
            long = middle;
        } else {
            short = middle;
        }
    }
    long
}

/// Tries one value of the file alone, so that what is refused is known to be that value.
struct Probe {
    command: Command,
    start: Vec<OsString>,
}

impl Probe {
    fn new(command: &Command, path: &[String], arguments: &[OsString]) -> Self {
        let mut start = vec![arguments.first().cloned().unwrap_or_default()];
        start.extend(path.iter().map(OsString::from));
        Self {
            command: without_environment(command.clone()),
            start,
        }
    }

    fn check(
        &mut self,
        token: &OsStr,
        entry: &Entry,
        scalar: Option<&Scalar>,
    ) -> Result<(), SettingsError> {
        let arguments = self.start.iter().map(OsString::as_os_str).chain([token]);
        let Err(told) = self.command.try_get_matches_from_mut(arguments) else {
            return Ok(());
        };
        if !matches!(
            told.kind(),
            ErrorKind::InvalidValue
                | ErrorKind::ValueValidation
                | ErrorKind::InvalidUtf8
                | ErrorKind::TooManyValues
                | ErrorKind::TooFewValues
                | ErrorKind::WrongNumberOfValues
        ) {
            // The rest of the command line is not here.
            return Ok(());
        }
        let value = scalar.map_or_else(|| entry.value.shown(), |scalar| scalar.source.clone());
        let secret = scalar.is_some_and(|scalar| holds_secret(&scalar.text));
        Err(SettingsError::Refused {
            at: entry.at.clone(),
            key: entry.key.clone(),
            value,
            reason: if secret {
                "it is refused".to_owned()
            } else {
                reason(&told)
            },
            hint: suggestion(&told),
        })
    }
}

fn without_environment(command: Command) -> Command {
    command
        .mut_args(|arg| arg.env(None::<&'static str>))
        .mut_subcommands(without_environment)
}

/// Why a value is refused, without the value and the flag: the message names the key.
fn reason(told: &clap::Error) -> String {
    if let Some(source) = std::error::Error::source(told) {
        return source.to_string();
    }
    match told.get(ContextKind::ValidValue) {
        Some(ContextValue::Strings(words)) if !words.is_empty() => {
            format!("one of {} is wanted", words.join(", "))
        }
        _ if told.get(ContextKind::InvalidValue).is_some_and(
            |value| matches!(value, ContextValue::String(text) if text.is_empty()),
        ) =>
        {
            "a value is wanted".to_owned()
        }
        _ => {
            let text = told.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            first.trim_start_matches("error: ").to_owned()
        }
    }
}

fn suggestion(told: &clap::Error) -> Option<String> {
    match told.get(ContextKind::SuggestedValue) {
        Some(ContextValue::String(word)) => Some(format!("did you mean \"{word}\"?")),
        _ => None,
    }
}

impl Woven {
    pub(super) fn parse(&self) -> Result<ArgMatches, clap::Error> {
        self.command.clone().try_get_matches_from(&self.arguments)
    }

    /// Without what is required and missing.
    pub(super) fn parse_what_is_there(&self) -> Result<ArgMatches, clap::Error> {
        what_is_there(&self.command, &self.arguments)
    }

    /// Whether the file adds anything.
    pub(super) fn adds(&self) -> bool {
        !self.added.is_empty()
    }

    /// Whether the file adds this setting.
    pub(super) fn added(&self, id: &str) -> bool {
        self.added.iter().any(|added| added.id == id)
    }

    /// How a value of a setting is typed; `None` for a flag without one.
    fn token(&self, arg: &Arg, text: Option<&OsStr>) -> OsString {
        let mut token = OsString::from("--");
        token.push(arg.get_long().unwrap_or(arg.get_id().as_str()));
        if let Some(text) = text {
            token.push("=");
            token.push(text);
        }
        token
    }

    /// Whether these settings could be given with these values along with what is given.
    pub(super) fn allows(&self, settings: &[(&Arg, Vec<OsString>)]) -> bool {
        let tokens = settings
            .iter()
            .filter(|(arg, _)| arg.get_long().is_some())
            .flat_map(|(arg, texts)| texts.iter().map(|text| self.token(arg, Some(text))));
        let mut arguments = self.arguments.clone();
        arguments.splice(self.place..self.place, tokens);
        match self.command.clone().try_get_matches_from(arguments) {
            Ok(_) => true,
            // What is missing anyway does not count.
            Err(told) => {
                told.kind() == ErrorKind::MissingRequiredArgument
                    && self
                        .parse()
                        .is_err_and(|told| told.kind() == ErrorKind::MissingRequiredArgument)
            }
        }
    }

    /// What clap says of the whole, told of the file where the file has a part in it.
    pub(super) fn explain(
        &self,
        mut told: clap::Error,
        built: &Command,
        path: &[String],
    ) -> SettingsError {
        if told.kind() == ErrorKind::ArgumentConflict {
            let mut names = Vec::new();
            for kind in [ContextKind::InvalidArg, ContextKind::PriorArg] {
                match told.get(kind) {
                    Some(ContextValue::String(name)) => names.push(name.clone()),
                    Some(ContextValue::Strings(several)) => names.extend(several.iter().cloned()),
                    _ => {}
                }
            }
            let of_file = |name: &String| self.added.iter().find(|added| added.shown == *name);
            if let Some(first) = names.iter().find_map(of_file) {
                let others: Vec<_> = names
                    .iter()
                    .filter(|name| **name != first.shown)
                    .map(|name| match of_file(name) {
                        Some(added) => format!("`{}` ({})", added.key, added.at),
                        None => format!("`{name}`"),
                    })
                    .collect();
                return SettingsError::Conflict {
                    at: first.at.clone(),
                    key: first.key.clone(),
                    other: others.join(", "),
                };
            }
        }
        if self.adds() && told.get(ContextKind::Usage).is_some() {
            // Not with what the file added.
            let usage = at(built, path).clone().render_usage();
            told.insert(ContextKind::Usage, ContextValue::StyledStr(usage));
        }
        told.into()
    }
}
