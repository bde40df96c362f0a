//! Whether a settings file's keys are known, and its values of the right kind.

use std::borrow::Cow;
use std::collections::BTreeSet;

use clap::{Arg, ArgAction, Command};

use super::document::{Entry, Kind, Scalar, Value};
use super::error::SettingsError;
use super::setting::{self, key_of};
use super::shown::printable;

/// The setting of `command` that an entry is about: a flag before an argument. Above all tables a key that is some command's flag is that flag for
/// all: `features = "orb"` is not the argument FEATURES of another command.
pub(super) fn find<'c>(command: &'c Command, built: &Command, entry: &Entry) -> Option<&'c Arg> {
    let named = || {
        let settings = command
            .get_arguments()
            .filter(|arg| setting::is_setting(arg));
        settings.filter(|arg| setting::answers_to(arg, &entry.key))
    };
    let flag = named().find(|arg| !arg.is_positional());
    let arg = flag.or_else(|| named().next())?;
    let elsewhere = entry.table.is_empty()
        && arg.is_positional()
        && candidates(built, &entry.key)
            .iter()
            .any(|(_, arg)| !arg.is_positional());
    (!elsewhere).then_some(arg)
}

/// All settings of a command and of those below it that a key names, with their commands.
pub(super) fn candidates<'c>(command: &'c Command, key: &str) -> Vec<(&'c Command, &'c Arg)> {
    let mut found = Vec::new();
    each(command, &mut |command, arg| {
        if setting::answers_to(arg, key) {
            found.push((command, arg));
        }
    });
    found
}

fn each<'c>(command: &'c Command, found: &mut impl FnMut(&'c Command, &'c Arg)) {
    for arg in command.get_arguments() {
        found(command, arg);
    }
    for inner in command.get_subcommands() {
        each(inner, found);
    }
}

/// Known to the command whose table it stands in, or to one below, and of a kind that suits one of them.
pub(super) fn check(entry: &Entry, built: &Command) -> Result<(), SettingsError> {
    let command = super::at(built, &entry.table);
    let found = candidates(command, &entry.key);
    if found.is_empty() {
        return Err(unknown(entry, command, built));
    }
    let settings: Vec<_> = found
        .iter()
        .filter(|(_, arg)| setting::is_setting(arg))
        .collect();
    if settings.is_empty() {
        return Err(SettingsError::NotInFile {
            at: entry.at.clone(),
            key: entry.key.clone(),
        });
    }
    let mut first = None;
    for (_, arg) in settings {
        match texts(arg, entry) {
            Ok(_) => return Ok(()),
            Err(error) => first = first.or(Some(error)),
        }
    }
    first.map_or(Ok(()), Err)
}

/// The values that an entry gives a setting, each as it would be typed; `None` for a flag without a value. Nothing at
/// all for `false` and the empty list.
pub(super) fn texts<'e>(
    arg: &Arg,
    entry: &'e Entry,
) -> Result<Vec<Option<&'e Scalar>>, SettingsError> {
    let wrong = |wanted| SettingsError::WrongType {
        at: entry.at.clone(),
        key: entry.key.clone(),
        value: entry.value.shown(),
        wanted,
    };
    match (arg.get_action(), &entry.value) {
        (ArgAction::SetTrue | ArgAction::SetFalse, Value::One(scalar)) => match scalar.kind {
            Kind::Bool(true) => Ok(vec![None]),
            Kind::Bool(false) => Ok(Vec::new()),
            _ => Err(wrong("true or false")),
        },
        (ArgAction::SetTrue | ArgAction::SetFalse, _) => Err(wrong("true or false")),
        (ArgAction::Count, Value::One(scalar)) if scalar.kind == Kind::Number => {
            let times: u8 = scalar
                .text
                .parse()
                .map_err(|_| wrong("a whole number up to 255"))?;
            Ok(vec![None; usize::from(times)])
        }
        (ArgAction::Count, _) => Err(wrong("a whole number up to 255")),
        (_, Value::One(scalar)) if takes(arg, scalar) => Ok(vec![Some(scalar)]),
        (ArgAction::Append, Value::Many(scalars)) if scalars.iter().all(|s| takes(arg, s)) => {
            Ok(scalars.iter().map(Some).collect())
        }
        (ArgAction::Append, _) => Err(wrong("a list of texts or numbers")),
        _ => Err(wrong("a number or a text in quotes")),
    }
}

/// `true` and `false` are only for what takes these words.
fn takes(arg: &Arg, scalar: &Scalar) -> bool {
    !matches!(scalar.kind, Kind::Bool(_))
        || arg
            .get_possible_values()
            .iter()
            .any(|value| value.matches(&scalar.text, true))
}

fn unknown(entry: &Entry, command: &Command, built: &Command) -> SettingsError {
    let key = &entry.key;
    let of = if entry.table.is_empty() {
        "any command".to_owned()
    } else {
        format!("`{} {}`", built.get_name(), entry.table.join(" "))
    };
    let elsewhere: BTreeSet<_> = candidates(built, key)
        .iter()
        .filter_map(|(command, _)| command.get_bin_name())
        .map(|name| format!("`{name}`"))
        .collect();
    let elsewhere: Vec<_> = elsewhere.into_iter().collect();
    let hint = if command.find_subcommand(key).is_some() {
        Some(format!(
            "`{key}` is a command: its settings stand in a table [{key}]"
        ))
    } else if elsewhere.is_empty() {
        let mut known = Vec::new();
        each(command, &mut |_, arg| {
            known.extend(
                key_of(arg)
                    .filter(|_| setting::is_setting(arg))
                    .map(Cow::into_owned),
            );
        });
        nearest(key, &known).map(|near| format!("did you mean `{near}`?"))
    } else {
        Some(format!("it is one of {}", elsewhere.join(", ")))
    };
    SettingsError::Unknown {
        at: entry.at.clone(),
        key: key.clone(),
        of,
        hint,
    }
}

pub(super) fn unknown_command(
    at: String,
    command: &Command,
    path: &[String],
    name: &str,
) -> SettingsError {
    let names: Vec<_> = command
        .get_subcommands()
        .map(|command| command.get_name().to_owned())
        .collect();
    let full = |name: &str| {
        let mut words = path.to_vec();
        words.push(printable(name));
        words.join(".")
    };
    SettingsError::UnknownCommand {
        at,
        table: full(name).replace('.', " "),
        hint: nearest(name, &names).map(|near| format!("did you mean [{}]?", full(near))),
    }
}

/// The known word that fewest edits lead to, if it is near enough to be meant.
fn nearest<'k>(word: &str, known: &'k [String]) -> Option<&'k str> {
    let word = word.replace('_', "-").to_lowercase();
    let near = known
        .iter()
        .map(|known| (edits(&word, known), known))
        .min()?;
    let most = (word.chars().count() / 3).max(1);
    (near.0 <= most).then_some(near.1.as_str())
}

/// Insertions, deletions and replacements of characters between two words (Levenshtein).
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, one) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (left, other) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(one != *other);
            diagonal = row[left + 1];
            row[left + 1] = replaced.min(row[left] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
