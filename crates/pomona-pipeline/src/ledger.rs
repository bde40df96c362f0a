//! What the ledger of a run says in all.

use std::collections::BTreeMap;

use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;
use futures::TryStreamExt;
use pomona_engine::{Status, scan_columns};
use pomona_store::Place;

use crate::error::PipelineError;
use crate::folder::RunFolder;

/// Failures that are kept.
pub(crate) const FAILURES: usize = 200;

/// What the ledger says in all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct LedgerSummary {
    /// Listed objects by status; every status has its entry.
    pub(crate) counts: BTreeMap<String, u64>,
    /// By label, in order; those without one first.
    pub(crate) labels: BTreeMap<Option<String>, LabelSum>,
    /// The first failures by path: status and reason.
    pub(crate) failures: BTreeMap<String, (String, String)>,
}

/// Images of a label.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct LabelSum {
    /// All of them.
    pub(crate) photos: u64,
    /// Those with features.
    pub(crate) ok: u64,
}

impl LedgerSummary {
    /// Reads the ledger of a run.
    pub(crate) async fn read(folder: &RunFolder) -> Result<Self, PipelineError> {
        Self::of(&folder.table("images").await?).await
    }

    async fn of(files: &[Place]) -> Result<Self, PipelineError> {
        let mut summary = Self {
            counts: Status::ALL
                .iter()
                .map(|status| (status.name().to_owned(), 0))
                .collect(),
            ..Self::default()
        };
        let mut read = scan_columns(files, &["path", "label", "status", "error"]).await?;
        while let Some(batches) = read.try_next().await? {
            for batch in &batches {
                summary.add(batch)?;
            }
        }
        Ok(summary)
    }

    fn add(&mut self, batch: &RecordBatch) -> Result<(), PipelineError> {
        let texts = |name: &str| -> Result<StringArray, DataFusionError> {
            let column = batch.column_by_name(name).ok_or_else(|| {
                DataFusionError::Execution(format!("the ledger has no column {name}"))
            })?;
            Ok(cast(column, &DataType::Utf8)?.as_string::<i32>().clone())
        };
        let (paths, labels) = (texts("path")?, texts("label")?);
        let (statuses, errors) = (texts("status")?, texts("error")?);
        let text = |array: &StringArray, row: usize| {
            if array.is_valid(row) {
                array.value(row).to_owned()
            } else {
                String::new()
            }
        };
        let rows = batch.num_rows();
        let mut row = 0;
        // Neighbours mostly have the same label.
        while row < rows {
            let label = labels.is_valid(row).then(|| labels.value(row));
            let mut sum = LabelSum::default();
            while row < rows && label == labels.is_valid(row).then(|| labels.value(row)) {
                let status = statuses.value(row);
                sum.photos += 1;
                match self.counts.get_mut(status) {
                    Some(count) => *count += 1,
                    None => drop(self.counts.insert(status.to_owned(), 1)),
                }
                if status == Status::Ok.name() {
                    sum.ok += 1;
                } else {
                    let told = (status.to_owned(), text(&errors, row));
                    self.failures.insert(text(&paths, row), told);
                    if self.failures.len() > FAILURES {
                        self.failures.pop_last();
                    }
                }
                row += 1;
            }
            let of_label = self.labels.entry(label.map(str::to_owned)).or_default();
            of_label.photos += sum.photos;
            of_label.ok += sum.ok;
        }
        Ok(())
    }
}
