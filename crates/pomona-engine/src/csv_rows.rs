//! Rows of path, label and numbers, as lines of a CSV file.

use std::cmp::Ordering;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, RecordBatch, StringArray};
use datafusion::arrow::compute::{cast, concat_batches};
use datafusion::arrow::datatypes::DataType;
use datafusion::error::DataFusionError;

use crate::decimal::push_float;
use crate::error::EngineError;
use crate::floats::FloatRows;

/// Rows of a file of components: path, label and a list of floats each.
#[derive(Debug)]
pub struct ComponentRows {
    paths: StringArray,
    labels: StringArray,
    values: FloatRows,
}

impl ComponentRows {
    /// Reads the columns `path`, `label` and `components`, whose lists hold `count` values each; none where there are no
    /// rows.
    ///
    /// # Errors
    /// Where a column is missing or of another type.
    pub fn read(batches: &[RecordBatch], count: usize) -> Result<Option<Self>, EngineError> {
        let all = match batches {
            [] => return Ok(None),
            [only] => only.clone(),
            [first, ..] => {
                concat_batches(&first.schema(), batches).map_err(DataFusionError::from)?
            }
        };
        if all.num_rows() == 0 {
            return Ok(None);
        }
        let column = |name: &str| -> Result<&ArrayRef, DataFusionError> {
            all.column_by_name(name).ok_or_else(|| {
                DataFusionError::Execution(format!("a file of components has no column {name}"))
            })
        };
        let texts = |name| -> Result<StringArray, DataFusionError> {
            let texts = cast(column(name)?, &DataType::Utf8)?;
            Ok(texts.as_string::<i32>().clone())
        };
        Ok(Some(Self {
            paths: texts("path")?,
            labels: texts("label")?,
            values: FloatRows::read("results", column("components")?, Some(count))?,
        }))
    }

    /// Number of rows.
    #[must_use]
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The path of a row.
    #[must_use]
    pub fn path(&self, row: usize) -> &str {
        self.paths.value(row)
    }

    /// The components of a row.
    #[must_use]
    pub fn values(&self, row: usize) -> &[f32] {
        let count = self.values.columns();
        &self.values.values()[row * count..(row + 1) * count]
    }

    fn push_line(&self, row: usize, text: &mut Vec<u8>) -> Result<(), csv::Error> {
        let label = if self.labels.is_valid(row) {
            self.labels.value(row)
        } else {
            ""
        };
        let line = csv_line([self.path(row), label])?;
        // The numbers go before the end of the line.
        text.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(&line));
        for value in self.values(row) {
            text.push(b',');
            push_float(text, *value);
        }
        text.push(b'\n');
        Ok(())
    }
}

/// One line of a CSV file.
fn csv_line<'a>(fields: impl IntoIterator<Item = &'a str>) -> Result<Vec<u8>, csv::Error> {
    let mut writer = csv::WriterBuilder::new()
        .buffer_capacity(256)
        .from_writer(Vec::with_capacity(256));
    writer.write_record(fields)?;
    writer
        .into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

/// The first line: `path,label,pc_1,…`
///
/// # Errors
/// None that is known; those of the CSV writer.
pub fn csv_header(count: usize) -> Result<Vec<u8>, csv::Error> {
    let names: Vec<String> = (1..=count).map(|number| format!("pc_{number}")).collect();
    csv_line(
        ["path", "label"]
            .into_iter()
            .chain(names.iter().map(String::as_str)),
    )
}

/// A row of one of several files.
pub type RowOf = (u32, u32);

/// All rows of some files by path, and where paths are the same by file and row.
#[must_use]
pub fn by_path(files: &[ComponentRows]) -> Vec<RowOf> {
    let mut order: Vec<RowOf> = (0..)
        .zip(files)
        .flat_map(|(file, rows)| (0..).zip(0..rows.len()).map(move |(row, _)| (file, row)))
        .collect();
    let path = |&(file, row): &RowOf| files[file as usize].path(row as usize);
    // A stable sort sees what is sorted already, as the rows of a shard are.
    order.sort_by(|one, other| -> Ordering { path(one).cmp(path(other)) });
    order
}

/// Lines of some rows.
///
/// # Errors
/// None that is known; those of the CSV writer.
pub fn csv_lines(files: &[ComponentRows], rows: &[RowOf]) -> Result<Vec<u8>, csv::Error> {
    // A number takes about eleven characters.
    let columns = files.first().map_or(0, |file| file.values.columns());
    let mut text = Vec::with_capacity(rows.len() * (64 + 12 * columns));
    for &(file, row) in rows {
        if let Some(file) = files.get(file as usize) {
            file.push_line(row as usize, &mut text)?;
        }
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::array::{FixedSizeListArray, Float32Array};

    use super::*;
    use crate::extract::float_list_type;

    fn file(rows: &[(&str, Option<&str>, [f32; 2])]) -> ComponentRows {
        let DataType::FixedSizeList(item, length) = float_list_type(2) else {
            panic!("components are lists");
        };
        let values: Float32Array = rows.iter().flat_map(|row| row.2).map(Some).collect();
        let lists = FixedSizeListArray::try_new(item, length, Arc::new(values), None).unwrap();
        let paths: StringArray = rows.iter().map(|row| Some(row.0)).collect();
        let labels: StringArray = rows.iter().map(|row| row.1).collect();
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("path", Arc::new(paths) as ArrayRef, false),
            ("label", Arc::new(labels) as ArrayRef, true),
            ("components", Arc::new(lists) as ArrayRef, false),
        ])
        .unwrap();
        // In two batches, as large files come.
        let parts = [batch.slice(0, 1), batch.slice(1, batch.num_rows() - 1)];
        ComponentRows::read(&parts, 2).unwrap().unwrap()
    }

    #[test]
    fn lines_are_those_of_a_csv_writer_in_the_order_of_paths() {
        let files = [
            file(&[
                ("b/1.jpg", Some("b"), [1.0, -0.0]),
                ("a, \"b\".jpg", None, [0.1, 1e-9]),
            ]),
            file(&[
                ("a/1.jpg", Some("line\nbreak"), [f32::NAN, f32::MAX]),
                ("b/0.jpg", Some(""), [16_777_216.0, 0.043_945_313]),
            ]),
        ];
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer
            .write_record(["path", "label", "pc_1", "pc_2"])
            .unwrap();
        let mut rows: Vec<(&str, &str, &[f32])> = Vec::new();
        for file in &files {
            for row in 0..file.len() {
                let label = file.labels.iter().nth(row).unwrap().unwrap_or("");
                rows.push((file.path(row), label, file.values(row)));
            }
        }
        rows.sort_by_key(|row| row.0);
        for (path, label, values) in rows {
            let numbers: Vec<String> = values.iter().map(f32::to_string).collect();
            let fields = [path, label].into_iter();
            writer
                .write_record(fields.chain(numbers.iter().map(String::as_str)))
                .unwrap();
        }
        let expected = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let mut text = csv_header(2).unwrap();
        let order = by_path(&files);
        // In whichever pieces.
        for rows in order.chunks(3) {
            text.extend(csv_lines(&files, rows).unwrap());
        }
        assert_eq!(String::from_utf8(text).unwrap(), expected);
    }

    #[test]
    fn rows_of_one_path_keep_the_order_of_their_files() {
        let files = [
            file(&[("same", None, [1.0, 1.0]), ("same", None, [2.0, 2.0])]),
            file(&[("other", None, [0.0, 0.0]), ("same", None, [3.0, 3.0])]),
        ];
        assert_eq!(by_path(&files), [(1, 0), (0, 0), (0, 1), (1, 1)]);
    }
}
