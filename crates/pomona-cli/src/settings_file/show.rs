//! All settings of a command with where they come from, as a settings file and as JSON.

use std::fmt::Write;

use serde_json::{Value as Json, json};

use super::Parsed;
use super::setting::{Scalar, Setting, Source, Value};
use super::shown::shown_path;

/// Comments are aligned up to this column.
const WIDEST_CHARS: usize = 44;
/// Stands for what is not shown.
const HIDDEN: &str = "…";

/// A TOML document of all settings of the chosen command, each with its source and its help line as a comment. What is
/// not set is a comment. Used as a settings file, it gives the same settings again.
pub(crate) fn show(parsed: &Parsed) -> String {
    let lines: Vec<_> = parsed.settings.iter().map(assignment).collect();
    let width = lines
        .iter()
        .map(|line| line.chars().count())
        .filter(|chars| *chars <= WIDEST_CHARS)
        .max()
        .unwrap_or_default();
    let mut text = format!("# Settings of `{}`", parsed.names.join(" "));
    if let Some(file) = &parsed.file {
        let _ = write!(text, ", with those of {}", shown_path(file));
    }
    text.push('\n');
    if let [_, path @ ..] = parsed.names.as_slice()
        && !path.is_empty()
    {
        let _ = writeln!(text, "\n[{}]", path.join("."));
    }
    let mut heading = None;
    for (setting, line) in parsed.settings.iter().zip(&lines) {
        if setting.heading != heading {
            heading.clone_from(&setting.heading);
            let _ = match &heading {
                Some(heading) => writeln!(text, "\n# {}", comment(heading)),
                None => writeln!(text),
            };
        }
        let mut about = setting.source.to_string();
        if !setting.help.is_empty() {
            let _ = write!(about, " · {}", setting.help);
        }
        if !setting.words.is_empty() {
            let _ = write!(about, " · {}", setting.words.join(", "));
        }
        let _ = writeln!(text, "{line:width$}  # {}", comment(&about));
    }
    text
}

/// `{"command": "run", "file": FILE or null, "settings": {KEY: {"value": …, "source": …}}}`; the source is
/// `command line`, `environment` with `variable`, `file` with `line`, `default` or `unset`.
pub(crate) fn show_json(parsed: &Parsed) -> Json {
    let settings: serde_json::Map<_, _> = parsed
        .settings
        .iter()
        .map(|setting| {
            let value = if setting.secret {
                json!(HIDDEN)
            } else {
                json_value(&setting.value)
            };
            let mut told = json!({"value": value, "source": setting.source.word()});
            match &setting.source {
                Source::Environment { variable } => told["variable"] = json!(variable),
                Source::File { line, .. } => told["line"] = json!(line),
                Source::CommandLine | Source::Default | Source::Unset => {}
            }
            (setting.key.clone(), told)
        })
        .collect();
    json!({
        "command": parsed.names[1..].join(" "),
        "file": parsed.file.as_deref().map(shown_path),
        "settings": settings,
    })
}

/// `key = value`, or that as a comment where a file cannot say it.
fn assignment(setting: &Setting) -> String {
    let key = &setting.key;
    if setting.secret {
        return format!("# {key} = {HIDDEN}");
    }
    match toml_value(&setting.value) {
        Some(value) if setting.can_be_given => format!("{key} = {value}"),
        Some(value) => format!("# {key} = {value}"),
        None => format!("# {key} = {HIDDEN}"),
    }
}

fn toml_value(value: &Value) -> Option<String> {
    match value {
        Value::Unset => None,
        Value::Flag(given) => Some(given.to_string()),
        Value::Count(times) => Some(times.to_string()),
        Value::One(scalar) => toml_scalar(scalar),
        Value::Many(scalars) => {
            let items: Option<Vec<_>> = scalars.iter().map(toml_scalar).collect();
            items.map(|items| format!("[{}]", items.join(", ")))
        }
    }
}

fn toml_scalar(scalar: &Scalar) -> Option<String> {
    match scalar {
        Scalar::Bool(value) => Some(value.to_string()),
        Scalar::Number(text) => Some(text.clone()),
        Scalar::Text(text) => Some(quoted(text)),
        Scalar::Raw(_) => None,
    }
}

/// A TOML string on one line; without escapes where that is easier to read.
fn quoted(text: &str) -> String {
    if text.contains(['\\', '"']) && !text.contains('\'') && !text.contains(char::is_control) {
        return format!("'{text}'");
    }
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            '\r' => quoted.push_str("\\r"),
            other if other.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(other));
            }
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

fn json_value(value: &Value) -> Json {
    match value {
        Value::Unset => Json::Null,
        Value::Flag(given) => json!(given),
        Value::Count(times) => json!(times),
        Value::One(scalar) => json_scalar(scalar),
        Value::Many(scalars) => scalars.iter().map(json_scalar).collect(),
    }
}

fn json_scalar(scalar: &Scalar) -> Json {
    match scalar {
        Scalar::Bool(value) => json!(value),
        Scalar::Number(text) => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        Scalar::Text(text) => json!(text),
        Scalar::Raw(raw) => json!(raw.to_string_lossy()),
    }
}

/// A comment stands on one line and holds no control characters.
fn comment(text: &str) -> String {
    text.replace(char::is_control, " ")
}

impl Source {
    fn word(&self) -> &'static str {
        match self {
            Self::CommandLine => "command line",
            Self::Environment { .. } => "environment",
            Self::File { .. } => "file",
            Self::Default => "default",
            Self::Unset => "unset",
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Environment { variable } => write!(formatter, "environment {variable}"),
            Self::File { at, .. } => formatter.write_str(at),
            Self::Unset => formatter.write_str("not set"),
            other => formatter.write_str(other.word()),
        }
    }
}
