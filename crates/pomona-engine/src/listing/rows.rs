//! Listed images as rows, which is how plans carry them.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, UInt64Array,
};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema, SchemaRef, UInt64Type};
use datafusion::error::{DataFusionError, Result};

use super::{ListedImage, Part};
use crate::shard::Shard;

/// Schema of listed images: path, label, size_bytes, last_modified_micros, etag, archive and offset (both null
/// for an object of its own) and problem.
pub(crate) fn listed_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        Arc::new(Schema::new(vec![
            Field::new("path", DataType::Utf8, false),
            Field::new("label", DataType::Utf8, true),
            Field::new("size_bytes", DataType::UInt64, false),
            Field::new("last_modified_micros", DataType::Int64, false),
            Field::new("etag", DataType::Utf8, true),
            Field::new("archive", DataType::Utf8, true),
            Field::new("offset", DataType::UInt64, true),
            Field::new("problem", DataType::Utf8, true),
        ]))
    });
    Arc::clone(&SCHEMA)
}

/// The images of a shard, in their order.
pub(crate) fn shard_rows(shard: &Shard) -> Result<RecordBatch> {
    let images = &shard.images;
    let texts = |text: fn(&ListedImage) -> Option<&str>| -> ArrayRef {
        Arc::new(images.iter().map(text).collect::<StringArray>())
    };
    let columns: Vec<ArrayRef> = vec![
        texts(|image| Some(&image.path)),
        texts(|image| image.label.as_deref()),
        Arc::new(UInt64Array::from_iter_values(
            images.iter().map(|image| image.size_bytes),
        )),
        Arc::new(Int64Array::from_iter_values(
            images.iter().map(|image| image.last_modified_micros),
        )),
        texts(|image| image.etag.as_deref()),
        texts(|image| image.part.as_ref().map(|part| part.archive.as_ref())),
        Arc::new(
            images
                .iter()
                .map(|image| image.part.as_ref().map(|part| part.offset))
                .collect::<UInt64Array>(),
        ),
        texts(|image| image.problem.as_deref()),
    ];
    Ok(RecordBatch::try_new(listed_schema(), columns)?)
}

/// The images that [`shard_rows`] wrote.
pub(crate) fn read_rows(rows: &RecordBatch) -> Result<Vec<ListedImage>> {
    if rows.schema().fields() != listed_schema().fields() {
        return Err(DataFusionError::Internal(
            "these rows are no listed images".to_owned(),
        ));
    }
    let texts = |column: usize| rows.column(column).as_string::<i32>();
    let (paths, labels, etags) = (texts(0), texts(1), texts(4));
    let (archives, problems) = (texts(5), texts(7));
    let sizes = rows.column(2).as_primitive::<UInt64Type>();
    let modified = rows.column(3).as_primitive::<Int64Type>();
    let offsets = rows.column(6).as_primitive::<UInt64Type>();
    let text =
        |texts: &StringArray, row: usize| texts.is_valid(row).then(|| texts.value(row).to_owned());
    // Members of one archive share its name.
    let mut archive: Option<Arc<str>> = None;
    let mut images = Vec::with_capacity(rows.num_rows());
    for row in 0..rows.num_rows() {
        let part = archives.is_valid(row).then(|| {
            let name = archives.value(row);
            let archive = match &archive {
                Some(known) if known.as_ref() == name => Arc::clone(known),
                _ => Arc::clone(archive.insert(Arc::from(name))),
            };
            Part {
                archive,
                offset: offsets.value(row),
            }
        });
        images.push(ListedImage {
            path: paths.value(row).to_owned(),
            label: text(labels, row),
            size_bytes: sizes.value(row),
            last_modified_micros: modified.value(row),
            etag: text(etags, row),
            part,
            problem: text(problems, row),
        });
    }
    Ok(images)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn listed_images_come_back_as_they_were() {
        let archive: Arc<str> = Arc::from("a.tar");
        let images = vec![
            ListedImage {
                path: "ü/ä.jpg".to_owned(),
                label: Some(String::new()),
                size_bytes: u64::MAX,
                last_modified_micros: -1,
                etag: Some("\"e\"".to_owned()),
                ..ListedImage::default()
            },
            ListedImage {
                path: "a.tar/1.png".to_owned(),
                part: Some(Part {
                    archive: Arc::clone(&archive),
                    offset: 512,
                }),
                ..ListedImage::default()
            },
            ListedImage {
                path: "gone".to_owned(),
                problem: Some("it cannot be listed".to_owned()),
                ..ListedImage::default()
            },
        ];
        let shard = Shard { index: 7, images };
        let rows = shard_rows(&shard).unwrap();
        assert_eq!(read_rows(&rows).unwrap(), shard.images);
        assert!(read_rows(&RecordBatch::new_empty(Arc::new(Schema::empty()))).is_err());
    }
}
