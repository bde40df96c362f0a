//! Sections: where the time went, and what the run was told.

use crate::data::ReportData;
use crate::status::bar;
use crate::text::{bytes, count, rate, seconds, shortened, shown};
use maud::{Markup, html};

pub(crate) fn section(data: &ReportData) -> Markup {
    let longest = data.stages.iter().map(|s| s.seconds).fold(0.0, f64::max);
    html! {
        section id="stages" aria-labelledby="stages-heading" {
            h2 id="stages-heading" { "Where the time went" }
            @if data.stages.is_empty() {
                p.empty { "No times were recorded." }
            } @else {
                div.scroll {
                    table.stages {
                        caption.unseen { "Seconds per stage" }
                        thead { tr {
                            th scope="col" { "Stage" }
                            th.number scope="col" { "Time" }
                            th.number scope="col" { "Items" }
                            th.number scope="col" { "Items/s" }
                        } }
                        tbody {
                            @for stage in &data.stages {
                                tr {
                                    th scope="row" {
                                        (shortened(&stage.name, 60))
                                        (bar(if longest > 0.0 { stage.seconds / longest } else { 0.0 }, "time"))
                                    }
                                    td.number { (seconds(stage.seconds)) }
                                    td.number { (count(stage.items)) }
                                    td.number { (rate(stage.items as f64 / stage.seconds)) }
                                }
                            }
                        }
                    }
                }
            }
            @if let Some(forecast) = &data.forecast {
                p.meaning {
                    "The forecast was " (seconds(forecast.seconds))
                    @if let Some((most, _)) = forecast.peak_memory_bytes { " and " (bytes(most)) " of memory" }
                    "; the run took " (seconds(forecast.took_seconds))
                    @if let Some((_, most)) = forecast.peak_memory_bytes { " and " (bytes(most)) }
                    "."
                }
            }
        }
    }
}

pub(crate) fn settings(data: &ReportData) -> Markup {
    html! {
        section id="settings" aria-labelledby="settings-heading" {
            h2 id="settings-heading" { "Settings" }
            @if data.settings.is_empty() {
                p.empty { "No settings were recorded." }
            } @else {
                table.settings {
                    caption.unseen { "Settings of the run" }
                    thead.unseen { tr { th scope="col" { "Setting" } th scope="col" { "Value" } } }
                    tbody {
                        @for (name, value) in &data.settings {
                            tr {
                                th scope="row" { (shortened(name, 60)) }
                                td { bdi { (shown(value)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
