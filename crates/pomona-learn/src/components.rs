use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How many principal components to keep.
///
/// As text: a whole number is a count (`100`), a number with a decimal point is a share of the variance
/// (`0.95`). `1` is one component, `1.0` all the variance.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Components {
    /// This many components, at least 1.
    Count(usize),
    /// The fewest components that explain this share of the variance, above 0 and at most 1.
    Share(f64),
}

/// Why a text or a value does not say how many components to keep.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "'{text}' is no number of components: give a count such as 100, or a share of the variance above 0 and at most 1 such as 0.95"
)]
pub struct ParseComponentsError {
    /// What was given.
    pub text: String,
}

impl Components {
    /// Refuses zero components and shares outside (0, 1], which the type can hold.
    pub(crate) fn check(self) -> Result<Self, ParseComponentsError> {
        let meaningful = match self {
            Self::Count(count) => count > 0,
            Self::Share(share) => share > 0.0 && share <= 1.0,
        };
        if meaningful {
            Ok(self)
        } else {
            Err(ParseComponentsError {
                text: self.to_string(),
            })
        }
    }
}

impl FromStr for Components {
    type Err = ParseComponentsError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let trimmed = text.trim();
        let error = || ParseComponentsError {
            text: text.to_owned(),
        };
        let parsed = if trimmed.bytes().all(|byte| byte.is_ascii_digit()) {
            Self::Count(trimmed.parse().map_err(|_| error())?)
        } else {
            Self::Share(trimmed.parse().map_err(|_| error())?)
        };
        parsed.check().map_err(|_| error())
    }
}

impl TryFrom<String> for Components {
    type Error = ParseComponentsError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Components> for String {
    fn from(components: Components) -> Self {
        components.to_string()
    }
}

impl fmt::Display for Components {
    /// The text that parses back to the same value.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(formatter, "{count}"),
            // Debug keeps the decimal point of 1.0, which tells it from a count.
            Self::Share(share) => write!(formatter, "{share:?}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_number_is_a_count_and_a_decimal_a_share() {
        assert_eq!("100".parse(), Ok(Components::Count(100)));
        assert_eq!("1".parse(), Ok(Components::Count(1)));
        assert_eq!(" 7 ".parse(), Ok(Components::Count(7)));
        assert_eq!("0.95".parse(), Ok(Components::Share(0.95)));
        assert_eq!("1.0".parse(), Ok(Components::Share(1.0)));
        assert_eq!(".5".parse(), Ok(Components::Share(0.5)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_its_text() {
        for text in [
            "",
            "0",
            "0.0",
            "-3",
            "-0.5",
            "1.5",
            "100.0",
            "2.0",
            "nan",
            "inf",
            "many",
            "95%",
            "+",
            "99999999999999999999999",
        ] {
            let error = text.parse::<Components>().unwrap_err();
            assert_eq!(error.text, text);
            assert!(error.to_string().contains("0.95"), "{error}");
        }
    }

    #[test]
    fn text_and_json_come_back_to_the_same_value() {
        for components in [
            Components::Count(1),
            Components::Count(100),
            Components::Share(1.0),
            Components::Share(0.95),
            Components::Share(1e-7),
        ] {
            assert_eq!(components.to_string().parse(), Ok(components));
            let json = serde_json::to_string(&components).unwrap();
            assert_eq!(
                serde_json::from_str::<Components>(&json).unwrap(),
                components
            );
        }
        assert!(serde_json::from_str::<Components>("\"0\"").is_err());
    }
}
