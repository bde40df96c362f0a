//! Part of the section on words: how often each word occurs.

use crate::scale::Axis;
use crate::text::{count, counted, measured};
use maud::{Markup, html};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 280.0;
const LEFT: f64 = 84.0;
const RIGHT: f64 = 626.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 240.0;
/// Most bars: of more words, those of neighbouring ranks share one.
const BARS: usize = 120;
/// A word is rare below the mean divided by this.
const RARE: u128 = 10;

/// How words are used, in figures.
#[derive(Debug, PartialEq, Eq)]
struct Usage {
    /// Words without key points.
    never: u64,
    /// Words with at least one key point, but less than a tenth of the mean.
    rarely: u64,
    /// Key points of the most frequent word.
    most: u64,
    /// Key points of the word in the middle (the less frequent one of two).
    median: u64,
}

/// `sorted` has the most frequent word first.
fn usage(sorted: &[u64]) -> Usage {
    let sum: u128 = sorted.iter().map(|count| u128::from(*count)).sum();
    let words = sorted.len() as u128;
    let count = |which: &dyn Fn(u64) -> bool| sorted.iter().filter(|n| which(**n)).count() as u64;
    Usage {
        never: count(&|n| n == 0),
        rarely: count(&|n| n > 0 && u128::from(n).saturating_mul(RARE * words) < sum),
        most: sorted.first().copied().unwrap_or(0),
        median: sorted.get(sorted.len() / 2).copied().unwrap_or(0),
    }
}

pub(crate) fn part(counts: &[u64]) -> Markup {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    let usage = usage(&sorted);
    html! {
        h3 { "How often each word occurs" }
        @if sorted.is_empty() {
            p.empty { "There are no words." }
        } @else if usage.most == 0 {
            p.empty { "None of the " (counted(sorted.len() as u64, "word", "words")) " occurs in these photos." }
        } @else {
            p.lead {
                @if sorted.len() == 1 {
                    "The only word counts " strong { (counted(usage.most, "key point", "key points")) } "."
                } @else {
                    "The most frequent word counts " (counted(usage.most, "key point", "key points"))
                    ", the one in the middle " (count(usage.median)) ". "
                    @if usage.never == 0 && usage.rarely == 0 {
                        strong { "Every word is used" } ", none rarely (less than a tenth of the mean)."
                    } @else {
                        strong {
                            (count(usage.never)) " of " (counted(sorted.len() as u64, "word", "words"))
                            @if usage.never == 1 { " is never used" } @else { " are never used" }
                        }
                        ", " (count(usage.rarely)) " rarely (less than a tenth of the mean)."
                    }
                }
            }
            (histogram(&sorted))
        }
    }
}

/// The bars: first and last rank (from 0, the last one excluded) and the mean of their words.
fn bars(sorted: &[u64]) -> Vec<(usize, usize, f64)> {
    let bars = sorted.len().min(BARS);
    (0..bars)
        .map(|bar| {
            let (from, to) = (bar * sorted.len() / bars, (bar + 1) * sorted.len() / bars);
            let sum: f64 = sorted[from..to].iter().map(|count| *count as f64).sum();
            (from, to, sum / (to - from) as f64)
        })
        .collect()
}

/// Key points of a word by its rank, as bars of equally many words.
fn histogram(sorted: &[u64]) -> Markup {
    let bars = bars(sorted);
    let highest = bars.first().map_or(0.0, |bar| bar.2);
    let width = (RIGHT - LEFT) / bars.len().max(1) as f64;
    let y = Axis::from_zero(highest, BOTTOM, TOP);
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-labelledby="word-counts-title word-counts-text" {
            title id="word-counts-title" { "Key points of each word, the most frequent word first" }
            desc id="word-counts-text" {
                "From " (measured(highest)) " on the left to " (measured(bars.last().map_or(0.0, |bar| bar.2))) " on the right."
            }
            @for (at, text) in y.ticks() {
                line.grid x1=(LEFT) x2=(RIGHT) y1=(pixel(at)) y2=(pixel(at)) {}
                text.tick x=(LEFT - 8.0) y=(pixel(at + 4.0)) text-anchor="end" { (text) }
            }
            g.bars {
                @for (bar, (from, to, mean)) in bars.iter().enumerate() {
                    @let top = y.place(*mean);
                    rect x=(pixel(LEFT + bar as f64 * width)) y=(pixel(top)) width=(pixel((width * 0.86).max(0.4))) height=(pixel(BOTTOM - top)) {
                        title {
                            @if to - from == 1 { "Rank " (count(*to as u64)) } @else { "Ranks " (count(*from as u64 + 1)) " to " (count(*to as u64)) }
                            ": " (measured(*mean)) " key points per word"
                        }
                    }
                }
            }
            text.axis x=(LEFT) y=(BOTTOM + 26.0) { "most frequent" }
            @if sorted.len() > 1 {
                text.axis x=(RIGHT) y=(BOTTOM + 26.0) text-anchor="end" { "rarest of " (count(sorted.len() as u64)) " words" }
            }
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
    fn rare_words_are_those_below_a_tenth_of_the_mean() {
        // The mean is 100: 9 is rare, 10 is not.
        let sorted = [481, 10, 9, 0, 0];
        assert_eq!(
            usage(&sorted),
            Usage {
                never: 2,
                rarely: 1,
                most: 481,
                median: 9
            }
        );
        assert_eq!(usage(&[u64::MAX; 3]).rarely, 0);
        assert_eq!(usage(&[]).most, 0);
    }

    #[test]
    fn every_word_is_in_one_bar() {
        for words in [1usize, 2, 119, 120, 121, 1_000, 4_096] {
            let counts: Vec<u64> = (0..words as u64).rev().collect();
            let bars = bars(&counts);
            assert!(bars.len() <= BARS);
            assert_eq!((bars[0].0, bars[bars.len() - 1].1), (0, words));
            assert!(bars.windows(2).all(|pair| pair[0].1 == pair[1].0));
            let sum: f64 = bars.iter().map(|bar| bar.2 * (bar.1 - bar.0) as f64).sum();
            let expected = (words * (words - 1) / 2) as f64;
            assert!((sum - expected).abs() <= 1e-9 * expected.max(1.0));
        }
    }
}
