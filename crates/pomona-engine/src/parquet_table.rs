//! Parquet files as a table whose partitions follow from the files alone.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::file_format::FileFormat;
use datafusion::datasource::file_format::parquet::ParquetFormat;
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::error::Result;
use datafusion::execution::context::SessionContext;
use datafusion::execution::object_store::ObjectStoreUrl;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectStoreExt;

use crate::error::EngineError;

/// How files become partitions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Grouping {
    /// One partition a file, in the order of the files.
    FileEach,
    /// At most this many partitions, each a run of neighbouring files. The number must not follow the machine's
    /// cores where results that depend on grouping in their last bits are to be the same everywhere.
    AtMost(usize),
}

/// A table over local Parquet files.
///
/// Unlike DataFusion's listing table, it never splits, merges or reorders files across partitions.
#[derive(Debug)]
pub struct ParquetTable {
    groups: Vec<FileGroup>,
    schema: SchemaRef,
}

impl ParquetTable {
    /// A table over `files`, whose schema is that of the first.
    ///
    /// # Errors
    /// When a file cannot be found or is no Parquet file.
    pub async fn open(
        session: &SessionContext,
        files: &[PathBuf],
        grouping: Grouping,
    ) -> std::result::Result<Self, EngineError> {
        let state = session.state();
        let url = ObjectStoreUrl::local_filesystem();
        let store = session.runtime_env().object_store(&url)?;
        let mut metas = Vec::with_capacity(files.len());
        for file in files {
            check_footer(file)?;
            metas.push(store.head(&absolute(file)?).await?);
        }
        let schema = ParquetFormat::default()
            // Plain strings: what is read is written again, for every reader.
            .with_force_view_types(false)
            // The metadata says how features came to be.
            .with_skip_metadata(false)
            .infer_schema(&state, &store, metas.get(..1).unwrap_or_default())
            .await?;
        let run = match grouping {
            Grouping::FileEach => 1,
            Grouping::AtMost(groups) => files.len().div_ceil(groups.max(1)).max(1),
        };
        let groups = metas
            .chunks(run)
            .map(|files| {
                FileGroup::new(
                    files
                        .iter()
                        .cloned()
                        .map(PartitionedFile::new_from_meta)
                        .collect(),
                )
            })
            .collect();
        Ok(Self { groups, schema })
    }

    /// Number of partitions.
    #[must_use]
    pub fn partitions(&self) -> usize {
        self.groups.len()
    }
}

/// Refuses a file whose last bytes are no Parquet footer: a truncated or foreign file is then told as such.
fn check_footer(file: &Path) -> std::result::Result<(), EngineError> {
    const MAGIC: &[u8; 4] = b"PAR1";
    let io = |source| EngineError::Io {
        path: file.to_owned(),
        source,
    };
    let mut opened = File::open(file).map_err(io)?;
    let size = opened.metadata().map_err(io)?.len();
    let mut footer = [0; 8];
    let is_whole = size >= 12 && {
        opened.seek(SeekFrom::End(-8)).map_err(io)?;
        opened.read_exact(&mut footer).map_err(io)?;
        let [a, b, c, d, magic @ ..] = footer;
        // The footer and the magic at both ends must fit.
        magic == *MAGIC && u64::from(u32::from_le_bytes([a, b, c, d])) + 12 <= size
    };
    if is_whole {
        Ok(())
    } else {
        Err(EngineError::NotParquet {
            path: file.to_owned(),
        })
    }
}

fn absolute(file: &Path) -> std::result::Result<object_store::path::Path, EngineError> {
    let file = std::fs::canonicalize(file).map_err(|source| EngineError::Io {
        path: file.to_owned(),
        source,
    })?;
    object_store::path::Path::from_absolute_path(&file)
        .map_err(|error| EngineError::Store(error.into()))
}

#[async_trait]
impl TableProvider for ParquetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        _session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        _limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let source = Arc::new(ParquetSource::new(Arc::clone(&self.schema)));
        let config = FileScanConfigBuilder::new(ObjectStoreUrl::local_filesystem(), source)
            .with_file_groups(self.groups.clone())
            .with_projection_indices(projection.cloned())?
            // Each partition keeps its own files, and their order.
            .with_preserve_order(true)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
