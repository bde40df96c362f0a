//! Section: key points, the codebook made of them, and what its words look like.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::labels::label_name;
use crate::looks::COLOURS;
use crate::picture::{data_url, png_url};
use crate::scale::Axis;
use crate::text::{count, counted, percent, share, shortened, shown};
use crate::words_data::{
    KeyPointSample, MAX_DRAWN_KEYPOINTS, MAX_KEYPOINT_SAMPLES, MAX_TYPICAL_WORDS, MAX_WORD_PATCHES,
    PassRow, TypicalWord, WordsReport,
};

const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 300.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 620.0;
const TOP: f64 = 16.0;
const BOTTOM: f64 = 250.0;
/// Bars of the histogram, most: words of neighbouring ranks share one.
const BARS: usize = 120;

pub(crate) fn section(words: &WordsReport) -> Markup {
    let used = words.counts.iter().filter(|count| **count > 0).count();
    html! {
        section id="words" aria-labelledby="words-heading" {
            h2 id="words-heading" { "Visual words" }
            p.lead {
                strong { (counted(words.keypoints, "key point", "key points")) }
                @if words.images > 0 {
                    ", " (format!("{:.1}", words.keypoints as f64 / words.images as f64)) " a photo"
                }
                ", counted as " strong { (counted(words.counts.len() as u64, "word", "words")) }
                " by " (shown(&words.distance)) " distance. Entries are " (shown(&words.weighting))
                @if words.norm != "none" && !words.norm.is_empty() { ", divided by their " (shown(&words.norm)) " norm" }
                ". "
                @if words.images_without_keypoints > 0 {
                    (counted(words.images_without_keypoints, "photo has", "photos have"))
                    " no key points (" (percent(share(words.images_without_keypoints, words.images), 1))
                    "): plain, small or blurred ones. Their features are zeros."
                } @else {
                    "Every photo has key points."
                }
            }
            @if !words.samples.is_empty() { (samples(&words.samples)) }
            @if !words.typical.is_empty() { (typical(&words.typical)) }
            @if !words.counts.is_empty() {
                h3 { "How often each word occurs" }
                p.lead {
                    (counted(used as u64, "word", "words")) " of " (count(words.counts.len() as u64))
                    @if words.counts.len() == 1 { " occurs" } @else { " occur" }
                    " in these photos."
                }
                (histogram(&words.counts))
            }
            h3 { "How the codebook was learned" }
            p.lead { (shown(&words.stop)) }
            @if !words.passes.is_empty() {
                @if finite(&words.passes).count() > 1 { (inertia(&words.passes)) }
                (passes(&words.passes))
            }
        }
    }
}

fn samples(samples: &[KeyPointSample]) -> Markup {
    html! {
        h3 { "Key points on some photos" }
        p.lead { "Circles show the square that is described, lines its orientation, colours the word." }
        ul.samples {
            @for sample in samples.iter().take(MAX_KEYPOINT_SAMPLES) { li { (drawn(sample)) } }
        }
    }
}

/// A photo as a background, its key points over it, in pixels of the photo.
fn drawn(sample: &KeyPointSample) -> Markup {
    let (width, height) = (sample.width_px.max(1), sample.height_px.max(1));
    let points: Vec<_> = sample
        .keypoints
        .iter()
        .filter(|point| {
            [point.x, point.y, point.size_px, point.angle_degrees]
                .iter()
                .all(|value| value.is_finite())
        })
        .take(MAX_DRAWN_KEYPOINTS)
        .collect();
    // Lines of the same width to the eye on a small photo and on a large one.
    let line = f64::from(width.max(height)) / 160.0;
    html! {
        figure {
            svg viewBox={ "0 0 " (width) " " (height) } role="img" aria-label={ (points.len()) " key points on " (shortened(&sample.path, 120)) } {
                image href=(data_url(&sample.picture)) width=(width) height=(height) preserveAspectRatio="none" {}
                @for point in &points {
                    @let radius = f64::from(point.size_px.max(0.0)) / 2.0;
                    @let (sine, cosine) = f64::from(point.angle_degrees).to_radians().sin_cos();
                    // The centre of the first pixel is at 0 in key points and at one half in a picture.
                    @let (x, y) = (f64::from(point.x) + 0.5, f64::from(point.y) + 0.5);
                    g class={ "keypoint c" (point.word as usize % COLOURS) } stroke-width=(pixel(line)) {
                        title { "Word " (point.word) }
                        circle cx=(pixel(x)) cy=(pixel(y)) r=(pixel(radius)) {}
                        path d={ "M" (pixel(x)) " " (pixel(y)) "l" (pixel(radius * cosine)) " " (pixel(radius * sine)) } {}
                    }
                }
            }
            figcaption {
                strong { bdi { (label_name(sample.label.as_deref().unwrap_or_default())) } }
                bdi.path { (shortened(&sample.path, 60)) }
            }
        }
    }
}

fn typical(words: &[TypicalWord]) -> Markup {
    html! {
        h3 { "What frequent words look like" }
        p.lead { "The patches nearest to a word's centre, turned upright." }
        ul.typical {
            @for word in words.iter().take(MAX_TYPICAL_WORDS) {
                li {
                    div.name {
                        strong { "Word " (word.word) }
                        span.count { (count(word.count)) }
                    }
                    div.patches {
                        @for (number, png) in word.patches.iter().take(MAX_WORD_PATCHES).enumerate() {
                            img src=(png_url(png)) alt={ "Word " (word.word) ", patch " (number + 1) }
                                width="32" height="32" loading="lazy" decoding="async";
                        }
                    }
                }
            }
        }
    }
}

/// Key points of a word by its rank, as bars of equally many words.
fn histogram(counts: &[u64]) -> Markup {
    let mut sorted = counts.to_vec();
    sorted.sort_unstable_by(|one, other| other.cmp(one));
    let bars = sorted.len().min(BARS);
    let most = sorted.first().copied().unwrap_or(0).max(1) as f64;
    let width = (RIGHT - LEFT) / bars as f64;
    let y = Axis::over([0.0, most].into_iter(), BOTTOM, TOP);
    let base = y.place(0.0);
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label="Key points of each word, the most frequent word first" {
            @for (at, text) in y.ticks() {
                @if at <= base + 0.5 {
                    line.grid x1=(LEFT) x2=(RIGHT) y1=(pixel(at)) y2=(pixel(at)) {}
                    text.axis x=(LEFT - 8.0) y=(pixel(at + 4.0)) text-anchor="end" { (text) }
                }
            }
            @for bar in 0..bars {
                @let from = bar * sorted.len() / bars;
                @let to = ((bar + 1) * sorted.len() / bars).max(from + 1);
                @let mean = sorted[from..to].iter().map(|count| *count as f64).sum::<f64>() / (to - from) as f64;
                @let top = y.place(mean);
                rect.good x=(pixel(LEFT + bar as f64 * width)) y=(pixel(top)) width=(pixel((width - 0.6).max(0.4))) height=(pixel(base - top)) {
                    title {
                        @if to - from == 1 { "Rank " (from + 1) } @else { "Ranks " (from + 1) " to " (to) }
                        ": " (format!("{mean:.1}")) " key points a word"
                    }
                }
            }
            text.axis x=(LEFT) y=(BOTTOM + 22.0) { "most frequent word" }
            text.axis x=(RIGHT) y=(BOTTOM + 22.0) text-anchor="end" { "rarest of " (count(sorted.len() as u64)) }
        }
    }
}

fn finite(passes: &[PassRow]) -> impl Iterator<Item = &PassRow> {
    passes.iter().filter(|pass| pass.inertia.is_finite())
}

/// Inertia a descriptor over the passes: passes may count different numbers of descriptors.
fn inertia(passes: &[PassRow]) -> Markup {
    let value = |pass: &PassRow| pass.inertia / pass.rows.max(1) as f64;
    let x = Axis::over(finite(passes).map(|pass| f64::from(pass.pass)), LEFT, RIGHT);
    let y = Axis::over(finite(passes).map(value), BOTTOM, TOP);
    let mut line = String::new();
    for pass in finite(passes) {
        let start = if line.is_empty() { 'M' } else { 'L' };
        // Writing to a string cannot fail.
        let _ = write!(
            line,
            "{start}{} {}",
            pixel(x.place(f64::from(pass.pass))),
            pixel(y.place(value(pass)))
        );
    }
    html! {
        svg.chart viewBox={ "0 0 " (WIDTH) " " (HEIGHT) } role="img" aria-label="Mean cost of a descriptor after each pass" {
            @for (at, text) in y.ticks() {
                line.grid x1=(LEFT) x2=(RIGHT) y1=(pixel(at)) y2=(pixel(at)) {}
                text.axis x=(LEFT - 8.0) y=(pixel(at + 4.0)) text-anchor="end" { (text) }
            }
            @for (at, text) in x.ticks() {
                @if !text.contains('.') && !text.starts_with('−') {
                    text.axis x=(pixel(at)) y=(BOTTOM + 22.0) text-anchor="middle" { (text) }
                }
            }
            text.axis x=(f64::midpoint(LEFT, RIGHT)) y=(BOTTOM + 42.0) text-anchor="middle" { "pass" }
            path.line d=(line) {}
            @for pass in finite(passes) {
                circle.step cx=(pixel(x.place(f64::from(pass.pass)))) cy=(pixel(y.place(value(pass)))) r="4" {
                    title {
                        "Pass " (pass.pass) ": " (format!("{:.1}", value(pass))) " a descriptor"
                        @if let Some(moved) = pass.moved_share { ", " (percent(moved, 1)) " moved" }
                    }
                }
            }
        }
    }
}

fn passes(passes: &[PassRow]) -> Markup {
    html! {
        details {
            summary { (counted(passes.len() as u64, "pass", "passes")) " of k-means" }
            div.scroll.tall.wide tabindex="0" role="region" aria-label="Passes of k-means" {
                table {
                    thead { tr {
                        th.number scope="col" { "Pass" }
                        th scope="col" { "Kind" }
                        th.number scope="col" { "Descriptors" }
                        th.number scope="col" { "Inertia" }
                        th.number scope="col" { "Moved" }
                        th.number scope="col" { "Empty words" }
                        th.number scope="col" { "Centres' shift" }
                    } }
                    tbody {
                        @for pass in passes {
                            tr {
                                th.number scope="row" { (pass.pass) }
                                td { (shown(&pass.kind)) }
                                td.number { (count(pass.rows)) }
                                td.number { (format!("{:.5e}", pass.inertia)) }
                                td.number { @match pass.moved_share { Some(moved) => (percent(moved, 2)), None => "–" } }
                                td.number { (count(pass.empty_clusters)) }
                                td.number { (format!("{:.1}", pass.centre_shift)) }
                            }
                        }
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
