//! The text of labels inside an archive.

use std::ops::Range;

use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::ObjectStore;
use object_store::path::Path;
use thiserror::Error;

use crate::error::PackError;
use crate::member::Member;
use crate::samples::samples;

/// The longest label, in bytes.
pub const LABEL_LIMIT_BYTES: u64 = 1024;

/// How much of an archive one call for ranges may span. Stores join ranges that lie near each other, so this bounds
/// what is held in memory.
const SPAN_LIMIT: u64 = 8 << 20;

/// Calls at once.
const CALLS: usize = 2;

/// Why a label cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum LabelProblem {
    /// It is longer than [`LABEL_LIMIT_BYTES`].
    #[error("the label has {bytes} bytes, more than {LABEL_LIMIT_BYTES}")]
    TooLong {
        /// Its length.
        bytes: u64,
    },
    /// It is not UTF-8.
    #[error("the label is not UTF-8")]
    NotUtf8,
}

/// Reads the labels at `places` (offset and size in the archive) and trims white space from their ends. What comes
/// back has the order of `places`. Labels that lie near each other are fetched together.
///
/// # Errors
///
/// Where the store fails. A label that cannot be used is a [`LabelProblem`] in its place.
pub async fn read_labels(
    store: &dyn ObjectStore,
    location: &Path,
    places: &[(u64, u64)],
) -> Result<Vec<Result<String, LabelProblem>>, PackError> {
    let mut labels: Vec<_> = places
        .iter()
        .map(|(_, size)| {
            if *size > LABEL_LIMIT_BYTES {
                Err(LabelProblem::TooLong { bytes: *size })
            } else {
                Ok(String::new())
            }
        })
        .collect();
    let calls = calls(places);
    let mut texts = stream::iter(calls)
        .map(|call| async move {
            let ranges: Vec<Range<u64>> = call.iter().map(|(_, range)| range.clone()).collect();
            let texts = store
                .get_ranges(location, &ranges)
                .await
                .map_err(PackError::store("read", location))?;
            let mut read = Vec::with_capacity(call.len());
            for ((place, range), bytes) in call.into_iter().zip(texts) {
                let (expected, got) = (range.end - range.start, bytes.len() as u64);
                if expected != got {
                    return Err(PackError::ShortRead {
                        location: location.to_string(),
                        offset: range.start,
                        expected,
                        got,
                    });
                }
                read.push((place, text(&bytes)));
            }
            Ok(read)
        })
        .buffer_unordered(CALLS);
    while let Some(read) = texts.try_next().await? {
        for (place, text) in read {
            if let Some(label) = labels.get_mut(place) {
                *label = text;
            }
        }
    }
    drop(texts);
    Ok(labels)
}

/// Finds the samples of an archive, and gives each image the label of its sample. What comes back are labels that
/// cannot be used, by the place of their member.
///
/// # Errors
///
/// As for [`read_labels`].
pub async fn label_images(
    store: &dyn ObjectStore,
    location: &Path,
    members: &mut [Member],
) -> Result<Vec<(usize, LabelProblem)>, PackError> {
    let images = samples(members).images;
    let mut labels: Vec<usize> = images.iter().filter_map(|image| image.label).collect();
    labels.sort_unstable();
    labels.dedup();
    let places: Vec<_> = labels
        .iter()
        .filter_map(|label| members.get(*label))
        .map(|label| (label.offset, label.size))
        .collect();
    let texts = read_labels(store, location, &places).await?;
    for image in images {
        let text = image
            .label
            .and_then(|label| labels.binary_search(&label).ok())
            .and_then(|place| texts.get(place));
        if let (Some(member), Some(Ok(text))) = (members.get_mut(image.member), text) {
            member.label = Some(text.clone());
        }
    }
    Ok(labels
        .into_iter()
        .zip(texts)
        .filter_map(|(label, text)| text.err().map(|problem| (label, problem)))
        .collect())
}

/// A label's text.
pub(crate) fn text(bytes: &[u8]) -> Result<String, LabelProblem> {
    if bytes.len() as u64 > LABEL_LIMIT_BYTES {
        return Err(LabelProblem::TooLong {
            bytes: bytes.len() as u64,
        });
    }
    let text = std::str::from_utf8(bytes).map_err(|_| LabelProblem::NotUtf8)?;
    Ok(text.trim().to_owned())
}

/// Groups what is to be read by place in the archive, so that no group spans more than the limit.
fn calls(places: &[(u64, u64)]) -> Vec<Vec<(usize, Range<u64>)>> {
    let mut ranges: Vec<_> = places
        .iter()
        .enumerate()
        // Stores refuse empty ranges.
        .filter(|(_, (_, size))| (1..=LABEL_LIMIT_BYTES).contains(size))
        .map(|(place, (offset, size))| (place, *offset..offset.saturating_add(*size)))
        .collect();
    ranges.sort_unstable_by_key(|(_, range)| range.start);
    let mut calls: Vec<Vec<(usize, Range<u64>)>> = Vec::new();
    for (place, range) in ranges {
        match calls.last_mut() {
            Some(call)
                if call
                    .first()
                    .is_some_and(|(_, first)| range.end - first.start <= SPAN_LIMIT) =>
            {
                call.push((place, range));
            }
            _ => calls.push(vec![(place, range)]),
        }
    }
    calls
}
