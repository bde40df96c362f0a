//! `results.csv`, and one CSV file an image.

use std::collections::HashSet;
use std::fs;
use std::path::{Component, Path, PathBuf};

use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::DataType;
use datafusion::prelude::col;
use futures::StreamExt;
use pomona_engine::{FloatRows, Grouping};

use crate::error::PipelineError;
use crate::folder::write_whole;
use crate::model::ModelFile;
use crate::reduce::reduced_table;
use crate::run::Context;

/// Writes the components below `out`, sorted by path, to `csv`, and where asked to one file an image.
pub(crate) async fn write(
    context: &Context,
    out: &Path,
    model: &ModelFile,
    csv: &Path,
    per_image: Option<&Path>,
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
        folder: folder.to_owned(),
        header: header.join(","),
        names: HashSet::new(),
    });
    let mut rows = 0;
    // The sorted rows arrive one batch after the other; the file is written on the way and renamed at the end.
    let (sender, mut receiver) = tokio::sync::mpsc::channel(2);
    let writer = {
        let csv = csv.to_owned();
        tokio::task::spawn_blocking(move || {
            write_whole(&csv, |file| {
                let mut file = csv::Writer::from_writer(file);
                file.write_field("path")?;
                file.write_field("label")?;
                file.write_record(&header)?;
                let mut ended = false;
                let mut text = String::new();
                while let Some(batch) = receiver.blocking_recv() {
                    let Batch {
                        paths,
                        labels,
                        values,
                        columns,
                    } = batch;
                    ended = columns == 0;
                    for ((path, label), row) in
                        paths.iter().zip(&labels).zip(values.chunks(columns.max(1)))
                    {
                        file.write_field(path)?;
                        file.write_field(label)?;
                        for value in row {
                            text.clear();
                            let _ = std::fmt::Write::write_fmt(&mut text, format_args!("{value}"));
                            file.write_field(&text)?;
                        }
                        file.write_record(None::<&[u8]>)?;
                    }
                }
                if !ended {
                    return Err(std::io::Error::other("the table of components broke off"));
                }
                file.flush()
            })
        })
    };
    while let Some(batch) = sorted.next().await {
        let batch = batch?;
        if batch.num_rows() == 0 {
            continue;
        }
        let text = |index: usize| cast(batch.column(index), &DataType::Utf8);
        let (paths, labels) = (
            text(0).map_err(PipelineError::broken(out))?,
            text(1).map_err(PipelineError::broken(out))?,
        );
        let owned = |column: &dyn Array| -> Vec<String> {
            column
                .as_string::<i32>()
                .iter()
                .map(|text| text.unwrap_or_default().to_owned())
                .collect()
        };
        let values = FloatRows::read("results", batch.column(2), Some(components))?;
        let batch = Batch {
            paths: owned(paths.as_ref()),
            labels: owned(labels.as_ref()),
            values: values.values().to_vec(),
            columns: components,
        };
        if let Some(per_image) = &mut per_image {
            for (path, row) in batch.paths.iter().zip(batch.values.chunks(components)) {
                per_image.write(path, row)?;
            }
        }
        rows += batch.paths.len() as u64;
        if sender.send(batch).await.is_err() {
            break;
        }
    }
    // An empty batch says that the table is whole; a sender that is only dropped says that it is not.
    let _ = sender.send(Batch::default()).await;
    drop(sender);
    writer
        .await
        .map_err(|error| pomona_engine::EngineError::Threads(Box::new(error)))??;
    Ok(rows)
}

#[derive(Default)]
struct Batch {
    paths: Vec<String>,
    labels: Vec<String>,
    values: Vec<f32>,
    columns: usize,
}

/// `Reduced Features/<folder of the image>/<name of the image>_reduced_features.csv`
struct PerImage {
    folder: PathBuf,
    header: String,
    names: HashSet<PathBuf>,
}

impl PerImage {
    fn write(&mut self, path: &str, row: &[f32]) -> Result<(), PipelineError> {
        let below = self.place(path)?;
        let values: Vec<String> = row.iter().map(f32::to_string).collect();
        let file = self.folder.join("Reduced Features").join(below);
        if let Some(parent) = file.parent() {
            fs::create_dir_all(parent).map_err(PipelineError::io(parent))?;
        }
        // A million small files: renamed whole, but not synced one by one.
        let temporary = file.with_extension("csv.tmp");
        fs::write(
            &temporary,
            format!("{}\n{}\n", self.header, values.join(",")),
        )
        .and_then(|()| fs::rename(&temporary, &file))
        .map_err(PipelineError::io(&file))
    }

    /// Where the file of the image at `path` goes, below the folder.
    fn place(&mut self, path: &str) -> Result<PathBuf, PipelineError> {
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
        Ok(place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_per_image_never_leaves_the_folder_and_never_repeats() {
        let mut per_image = PerImage {
            folder: PathBuf::new(),
            header: String::new(),
            names: HashSet::new(),
        };
        let mut place = |path: &str| per_image.place(path);
        assert_eq!(
            place("Test/Kiwi/3_100.jpg").unwrap(),
            Path::new("Test/Kiwi/3_100_reduced_features.csv")
        );
        assert_eq!(
            place("Test/Kiwi/3_100.png").unwrap(),
            Path::new("Test/Kiwi/3_100.png_reduced_features.csv")
        );
        for outside in ["../a.jpg", "/etc/a.jpg", "a/../../b.jpg", ""] {
            assert!(
                matches!(place(outside), Err(PipelineError::PathEscapes { .. })),
                "{outside}"
            );
        }
    }
}
