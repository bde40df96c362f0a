//! The page around the sections: head, headline figures, footer.

use crate::data::ReportData;
use crate::text::{count, moment, percent, rate, seconds, share, shortened, shown};
use crate::{cluster, growth, labels, quality, scatter, stages, status, storage, variance, words};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest as _, Sha256};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// Allows this style sheet, this script and pictures inside the page, and nothing else.
fn policy() -> String {
    let hash = |text: &str| format!("'sha256-{}'", STANDARD.encode(Sha256::digest(text)));
    format!(
        "default-src 'none'; img-src data:; style-src {}; script-src {}; base-uri 'none'; form-action 'none'",
        hash(STYLE),
        hash(SCRIPT)
    )
}

pub(crate) fn page(data: &ReportData) -> Markup {
    let title = if data.title.trim().is_empty() {
        "Photos".to_owned()
    } else {
        shortened(&data.title, 200)
    };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="Content-Security-Policy" content=(policy());
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="referrer" content="no-referrer";
                meta name="generator" content={ "pomona " (shown(&data.version)) };
                title { (title) " – Pomona report" }
                // Keeps browsers from asking a server for an icon.
                link rel="icon" href="data:,";
                style { (PreEscaped(STYLE)) }
            }
            body {
                a.skip href="#main" { "Skip to the report" }
                header {
                    p.brand { "Pomona report" }
                    h1 { bdi { (title) } }
                    p.origin {
                        @if !data.source.is_empty() { span { "Photos from " bdi.path { (shortened(&data.source, 300)) } } }
                        @if !data.created.is_empty() { span { time datetime=(shown(&data.created)) { (moment(&data.created)) } } }
                    }
                    nav aria-label="Sections" {
                        ul {
                            li { a href="#status" { "Photos" } }
                            @if data.growth.is_some() { li { a href="#growth" { "New" } } }
                            li { a href="#labels" { "Labels" } }
                            @if data.words.is_some() { li { a href="#words" { "Words" } } }
                            li { a href="#variance" { "Components" } }
                            li { a href="#scatter" { "Side by side" } }
                            @if data.quality.is_some() { li { a href="#quality" { "Quality" } } }
                            li { a href="#stages" { "Time" } }
                            @if data.cluster.is_some() { li { a href="#cluster" { "Cluster" } } }
                            @if data.storage.is_some() { li { a href="#storage" { "Storage" } } }
                            li { a href="#settings" { "Settings" } }
                        }
                    }
                }
                main id="main" {
                    (headline(data))
                    @if !data.notes.is_empty() {
                        aside.notes aria-label="Notes" { ul { @for note in &data.notes { li { bdi { (shown(note)) } } } } }
                    }
                    (status::section(data))
                    @if let Some(found) = &data.growth { (growth::section(found)) }
                    (labels::section(data))
                    @if let Some(found) = &data.words { (words::section(found)) }
                    (variance::section(data))
                    (scatter::section(data))
                    @if let Some(measured) = &data.quality { (quality::section(measured)) }
                    (stages::section(data))
                    @if let Some(worked) = &data.cluster { (cluster::section(worked)) }
                    @if let Some(asked) = &data.storage { (storage::section(asked)) }
                    (stages::settings(data))
                }
                footer {
                    p { "Made by Pomona " (shown(&data.version)) ". This file is complete in itself and loads nothing." }
                }
                script { (PreEscaped(SCRIPT)) }
            }
        }
    }
}

fn headline(data: &ReportData) -> Markup {
    let total: u64 = data.statuses.iter().map(|(_, n)| n).sum();
    let ok: u64 = data
        .statuses
        .iter()
        .filter(|(status, _)| status == "ok")
        .map(|(_, n)| n)
        .sum();
    let kept = data.explained_variance_ratio.len();
    let labels = data.labels_total.max(data.labels.len() as u64);
    let sums = variance::cumulative(&data.explained_variance_ratio);
    html! {
        section.headline aria-label="In short" {
            dl.tiles {
                (tile("Photos", &count(total), None, ""))
                (tile("Read", &count(ok), (total > 0).then(|| percent(share(ok, total), 1)), if total > 0 && ok == total { "good" } else { "" }))
                (tile("Failed", &count(total - ok), (total > ok).then(|| percent(share(total - ok, total), 1)), if total > ok { "bad" } else { "" }))
                (tile("Labels", &count(labels), None, ""))
                (tile(
                    "Components",
                    &if kept == 0 { "–".to_owned() } else { count(kept as u64) },
                    sums.last().map(|sum| format!("{} of the variance", percent(sum.min(1.0), 1))),
                    "",
                ))
                (tile(
                    "Photos per second",
                    &rate(data.images_per_second),
                    elapsed(total, data.images_per_second),
                    "",
                ))
            }
        }
    }
}

/// How long the photos took at that rate.
fn elapsed(photos: u64, per_second: f64) -> Option<String> {
    let secs = photos as f64 / per_second;
    (photos > 0 && secs.is_finite() && secs > 0.0).then(|| format!("in {}", seconds(secs)))
}

/// One figure with its name, inside a list of class `tiles`.
pub(crate) fn tile(name: &str, value: &str, more: Option<String>, tone: &str) -> Markup {
    html! {
        div class={ "tile " (tone) } {
            dt { (name) }
            dd { strong { (value) } @if let Some(more) = more { small { (more) } } }
        }
    }
}
