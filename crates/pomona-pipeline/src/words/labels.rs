//! Words by label.

use std::sync::Arc;

use datafusion::arrow::array::{
    FixedSizeListArray, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::parquet::arrow::ArrowWriter;
use pomona_learn::words::LabelWords;
use pomona_store::Place;

use crate::error::PipelineError;

/// Key points of each word, over all labels.
pub(super) fn totals(labels: &LabelWords) -> Vec<u64> {
    let mut totals = vec![0; labels.words()];
    for (_, row) in labels.iter() {
        for (total, count) in totals.iter_mut().zip(&row.counts) {
            *total += count;
        }
    }
    totals
}

/// Writes `words_by_label.parquet` (label, images, words: a list of k counts) and `words_by_label.csv` (label,
/// images, word_1, …, word_k), sorted by label.
pub(super) async fn write(labels: &LabelWords, out: &Place) -> Result<(), PipelineError> {
    let file = out.join("words_by_label.parquet");
    let broken = |error| PipelineError::from(datafusion::error::DataFusionError::from(error));
    let names = StringArray::from_iter_values(labels.iter().map(|(label, _)| label));
    let images = UInt64Array::from_iter_values(labels.iter().map(|(_, row)| row.images));
    let counts = Int64Array::from_iter_values(
        labels
            .iter()
            .flat_map(|(_, row)| &row.counts)
            .map(|count| i64::try_from(*count).unwrap_or(i64::MAX)),
    );
    let item = Arc::new(Field::new("item", DataType::Int64, false));
    let words = i32::try_from(labels.words()).unwrap_or(i32::MAX);
    let lists = FixedSizeListArray::try_new(Arc::clone(&item), words, Arc::new(counts), None)
        .map_err(broken)?;
    let schema = Arc::new(Schema::new(vec![
        Field::new("label", DataType::Utf8, false),
        Field::new("images", DataType::Int64, false),
        Field::new("words", DataType::FixedSizeList(item, words), false),
    ]));
    let batch = RecordBatch::try_new(
        Arc::clone(&schema),
        vec![
            Arc::new(names),
            cast(&images, &DataType::Int64).map_err(broken)?,
            Arc::new(lists),
        ],
    )
    .map_err(broken)?;
    let encode = || -> datafusion::error::Result<Vec<u8>> {
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, None)?;
        writer.write(&batch)?;
        Ok(writer.into_inner()?)
    };
    let bytes = encode()?;
    file.write(bytes).await?;
    let file = out.join("words_by_label.csv");
    let csv = || -> Result<Vec<u8>, csv::Error> {
        let mut csv = csv::Writer::from_writer(Vec::new());
        let words = (1..=labels.words()).map(|word| format!("word_{word}"));
        csv.write_record(
            ["label".to_owned(), "images".to_owned()]
                .into_iter()
                .chain(words),
        )?;
        for (label, row) in labels.iter() {
            csv.write_field(label)?;
            csv.write_field(row.images.to_string())?;
            csv.write_record(row.counts.iter().map(u64::to_string))?;
        }
        csv.into_inner()
            .map_err(|error| csv::Error::from(error.into_error()))
    };
    let text = csv().map_err(PipelineError::broken(&file))?;
    Ok(file.write(text).await?)
}
