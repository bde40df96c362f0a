//! How a command ends when it does not end well.

use std::error::Error;

use pomona_cluster::ClusterError;
use pomona_engine::EngineError;
use pomona_pipeline::PipelineError;

use crate::settings_file::SettingsError;

/// A command that could not do what it was told.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The chain of causes, outermost first.
    pub(crate) causes: Vec<String>,
    /// What to do about it.
    pub(crate) hint: Option<String>,
    exit_code: u8,
}

/// As shells report a program that was interrupted.
const INTERRUPTED: u8 = 130;

impl Failure {
    /// The input's fault, in one sentence.
    pub(crate) fn input(text: impl Into<String>) -> Self {
        Self {
            causes: vec![text.into()],
            hint: None,
            exit_code: 1,
        }
    }

    /// With what to do about it.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// 1 where the input is at fault, 2 where the program or the machine is, 130 after Ctrl-C.
    pub(crate) fn exit_code(&self) -> u8 {
        self.exit_code
    }

    fn of(error: &(dyn Error + 'static), hint: Option<String>, exit_code: u8) -> Self {
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
            exit_code,
        }
    }
}

impl From<PipelineError> for Failure {
    fn from(error: PipelineError) -> Self {
        let exit_code = match &error {
            PipelineError::Interrupted => INTERRUPTED,
            error if error.is_input() => 1,
            _ => 2,
        };
        Self::of(&error, error.hint(), exit_code)
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

impl From<pomona_forecast::ForecastError> for Failure {
    fn from(error: pomona_forecast::ForecastError) -> Self {
        let hint = match &error {
            pomona_forecast::ForecastError::UnknownMachine { similar, .. }
                if !similar.is_empty() =>
            {
                format!("there are {}", similar.join(", "))
            }
            pomona_forecast::ForecastError::UnknownMachine { .. } => {
                "prices of others can be given with --prices FILE".to_owned()
            }
            _ => "docs/cost.md shows the shape of a price file".to_owned(),
        };
        Self::of(&error, Some(hint), 1)
    }
}

impl From<serde_json::Error> for Failure {
    fn from(error: serde_json::Error) -> Self {
        Self::of(&error, None, 2)
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        let hint = error.hint();
        Self::of(&error, hint, 1)
    }
}

impl From<pomona_store::StoreError> for Failure {
    fn from(error: pomona_store::StoreError) -> Self {
        PipelineError::from(error).into()
    }
}

impl From<pomona_demo::DemoError> for Failure {
    fn from(error: pomona_demo::DemoError) -> Self {
        Self::of(&error, None, 1)
    }
}

impl From<ClusterError> for Failure {
    fn from(error: ClusterError) -> Self {
        let exit_code = match &error {
            ClusterError::Scheduler(_)
            | ClusterError::Threads(_)
            | ClusterError::Answer { .. }
            | ClusterError::DiskFull { .. } => 2,
            _ => 1,
        };
        Self::of(&error, None, exit_code)
    }
}

impl From<std::io::Error> for Failure {
    fn from(error: std::io::Error) -> Self {
        Self::of(&error, None, 2)
    }
}
