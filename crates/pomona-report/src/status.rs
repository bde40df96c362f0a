//! Section: what became of the photos, and why some failed.

use crate::data::{MAX_FAILURES, ReportData};
use crate::text::{count, counted, percent, share, shortened, shown};
use maud::{Markup, html};

/// What a status means, in a few words.
fn meaning(status: &str) -> &'static str {
    match status {
        "ok" => "read and turned into numbers",
        "empty" => "the file holds no bytes",
        "not_an_image" => "the content is not that of a picture",
        "unsupported_format" => "a picture, but of a kind that is not read",
        "corrupt" => "a picture whose bytes are damaged",
        "too_large" => "above the limits set for the run",
        "unreadable" => "the file could not be opened or fetched",
        _ => "",
    }
}

/// The class that gives a status its colour.
fn tone(status: &str) -> &'static str {
    if status == "ok" { "good" } else { "bad" }
}

pub(crate) fn section(data: &ReportData) -> Markup {
    let total: u64 = data.statuses.iter().map(|(_, n)| n).sum();
    html! {
        section id="status" aria-labelledby="status-heading" {
            h2 id="status-heading" { "What became of the photos" }
            @if total == 0 {
                p.empty { "No photos were found." }
            } @else {
                div {
                    table {
                        caption.unseen { "Photos by status" }
                        thead { tr {
                            th scope="col" { "Status" }
                            th.number scope="col" { "Photos" }
                            th.number scope="col" { "Share" }
                        } }
                        tbody {
                            @for (status, photos) in &data.statuses {
                                tr {
                                    th scope="row" {
                                        span class={ "status " (tone(status)) } { (shortened(status, 40)) }
                                        " " span.meaning { (meaning(status)) }
                                        (bar(share(*photos, total), tone(status)))
                                    }
                                    td.number { (count(*photos)) }
                                    td.number { (percent(share(*photos, total), 1)) }
                                }
                            }
                        }
                    }
                }
                (failures(data))
            }
        }
    }
}

/// A horizontal bar of `share` of the width. The number stands beside it, so it is hidden from screen readers.
pub(crate) fn bar(share: f64, class: &str) -> Markup {
    let width = format!("{:.2}%", (share * 100.0).clamp(0.0, 100.0));
    html! {
        svg.bar aria-hidden="true" width="100%" height="6" {
            rect.track width="100%" height="6" rx="3" {}
            rect class={ "fill " (class) } width=(width) height="6" rx="3" {}
        }
    }
}

fn failures(data: &ReportData) -> Markup {
    let shown_failures = &data.failures[..data.failures.len().min(MAX_FAILURES)];
    html! {
        @if data.failures_total == 0 && shown_failures.is_empty() {
            p { "Every photo could be read." }
        } @else {
            h3 {
                @if shown_failures.len() as u64 >= data.failures_total {
                    (counted(data.failures_total.max(shown_failures.len() as u64), "photo", "photos")) " failed"
                } @else if shown_failures.is_empty() {
                    (counted(data.failures_total, "photo", "photos")) " failed"
                } @else {
                    "The first " (count(shown_failures.len() as u64)) " of "
                    (counted(data.failures_total, "failed photo", "failed photos"))
                }
            }
            @if !shown_failures.is_empty() {
                table.failures {
                    caption.unseen { "Failed photos and reasons" }
                    thead { tr { th scope="col" { "Photo" } th scope="col" { "Reason" } } }
                    tbody {
                        @for failure in shown_failures {
                            tr {
                                td { bdi.path { (shortened(&failure.path, 200)) } }
                                td {
                                    span class={ "status " (tone(&failure.status)) } { (shortened(&failure.status, 40)) }
                                    " " bdi { (shown(&failure.error)) }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
