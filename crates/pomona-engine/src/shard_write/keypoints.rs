//! Key points, one row each, and the patches of some.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StructArray, UInt32Array,
};
use datafusion::arrow::compute::{filter_record_batch, take};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::error::{DataFusionError, Result};

use super::files::{column, encode, with_path_and_label};
use crate::extract::keypoint_fields;

/// A table in memory.
pub(super) struct Table {
    schema: SchemaRef,
    batches: Vec<RecordBatch>,
}

impl Table {
    pub(super) fn encode(&self) -> Result<Vec<u8>> {
        encode(&self.schema, &self.batches)
    }
}

/// The tables descriptors (path, label, and all but the patch) and patches (path, label, x, y, size, angle_degrees,
/// octave, descriptor, patch), the latter of images with a thumbnail.
pub(super) fn keypoint_tables(
    rows: &[RecordBatch],
    thumbnails: &[RecordBatch],
    metadata: &BTreeMap<String, String>,
) -> Result<(Table, Table)> {
    let fields = keypoint_fields();
    let named = |with_patch: bool| {
        fields
            .iter()
            .filter(move |field| match field.name().as_str() {
                "patch" => with_patch,
                "response" => !with_patch,
                _ => true,
            })
            .map(|field| field.as_ref().clone().with_nullable(false))
    };
    let mut descriptors = Table {
        schema: with_path_and_label(named(false), metadata),
        batches: Vec::with_capacity(rows.len()),
    };
    let mut patches = Table {
        schema: with_path_and_label(named(true), &BTreeMap::new()),
        batches: Vec::with_capacity(rows.len()),
    };
    let mut pictured = HashSet::new();
    for batch in thumbnails {
        pictured.extend(column(batch, "path")?.as_string::<i32>().iter().flatten());
    }
    for batch in rows {
        let lists = column(batch, "extracted")?
            .as_struct()
            .column_by_name("keypoints")
            .ok_or_else(|| {
                DataFusionError::Internal("extract lacks the field keypoints".to_owned())
            })?
            .as_list::<i32>();
        let (first, last) = (
            lists.value_offsets().first().copied().unwrap_or(0) as usize,
            lists.value_offsets().last().copied().unwrap_or(0) as usize,
        );
        let keypoints = lists.values().slice(first, last - first);
        let keypoints = keypoints.as_struct();
        // The image that each key point is of.
        let images: UInt32Array = (0..lists.len())
            .flat_map(|row| {
                let count = lists.value_length(row) as usize;
                std::iter::repeat_n(row as u32, count)
            })
            .collect();
        let of_image =
            |name: &str| Ok::<_, DataFusionError>(take(column(batch, name)?, &images, None)?);
        let (path, label) = (of_image("path")?, of_image("label")?);
        descriptors
            .batches
            .push(table_of(&descriptors.schema, &path, &label, keypoints)?);

        let patch = part(keypoints, "patch")?;
        let kept: BooleanArray = path
            .as_string::<i32>()
            .iter()
            .enumerate()
            .map(|(row, path)| {
                Some(patch.is_valid(row) && path.is_some_and(|path| pictured.contains(path)))
            })
            .collect();
        let all = RecordBatch::from(StructArray::try_new(
            keypoint_fields(),
            keypoints.columns().to_vec(),
            None,
        )?);
        let some = filter_record_batch(&all, &kept)?;
        let paths = datafusion::arrow::compute::filter(&path, &kept)?;
        let labels = datafusion::arrow::compute::filter(&label, &kept)?;
        patches.batches.push(table_of(
            &patches.schema,
            &paths,
            &labels,
            &StructArray::from(some),
        )?);
    }
    Ok((descriptors, patches))
}

fn part<'a>(keypoints: &'a StructArray, name: &str) -> Result<&'a ArrayRef> {
    keypoints
        .column_by_name(name)
        .ok_or_else(|| DataFusionError::Internal(format!("key points lack the field {name}")))
}

/// Path, label, and the fields of `keypoints` that `schema` names.
fn table_of(
    schema: &SchemaRef,
    path: &ArrayRef,
    label: &ArrayRef,
    keypoints: &StructArray,
) -> Result<RecordBatch> {
    let mut columns = vec![Arc::clone(path), Arc::clone(label)];
    for field in schema.fields().iter().skip(2) {
        columns.push(Arc::clone(part(keypoints, field.name())?));
    }
    Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
}
