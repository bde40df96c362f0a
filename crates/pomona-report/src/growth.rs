//! Section: what came since the run before, and how far it lies from what the components were fitted on.

use crate::growth_data::{Generation, GrowthData, GrowthDrift, MAX_GENERATIONS};
use crate::text::{count, counted, measured, moment, percent};
use maud::{Markup, html};

/// Generations shown at once; earlier ones unfold.
const AT_ONCE: usize = 10;
/// Fewer rows tell nothing about where the others of their kind lie.
const LEAST_ROWS: u64 = 30;
/// Distance of the means, in multiples of what chance gives, up to which it passes for chance. Chance goes beyond about one
/// time in twenty where all features move as one, and hardly ever where many vary by themselves.
const CHANCE: f64 = 2.0;
/// Distance of the means, in deviations, below which it does not matter, however sure it is.
const SLIGHT: f64 = 0.2;
/// How much less of the new rows than of the fitted ones the components may keep. Rows a fit has not seen always have
/// somewhat less kept.
const LOST: f64 = 0.1;

pub(crate) fn section(growth: &GrowthData) -> Markup {
    let from = growth.generations.len().saturating_sub(MAX_GENERATIONS);
    let newest_first: Vec<&Generation> = growth.generations[from..].iter().rev().collect();
    let (first, rest) = newest_first.split_at(newest_first.len().min(AT_ONCE));
    html! {
        section id="growth" aria-labelledby="growth-heading" {
            h2 id="growth-heading" { "What is new" }
            @if let Some(last) = growth.generations.last() {
                p.lead { (told(last)) }
                (table(first, "Runs on this folder, the last one first"))
                @if !rest.is_empty() {
                    details {
                        summary {
                            (counted(rest.len() as u64, "earlier run", "earlier runs"))
                            @if from > 0 { " of " (count((growth.generations.len() - first.len()) as u64)) }
                        }
                        (table(rest, "Earlier runs, the last one first"))
                    }
                }
            } @else {
                p.empty { "No runs were recorded." }
            }
            @if let Some(drift) = &growth.drift { (drifted(drift)) }
        }
    }
}

/// The last run in one sentence.
fn told(last: &Generation) -> Markup {
    let mut parts = Vec::new();
    for (photos, one, several) in [
        (last.new, "new photo", "new photos"),
        (last.changed, "changed photo", "changed photos"),
    ] {
        if photos > 0 {
            parts.push(counted(photos, one, several));
        }
    }
    let mut gone = Vec::new();
    if last.vanished > 0 {
        let of = counted(last.vanished, "photo", "photos");
        gone.push(format!("{of} vanished"));
    }
    if last.forgotten > 0 {
        let verb = if last.forgotten == 1 { "was" } else { "were" };
        let of = counted(last.forgotten, "photo", "photos");
        gone.push(format!("{of} {verb} forgotten"));
    }
    html! {
        @if parts.is_empty() {
            "In the last run nothing was new"
        } @else {
            strong { (parts.join(" and ")) }
            @if last.new.saturating_add(last.changed) == 1 { " was" } @else { " were" }
            " worked on in the last run"
        }
        @if !gone.is_empty() { "; " (gone.join(" and ")) }
        "."
    }
}

fn table(generations: &[&Generation], caption: &str) -> Markup {
    // On a phone the rows are laid out as blocks, in which each number carries its name.
    let cell = |name: &str, photos: u64| html! { td.number data-name=(name) { (count(photos)) } };
    html! {
        table.stacked.generations {
            caption.unseen { (caption) }
            thead { tr {
                th scope="col" { "Run" }
                th.number scope="col" { "New" }
                th.number scope="col" { "Changed" }
                th.number scope="col" { "Vanished" }
                th.number scope="col" { "Forgotten" }
                th.number scope="col" { "Shards" }
            } }
            tbody {
                @for generation in generations {
                    tr {
                        th scope="row" {
                            (count(generation.number))
                            " " span.meaning { (moment(&generation.when)) }
                        }
                        (cell("New", generation.new))
                        (cell("Changed", generation.changed))
                        (cell("Vanished", generation.vanished))
                        (cell("Forgotten", generation.forgotten))
                        (cell("Shards", generation.shards))
                    }
                }
            }
        }
    }
}

fn drifted(drift: &GrowthDrift) -> Markup {
    html! {
        h3 { "How far the new photos lie from those the components were fitted on" }
        p.lead { (verdict(drift)) }
        table.settings {
            caption.unseen { "New photos against fitted ones" }
            thead.unseen { tr { th scope="col" { "Measure" } th scope="col" { "Result" } } }
            tbody {
                tr {
                    th scope="row" { "Photos compared" }
                    td { (count(drift.rows)) " new with " (count(drift.rows_fitted)) " fitted" }
                }
                tr {
                    th scope="row" { "Distance between their means" }
                    td { (number(drift.shift)) " deviations; chance alone gives " (number(drift.sampling_shift)) }
                }
                tr {
                    th scope="row" { "Variance of the new photos" }
                    td { (number(drift.spread)) " times that of the fitted ones" }
                }
                tr {
                    th scope="row" { "Kept by the components" }
                    td { (kept(drift.explained)) " of what sets the new photos apart, " (kept(drift.explained_fitted)) " of the fitted ones" }
                }
            }
        }
    }
}

/// A measure that cannot be negative; a dash for anything else.
fn number(value: f64) -> String {
    if (0.1..99.995).contains(&value) {
        format!("{value:.2}")
    } else {
        measured(if value >= 0.0 { value } else { f64::NAN })
    }
}

/// A share; a dash for what is none.
fn kept(share: f64) -> String {
    // Rounding may carry a share a little beyond its bounds.
    if (-1e-9..=1.0 + 1e-9).contains(&share) {
        percent(share.clamp(0.0, 1.0), 1)
    } else {
        "–".to_owned()
    }
}

/// What the measures come to, and what to do.
fn verdict(drift: &GrowthDrift) -> Markup {
    let times = drift.shift / drift.sampling_shift;
    let usable = times >= 0.0 && times.is_finite() && drift.sampling_shift.is_finite();
    let lost = drift.explained < drift.explained_fitted - LOST;
    let beyond = times > CHANCE;
    html! {
        @if drift.rows < LEAST_ROWS {
            (counted(drift.rows, "new photo is", "new photos are")) " too few to judge by."
        } @else if !usable {
            "How far the new photos lie from the fitted ones could not be measured."
        } @else if beyond && drift.shift >= SLIGHT {
            strong { "The new photos lie " (rounded(times)) " times further from the fitted mean than chance would put them" }
            @if lost { ", and the components keep less of what sets them apart" }
            "; refit with " code { "--refit" } "."
        } @else if lost {
            strong { "The components keep less of what sets the new photos apart than of the fitted ones" }
            "; refit with " code { "--refit" } "."
        } @else if beyond {
            "The new photos lie " (rounded(times)) " times further from the fitted mean than chance would put them, but by no more than "
            (number(drift.shift)) " deviations: the fit still serves them."
        } @else {
            "The new photos lie about where chance would put them: the fit still serves them."
        }
    }
}

/// A factor with as many digits as matter to a reader.
fn rounded(times: f64) -> String {
    if times < 9.95 {
        format!("{times:.1}")
    } else if times < 1e15 {
        count(times.round() as u64)
    } else {
        measured(times)
    }
}
