//! Questions to a run folder.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::context::SQLOptions;
use datafusion::prelude::DataFrame;
use futures::StreamExt;
use pomona_engine::{EngineError, Grouping, ParquetTable};
use pomona_store::Place;

use crate::error::PipelineError;
use crate::folder::{RunFolder, TABLES};
use crate::ledger::LedgerSummary;
use crate::run::Context;

/// How the answer is written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum QueryFormat {
    /// A table for people.
    #[default]
    Table,
    /// Comma-separated values with a header.
    Csv,
    /// One JSON object a line.
    Json,
}

/// A table of the folder, or none where the folder has no file of it.
pub(crate) async fn table(
    context: &Context,
    folder: &RunFolder,
    name: &str,
) -> Result<Option<DataFrame>, PipelineError> {
    over(context, &folder.table(name).await?).await
}

/// A table over some files, or none where there are none.
pub(crate) async fn over(
    context: &Context,
    files: &[Place],
) -> Result<Option<DataFrame>, PipelineError> {
    let Some(first) = files.first() else {
        return Ok(None);
    };
    // Over a network many files are read at once: each takes some answers.
    let groups = if first.is_remote() { 32 } else { 4 };
    let table = ParquetTable::open(&context.session, files, Grouping::AtMost(groups)).await?;
    Ok(Some(context.session.read_table(Arc::new(table))?))
}

/// Listed objects by status; every status has its entry.
pub(crate) async fn counts_by_status(
    folder: &RunFolder,
) -> Result<BTreeMap<String, u64>, PipelineError> {
    Ok(LedgerSummary::read(folder).await?.counts)
}

/// A column of texts, whichever string type it has.
pub(crate) fn texts(
    batch: &RecordBatch,
    index: usize,
) -> Result<Vec<Option<String>>, PipelineError> {
    let column = datafusion::arrow::compute::cast(
        batch.column(index),
        &datafusion::arrow::datatypes::DataType::Utf8,
    )
    .map_err(datafusion::error::DataFusionError::from)?;
    Ok(column
        .as_string::<i32>()
        .iter()
        .map(|text| text.map(str::to_owned))
        .collect())
}

/// Answers a SELECT over the tables of a run folder.
///
/// # Errors
/// [`PipelineError::Query`] where the text is no such query.
pub async fn query(
    context: &Context,
    folder: &RunFolder,
    sql: &str,
    format: QueryFormat,
    out: &mut dyn Write,
) -> Result<(), PipelineError> {
    for name in TABLES {
        let files = folder.table(name).await?;
        if !files.is_empty() {
            let table = ParquetTable::open(&context.session, &files, Grouping::AtMost(4)).await?;
            context.session.deregister_table(name)?;
            context.session.register_table(name, Arc::new(table))?;
        }
    }
    let read_only = SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false);
    let refused = |error: datafusion::error::DataFusionError| match EngineError::recover(error) {
        EngineError::DataFusion(error) => PipelineError::Query {
            reason: error.strip_backtrace().trim().to_owned(),
        },
        other => other.into(),
    };
    let answer = context
        .session
        .sql_with_options(sql, read_only)
        .await
        .map_err(refused)?;
    let schema: SchemaRef = Arc::new(answer.schema().as_arrow().clone());
    let mut rows = answer.execute_stream().await.map_err(refused)?;
    let mut writer = AnswerWriter::new(format, schema, out);
    while let Some(batch) = rows.next().await {
        writer.write(&batch.map_err(refused)?)?;
    }
    writer.finish()
}

struct AnswerWriter<'a> {
    format: QueryFormat,
    schema: SchemaRef,
    out: &'a mut dyn Write,
    /// A table for people is aligned, hence needs all its rows.
    kept: Vec<RecordBatch>,
    is_first: bool,
}

impl<'a> AnswerWriter<'a> {
    fn new(format: QueryFormat, schema: SchemaRef, out: &'a mut dyn Write) -> Self {
        Self {
            format,
            schema,
            out,
            kept: Vec::new(),
            is_first: true,
        }
    }

    fn write(&mut self, batch: &RecordBatch) -> Result<(), PipelineError> {
        let is_first = std::mem::replace(&mut self.is_first, false);
        match self.format {
            QueryFormat::Table => {
                self.kept.push(batch.clone());
                Ok(())
            }
            QueryFormat::Csv => self.write_csv(batch, is_first),
            QueryFormat::Json => {
                let mut writer = datafusion::arrow::json::LineDelimitedWriter::new(&mut self.out);
                writer
                    .write(batch)
                    .and_then(|()| writer.finish())
                    .map_err(arrow)
            }
        }
    }

    fn write_csv(&mut self, batch: &RecordBatch, with_header: bool) -> Result<(), PipelineError> {
        use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
        let options = FormatOptions::default();
        let columns = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()
            .map_err(arrow)?;
        let mut writer = csv::Writer::from_writer(&mut self.out);
        let failed =
            |error: csv::Error| PipelineError::io(std::path::Path::new("the answer"))(error.into());
        if with_header {
            writer
                .write_record(self.schema.fields().iter().map(|field| field.name()))
                .map_err(failed)?;
        }
        for row in 0..batch.num_rows() {
            writer
                .write_record(columns.iter().map(|column| column.value(row).to_string()))
                .map_err(failed)?;
        }
        writer
            .flush()
            .map_err(PipelineError::io(std::path::Path::new("the answer")))
    }

    fn finish(mut self) -> Result<(), PipelineError> {
        if self.format == QueryFormat::Csv && self.is_first {
            let empty = RecordBatch::new_empty(Arc::clone(&self.schema));
            return self.write_csv(&empty, true);
        }
        if self.format != QueryFormat::Table {
            return Ok(());
        }
        if self.kept.is_empty() {
            self.kept
                .push(RecordBatch::new_empty(Arc::clone(&self.schema)));
        }
        let table =
            datafusion::arrow::util::pretty::pretty_format_batches(&self.kept).map_err(arrow)?;
        writeln!(self.out, "{table}").map_err(PipelineError::io(std::path::Path::new("the answer")))
    }
}

fn arrow(error: datafusion::arrow::error::ArrowError) -> PipelineError {
    datafusion::error::DataFusionError::from(error).into()
}
