//! Which label does a photo carry?

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use regex::Regex;

use crate::error::EngineError;

/// How the label of a photo is found.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub enum LabelRule {
    /// The name of the folder that the photo lies in; the root's own name for photos that lie in the root.
    #[default]
    ParentFolder,
    /// The group named `label` of a regular expression searched in the relative path; no label where it does not match.
    Pattern(Regex),
    /// A table from relative path to label; no label where the path is not in it.
    Table(Arc<HashMap<String, String>>),
}

impl LabelRule {
    /// Whether labels are the names of folders.
    #[must_use]
    pub fn is_parent(&self) -> bool {
        matches!(self, Self::ParentFolder)
    }

    /// Reads a regular expression with a group named `label`.
    ///
    /// # Errors
    /// [`EngineError::LabelPattern`] and [`EngineError::LabelGroup`].
    pub fn pattern(pattern: &str) -> Result<Self, EngineError> {
        let regex = Regex::new(pattern).map_err(|source| EngineError::LabelPattern {
            pattern: pattern.to_owned(),
            source,
        })?;
        if !regex.capture_names().flatten().any(|name| name == "label") {
            return Err(EngineError::LabelGroup {
                pattern: pattern.to_owned(),
            });
        }
        Ok(Self::Pattern(regex))
    }

    /// Reads a CSV file whose header names the columns `path` and `label`; further columns are ignored.
    ///
    /// # Errors
    /// [`EngineError::LabelFile`] and [`EngineError::LabelFileContent`].
    pub fn csv(file: &Path) -> Result<Self, EngineError> {
        let unreadable = |source| EngineError::LabelFile {
            path: file.to_owned(),
            source,
        };
        let wrong = |reason: String| EngineError::LabelFileContent {
            path: file.to_owned(),
            reason,
        };
        let mut reader = csv::Reader::from_path(file).map_err(unreadable)?;
        let headers = reader.headers().map_err(unreadable)?.clone();
        let column = |name: &str| {
            headers
                .iter()
                .position(|header| header.trim() == name)
                .ok_or_else(|| wrong(format!("its first line does not name a column `{name}`")))
        };
        let (path_column, label_column) = (column("path")?, column("label")?);
        let mut table = HashMap::new();
        for record in reader.records() {
            let record = record.map_err(unreadable)?;
            let line = record.position().map_or(0, csv::Position::line);
            let (Some(path), Some(label)) = (record.get(path_column), record.get(label_column))
            else {
                return Err(wrong(format!("line {line} is too short")));
            };
            let path = path.trim().trim_start_matches("./").replace('\\', "/");
            if let Some(before) = table.insert(path.clone(), label.trim().to_owned())
                && before != label.trim()
            {
                return Err(wrong(format!(
                    "line {line} gives `{path}` a second label, `{}` after `{before}`",
                    label.trim()
                )));
            }
        }
        Ok(Self::Table(Arc::new(table)))
    }

    /// The label of the photo at `path` (relative, `/`-separated) under a root named `root_name`.
    #[must_use]
    pub fn label(&self, path: &str, root_name: &str) -> Option<String> {
        match self {
            Self::ParentFolder => Some(match path.rsplit_once('/') {
                Some((parent, _)) => parent.rsplit('/').next().unwrap_or(parent).to_owned(),
                None => root_name.to_owned(),
            }),
            Self::Pattern(regex) => regex
                .captures(path)?
                .name("label")
                .map(|found| found.as_str().to_owned()),
            Self::Table(table) => table.get(path).cloned(),
        }
    }
}

/// A label rule as a person types it: `parent`, `regex:PATTERN` or `csv:FILE`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum LabelRuleText {
    /// `parent`
    #[default]
    ParentFolder,
    /// `regex:PATTERN`
    Pattern(String),
    /// `csv:FILE`
    Csv(PathBuf),
}

impl LabelRuleText {
    /// Reads what the text refers to.
    ///
    /// # Errors
    /// Those of [`LabelRule::pattern`] and [`LabelRule::csv`].
    pub fn resolve(&self) -> Result<LabelRule, EngineError> {
        match self {
            Self::ParentFolder => Ok(LabelRule::ParentFolder),
            Self::Pattern(pattern) => LabelRule::pattern(pattern),
            Self::Csv(file) => LabelRule::csv(file),
        }
    }
}

impl FromStr for LabelRuleText {
    type Err = LabelRuleTextError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.split_once(':') {
            None if text == "parent" => Ok(Self::ParentFolder),
            Some(("regex", pattern)) => Ok(Self::Pattern(pattern.to_owned())),
            Some(("csv", file)) if !file.is_empty() => Ok(Self::Csv(file.into())),
            _ => Err(LabelRuleTextError {
                text: text.to_owned(),
            }),
        }
    }
}

impl std::fmt::Display for LabelRuleText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::ParentFolder => write!(f, "parent"),
            Self::Pattern(pattern) => write!(f, "regex:{pattern}"),
            Self::Csv(file) => write!(f, "csv:{}", file.display()),
        }
    }
}

/// The text is not a label rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a label rule: expected parent, regex:PATTERN with a group (?<label>…), or csv:FILE"
)]
pub struct LabelRuleTextError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_folder_is_the_nearest_one() {
        let rule = LabelRule::ParentFolder;
        assert_eq!(
            rule.label("Test/Banana/3.jpg", "photos").as_deref(),
            Some("Banana")
        );
        assert_eq!(rule.label("3.jpg", "photos").as_deref(), Some("photos"));
    }

    #[test]
    fn a_pattern_needs_its_group_and_may_not_match() {
        assert!(matches!(
            LabelRule::pattern("a(b)"),
            Err(EngineError::LabelGroup { .. })
        ));
        assert!(matches!(
            LabelRule::pattern("a("),
            Err(EngineError::LabelPattern { .. })
        ));
        let rule = LabelRule::pattern(r"(?<label>[a-z]+)_\d+").unwrap();
        assert_eq!(rule.label("x/kiwi_12.jpg", "r").as_deref(), Some("kiwi"));
        assert_eq!(rule.label("x/12.jpg", "r"), None);
    }

    #[test]
    fn a_label_file_is_checked() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("labels.csv");
        std::fs::write(&file, "label,path\nKiwi,./a/1.jpg\nLime,b\\2.jpg\n").unwrap();
        let rule = LabelRule::csv(&file).unwrap();
        assert_eq!(rule.label("a/1.jpg", "r").as_deref(), Some("Kiwi"));
        assert_eq!(rule.label("b/2.jpg", "r").as_deref(), Some("Lime"));
        assert_eq!(rule.label("c/3.jpg", "r"), None);
        std::fs::write(&file, "path,label\na,x\na,y\n").unwrap();
        let error = LabelRule::csv(&file).unwrap_err().to_string();
        assert!(
            error.contains("line 3") && error.contains("second label"),
            "{error}"
        );
        std::fs::write(&file, "path,class\na,x\n").unwrap();
        assert!(
            LabelRule::csv(&file)
                .unwrap_err()
                .to_string()
                .contains("`label`")
        );
    }

    #[test]
    fn the_text_of_a_rule_round_trips() {
        for text in ["parent", "regex:(?<label>.)", "csv:labels.csv"] {
            assert_eq!(text.parse::<LabelRuleText>().unwrap().to_string(), text);
        }
        assert!("folder".parse::<LabelRuleText>().is_err());
    }
}
