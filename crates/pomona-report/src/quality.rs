//! Section: how well the numbers tell the labels apart, where that was measured.

use crate::data::{MAX_CONFUSIONS, Quality};
use crate::labels::label_name;
use crate::text::{count, shortened, shown};
use maud::{Markup, html};

pub(crate) fn section(quality: &Quality) -> Markup {
    html! {
        section id="quality" aria-labelledby="quality-heading" {
            h2 id="quality-heading" { "How well labels are told apart" }
            @if !quality.measures.is_empty() {
                table.settings {
                    caption.unseen { "Measures" }
                    thead.unseen { tr { th scope="col" { "Measure" } th scope="col" { "Result" } } }
                    tbody {
                        @for (name, value) in &quality.measures {
                            tr { th scope="row" { (shortened(name, 100)) } td { bdi { (shown(value)) } } }
                        }
                    }
                }
            }
            @if !quality.confusions.is_empty() {
                h3 { "Most often mistaken" }
                table {
                    caption.unseen { "Labels mistaken for another" }
                    thead { tr {
                        th scope="col" { "Label" }
                        th scope="col" { "Taken for" }
                        th.number scope="col" { "Photos" }
                    } }
                    tbody {
                        @for confusion in quality.confusions.iter().take(MAX_CONFUSIONS) {
                            tr {
                                th scope="row" { bdi { (label_name(&confusion.label)) } }
                                td { bdi { (label_name(&confusion.taken_for)) } }
                                td.number { (count(confusion.photos)) }
                            }
                        }
                    }
                }
            }
        }
    }
}
