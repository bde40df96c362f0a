//! Part of the section on words: the passes of k-means.

use crate::scale::Axis;
use crate::text::{count, counted, measured, percent, shortened, shown};
use crate::variance::ticks;
use crate::words_data::{MAX_PASS_ROWS, PassRow};
use maud::{Markup, html};
use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 314.0;
const LEFT: f64 = 96.0;
const RIGHT: f64 = 560.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 246.0;
/// Most passes drawn, evenly chosen of more.
const DRAWN: usize = 300;
/// Passes up to which each has a mark of its own.
const MARKED: usize = 60;

/// A pass as it is drawn.
struct Step<'a> {
    pass: &'a PassRow,
    /// Place in the list, from 1. Numbers of passes need not follow one another.
    ordinal: usize,
    /// Inertia per descriptor, finite and at least 0: passes may count different numbers of descriptors.
    mean: f64,
    /// Share in [0, 1].
    moved: Option<f64>,
}

fn moved(pass: &PassRow) -> Option<f64> {
    pass.moved_share.filter(|share| (0.0..=1.0).contains(share))
}

/// The passes that can be drawn, at most [`DRAWN`], with the first and the last one.
fn steps(passes: &[PassRow]) -> Vec<Step<'_>> {
    let all: Vec<Step<'_>> = passes
        .iter()
        .enumerate()
        .map(|(i, pass)| Step {
            pass,
            ordinal: i + 1,
            mean: pass.inertia / pass.rows.max(1) as f64,
            moved: moved(pass),
        })
        .filter(|step| (0.0..1e300).contains(&step.mean))
        .collect();
    let last = all.len().saturating_sub(1);
    let kept = all.len().min(DRAWN);
    let chosen: Vec<usize> = (0..kept).map(|i| i * last / (kept - 1).max(1)).collect();
    all.into_iter()
        .enumerate()
        .filter(|(i, _)| chosen.binary_search(i).is_ok())
        .map(|(_, step)| step)
        .collect()
}

/// What the inertia per descriptor is by a distance of that name.
fn meaning(distance: &str) -> &'static str {
    match distance {
        "euclidean" => "the mean squared distance from the centre of a descriptor's word",
        "hamming" => "the mean distance in bits from the centre of a descriptor's word",
        _ => "the mean distance from the centre of a descriptor's word",
    }
}

/// The passes, what their inertia means by `distance`, and `stop`, the reason why there were no more.
pub(crate) fn part(passes: &[PassRow], distance: &str, stop: &str) -> Markup {
    let steps = steps(passes);
    html! {
        h3 { "How the codebook was learned" }
        p.lead {
            @if let (Some(first), Some(last)) = (steps.first(), steps.last()) {
                "There " @if passes.len() == 1 { "was " } @else { "were " }
                strong { (counted(passes.len() as u64, "pass", "passes")) } " of k-means. The inertia per descriptor "
                @if steps.len() > 1 { "went from " (measured(first.mean)) " to " } @else { "is " }
                (measured(last.mean))
                ": " (meaning(distance)) ". "
            }
            (shown(stop))
        }
        @if steps.len() > 1 { (chart(&steps, passes.len())) }
        @if !passes.is_empty() { (table(passes)) }
    }
}

/// A line through the places given.
fn line(places: impl Iterator<Item = (f64, f64)>) -> String {
    let mut line = String::new();
    for (x, y) in places {
        let command = if line.is_empty() { 'M' } else { 'L' };
        // Writing to a string cannot fail.
        let _ = write!(line, "{command}{x:.1} {y:.1}");
    }
    line
}

fn chart(steps: &[Step<'_>], passes: usize) -> Markup {
    let x = |ordinal: usize| {
        LEFT + (ordinal - 1) as f64 / passes.saturating_sub(1).max(1) as f64 * (RIGHT - LEFT)
    };
    let y = Axis::over(steps.iter().map(|step| step.mean), BOTTOM, TOP);
    let most_moved = steps.iter().filter_map(|step| step.moved).reduce(f64::max);
    let share = Axis::from_zero(most_moved.unwrap_or(0.0) * 100.0, BOTTOM, TOP);
    let moved_line = line(steps.iter().filter_map(|step| {
        step.moved
            .map(|moved| (x(step.ordinal), share.place(moved * 100.0)))
    }));
    let marked = steps.len() <= MARKED;
    html! {
        ul.key aria-hidden="true" {
            li.inertia { "inertia per descriptor" }
            @if most_moved.is_some() { li.moved { "descriptors that changed their word" } }
        }
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby="passes-title passes-text" {
            title id="passes-title" { "Inertia per descriptor and moved share after each pass" }
            desc id="passes-text" {
                @for step in [steps.first(), steps.last()].into_iter().flatten() { (told(step)) ". " }
            }
            @for (at, text) in y.ticks() {
                line.grid x1=(LEFT) x2=(RIGHT) y1=(pixel(at)) y2=(pixel(at)) {}
                text.tick x=(LEFT - 8.0) y=(pixel(at + 4.0)) text-anchor="end" { (text) }
            }
            @if most_moved.is_some() {
                @for (at, text) in share.ticks() {
                    text.tick.moved x=(RIGHT + 8.0) y=(pixel(at + 4.0)) { (text) "\u{a0}%" }
                }
            }
            @for tick in marked_passes(passes) {
                line.grid x1=(pixel(x(tick))) x2=(pixel(x(tick))) y1=(BOTTOM) y2=(BOTTOM + 5.0) {}
                text.tick x=(pixel(x(tick))) y=(BOTTOM + 27.0) text-anchor="middle" { (count(tick as u64)) }
            }
            text.axis x=(f64::midpoint(LEFT, RIGHT)) y=(HEIGHT - 8.0) text-anchor="middle" { "pass" }
            @if !moved_line.is_empty() { path.moved d=(moved_line) {} }
            path.line d=(line(steps.iter().map(|step| (x(step.ordinal), y.place(step.mean))))) {}
            g.steps.marked[marked] {
                @for step in steps {
                    circle cx=(pixel(x(step.ordinal))) cy=(pixel(y.place(step.mean))) r="4" { title { (told(step)) } }
                }
            }
        }
    }
}

/// Passes whose numbers stand below the chart: the first one and round ones.
fn marked_passes(passes: usize) -> Vec<usize> {
    let mut marked: Vec<usize> = ticks(passes).into_iter().map(|tick| tick.max(1)).collect();
    marked.dedup();
    marked
}

/// A pass in words.
fn told(step: &Step<'_>) -> String {
    let mut text = format!(
        "Pass {} ({}): {} per descriptor",
        count(step.pass.pass.into()),
        shortened(&step.pass.kind, 20),
        measured(step.mean)
    );
    if let Some(moved) = step.moved {
        // Writing to a string cannot fail.
        let _ = write!(text, ", {} moved", percent(moved, 1));
    }
    text
}

fn table(passes: &[PassRow]) -> Markup {
    let cut = passes.len() > MAX_PASS_ROWS;
    let (head, tail) = if cut {
        let half = MAX_PASS_ROWS / 2;
        (&passes[..half], &passes[passes.len() - half..])
    } else {
        (passes, &passes[..0])
    };
    html! {
        details {
            summary { "Every pass of k-means" }
            @if cut { p.lead { "The first and the last " (MAX_PASS_ROWS / 2) " of " (counted(passes.len() as u64, "pass", "passes")) "." } }
            div.scroll.tall.wide tabindex="0" role="region" aria-label="Passes of k-means" {
                table {
                    thead { tr {
                        th.number scope="col" { "Pass" }
                        th scope="col" { "Kind" }
                        th.number scope="col" { "Inertia" }
                        th.number scope="col" { "Moved" }
                        th.number scope="col" { "Empty words" }
                        th.number scope="col" { "Shift" }
                        th.number scope="col" { "Descriptors" }
                    } }
                    tbody { @for pass in head.iter().chain(tail) { (row(pass)) } }
                }
            }
        }
    }
}

fn row(pass: &PassRow) -> Markup {
    html! {
        tr {
            th.number scope="row" { (count(pass.pass.into())) }
            td { (shortened(&pass.kind, 20)) }
            td.number { (measured(pass.inertia)) }
            td.number { @match moved(pass) { Some(moved) => (percent(moved, 2)), None => "–" } }
            td.number { (count(pass.empty_clusters)) }
            td.number { (measured(pass.centre_shift)) }
            td.number { (count(pass.rows)) }
        }
    }
}

/// A coordinate with one decimal, so that the file stays small.
fn pixel(value: f64) -> String {
    format!("{value:.1}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drawn_passes_are_few_and_hold_both_ends() {
        for n in [0usize, 1, 2, DRAWN - 1, DRAWN, DRAWN + 1, 5_000] {
            let passes: Vec<PassRow> = (0..n)
                .map(|i| PassRow {
                    inertia: i as f64,
                    ..PassRow::default()
                })
                .collect();
            let ordinals: Vec<usize> = steps(&passes).iter().map(|step| step.ordinal).collect();
            assert_eq!(ordinals.len(), n.min(DRAWN), "{n}");
            assert!(ordinals.windows(2).all(|pair| pair[0] < pair[1]), "{n}");
            if n > 0 {
                assert_eq!((ordinals[0], ordinals[ordinals.len() - 1]), (1, n));
            }
        }
    }

    #[test]
    fn the_first_pass_is_marked_once() {
        assert_eq!(marked_passes(4), [1, 2, 3, 4]);
        assert_eq!(marked_passes(100), [1, 20, 40, 60, 80, 100]);
    }

    #[test]
    fn what_is_no_number_is_not_drawn() {
        let passes: Vec<PassRow> = [1.0, f64::NAN, f64::INFINITY, -1.0, f64::MAX, 2.0]
            .into_iter()
            .map(|inertia| PassRow {
                inertia,
                moved_share: Some(inertia),
                ..PassRow::default()
            })
            .collect();
        let kept: Vec<(usize, Option<f64>)> = steps(&passes)
            .iter()
            .map(|step| (step.ordinal, step.moved))
            .collect();
        assert_eq!(kept, [(1, Some(1.0)), (6, None)]);
    }
}
