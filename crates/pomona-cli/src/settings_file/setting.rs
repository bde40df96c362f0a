//! One setting: an argument of clap's, its value, and where that came from.

use std::any::TypeId;
use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};

use super::document::Entry;
use super::shown::{holds_secret, is_secret};
use super::weave::Woven;
use super::{Given, SETTINGS, SHOW_SETTINGS};

/// A setting of the chosen command.
pub(super) struct Setting {
    /// As the file has it.
    pub(super) key: String,
    pub(super) value: Value,
    pub(super) source: Source,
    /// The help line.
    pub(super) help: String,
    /// The only values there are, where they are few.
    pub(super) words: Vec<String>,
    /// The heading it stands under in the help.
    pub(super) heading: Option<String>,
    /// Whether the value may be shown.
    pub(super) secret: bool,
    /// Whether a file may hold the value although it was not given: not where it excludes one that was.
    pub(super) can_be_given: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Unset,
    /// A flag, given or not.
    Flag(bool),
    /// How often a flag was given.
    Count(u8),
    One(Scalar),
    Many(Vec<Scalar>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Scalar {
    Bool(bool),
    /// As typed; a number in TOML and in JSON alike.
    Number(String),
    Text(String),
    /// Not text that a file could hold.
    Raw(OsString),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    CommandLine,
    Environment {
        variable: String,
    },
    File {
        line: usize,
        /// `FILE line N`
        at: String,
    },
    Default,
    Unset,
}

impl Setting {
    /// How it would be typed, where it was given by the command line or the file.
    pub(super) fn given(&self) -> Option<Given> {
        if !matches!(self.source, Source::CommandLine | Source::File { .. }) {
            return None;
        }
        let flag = || OsString::from(format!("--{}", self.key));
        let valued = |scalar: &Scalar| {
            let mut word = flag();
            word.push("=");
            word.push(scalar.text());
            word
        };
        let words = match &self.value {
            Value::Unset | Value::Flag(false) => return None,
            Value::Flag(true) => vec![flag()],
            Value::Count(times) => vec![flag(); usize::from(*times)],
            Value::One(scalar) => vec![valued(scalar)],
            Value::Many(scalars) => scalars.iter().map(valued).collect(),
        };
        Some(Given {
            key: self.key.clone(),
            words,
        })
    }
}

impl Scalar {
    fn text(&self) -> OsString {
        match self {
            Self::Bool(value) => value.to_string().into(),
            Self::Number(text) | Self::Text(text) => text.into(),
            Self::Raw(text) => text.clone(),
        }
    }
}

/// Whether a file may set it: whatever says how, not what to do now.
pub(super) fn is_setting(arg: &Arg) -> bool {
    let id = arg.get_id().as_str();
    let asks = matches!(
        arg.get_action(),
        ArgAction::Help | ArgAction::HelpShort | ArgAction::HelpLong | ArgAction::Version
    );
    !asks && id != SETTINGS && id != SHOW_SETTINGS && key_of(arg).is_some()
}

/// The key: the long flag, or the name of an argument.
pub(super) fn key_of(arg: &Arg) -> Option<Cow<'_, str>> {
    match arg.get_long() {
        Some(long) => Some(long.into()),
        None if arg.is_positional() => Some(arg.get_id().as_str().replace('_', "-").into()),
        None => None,
    }
}

/// Whether a key names it, by its own name or by another.
pub(super) fn answers_to(arg: &Arg, key: &str) -> bool {
    key_of(arg).is_some_and(|own| own == key)
        || arg
            .get_all_aliases()
            .is_some_and(|aliases| aliases.contains(&key))
}

/// All settings of `leaf`, whose matches are given. `woven` is asked what can be given along with what was, where
/// `shown` holds.
pub(super) fn all(
    leaf: &Command,
    matches: &ArgMatches,
    entries: &[(Arg, &Entry)],
    woven: &Woven,
    shown: bool,
) -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut defaults = Vec::new();
    for arg in leaf.get_arguments().filter(|arg| is_setting(arg)) {
        let Some(key) = key_of(arg) else { continue };
        let value = value_of(arg, matches);
        let source = source_of(arg, matches, &value, entries, woven);
        if arg.is_hide_set() && matches!(source, Source::Default | Source::Unset) {
            continue;
        }
        if source == Source::Default && matches!(value, Value::One(_) | Value::Many(_)) {
            defaults.push((settings.len(), (arg, texts(arg, matches))));
        }
        let hidden_source =
            matches!(&source, Source::Environment { variable } if is_secret(variable));
        settings.push(Setting {
            secret: hidden_source || is_secret(&key) || value.holds_secret(),
            key: key.into_owned(),
            help: arg.get_help().map(one_line).unwrap_or_default(),
            words: words_of(arg),
            heading: arg.get_help_heading().map(str::to_owned),
            can_be_given: true,
            value,
            source,
        });
    }
    if shown {
        let every: Vec<_> = defaults.iter().map(|(_, given)| given.clone()).collect();
        if !woven.allows(&every) {
            for (place, given) in defaults {
                settings[place].can_be_given = woven.allows(&[given]);
            }
        }
    }
    settings
}

fn value_of(arg: &Arg, matches: &ArgMatches) -> Value {
    let id = arg.get_id().as_str();
    match arg.get_action() {
        ArgAction::SetTrue => Value::Flag(flag(matches, id)),
        ArgAction::SetFalse => Value::Flag(!flag(matches, id)),
        ArgAction::Count => match matches.try_get_one::<u8>(id) {
            Ok(Some(times)) => Value::Count(*times),
            _ => Value::Unset,
        },
        action => {
            let many = matches!(action, ArgAction::Append);
            let mut scalars: Vec<_> = texts(arg, matches)
                .iter()
                .map(|text| scalar(arg, text))
                .collect();
            match scalars.pop() {
                None => Value::Unset,
                Some(last) if scalars.is_empty() && !many => Value::One(last),
                Some(last) => {
                    scalars.push(last);
                    Value::Many(scalars)
                }
            }
        }
    }
}

fn flag(matches: &ArgMatches, id: &str) -> bool {
    matches!(matches.try_get_one::<bool>(id), Ok(Some(true)))
}

fn texts(arg: &Arg, matches: &ArgMatches) -> Vec<OsString> {
    match matches.try_get_raw(arg.get_id().as_str()) {
        Ok(Some(values)) => values.map(OsStr::to_owned).collect(),
        _ => Vec::new(),
    }
}

fn scalar(arg: &Arg, text: &OsStr) -> Scalar {
    let Some(text) = text.to_str() else {
        return Scalar::Raw(text.to_owned());
    };
    let kind = arg.get_value_parser().type_id();
    if kind == TypeId::of::<bool>()
        && let Ok(value) = text.parse()
    {
        return Scalar::Bool(value);
    }
    // A folder or a name stays text whatever its characters are.
    let textual = kind == TypeId::of::<String>()
        || kind == TypeId::of::<PathBuf>()
        || kind == TypeId::of::<OsString>();
    if !textual && is_number(text) {
        Scalar::Number(text.to_owned())
    } else {
        Scalar::Text(text.to_owned())
    }
}

/// Whether a text is a number in TOML and in JSON alike, and read back is the same text.
fn is_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let well_formed = digits(whole)
        && (whole == "0" || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|power| digits(power.strip_prefix(['+', '-']).unwrap_or(power)));
    let in_range = if fraction.is_none() && exponent.is_none() {
        text.parse::<i64>().is_ok()
    } else {
        text.parse::<f64>().is_ok_and(f64::is_finite)
    };
    well_formed && in_range
}

fn source_of(
    arg: &Arg,
    matches: &ArgMatches,
    value: &Value,
    entries: &[(Arg, &Entry)],
    woven: &Woven,
) -> Source {
    let id = arg.get_id().as_str();
    let entry = entries.iter().find(|(of, _)| of.get_id() == arg.get_id());
    let file = || {
        entry.map(|(_, entry)| Source::File {
            line: entry.line,
            at: entry.at.clone(),
        })
    };
    let unset = || match value {
        Value::Unset => Source::Unset,
        _ => Source::Default,
    };
    match matches.value_source(id) {
        Some(ValueSource::CommandLine) if woven.added(id) => file().unwrap_or(Source::CommandLine),
        Some(ValueSource::CommandLine) => Source::CommandLine,
        Some(ValueSource::EnvVariable) => Source::Environment {
            variable: arg
                .get_env()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
        },
        // `false` and the empty list are given by adding nothing.
        _ => file().unwrap_or_else(unset),
    }
}

fn words_of(arg: &Arg) -> Vec<String> {
    let flag = !arg.get_action().takes_values();
    if flag || arg.is_hide_possible_values_set() {
        return Vec::new();
    }
    arg.get_possible_values()
        .iter()
        .filter(|word| !word.is_hide_set())
        .map(|word| word.get_name().to_owned())
        .collect()
}

fn one_line(help: &clap::builder::StyledStr) -> String {
    let text = help.to_string();
    let words: Vec<_> = text.split_whitespace().collect();
    words.join(" ")
}

impl Value {
    fn holds_secret(&self) -> bool {
        let holds = |scalar: &Scalar| matches!(scalar, Scalar::Text(text) if holds_secret(text));
        match self {
            Self::Unset | Self::Flag(_) | Self::Count(_) => false,
            Self::One(scalar) => holds(scalar),
            Self::Many(scalars) => scalars.iter().any(holds),
        }
    }
}
