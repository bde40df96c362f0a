//! Features of other programs.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, LargeStringArray, ListArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::Float64Type;
use datafusion::parquet::arrow::ArrowWriter;
use pomona_learn::{Components, FitSettings};
use pomona_pipeline::{
    FeatureInput, FitRequest, ModelFile, PipelineError, ReduceRequest, fit, reduce,
};

use crate::support::{at, context, sql};

/// A table as pandas might write it: lists of doubles under another name, rows in no order.
fn write_table(file: &Path, rows: &[(&str, Vec<f64>)]) {
    let paths: ArrayRef = Arc::new(LargeStringArray::from_iter_values(
        rows.iter().map(|(path, _)| path),
    ));
    let labels: ArrayRef = Arc::new(StringArray::from_iter(rows.iter().map(|_| Some("x"))));
    let lists: ArrayRef = Arc::new(ListArray::from_iter_primitive::<Float64Type, _, _>(
        rows.iter()
            .map(|(_, row)| Some(row.iter().map(|value| Some(*value)))),
    ));
    let batch =
        RecordBatch::try_from_iter([("path", paths), ("label", labels), ("embedding", lists)])
            .unwrap();
    let mut writer =
        ArrowWriter::try_new(File::create(file).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn fit_file(
    file: &Path,
    components: Components,
    out: &Path,
) -> Result<(ModelFile, Vec<String>), PipelineError> {
    let context = context(2);
    context.runtimes.block_on(async {
        let input = FeatureInput::open(&context, &at(file)).await?;
        let request = FitRequest {
            input: &input,
            settings: FitSettings {
                components,
                scale: false,
            },
            seed: 0,
            extractor: None,
            words: None,
        };
        fit(&context, &request, &at(out)).await
    })
}

/// (1,1), (2,2), (3,3.5), (−1,0.5): variances and projections below were worked out with NumPy 2.4
/// (`numpy.cov(x, rowvar=False)`, `numpy.linalg.eigh`).
const ROWS: [(&str, [f64; 2]); 4] = [
    ("c", [1.0, 1.0]),
    ("a", [2.0, 2.0]),
    ("d", [3.0, 3.5]),
    ("b", [-1.0, 0.5]),
];

#[test]
fn any_table_of_paths_labels_and_floats_can_be_fitted_and_reduced() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("embeddings.parquet");
    write_table(&file, &ROWS.map(|(path, row)| (path, row.to_vec())));
    let out = folder.path().join("model.pomona");
    let (model, notes) = fit_file(&file, Components::Count(2), &out).unwrap();
    assert!(notes.is_empty() && model.extraction.is_none());
    let expected = [4.496792497625, 0.169874169042];
    for (got, expected) in model.reducer.explained_variance.iter().zip(expected) {
        assert!((got - expected).abs() < 1e-9, "{got} {expected}");
    }
    let context = context(1);
    let results = folder.path().join("out");
    context
        .runtimes
        .block_on(async {
            let input = FeatureInput::open(&context, &at(&file)).await?;
            let model = ModelFile::load(&at(&out)).await?;
            let request = ReduceRequest {
                input: &input,
                model: &model,
                out: &at(&results),
                per_image_csv: None,
                keeps: false,
            };
            reduce(&context, &request).await
        })
        .unwrap();
    let csv = std::fs::read_to_string(results.join("results.csv")).unwrap();
    let order: Vec<_> = csv
        .lines()
        .skip(1)
        .map(|line| line.split(',').next().unwrap())
        .collect();
    assert_eq!(order, ["a", "b", "c", "d"]);
    std::fs::create_dir_all(results.join("images")).unwrap();
    let reduced = sql(
        &results,
        "SELECT path, components[1] AS pc_1 FROM reduced ORDER BY path",
    );
    // NumPy: ((x − mean) @ v)[:, 0], v with its largest entry positive.
    let expected = [0.7486409, -2.5480755, -0.6524173, 2.4518518];
    for (row, expected) in reduced.iter().zip(expected) {
        assert!(
            (row["pc_1"].as_f64().unwrap() - expected).abs() < 1e-4,
            "{row} {expected}"
        );
    }
}

#[test]
fn what_cannot_be_fitted_is_told_with_the_place() {
    let folder = tempfile::tempdir().unwrap();
    let (file, out) = (
        folder.path().join("t.parquet"),
        folder.path().join("m.pomona"),
    );
    let mut rows: Vec<(&str, Vec<f64>)> = ROWS.map(|(path, row)| (path, row.to_vec())).to_vec();
    rows[2].1[1] = f64::NAN;
    write_table(&file, &rows);
    match fit_file(&file, Components::Count(1), &out) {
        Err(PipelineError::NotFinite { path, .. }) => assert_eq!(path, "d"),
        other => panic!("{other:?}"),
    }
    rows[2].1 = vec![1.0];
    write_table(&file, &rows);
    let short = fit_file(&file, Components::Count(1), &out)
        .unwrap_err()
        .to_string();
    assert!(short.contains("expected 2 values, got 1"), "{short}");
    write_table(&file, &rows[..1]);
    assert!(matches!(
        fit_file(&file, Components::Count(1), &out),
        Err(PipelineError::Learn(_))
    ));
    for fake in [&b"PAR1 not really PAR1"[..], b"PAR1", b"", b"path,label\n"] {
        std::fs::write(&file, fake).unwrap();
        let error = fit_file(&file, Components::Count(1), &out)
            .unwrap_err()
            .to_string();
        assert!(error.contains("not a whole Parquet file"), "{error}");
    }
    assert!(matches!(
        fit_file(
            &folder.path().join("missing.parquet"),
            Components::Count(1),
            &out
        ),
        Err(PipelineError::NothingToDo { .. })
    ));
    assert!(!out.exists());
}

#[test]
fn more_components_than_there_are_keeps_what_exists_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("t.parquet");
    write_table(&file, &ROWS.map(|(path, row)| (path, row.to_vec())));
    let (model, notes) = fit_file(
        &file,
        Components::Count(50),
        &folder.path().join("m.pomona"),
    )
    .unwrap();
    assert_eq!(model.reducer.output_columns(), 2);
    assert_eq!(notes.len(), 1, "{notes:?}");
    let (model, _) = fit_file(
        &file,
        Components::Share(1.0),
        &folder.path().join("m.pomona"),
    )
    .unwrap();
    assert_eq!(model.reducer.output_columns(), 2);
}
