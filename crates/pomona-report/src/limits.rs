//! Part of the section on storage: how many requests were allowed in flight as time went on.

use crate::scale::Axis;
use crate::text::{count, counted};
use maud::{Markup, html};
use std::fmt::Write as _;

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 250.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 620.0;
const TOP: f64 = 14.0;
const BOTTOM: f64 = 182.0;
/// Most changes of the limit that are drawn.
const DRAWN: usize = 300;
/// The axis of limits is at least this long: below, its ticks would be fractions.
const LEAST_HIGHEST: u64 = 6;

/// The limits that can be drawn, by time.
fn usable(limits: &[(f64, u64)]) -> Vec<(f64, u64)> {
    let mut usable: Vec<(f64, u64)> = limits
        .iter()
        .copied()
        .filter(|(seconds, _)| (0.0..1e12).contains(seconds))
        .collect();
    usable.sort_by(|a, b| a.0.total_cmp(&b.0));
    usable
}

/// The lowest limit after a higher one.
pub(crate) fn fell_to(limits: &[(f64, u64)]) -> Option<u64> {
    let mut highest = 0;
    let mut lowest = None;
    for (_, limit) in usable(limits) {
        if limit < highest {
            lowest = Some(lowest.map_or(limit, |lowest: u64| lowest.min(limit)));
        }
        highest = highest.max(limit);
    }
    lowest
}

/// At most [`DRAWN`] of them, by time: the lowest and the highest of each stretch, the first and the last.
fn thinned(limits: Vec<(f64, u64)>) -> Vec<(f64, u64)> {
    if limits.len() <= DRAWN {
        return limits;
    }
    let stretch = limits.len().div_ceil(DRAWN / 2 - 1);
    let mut kept = vec![0, limits.len() - 1];
    for (number, part) in limits.chunks(stretch).enumerate() {
        let at = |(index, _): (usize, &(f64, u64))| number * stretch + index;
        let limit = |(_, change): &(usize, &(f64, u64))| change.1;
        kept.extend(part.iter().enumerate().min_by_key(limit).map(at));
        kept.extend(part.iter().enumerate().max_by_key(limit).map(at));
    }
    kept.sort_unstable();
    kept.dedup();
    kept.into_iter().map(|index| limits[index]).collect()
}

/// Seconds of the unit in which a stretch of time is told, and the unit.
fn unit(longest: f64) -> (f64, &'static str) {
    if longest < 180.0 {
        (1.0, "seconds")
    } else if longest < 3.0 * 3_600.0 {
        (60.0, "minutes")
    } else {
        (3_600.0, "hours")
    }
}

/// The chart, where the limit was recorded at two times at least.
pub(crate) fn part(limits: &[(f64, u64)]) -> Markup {
    let limits = thinned(usable(limits));
    html! {
        @if let [_, .., last] = limits.as_slice() {
            h3 { "Requests allowed in flight" }
            (chart(&limits, last.0))
        }
    }
}

fn chart(limits: &[(f64, u64)], until: f64) -> Markup {
    let (lowest, highest) = limits
        .iter()
        .fold((u64::MAX, 0), |(low, high), (_, limit)| {
            (low.min(*limit), high.max(*limit))
        });
    let (per_unit, name) = unit(until);
    let x = Axis::from_zero(until / per_unit, LEFT, RIGHT);
    let y = Axis::from_zero(highest.max(LEAST_HIGHEST) as f64, BOTTOM, TOP);
    let mut line = String::new();
    for (seconds, limit) in limits {
        let (x, y) = (x.place(seconds / per_unit), y.place(*limit as f64));
        // A limit holds until the next one. Writing to a string cannot fail.
        let _ = match line.is_empty() {
            true => write!(line, "M{x:.1} {y:.1}"),
            false => write!(line, "H{x:.1}V{y:.1}"),
        };
    }
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby="limits-title limits-text" {
            title id="limits-title" { "Requests allowed in flight over time" }
            desc id="limits-text" {
                "Between " (count(lowest)) " and " (counted(highest, "request", "requests"))
                @if let Some((_, limit)) = limits.last() { ", at last " (count(*limit)) }
                "."
            }
            @for (at, text) in y.ticks() {
                line.grid x1=(LEFT) x2=(RIGHT) y1=(pixel(at)) y2=(pixel(at)) {}
                text.tick x=(LEFT - 8.0) y=(pixel(at + 5.0)) text-anchor="end" { (text) }
            }
            @for (at, text) in x.ticks() {
                line.grid x1=(pixel(at)) x2=(pixel(at)) y1=(BOTTOM) y2=(BOTTOM + 5.0) {}
                text.tick x=(pixel(at)) y=(BOTTOM + 26.0) text-anchor="middle" { (text) }
            }
            text.axis x=(f64::midpoint(LEFT, RIGHT)) y=(HEIGHT - 8.0) text-anchor="middle" { (name) " since the run began" }
            path.line d=(line) {}
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
    fn the_limit_falls_only_after_a_higher_one() {
        assert_eq!(fell_to(&[]), None);
        assert_eq!(fell_to(&[(0.0, 16), (1.0, 16)]), None);
        assert_eq!(fell_to(&[(0.0, 8), (1.0, 16), (2.0, 64)]), None);
        assert_eq!(
            fell_to(&[(2.0, 64), (0.0, 8), (3.0, 32), (4.0, 48)]),
            Some(32)
        );
        assert_eq!(fell_to(&[(f64::NAN, 64), (0.0, 8)]), None);
    }

    #[test]
    fn of_many_limits_a_dip_is_kept() {
        for n in [0_usize, 1, 2, DRAWN, DRAWN + 1, 2 * DRAWN, 77_777] {
            let limits: Vec<(f64, u64)> = (0..n)
                .map(|i| (i as f64, if i == n / 3 { 2 } else { 64 + (i % 5) as u64 }))
                .collect();
            let kept = thinned(limits.clone());
            assert!(kept.len() <= DRAWN, "{n}: {}", kept.len());
            assert!(kept.is_sorted_by(|a, b| a.0 < b.0));
            assert_eq!((kept.first(), kept.last()), (limits.first(), limits.last()));
            assert!(n < DRAWN || kept.contains(&((n / 3) as f64, 2)), "{n}");
        }
    }
}
