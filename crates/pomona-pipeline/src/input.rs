//! Where features come from: a run folder, a Parquet file, or a folder of them.

use std::path::PathBuf;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableProvider;
use datafusion::prelude::col;
use futures::{StreamExt, TryStreamExt};
use pomona_engine::{FloatRows, Grouping, ParquetTable, is_list_of_floats};
use pomona_store::Place;
use sha2::{Digest, Sha256};

use crate::error::PipelineError;
use crate::extraction::Extraction;
use crate::fingerprint::Fingerprint;
use crate::folder::{RunFolder, parquet_files};
use crate::model::DataFingerprint;
use crate::run::Context;

/// A table with a path, a label and a list of floats in each row.
#[derive(Debug, Clone)]
pub struct FeatureInput {
    /// As given, for messages.
    pub(crate) shown: PathBuf,
    /// In order; never empty.
    pub(crate) files: Vec<Place>,
    /// The run folder, where it is one.
    pub(crate) run: Option<RunFolder>,
    /// The columns.
    pub(crate) schema: SchemaRef,
    /// The column with the lists.
    pub(crate) features: String,
}

impl FeatureInput {
    /// Finds the files and their columns. The lists are in the column `features`, or else in the only column of
    /// lists of floats.
    ///
    /// # Errors
    /// [`PipelineError::NotARun`], [`PipelineError::Incomplete`], [`PipelineError::NothingToDo`] and
    /// [`PipelineError::Column`].
    pub async fn open(context: &Context, place: &Place) -> Result<Self, PipelineError> {
        let path = &place.shown();
        let (files, run) = if place.is_file().await? {
            (vec![place.clone()], None)
        } else if RunFolder::is_one(place).await {
            let run = RunFolder::open(place).await?;
            run.check_complete(context).await?;
            (run.table("features").await?, Some(run))
        } else if place.is_folder().await? {
            (parquet_files(place).await?, None)
        } else {
            return Err(PipelineError::NothingToDo {
                what: format!("there is nothing at {place}"),
            });
        };
        if files.is_empty() {
            return Err(PipelineError::NothingToDo {
                what: format!("{place} holds no Parquet files"),
            });
        }
        let schema = ParquetTable::open(&context.session, &files, Grouping::FileEach)
            .await?
            .schema();
        let features = feature_column(path, &schema)?;
        for name in ["path", "label"] {
            if schema.column_with_name(name).is_none() {
                return Err(PipelineError::Column {
                    table: path.to_owned(),
                    reason: format!("there is no column `{name}`; there are {}", names(&schema)),
                });
            }
        }
        Ok(Self {
            shown: path.to_owned(),
            files,
            run,
            schema,
            features,
        })
    }

    /// The features that the words of a run became.
    pub(crate) async fn of_words(
        context: &Context,
        run: &RunFolder,
        files: Vec<Place>,
    ) -> Result<Self, PipelineError> {
        let schema = ParquetTable::open(&context.session, &files, Grouping::FileEach)
            .await?
            .schema();
        Ok(Self {
            shown: run.place().shown(),
            files,
            run: Some(run.clone()),
            schema,
            features: "features".to_owned(),
        })
    }

    /// What the files say about how their features came to be.
    #[must_use]
    pub fn extraction(&self) -> Option<Extraction> {
        Extraction::from_metadata(self.schema.metadata())
    }

    pub(crate) async fn table(
        &self,
        context: &Context,
        grouping: Grouping,
    ) -> Result<Arc<ParquetTable>, PipelineError> {
        Ok(Arc::new(
            ParquetTable::open(&context.session, &self.files, grouping).await?,
        ))
    }

    /// Values in each list: from the type, or from the first row.
    pub(crate) async fn feature_count(&self, context: &Context) -> Result<usize, PipelineError> {
        let field = self
            .schema
            .field_with_name(&self.features)
            .map_err(PipelineError::broken(&self.shown))?;
        if let DataType::FixedSizeList(_, length) = field.data_type() {
            return Ok(usize::try_from(*length).unwrap_or(0));
        }
        let table = self.table(context, Grouping::FileEach).await?;
        let first = context
            .session
            .read_table(table)?
            .select(vec![col(self.column())])?
            .limit(0, Some(1))?
            .collect()
            .await?;
        match first.iter().find(|batch| batch.num_rows() > 0) {
            Some(batch) => Ok(FloatRows::read("fit", batch.column(0), None)?.columns()),
            None => Ok(0),
        }
    }

    /// The column of the lists, quoted for expressions.
    pub(crate) fn column(&self) -> datafusion::common::Column {
        datafusion::common::Column::from_name(&self.features)
    }

    /// The path of the first row whose values are not all finite.
    pub(crate) async fn first_not_finite(
        &self,
        context: &Context,
    ) -> Result<Option<String>, PipelineError> {
        let table = self.table(context, Grouping::FileEach).await?;
        let mut rows = context
            .session
            .read_table(table)?
            .select(vec![col("path"), col(self.column())])?
            .execute_stream()
            .await?;
        while let Some(batch) = rows.next().await {
            let batch = batch?;
            if batch.num_rows() == 0 {
                continue;
            }
            let values = FloatRows::read("fit", batch.column(1), None)?;
            let wrong = values
                .values()
                .chunks(values.columns().max(1))
                .position(|row| !row.iter().all(|value| value.is_finite()));
            if let Some(row) = wrong {
                let paths = datafusion::arrow::compute::cast(batch.column(0), &DataType::Utf8)
                    .map_err(PipelineError::broken(&self.shown))?;
                return Ok(Some(paths.as_string::<i32>().value(row).to_owned()));
            }
        }
        Ok(None)
    }

    /// What was fitted on: path and content of every image with features, or the files themselves.
    pub(crate) async fn fingerprint(
        &self,
        context: &Context,
        rows: u64,
    ) -> Result<DataFingerprint, PipelineError> {
        let Some(run) = &self.run else {
            let mut hash = Sha256::new();
            for file in &self.files {
                let mut parts = file.parts().await?;
                while let Some(part) = parts.try_next().await.map_err(|error| file.failed(error))? {
                    hash.update(&part);
                }
            }
            let sha256 = hash.finalize();
            return Ok(DataFingerprint {
                rows,
                sha256: sha256.iter().map(|byte| format!("{byte:02x}")).collect(),
            });
        };
        let ledger = run.table("images").await?;
        let table = ParquetTable::open(&context.session, &ledger, Grouping::AtMost(1)).await?;
        let mut images = context
            .session
            .read_table(Arc::new(table))?
            .select(vec![col("path"), col("content_sha256"), col("status")])?
            .execute_stream()
            .await?;
        let mut fingerprint = Fingerprint::default();
        while let Some(batch) = images.next().await {
            let batch = batch?;
            let column = |index: usize| {
                datafusion::arrow::compute::cast(batch.column(index), &DataType::Utf8)
                    .map_err(PipelineError::broken(&self.shown))
            };
            let (paths, hashes, statuses) = (column(0)?, column(1)?, column(2)?);
            let (paths, hashes, statuses) = (
                paths.as_string::<i32>(),
                hashes.as_string::<i32>(),
                statuses.as_string::<i32>(),
            );
            for row in 0..batch.num_rows() {
                if statuses.value(row) == "ok" && hashes.is_valid(row) {
                    fingerprint.add(paths.value(row), hashes.value(row));
                }
            }
        }
        Ok(fingerprint.finish())
    }
}

fn names(schema: &SchemaRef) -> String {
    schema
        .fields()
        .iter()
        .map(|field| format!("`{}`", field.name()))
        .collect::<Vec<_>>()
        .join(", ")
}

fn feature_column(table: &PathBuf, schema: &SchemaRef) -> Result<String, PipelineError> {
    let wrong = |reason: String| PipelineError::Column {
        table: table.to_owned(),
        reason,
    };
    if let Some((_, field)) = schema.column_with_name("features") {
        return if is_list_of_floats(field.data_type()) {
            Ok("features".to_owned())
        } else {
            Err(wrong(format!(
                "the column `features` holds {} instead of lists of floats (Spark's vectors: write them with vector_to_array)",
                field.data_type()
            )))
        };
    }
    let lists: Vec<&str> = schema
        .fields()
        .iter()
        .filter(|field| is_list_of_floats(field.data_type()))
        .map(|field| field.name().as_str())
        .collect();
    match lists.as_slice() {
        [only] => Ok((*only).to_owned()),
        [] => Err(wrong(format!(
            "no column holds lists of floats; there are {}",
            names(schema)
        ))),
        several => Err(wrong(format!(
            "{} columns hold lists of floats ({}): name the one to use `features`",
            several.len(),
            several.join(", ")
        ))),
    }
}
