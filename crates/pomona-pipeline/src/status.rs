//! How far is a run?

use std::collections::BTreeMap;

use serde::Serialize;

use crate::error::PipelineError;
use crate::folder::RunFolder;
use crate::query::counts_by_status;
use crate::run::Context;
use crate::started::Generation;

/// What a run folder tells of its run.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RunStatus {
    /// Whether the extraction ended: every photo has its row in the ledger.
    pub is_extracted: bool,
    /// Whether the steps after it ended too, to the report.
    pub is_finished: bool,
    /// When the last step ended, RFC 3339, where it did.
    pub finished: Option<String>,
    /// Shards that are done.
    pub shards_done: usize,
    /// Shards in all, once everything is listed.
    pub shards: Option<usize>,
    /// Objects in the shards that are done, by status; every status has its entry.
    pub counts: BTreeMap<String, u64>,
    /// The stages that ended, by name.
    pub stages: Vec<String>,
    /// What the run was begun with.
    pub begun_with: BTreeMap<String, String>,
    /// How it grew.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub generations: Vec<Generation>,
}

/// Looks at a run folder, finished or not.
///
/// # Errors
/// [`PipelineError::Io`] and [`PipelineError::Broken`].
pub async fn status(context: &Context, folder: &RunFolder) -> Result<RunStatus, PipelineError> {
    let record = match folder.record().await {
        Ok(record) => Some(record),
        Err(PipelineError::NotARun { .. }) => None,
        Err(error) => return Err(error),
    };
    let manifest = folder.manifest_summary(context).await?;
    let started = folder.started().await?.unwrap_or_default();
    let stages: Vec<String> = record
        .iter()
        .flat_map(|record| record.stages.iter().map(|stage| stage.name.clone()))
        .collect();
    Ok(RunStatus {
        is_extracted: record.is_some(),
        is_finished: stages.iter().any(|stage| stage == "report"),
        finished: record.as_ref().map(|record| record.finished.clone()),
        shards_done: folder.table("images").await?.len(),
        shards: manifest
            .filter(|manifest| manifest.generation == started.generation)
            .map(|manifest| manifest.shards as usize),
        counts: counts_by_status(folder).await?,
        stages,
        begun_with: started.settings,
        generations: started.history,
    })
}
