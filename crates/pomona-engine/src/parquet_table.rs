//! Parquet files as a table whose partitions follow from the files alone.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;
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
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use pomona_store::Place;
use url::Url;

use crate::error::EngineError;

/// Files asked about at once.
const AT_ONCE: usize = 32;

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

/// A table over Parquet files of one store.
///
/// Unlike DataFusion's listing table, it never splits, merges or reorders files across partitions.
#[derive(Debug)]
pub struct ParquetTable {
    groups: Vec<FileGroup>,
    schema: SchemaRef,
    store: ObjectStoreUrl,
}

impl ParquetTable {
    /// A table over `files`, whose schema is that of the first.
    ///
    /// # Errors
    /// When a file cannot be found or is no Parquet file.
    pub async fn open(
        session: &SessionContext,
        files: &[Place],
        grouping: Grouping,
    ) -> std::result::Result<Self, EngineError> {
        let state = session.state();
        let url = store_url(session, files.first())?;
        let store = session.runtime_env().object_store(&url)?;
        for file in files.iter().filter_map(Place::file) {
            check_footer(file)?;
        }
        let metas: Vec<ObjectMeta> = futures::stream::iter(files.to_vec())
            .map(|file| async move {
                file.meta()
                    .await?
                    .ok_or_else(|| EngineError::NotParquet { path: file.shown() })
            })
            .buffered(AT_ONCE)
            .try_collect()
            .await?;
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
        Ok(Self {
            groups,
            schema,
            store: url,
        })
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

/// The URL of the files' store, which the session knows from now on.
fn store_url(
    session: &SessionContext,
    file: Option<&Place>,
) -> std::result::Result<ObjectStoreUrl, EngineError> {
    let Some(file) = file.filter(|file| file.is_remote()) else {
        return Ok(ObjectStoreUrl::local_filesystem());
    };
    let url = ObjectStoreUrl::parse(file.store_url())?;
    let parsed: &Url = url.as_ref();
    session.register_object_store(parsed, Arc::clone(file.store()));
    Ok(url)
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
        let config = FileScanConfigBuilder::new(self.store.clone(), source)
            .with_file_groups(self.groups.clone())
            .with_projection_indices(projection.cloned())?
            // Each partition keeps its own files, and their order.
            .with_preserve_order(true)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}
