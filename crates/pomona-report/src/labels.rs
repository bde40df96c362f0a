//! Section: photos per label, with some of them to look at.

use crate::data::{LabelCount, MAX_LABEL_PICTURES, MAX_LABELS, ReportData};
use crate::picture::{LABEL_PICTURES_BYTES, data_url, pictures_per_label};
use crate::status::bar;
use crate::text::{count, counted, share, shortened};
use maud::{Markup, html};

/// Labels shown at once; the others unfold.
const AT_ONCE: usize = 48;

pub(crate) fn section(data: &ReportData) -> Markup {
    let labels = &data.labels[..data.labels.len().min(MAX_LABELS)];
    let total = data.labels_total.max(data.labels.len() as u64);
    let pictures: Vec<&[Vec<u8>]> = labels.iter().map(|l| l.thumbnails.as_slice()).collect();
    let pictures = pictures_per_label(&pictures, LABEL_PICTURES_BYTES).min(MAX_LABEL_PICTURES);
    let most = labels.iter().map(|l| l.photos).max().unwrap_or(0);
    let (first, rest) = labels.split_at(labels.len().min(AT_ONCE));
    html! {
        section id="labels" aria-labelledby="labels-heading" {
            h2 id="labels-heading" { "Photos per label" }
            @if labels.is_empty() {
                p.empty { "No labels were found." }
            } @else {
                p.lead {
                    (counted(total, "label", "labels"))
                    @if let (Some(low), Some(high)) =
                        (labels.iter().map(|l| l.photos).min(), labels.iter().map(|l| l.photos).max())
                    {
                        @if low == high { ", " (counted(low, "photo", "photos")) @if total > 1 { " each" } }
                        @else { ", from " (count(low)) " to " (counted(high, "photo", "photos")) " each" }
                    }
                    "."
                    @if (labels.len() as u64) < total { " The first " (count(labels.len() as u64)) " are shown." }
                }
                (cards(first, most, pictures))
                @if !rest.is_empty() {
                    details {
                        summary { (counted(rest.len() as u64, "more label", "more labels")) }
                        (cards(rest, most, pictures))
                    }
                }
            }
        }
    }
}

fn cards(labels: &[LabelCount], most: u64, pictures: usize) -> Markup {
    html! {
        ul.labels {
            @for label in labels {
                li {
                    div.name {
                        strong { bdi { (label_name(&label.label)) } }
                        span.count { (count(label.photos)) }
                    }
                    (bar(share(label.photos, most), "good"))
                    @if label.ok < label.photos {
                        p.failed { (count(label.photos - label.ok)) " failed" }
                    }
                    @if pictures > 0 && !label.thumbnails.is_empty() {
                        div.pictures {
                            @for (i, jpeg) in label.thumbnails.iter().take(pictures).enumerate() {
                                img src=(data_url(jpeg)) alt={ (label_name(&label.label)) ", example " (i + 1) }
                                    width="56" height="56" loading="lazy" decoding="async";
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A label as shown everywhere in the report; the empty one has a name too.
pub(crate) fn label_name(label: &str) -> String {
    if label.trim().is_empty() {
        "(no label)".to_owned()
    } else {
        shortened(label, 80)
    }
}
