//! Section: how much of the variance the components keep.

use crate::data::ReportData;
use crate::text::{count, counted, percent};
use maud::{Markup, html};
use std::fmt::Write as _;

/// Shares of the variance that are marked.
const MARKS: [f64; 3] = [0.90, 0.95, 0.99];
/// Sum of the shares may miss a mark by this much and still reach it: single shares are rounded.
const ROUNDING: f64 = 1e-9;
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 360.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 586.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 306.0;

/// Running sum of the shares.
pub(crate) fn cumulative(ratios: &[f64]) -> Vec<f64> {
    ratios
        .iter()
        .scan(0.0, |sum, ratio| {
            *sum += ratio;
            Some(*sum)
        })
        .collect()
}

/// How many components reach `share`, if the kept ones do.
pub(crate) fn reached(cumulative: &[f64], share: f64) -> Option<usize> {
    cumulative
        .iter()
        .position(|&sum| sum >= share - ROUNDING)
        .map(|i| i + 1)
}

pub(crate) fn section(data: &ReportData) -> Markup {
    let sums = cumulative(&data.explained_variance_ratio);
    html! {
        section id="variance" aria-labelledby="variance-heading" {
            h2 id="variance-heading" { "What the components keep" }
            @if let Some(&kept) = sums.last() {
                p.lead {
                    (counted(sums.len() as u64, "component", "components"))
                    @if data.total_components_possible >= sums.len() {
                        " of " (count(data.total_components_possible as u64)) " possible"
                    }
                    @if sums.len() == 1 { " keeps " } @else { " keep " }
                    strong { (percent(kept.min(1.0), 1)) } " of the variance."
                }
                (chart(&sums))
                ul.marks {
                    @for mark in MARKS {
                        li {
                            strong { (percent(mark, 0)) } " "
                            @match reached(&sums, mark) {
                                Some(n) => { "at " (counted(n as u64, "component", "components")) },
                                None if sums.len() == 1 => { "not reached by the one kept" },
                                None => { "not reached by the " (count(sums.len() as u64)) " kept" },
                            }
                        }
                    }
                }
                (table(&data.explained_variance_ratio, &sums))
            } @else {
                p.empty { "No reducer was fitted in this run." }
            }
        }
    }
}

fn x(components: f64, kept: usize) -> f64 {
    LEFT + components / kept.max(1) as f64 * (RIGHT - LEFT)
}

fn y(share: f64) -> f64 {
    BOTTOM - share.clamp(0.0, 1.0) * (BOTTOM - TOP)
}

fn chart(sums: &[f64]) -> Markup {
    let kept = sums.len();
    let mut line = format!("M{:.1} {:.1}", x(0.0, kept), y(0.0));
    for (i, &sum) in sums.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(line, "L{:.1} {:.1}", x((i + 1) as f64, kept), y(sum));
    }
    let area = format!("{line}V{:.1}H{:.1}z", BOTTOM, LEFT);
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby="variance-title variance-text" {
            title id="variance-title" { "Variance kept by the first components" }
            desc id="variance-text" {
                @for mark in MARKS {
                    (percent(mark, 0))
                    @match reached(sums, mark) {
                        Some(n) => { " at " (counted(n as u64, "component", "components")) "; " },
                        None => { " not reached; " },
                    }
                }
            }
            @for share in [0.0, 0.25, 0.5, 0.75, 1.0] {
                line.grid x1=(LEFT) x2=(RIGHT) y1=(y(share)) y2=(y(share)) {}
                text.tick x=(LEFT - 8.0) y=(y(share) + 4.0) text-anchor="end" { (percent(share, 0)) }
            }
            @for tick in ticks(kept) {
                line.grid x1=(pixel(x(tick as f64, kept))) x2=(pixel(x(tick as f64, kept))) y1=(BOTTOM) y2=(BOTTOM + 5.0) {}
                text.tick x=(pixel(x(tick as f64, kept))) y=(BOTTOM + 22.0) text-anchor="middle" { (count(tick as u64)) }
            }
            text.axis x=(f64::midpoint(LEFT, RIGHT)) y=(HEIGHT - 8.0) text-anchor="middle" { "components" }
            path.area d=(area) {}
            @for (i, mark) in MARKS.into_iter().enumerate() {
                line class={ "mark mark" (i) } x1=(LEFT) x2=(RIGHT) y1=(pixel(y(mark))) y2=(pixel(y(mark))) {}
                // The three lines lie closer together than their labels are tall.
                text class={ "marktext mark" (i) } x=(RIGHT + 6.0) y=(pixel(y(0.95) + 5.0 + (1.0 - i as f64) * 19.0)) {
                    (percent(mark, 0))
                }
            }
            path.line d=(line) {}
            @for (i, mark) in MARKS.into_iter().enumerate() {
                @if let Some(n) = reached(sums, mark) {
                    @let at = pixel(x(n as f64, kept));
                    line class={ "drop mark" (i) } x1=(at) x2=(at) y1=(pixel(y(sums[n - 1]))) y2=(BOTTOM) {}
                    circle class={ "dot mark" (i) } cx=(at) cy=(pixel(y(sums[n - 1]))) r="5" {
                        title { (percent(mark, 0)) " at " (counted(n as u64, "component", "components")) }
                    }
                }
            }
        }
    }
}

/// A coordinate with one decimal, so that the file stays small.
fn pixel(value: f64) -> String {
    format!("{value:.1}")
}

/// Round numbers of components to mark, about six of them.
pub(crate) fn ticks(kept: usize) -> Vec<usize> {
    let rough = kept.div_ceil(6).max(1);
    let mut step = 1usize;
    while step < rough {
        step = match step.to_string().as_bytes().first() {
            Some(b'2') => step / 2 * 5,
            _ => step * 2,
        };
    }
    (0..=kept).step_by(step).collect()
}

fn table(ratios: &[f64], sums: &[f64]) -> Markup {
    html! {
        details {
            summary { "Share of every component" }
            div.scroll.tall tabindex="0" role="region" aria-label="Share of every component" {
                table {
                    thead { tr {
                        th.number scope="col" { "Component" }
                        th.number scope="col" { "Its share" }
                        th.number scope="col" { "Up to here" }
                    } }
                    tbody {
                        @for (i, (ratio, sum)) in ratios.iter().zip(sums).enumerate() {
                            tr {
                                th.number scope="row" { (i + 1) }
                                td.number { (percent(*ratio, 2)) }
                                td.number { (percent(sum.min(1.0), 2)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_are_reached_at_the_first_component_that_gets_there() {
        let sums = cumulative(&[0.5, 0.4, 0.06, 0.04]);
        assert_eq!(
            reached(&sums, 0.90),
            Some(2),
            "0.5 + 0.4 misses 0.9 only by rounding"
        );
        assert_eq!(reached(&sums, 0.95), Some(3));
        assert_eq!(reached(&sums, 0.99), Some(4));
        assert_eq!(reached(&sums[..2], 0.95), None);
        assert_eq!(reached(&[], 0.9), None);
    }

    #[test]
    fn ticks_are_round_and_few() {
        assert_eq!(ticks(1), [0, 1]);
        assert_eq!(ticks(100), [0, 20, 40, 60, 80, 100]);
        assert_eq!(ticks(400), [0, 100, 200, 300, 400]);
        for kept in 1..3_000 {
            let n = ticks(kept).len();
            assert!((2..=8).contains(&n), "{kept} components give {n} ticks");
        }
    }
}
