//! A bucket, or a part of one.

use futures::{StreamExt, TryStreamExt};
use object_store::ObjectMeta;
use object_store::path::Path as ObjectPath;
use pomona_store::Place;

use super::{ImageListing, ListedImage, ListingFilter};
use crate::error::EngineError;
use crate::label::LabelRule;

/// Lists what lies below the place, as its store gives it.
pub(super) fn list(
    place: &Place,
    name: &str,
    filter: ListingFilter,
    labels: LabelRule,
) -> ImageListing {
    let (place, name) = (place.clone(), name.to_owned());
    let root = place.path().clone();
    let excluded: Vec<ObjectPath> = filter
        .excluded()
        .iter()
        .filter(|folder| folder.is_within(&place))
        .map(|folder| folder.path().clone())
        .collect();
    let failed = place.clone();
    place
        .list_ordered()
        .try_filter_map(move |object| {
            let image = describe(&object, &root, &excluded)
                .filter(|image| filter.may_take(&image.path))
                .map(|image| ListedImage {
                    label: labels.label(&image.path, &name),
                    ..image
                });
            std::future::ready(Ok(image))
        })
        .map_err(move |error| EngineError::Place(failed.failed(error)))
        .boxed()
}

fn describe(
    object: &ObjectMeta,
    root: &ObjectPath,
    excluded: &[ObjectPath],
) -> Option<ListedImage> {
    if excluded
        .iter()
        .any(|folder| object.location.prefix_matches(folder))
    {
        return None;
    }
    let mut path = String::new();
    for part in object.location.prefix_match(root)? {
        if part.as_ref().starts_with('.') {
            return None;
        }
        if !path.is_empty() {
            path.push('/');
        }
        path.push_str(part.as_ref());
    }
    // The marker of the folder itself.
    if path.is_empty() {
        return None;
    }
    Some(ListedImage {
        path,
        size_bytes: object.size,
        last_modified_micros: object.last_modified.timestamp_micros(),
        etag: object.e_tag.clone(),
        ..ListedImage::default()
    })
}
