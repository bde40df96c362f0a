//! Which objects of a source are listed.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};
use pomona_store::Place;

use super::packs::is_archive;
use crate::error::EngineError;

/// Which objects of a source are listed.
#[derive(Debug, Clone, Default)]
pub struct ListingFilter {
    globs: Option<GlobSet>,
    excluded: Vec<Place>,
}

impl ListingFilter {
    /// Takes the objects that match at least one of `globs`, or all where there are none.
    ///
    /// A pattern without `/` is matched against the file's name, one with `/` against the relative path;
    /// `*` stays within a folder, `**` crosses folders. `excluded` folders are not entered.
    ///
    /// # Errors
    /// [`EngineError::Glob`].
    pub fn new(globs: &[String], excluded: Vec<Place>) -> Result<Self, EngineError> {
        let wrong = |pattern: &str| {
            let pattern = pattern.to_owned();
            move |source| EngineError::Glob { pattern, source }
        };
        let globs = if globs.is_empty() {
            None
        } else {
            let mut set = GlobSetBuilder::new();
            for pattern in globs {
                let anywhere = if pattern.contains('/') {
                    pattern.trim_start_matches('/').to_owned()
                } else {
                    format!("**/{pattern}")
                };
                set.add(
                    GlobBuilder::new(&anywhere)
                        .literal_separator(true)
                        .build()
                        .map_err(wrong(pattern))?,
                );
            }
            Some(set.build().map_err(wrong(&globs.join(" ")))?)
        };
        Ok(Self { globs, excluded })
    }

    /// Whether a file with that relative path is listed.
    pub(super) fn takes(&self, path: &str) -> bool {
        self.globs.as_ref().is_none_or(|globs| globs.is_match(path))
    }

    /// Whether it is listed, or may hold what is.
    pub(super) fn may_take(&self, path: &str) -> bool {
        self.takes(path) || is_archive(path)
    }

    /// Folders that are not entered.
    pub(super) fn excluded(&self) -> &[Place] {
        &self.excluded
    }
}
