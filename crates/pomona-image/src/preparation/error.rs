//! What is wrong with a chain of preparation steps.

/// What is wrong with a chain of preparation steps.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PreparationError {
    /// No step has this name.
    #[error("there is no preparation step \"{name}\"; the steps are {known}")]
    UnknownStep {
        /// The name given.
        name: String,
        /// The names there are, separated by commas.
        known: String,
    },
    /// More parameters than the step takes.
    #[error("the step \"{step}\" takes at most {most} parameters")]
    TooManyParameters {
        /// The step.
        step: &'static str,
        /// How many it takes.
        most: usize,
    },
    /// A parameter that is no number or is outside its range.
    #[error("{parameter} of the step \"{step}\" is {range}, not \"{given}\"")]
    Parameter {
        /// The step.
        step: &'static str,
        /// The parameter.
        parameter: &'static str,
        /// What it may be.
        range: String,
        /// What was given.
        given: String,
    },
}
