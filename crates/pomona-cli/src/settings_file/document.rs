//! A settings file: its tables and keys, checked against the commands.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::{Arg, Command};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::check::{candidates, check, find, unknown_command};
use super::error::SettingsError;
use super::shown::{is_secret, printable, shown_path, shown_value};

/// No settings file is as large; what is, is something else.
const LIMIT_BYTES: u64 = 1 << 20;
/// A settings file whose keys are all known.
pub(super) struct Document {
    pub(super) path: PathBuf,
    /// In the order of the file.
    entries: Vec<Entry>,
}

/// `key = value`
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The command whose table it stands in; empty above all tables.
    pub(super) table: Vec<String>,
    pub(super) key: String,
    pub(super) value: Value,
    /// Counted from 1.
    pub(super) line: usize,
    /// `FILE line N`
    pub(super) at: String,
}

#[derive(Debug, Clone)]
pub(super) enum Value {
    One(Scalar),
    Many(Vec<Scalar>),
    /// A table, or lists in a list: no setting is.
    Other,
}

#[derive(Debug, Clone)]
pub(super) struct Scalar {
    pub(super) kind: Kind,
    /// As it would be typed.
    pub(super) text: String,
    /// As the file has it.
    pub(super) source: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Bool(bool),
    Number,
    Text,
}

impl Document {
    /// Reads a file that must be there. `built` is the whole command.
    pub(super) fn read(path: &Path, built: &Command) -> Result<Self, SettingsError> {
        let failed = |source| SettingsError::Unreadable {
            path: shown_path(path),
            source,
        };
        let mut bytes = Vec::new();
        let file = File::open(path).map_err(failed)?;
        let mut file = file.take(LIMIT_BYTES + 1);
        file.read_to_end(&mut bytes).map_err(failed)?;
        if bytes.len() as u64 > LIMIT_BYTES {
            return Err(SettingsError::TooLarge {
                path: shown_path(path),
                limit_bytes: LIMIT_BYTES,
            });
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            SettingsError::NotToml {
                at: format!("{} line {}", shown_path(path), line_at(good, good.len())),
                message: "not UTF-8 text".to_owned(),
            }
        })?;
        Self::from_text(path, &text, built)
    }

    /// Reads a file that need not be there.
    pub(super) fn read_if_there(
        path: &Path,
        built: &Command,
    ) -> Result<Option<Self>, SettingsError> {
        match Self::read(path, built) {
            Err(SettingsError::Unreadable { source, .. })
                if source.kind() == std::io::ErrorKind::NotFound =>
            {
                Ok(None)
            }
            read => read.map(Some),
        }
    }

    fn from_text(path: &Path, text: &str, built: &Command) -> Result<Self, SettingsError> {
        let root = DeTable::parse(text).map_err(|error| {
            // The error's own display quotes the line, which may hold a secret.
            let offset = error.span().map_or(text.len(), |span| span.start);
            SettingsError::NotToml {
                at: format!(
                    "{} line {}, column {}",
                    shown_path(path),
                    line_at(text.as_bytes(), offset),
                    column_at(text, offset)
                ),
                message: format!("not TOML: {}", error.message()),
            }
        })?;
        let mut reader = Reader {
            path,
            text,
            entries: Vec::new(),
        };
        reader.refuse_secrets(root.get_ref())?;
        reader.table(root.get_ref(), built, &mut Vec::new())?;
        reader.entries.sort_by_key(|entry| entry.line);
        for entry in &reader.entries {
            check(entry, built)?;
        }
        Ok(Self {
            path: path.to_owned(),
            entries: reader.entries,
        })
    }

    /// The entries that hold for the command at `path`, each with its setting; inner tables win.
    pub(super) fn settings_of<'d>(
        &'d self,
        built: &Command,
        path: &[String],
    ) -> Result<Vec<(Arg, &'d Entry)>, SettingsError> {
        let command = super::at(built, path);
        let mut found: BTreeMap<String, (Arg, &Entry)> = BTreeMap::new();
        for depth in 0..=path.len() {
            for entry in self.entries.iter().filter(|e| e.table == path[..depth]) {
                let Some(arg) = find(command, built, entry) else {
                    continue;
                };
                let before = found.insert(arg.get_id().to_string(), (arg.clone(), entry));
                if let Some((_, before)) = before
                    && before.table == entry.table
                {
                    return Err(SettingsError::Twice {
                        at: entry.at.clone(),
                        key: entry.key.clone(),
                        other: before.key.clone(),
                        line: before.line,
                    });
                }
            }
        }
        let mut found: Vec<_> = found.into_values().collect();
        found.sort_by_key(|(_, entry)| entry.line);
        Ok(found)
    }
}

struct Reader<'t> {
    path: &'t Path,
    text: &'t str,
    entries: Vec<Entry>,
}

impl Reader<'_> {
    fn line(&self, offset: usize) -> usize {
        line_at(self.text.as_bytes(), offset)
    }

    fn place(&self, offset: usize) -> String {
        format!("{} line {}", shown_path(self.path), self.line(offset))
    }

    fn refuse_secrets(&self, table: &DeTable<'_>) -> Result<(), SettingsError> {
        for (key, value) in table {
            if is_secret(key.get_ref()) {
                return Err(SettingsError::Secret {
                    at: self.place(key.span().start),
                    key: printable(key.get_ref()),
                });
            }
            self.refuse_secrets_in(value.get_ref())?;
        }
        Ok(())
    }

    fn refuse_secrets_in(&self, value: &DeValue<'_>) -> Result<(), SettingsError> {
        match value {
            DeValue::Table(table) => self.refuse_secrets(table),
            DeValue::Array(items) => items
                .iter()
                .try_for_each(|item| self.refuse_secrets_in(item.get_ref())),
            _ => Ok(()),
        }
    }

    /// Collects the entries of the table of the command at `path`.
    fn table(
        &mut self,
        table: &DeTable<'_>,
        command: &Command,
        path: &mut Vec<String>,
    ) -> Result<(), SettingsError> {
        for (key, value) in table {
            let name: &str = key.get_ref();
            if let DeValue::Table(inner) = value.get_ref() {
                if let Some(found) = command.find_subcommand(name) {
                    path.push(found.get_name().to_owned());
                    self.table(inner, found, path)?;
                    path.pop();
                    continue;
                }
                if candidates(command, name).is_empty() {
                    return Err(unknown_command(
                        self.place(key.span().start),
                        command,
                        path,
                        name,
                    ));
                }
            }
            let line = self.line(key.span().start);
            self.entries.push(Entry {
                table: path.clone(),
                key: printable(name),
                value: self.value(value),
                line,
                at: format!("{} line {line}", shown_path(self.path)),
            });
        }
        Ok(())
    }

    fn value(&self, value: &Spanned<DeValue<'_>>) -> Value {
        if let DeValue::Array(items) = value.get_ref() {
            let scalars: Option<Vec<_>> = items.iter().map(|item| self.scalar(item)).collect();
            return scalars.map_or(Value::Other, Value::Many);
        }
        self.scalar(value).map_or(Value::Other, Value::One)
    }

    fn scalar(&self, value: &Spanned<DeValue<'_>>) -> Option<Scalar> {
        let (kind, text) = match value.get_ref() {
            DeValue::Boolean(value) => (Kind::Bool(*value), value.to_string()),
            DeValue::String(text) => (Kind::Text, text.to_string()),
            DeValue::Datetime(time) => (Kind::Text, time.to_string()),
            DeValue::Float(number) => (Kind::Number, number.as_str().to_owned()),
            DeValue::Integer(number) => {
                let digits = number.as_str();
                let text = if number.radix() == 10 {
                    digits.trim_start_matches('+').to_owned()
                } else {
                    u64::from_str_radix(digits, number.radix())
                        .map_or_else(|_| number.to_string(), |value| value.to_string())
                };
                (Kind::Number, text)
            }
            DeValue::Array(_) | DeValue::Table(_) => return None,
        };
        let source = self.text.get(value.span()).unwrap_or(&text);
        Some(Scalar {
            kind,
            source: shown_value(source),
            text,
        })
    }
}

impl Value {
    /// For messages.
    pub(super) fn shown(&self) -> String {
        match self {
            Self::One(scalar) => scalar.source.clone(),
            Self::Many(_) => "a list".to_owned(),
            Self::Other => "a table".to_owned(),
        }
    }
}

fn line_at(text: &[u8], offset: usize) -> usize {
    let before = &text[..offset.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

/// In characters, counted from 1.
fn column_at(text: &str, offset: usize) -> usize {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    1 + line.chars().count()
}
