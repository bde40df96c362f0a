//! The variables of the environment that the clouds' standard chains look at.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Variables of the environment, read once. Some hold keys: they are never shown.
#[derive(Clone, Default)]
pub(crate) struct Environment(Arc<BTreeMap<String, String>>);

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment").finish_non_exhaustive()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(Arc::new(variables.into_iter().collect()))
    }
}

impl Environment {
    /// The variables of this process, those left out that are no UTF-8.
    pub(crate) fn of_process() -> Self {
        std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect()
    }

    /// The value of a variable that is set and not empty.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Variables whose names begin so, with their names in lower case, as the builders of stores want them.
    pub(crate) fn beginning_with<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (String, &'a str)> {
        self.0
            .iter()
            .filter(move |(name, _)| name.starts_with(prefix))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_found_and_never_shown() {
        let variables = [("AWS_REGION", "hush"), ("AWS_PROFILE", ""), ("HOME", "/h")];
        let environment: Environment = variables
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        assert_eq!(environment.get("AWS_REGION"), Some("hush"));
        assert_eq!(environment.get("AWS_PROFILE"), None, "empty is not set");
        let names: Vec<_> = environment
            .beginning_with("AWS_")
            .map(|(name, _)| name)
            .collect();
        assert_eq!(names, ["aws_profile", "aws_region"]);
        assert!(!format!("{environment:?}").contains("hush"));
    }
}
