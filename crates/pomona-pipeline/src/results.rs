//! `results.csv`, and one CSV file an image.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::prelude::col;
use futures::StreamExt;
use pomona_engine::{FloatRows, Grouping};
use pomona_store::Place;

use crate::error::PipelineError;
use crate::model::ModelFile;
use crate::reduce::reduced_table;
use crate::run::Context;

/// Text that is written at once.
const TEXT_BYTES: usize = 1 << 20;

/// Writes the components below `out`, sorted by path, to `csv`, and where asked to one file an image.
pub(crate) async fn write(
    context: &Context,
    out: &Place,
    model: &ModelFile,
    csv: &Place,
    per_image: Option<&Place>,
) -> Result<u64, PipelineError> {
    let table = reduced_table(context, out, Grouping::AtMost(4)).await?;
    let mut sorted = context
        .session
        .read_table(table)?
        .select(vec![col("path"), col("label"), col("components")])?
        .sort(vec![col("path").sort(true, false)])?
        .execute_stream()
        .await?;
    let components = model.reducer.output_columns();
    let header: Vec<String> = (1..=components)
        .map(|number| format!("pc_{number}"))
        .collect();
    let mut per_image = per_image.map(|folder| PerImage {
        folder: folder.clone(),
        header: header.join(","),
        names: HashSet::new(),
    });
    let shown = csv.shown();
    let failed = |error: csv::Error| PipelineError::io(&shown)(error.into());
    // The sorted rows arrive one batch after the other; the file appears when all of them are in it.
    let mut file = csv.writer();
    let mut text = csv::Writer::from_writer(Vec::new());
    text.write_record(
        ["path", "label"]
            .into_iter()
            .chain(header.iter().map(String::as_str)),
    )
    .map_err(failed)?;
    let mut rows = 0;
    let mut number = String::new();
    while let Some(batch) = sorted.next().await {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        let column = |index: usize| cast(batch.column(index), &DataType::Utf8);
        let (paths, labels) = (
            column(0).map_err(PipelineError::broken(out))?,
            column(1).map_err(PipelineError::broken(out))?,
        );
        let (paths, labels) = (paths.as_string::<i32>(), labels.as_string::<i32>());
        let values = FloatRows::read("results", batch.column(2), Some(components))?;
        for (row, values) in values.values().chunks(components.max(1)).enumerate() {
            let label = if labels.is_valid(row) {
                labels.value(row)
            } else {
                ""
            };
            text.write_field(paths.value(row)).map_err(failed)?;
            text.write_field(label).map_err(failed)?;
            for value in values {
                number.clear();
                let _ = std::fmt::Write::write_fmt(&mut number, format_args!("{value}"));
                text.write_field(&number).map_err(failed)?;
            }
            text.write_record(None::<&[u8]>).map_err(failed)?;
            if let Some(per_image) = &mut per_image {
                per_image.write(paths.value(row), values).await?;
            }
        }
        rows += batch.num_rows() as u64;
        if text.get_ref().len() > TEXT_BYTES {
            file.write(taken(text).map_err(failed)?).await?;
            text = csv::Writer::from_writer(Vec::new());
        }
    }
    file.write(taken(text).map_err(failed)?).await?;
    file.finish().await?;
    Ok(rows)
}

fn taken(text: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, csv::Error> {
    text.into_inner()
        .map_err(|error| csv::Error::from(error.into_error()))
}

/// `Reduced Features/<folder of the image>/<name of the image>_reduced_features.csv`
struct PerImage {
    folder: Place,
    header: String,
    names: HashSet<PathBuf>,
}

impl PerImage {
    async fn write(&mut self, path: &str, row: &[f32]) -> Result<(), PipelineError> {
        let below = self.place(path)?;
        let values: Vec<String> = row.iter().map(f32::to_string).collect();
        let text = format!("{}\n{}\n", self.header, values.join(","));
        let file = self.folder.join("Reduced Features").join(&below);
        Ok(file.write(text).await?)
    }

    /// Where the file of the image at `path` goes, below the folder.
    fn place(&mut self, path: &str) -> Result<String, PipelineError> {
        let image = Path::new(path);
        let is_inside = image
            .components()
            .all(|part| matches!(part, Component::Normal(_)));
        let (Some(stem), true) = (image.file_stem(), is_inside) else {
            return Err(PipelineError::PathEscapes {
                path: path.to_owned(),
            });
        };
        let named = |name: &std::ffi::OsStr| {
            let mut name = name.to_owned();
            name.push("_reduced_features.csv");
            image.with_file_name(name)
        };
        let mut place = named(stem);
        // Two images that differ only in their ending keep it.
        if !self.names.insert(place.clone()) {
            place = named(image.file_name().unwrap_or(stem));
            self.names.insert(place.clone());
        }
        Ok(place.to_string_lossy().into_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_per_image_never_leaves_the_folder_and_never_repeats() {
        let mut per_image = PerImage {
            folder: Place::of_path(Path::new(".")).unwrap(),
            header: String::new(),
            names: HashSet::new(),
        };
        let mut place = |path: &str| per_image.place(path);
        assert_eq!(
            place("Test/Kiwi/3_100.jpg").unwrap(),
            "Test/Kiwi/3_100_reduced_features.csv"
        );
        assert_eq!(
            place("Test/Kiwi/3_100.png").unwrap(),
            "Test/Kiwi/3_100.png_reduced_features.csv"
        );
        for outside in ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", ""] {
            assert!(
                matches!(place(outside), Err(PipelineError::PathEscapes { .. })),
                "{outside}"
            );
        }
    }
}
