//! Section: what was asked of storage, and how it answered.

use crate::limits;
use crate::page::tile;
use crate::storage_data::{MAX_PLACES, StorageData};
use crate::text::{bytes, count, counted, percent, place, seconds, share};
use maud::{Markup, html};

pub(crate) fn section(storage: &StorageData) -> Markup {
    let of_requests =
        |part: u64| (storage.requests > 0).then(|| percent(share(part, storage.requests), 1));
    let bad = |part: u64| if part > 0 { "bad" } else { "" };
    let waited = storage.waited_seconds;
    html! {
        section id="storage" aria-labelledby="storage-heading" {
            h2 id="storage-heading" { "Storage" }
            p.lead { (told(storage)) }
            dl.tiles {
                (tile("Requests", &count(storage.requests), None, ""))
                (tile("Tried again", &count(storage.retries), of_requests(storage.retries), ""))
                (tile("Throttled", &count(storage.throttled), of_requests(storage.throttled), ""))
                (tile("Given up", &count(storage.failed), of_requests(storage.failed), bad(storage.failed)))
                (tile("Read", &bytes(storage.bytes_read), None, ""))
                (tile("Written", &bytes(storage.bytes_written), None, ""))
                (tile("Most in flight", &count(storage.most_in_flight), None, ""))
                (tile(
                    "Waited for storage",
                    &if (0.0..1e15).contains(&waited) { seconds(waited) } else { "–".to_owned() },
                    None,
                    "",
                ))
            }
            (limits::part(&storage.limits))
            @if !storage.places.is_empty() { (places(storage)) }
        }
    }
}

/// What mattered, in one sentence.
fn told(storage: &StorageData) -> Markup {
    let requests = counted(storage.requests, "request", "requests");
    html! {
        @if storage.requests == 0 {
            "Nothing was asked of storage."
        } @else if storage.failed == 0 && storage.throttled == 0 && storage.retries == 0 {
            @if storage.requests == 1 { "The only request was answered at the first try." }
            @else { "All " (requests) " were answered at the first try." }
        } @else {
            strong {
                @if storage.failed > 0 {
                    (count(storage.failed)) " of " (requests) @if storage.failed == 1 { " was" } @else { " were" } " given up"
                } @else if storage.throttled > 0 {
                    (count(storage.throttled)) " of " (requests) @if storage.throttled == 1 { " was" } @else { " were" } " throttled"
                } @else {
                    (count(storage.retries)) " of " (requests) @if storage.retries == 1 { " was a further try" } @else { " were further tries" }
                }
            }
            @if storage.failed > 0 && storage.throttled > 0 { ", " (count(storage.throttled)) " throttled" }
            @let fell = limits::fell_to(&storage.limits).filter(|_| storage.throttled > 0);
            @if let Some(limit) = fell { "; the number in flight fell to " strong { (count(limit)) } }
            @if storage.failed > 0 { ". What they were for is among the photos that failed or in the run's error." }
            @else if fell.is_some() { ", and none was given up." }
            @else { "; none was given up." }
        }
    }
}

fn places(storage: &StorageData) -> Markup {
    let shown = &storage.places[..storage.places.len().min(MAX_PLACES)];
    html! {
        h3 { "By place" }
        @if shown.len() < storage.places.len() {
            p.lead { "The first " (count(shown.len() as u64)) " of " (counted(storage.places.len() as u64, "place", "places")) "." }
        }
        table.stacked {
            caption.unseen { "Requests and bytes by place" }
            thead { tr {
                th scope="col" { "Place" }
                th.number scope="col" { "Requests" }
                th.number scope="col" { "Bytes" }
            } }
            tbody {
                @for at in shown {
                    tr {
                        th scope="row" { bdi.path { (place(&at.url, 200)) } }
                        td.number data-name="Requests" { (count(at.requests)) }
                        td.number data-name="Bytes" { (bytes(at.bytes)) }
                    }
                }
            }
        }
    }
}
