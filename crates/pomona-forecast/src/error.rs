//! What can be wrong with a price file.

/// Why a forecast cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ForecastError {
    /// The text is not TOML of the shape that is wanted.
    #[error("the prices cannot be read: {0}")]
    Prices(Box<toml::de::Error>),
    /// A number that cannot be.
    #[error("the prices are wrong: {what}")]
    Implausible {
        /// Which one, and what it should be.
        what: String,
    },
    /// No such machine.
    #[error("no machine is called {name}")]
    UnknownMachine {
        /// As it was asked for.
        name: String,
        /// Names that resemble it.
        similar: Vec<String>,
    },
}
