//! `results.csv`, and one CSV file an image.

use std::collections::HashSet;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use datafusion::common::runtime::SpawnedTask;
use datafusion::prelude::col;
use futures::{StreamExt, TryStreamExt};
use pomona_engine::{
    ComponentRows, EngineError, Grouping, RowOf, by_path, csv_header, csv_lines, scan_columns,
};
use pomona_store::Place;

use crate::error::PipelineError;
use crate::folder::parquet_files;
use crate::model::ModelFile;
use crate::reduce::reduced_table;
use crate::run::Context;

/// Components whose files take no more are sorted in memory; more are sorted by a plan, which spills to disk.
const IN_MEMORY_BYTES: u64 = 96 << 20;
/// Components of which so much is stored are more than one request takes as text.
const LARGE_BYTES: u64 = 8 << 20;
/// Rows that are made text at once.
const ROWS_AT_ONCE: usize = 256;
/// What the files of components hold.
const COLUMNS: &[&str] = &["path", "label", "components"];

/// Components of a run, file by file.
pub(crate) type Components = Arc<Vec<ComponentRows>>;

/// Files of components that are being read while something else goes on.
pub(crate) struct Ahead {
    files: Vec<Place>,
    read: SpawnedTask<Result<Vec<ComponentRows>, PipelineError>>,
}

impl Ahead {
    /// Begins to read files of components, if they are to be held in memory.
    pub(crate) async fn read(
        files: Vec<Place>,
        count: usize,
    ) -> Result<Option<Self>, PipelineError> {
        let is_held = stored_bytes(&files).await? <= IN_MEMORY_BYTES;
        Ok(is_held.then(|| {
            let wanted = files.clone();
            let read = SpawnedTask::spawn(async move { read(&wanted, count).await });
            Self { files, read }
        }))
    }
}

/// What was written.
pub(crate) struct Written {
    pub(crate) rows: u64,
    /// The components, where they were few enough to be held at once.
    pub(crate) components: Option<Components>,
}

/// Writes the components below `out`, sorted by path, to `csv`, and where asked to one file an image. In a
/// [`known`](Place::known) place `csv` is finished in the background.
pub(crate) async fn write(
    context: &Context,
    out: &Place,
    model: &ModelFile,
    csv: &Place,
    per_image: Option<&Place>,
    ahead: Option<Ahead>,
) -> Result<Written, PipelineError> {
    let count = model.reducer.output_columns();
    let bound = IN_MEMORY_BYTES;
    write_within(bound, context, out, count, csv, per_image, ahead).await
}

/// The same with another bound on what is sorted in memory.
async fn write_within(
    in_memory_bytes: u64,
    context: &Context,
    out: &Place,
    count: usize,
    csv: &Place,
    per_image: Option<&Place>,
    ahead: Option<Ahead>,
) -> Result<Written, PipelineError> {
    let files = parquet_files(&out.join("reduced")).await?;
    let bytes = stored_bytes(&files).await?;
    let mut writer = Writer::begin(context, csv, count, per_image).await?;
    if bytes > in_memory_bytes {
        let mut sorted = context
            .session
            .read_table(reduced_table(context, out, Grouping::AtMost(4)).await?)?
            .select_columns(COLUMNS)?
            .sort(vec![col("path").sort(true, false)])?
            .execute_stream()
            .await?;
        while let Some(batch) = sorted.next().await {
            if let Some(rows) = ComponentRows::read(&[batch?], count)? {
                let order = (0..).zip(0..rows.len()).map(|(row, _)| (0, row)).collect();
                writer.write(&Arc::new(vec![rows]), order).await?;
            }
        }
        let rows = writer.finish().await?;
        return Ok(Written {
            rows,
            components: None,
        });
    }
    // Most numbers take more letters than bytes.
    let is_large = csv.is_remote() && bytes > LARGE_BYTES;
    let (components, begun) = tokio::join!(read_all(&files, count, ahead), async {
        if is_large {
            writer.file.begin_large().await?;
        }
        Ok::<_, PipelineError>(())
    });
    begun?;
    let components = components?;
    writer.write(&components, by_path(&components)).await?;
    Ok(Written {
        rows: writer.finish().await?,
        components: Some(components),
    })
}

/// Reads files of components whole, of which the first may be being read already.
async fn read_all(
    files: &[Place],
    count: usize,
    ahead: Option<Ahead>,
) -> Result<Components, PipelineError> {
    let (mut components, rest) = match ahead {
        Some(ahead) if files.starts_with(&ahead.files) => {
            let joined = ahead.read.join().await;
            let read = joined.map_err(|error| EngineError::Threads(Box::new(error)))?;
            (read?, &files[ahead.files.len()..])
        }
        _ => (Vec::new(), files),
    };
    components.extend(read(rest, count).await?);
    Ok(Arc::new(components))
}

async fn stored_bytes(files: &[Place]) -> Result<u64, PipelineError> {
    let mut bytes = 0;
    for file in files {
        bytes += file.meta().await?.map_or(0, |meta| meta.size);
    }
    Ok(bytes)
}

async fn read(files: &[Place], count: usize) -> Result<Vec<ComponentRows>, PipelineError> {
    let mut read = scan_columns(files, COLUMNS).await?;
    let mut components = Vec::with_capacity(files.len());
    while let Some(batches) = read.try_next().await? {
        components.extend(ComponentRows::read(&batches, count)?);
    }
    Ok(components)
}

/// Rows become text on several threads, and are written in their order; the file appears when all of them are in it.
struct Writer<'a> {
    context: &'a Context,
    file: pomona_store::PlaceWriter,
    shown: PathBuf,
    per_image: Option<PerImage>,
    rows: u64,
}

impl<'a> Writer<'a> {
    async fn begin(
        context: &'a Context,
        csv: &Place,
        count: usize,
        per_image: Option<&Place>,
    ) -> Result<Self, PipelineError> {
        let shown = csv.shown();
        let header = csv_header(count).map_err(failed(&shown))?;
        let names: Vec<String> = (1..=count).map(|number| format!("pc_{number}")).collect();
        let mut file = csv.writer();
        file.write(header).await?;
        Ok(Self {
            context,
            file,
            shown,
            per_image: per_image.map(|folder| PerImage {
                folder: folder.clone(),
                header: names.join(","),
                names: HashSet::new(),
            }),
            rows: 0,
        })
    }

    async fn write(
        &mut self,
        components: &Components,
        order: Vec<RowOf>,
    ) -> Result<(), PipelineError> {
        if let Some(per_image) = &mut self.per_image {
            for &(file, row) in &order {
                let rows = &components[file as usize];
                let row = row as usize;
                per_image.write(rows.path(row), rows.values(row)).await?;
            }
        }
        self.rows += order.len() as u64;
        let order = Arc::new(order);
        let mut texts = futures::stream::iter((0..order.len()).step_by(ROWS_AT_ONCE))
            .map(|first| {
                let (components, order) = (Arc::clone(components), Arc::clone(&order));
                tokio::task::spawn_blocking(move || {
                    let end = order.len().min(first + ROWS_AT_ONCE);
                    csv_lines(&components, &order[first..end])
                })
            })
            .buffered(self.context.workers + 1);
        while let Some(text) = texts.next().await {
            let text = text.map_err(|error| EngineError::Threads(Box::new(error)))?;
            self.file.write(text.map_err(failed(&self.shown))?).await?;
        }
        Ok(())
    }

    async fn finish(self) -> Result<u64, PipelineError> {
        self.file.finish_later().await?;
        Ok(self.rows)
    }
}

fn failed(shown: &Path) -> impl Fn(csv::Error) -> PipelineError {
    move |error| PipelineError::io(shown)(error.into())
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
    use datafusion::arrow::array::{
        ArrayRef, FixedSizeListArray, Float32Array, RecordBatch, StringArray,
    };
    use datafusion::arrow::datatypes::{DataType, Field};
    use datafusion::parquet::arrow::ArrowWriter;
    use pomona_store::StoreSettings;

    use super::*;
    use crate::events::Silent;

    /// A file of components of some images.
    fn components(folder: &Path, number: u32, images: impl Iterator<Item = u32>) {
        let images: Vec<u32> = images.collect();
        let numbers = images.iter().flat_map(|image| {
            let image = *image as f32;
            [image / 3.0, -image, 1.0 / (image + 0.1)]
        });
        let item = Arc::new(Field::new_list_field(DataType::Float32, false));
        let values: ArrayRef = Arc::new(Float32Array::from_iter_values(numbers));
        let paths = images
            .iter()
            .map(|image| format!("{:02}/{image:04}.jpg", image % 7));
        let labels = images
            .iter()
            .map(|image| (image % 7 > 0).then(|| format!("label {}", image % 7)));
        let batch = RecordBatch::try_from_iter_with_nullable([
            (
                "path",
                Arc::new(StringArray::from_iter_values(paths)) as ArrayRef,
                false,
            ),
            (
                "label",
                Arc::new(labels.collect::<StringArray>()) as ArrayRef,
                true,
            ),
            (
                "components",
                Arc::new(FixedSizeListArray::new(item, 3, values, None)) as ArrayRef,
                false,
            ),
        ])
        .unwrap();
        let file = folder.join(format!("reduced/reduced-{number:05}.parquet"));
        std::fs::create_dir_all(file.parent().unwrap()).unwrap();
        let file = std::fs::File::create(file).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
    }

    #[test]
    fn results_are_the_same_whether_they_are_sorted_in_memory_or_by_a_plan() {
        let folder = tempfile::tempdir().unwrap();
        // More rows than a batch or a piece of text holds, in no order.
        components(folder.path(), 0, (0..1500).map(|image| image * 7 % 1500));
        components(folder.path(), 1, (1500..1600).rev());
        components(folder.path(), 2, 1600..1600);
        let context = Context::start(2, StoreSettings::default(), Arc::new(Silent)).unwrap();
        let out = Place::of_path(folder.path()).unwrap();
        let texts: Vec<String> = [u64::MAX, 0]
            .into_iter()
            .map(|bytes| {
                let csv = out.join(&format!("results-{bytes}.csv"));
                let written = context
                    .runtimes
                    .block_on(write_within(bytes, &context, &out, 3, &csv, None, None))
                    .unwrap();
                assert_eq!(written.rows, 1600);
                assert_eq!(written.components.is_some(), bytes > 0);
                std::fs::read_to_string(csv.file().unwrap()).unwrap()
            })
            .collect();
        assert!(texts[0] == texts[1]);
        let lines: Vec<&str> = texts[0].lines().collect();
        assert_eq!(lines.len(), 1601);
        assert_eq!(lines[0], "path,label,pc_1,pc_2,pc_3");
        assert_eq!(lines[1], "00/0000.jpg,,0,-0,10");
        assert_eq!(lines[2], "00/0007.jpg,,2.3333333,-7,0.14084508");
        assert!(lines[1..].is_sorted());
    }

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
