//! How a command ends when it does not end well.

use std::error::Error;

use pomona_engine::EngineError;
use pomona_pipeline::PipelineError;

/// A command that could not do what it was told.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The chain of causes, outermost first.
    pub(crate) causes: Vec<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    is_input: bool,
}

impl Failure {
    /// The input's fault, in one sentence.
    pub(crate) fn input(text: impl Into<String>) -> Self {
        Self {
            causes: vec![text.into()],
            hint: None,
            is_input: true,
        }
    }

    /// With what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// 1 where the input is at fault, 2 where the program or the machine is.
    pub(crate) fn exit_code(&self) -> u8 {
        if self.is_input { 1 } else { 2 }
    }

    fn of(error: &(dyn Error + 'static), hint: Option<String>, is_input: bool) -> Self {
        let mut causes = vec![error.to_string()];
        let mut source = error.source();
        while let Some(cause) = source {
            let text = cause.to_string();
            // Transparent layers say what the layer above said.
            if causes.last().is_some_and(|last| !last.ends_with(&text)) {
                causes.push(text);
            }
            source = cause.source();
        }
        Self {
            causes,
            hint,
            is_input,
        }
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        Self::of(&error, error.hint(), error.is_input())
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Self {
        PipelineError::from(error).into()
    }
}

impl From<pomona_pipeline::assets::AssetError> for Failure {
    fn from(error: pomona_pipeline::assets::AssetError) -> Self {
        PipelineError::from(error).into()
    }
}

impl From<pomona_demo::DemoError> for Failure {
    fn from(error: pomona_demo::DemoError) -> Self {
        Self::of(&error, None, true)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of(&error, None, false)
    }
}
