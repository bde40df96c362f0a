//! Images as a table.

mod fetch;
mod operator;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use datafusion::catalog::{Session, TableProvider};
use datafusion::datasource::memory::MemorySourceConfig;
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableType};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::Column;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::projection::ProjectionExec;

pub use fetch::FetchSettings;
pub(crate) use operator::{FetchExec, Fetching};

use crate::listing::rows::{listed_schema, shard_rows};
use crate::plan_folder::PlanFolder;
use crate::shard::Shard;

/// Schema of an image table:
/// path (relative to the root, `/`-separated), label (null where the rule gives none), size_bytes,
/// last_modified, content (null where it could not be, or was not to be, fetched) and read_error (why not).
#[must_use]
pub fn image_schema() -> SchemaRef {
    Arc::new(Schema::new(vec![
        Field::new("path", DataType::Utf8, false),
        Field::new("label", DataType::Utf8, true),
        Field::new("size_bytes", DataType::Int64, false),
        Field::new(
            "last_modified",
            DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
            true,
        ),
        Field::new("content", DataType::LargeBinary, true),
        Field::new("read_error", DataType::Utf8, true),
    ]))
}

/// A table over the images of some shards: one partition a shard, rows in listing order.
///
/// Its plan is the listing, as rows in memory, below an operator that fetches. An engine that sends partitions to other
/// machines therefore sends each of them the images of its own shards, and of no other.
#[derive(Debug)]
pub struct ImageTable {
    shards: Vec<Shard>,
    source: PlanFolder,
    settings: FetchSettings,
    schema: SchemaRef,
}

impl ImageTable {
    /// A table over `shards`, whose paths are below `source`.
    #[must_use]
    pub fn new(shards: Vec<Shard>, source: PlanFolder, settings: FetchSettings) -> Self {
        Self {
            shards,
            source,
            settings,
            schema: image_schema(),
        }
    }
}

#[async_trait]
impl TableProvider for ImageTable {
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
        let partitions = self
            .shards
            .iter()
            .map(|shard| Ok(vec![shard_rows(shard)?]))
            .collect::<Result<Vec<_>>>()?;
        let listed = MemorySourceConfig::try_new_exec(&partitions, listed_schema(), None)?;
        let scan: Arc<dyn ExecutionPlan> =
            Arc::new(FetchExec::new(listed, self.source.clone(), self.settings));
        let Some(projection) = projection else {
            return Ok(scan);
        };
        let columns = projection
            .iter()
            .map(|&index| {
                let name = self.schema.field(index).name().clone();
                let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(&name, index));
                (column, name)
            })
            .collect::<Vec<_>>();
        Ok(Arc::new(ProjectionExec::try_new(columns, scan)?))
    }
}
