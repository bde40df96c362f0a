//! Section: key points, what the words made of them look like, and how they were learned.

use crate::labels::label_name;
use crate::looks::COLOURS;
use crate::page::tile;
use crate::picture::{
    PATCHES_BYTES, SAMPLE_PICTURES_BYTES, data_url, encoded_length, pictures_per_label, png_url,
};
use crate::text::{count, counted, percent, share, shortened};
use crate::words_data::{
    DrawnKeyPoint, KeyPointSample, MAX_DRAWN_KEYPOINTS, MAX_KEYPOINT_SAMPLES, MAX_TYPICAL_WORDS,
    MAX_WORD_PATCHES, TypicalWord, WordsReport,
};
use crate::{passes, word_counts};
use maud::{Markup, html};

/// Key points beyond which they are drawn fainter, so that the photo stays to be seen.
const CROWDED: usize = 24;

pub(crate) fn section(words: &WordsReport) -> Markup {
    html! {
        section id="words" aria-labelledby="words-heading" {
            h2 id="words-heading" { "Visual words" }
            (lead(words))
            (figures(words))
            @if !words.samples.is_empty() { (samples(&words.samples)) }
            @if !words.typical.is_empty() { (typical(&words.typical)) }
            (word_counts::part(&words.counts))
            (passes::part(&words.passes, &words.distance, &words.stop))
        }
    }
}

fn lead(words: &WordsReport) -> Markup {
    html! {
        p.lead {
            "The features of a photo tell how often each word occurs among its key points. A key point counts as the word whose centre is nearest to its descriptor"
            @if !words.distance.is_empty() { " by " (shortened(&words.distance, 40)) " distance" }
            "."
            @if !words.weighting.is_empty() {
                " Entries are " (shortened(&words.weighting, 40))
                @if !words.norm.is_empty() && words.norm != "none" { ", divided by their " (shortened(&words.norm, 40)) " norm" }
                "."
            }
        }
    }
}

fn figures(words: &WordsReport) -> Markup {
    let without = words.images_without_keypoints;
    html! {
        dl.tiles {
            (tile("Key points", &count(words.keypoints), None, ""))
            (tile(
                "Key points per photo",
                &if words.images == 0 { "–".to_owned() } else { mean(words.keypoints, words.images) },
                (words.images > 0).then(|| format!("in {}", counted(words.images, "photo", "photos"))),
                "",
            ))
            (tile("Words", &count(words.counts.len() as u64), None, ""))
            (tile(
                "Photos without any",
                &count(without),
                (words.images > 0).then(|| percent(share(without, words.images), 1)),
                if without > 0 { "bad" } else { "" },
            ))
        }
        @if without > 0 {
            p.lead {
                @if without == 1 { "In one photo no key point was found. Its features are a row of zeros" }
                @else { "In " (counted(without, "photo", "photos")) " no key point was found. Their features are rows of zeros" }
                ": nothing tells such photos apart. They are mostly plain, small or blurred."
            }
        }
    }
}

/// `of` shared among `among`, with one decimal and commas.
fn mean(of: u64, among: u64) -> String {
    let tenths = (u128::from(of) * 10 + u128::from(among) / 2) / u128::from(among.max(1));
    let whole = u64::try_from(tenths / 10).unwrap_or(u64::MAX);
    format!("{}.{}", count(whole), tenths % 10)
}

fn samples(samples: &[KeyPointSample]) -> Markup {
    let mut budget = SAMPLE_PICTURES_BYTES;
    let fitting: Vec<&KeyPointSample> = samples
        .iter()
        .take(MAX_KEYPOINT_SAMPLES)
        .filter(|sample| {
            let left = budget.checked_sub(encoded_length(&sample.picture));
            budget = left.unwrap_or(budget);
            left.is_some()
        })
        .collect();
    html! {
        h3 { "Key points on some photos" }
        p.lead {
            "A circle is as large as the square that is described, its line points along the orientation, and equal words have equal colours. At most "
            (MAX_DRAWN_KEYPOINTS) " are drawn on a photo, the strongest."
            @if fitting.len() < samples.len() {
                " To keep this file small, " (count(fitting.len() as u64)) " of "
                (counted(samples.len() as u64, "photo", "photos")) " are inside it."
            }
        }
        ul.samples {
            @for (number, sample) in fitting.iter().enumerate() { li { (drawn(sample, number)) } }
        }
    }
}

/// A photo as a background, its key points over it, in pixels of the photo.
fn drawn(sample: &KeyPointSample, number: usize) -> Markup {
    let (width, height) = (sample.width_px.max(1), sample.height_px.max(1));
    let points: Vec<&DrawnKeyPoint> = sample
        .keypoints
        .iter()
        .filter(|point| inside(point, width, height))
        .take(MAX_DRAWN_KEYPOINTS)
        .collect();
    html! {
        figure {
            svg.crowded[points.len() > CROWDED] viewBox={ "0 0 " (width) " " (height) } role="img"
                aria-label={ (counted(points.len() as u64, "key point", "key points")) " on " (shortened(&sample.path, 120)) } {
                image href=(data_url(&sample.picture)) width=(width) height=(height) preserveAspectRatio="none" {}
                // The same strokes, wider and pale, so that they stand out from dark photos and from bright ones.
                use.halo href={ "#keypoints" (number) } {}
                g.keypoints id={ "keypoints" (number) } {
                    // The strongest come last, above the others.
                    @for point in points.iter().rev() { (mark(point)) }
                }
            }
            figcaption {
                @if let Some(label) = &sample.label { strong { bdi { (label_name(label)) } } }
                bdi.path { (shortened(&sample.path, 60)) }
                small { (counted(points.len() as u64, "key point", "key points")) }
            }
        }
    }
}

/// Whether a key point can be drawn on a photo of that size.
fn inside(point: &DrawnKeyPoint, width: u32, height: u32) -> bool {
    let longest = width.max(height) as f32;
    (-1.0..=width as f32).contains(&point.x)
        && (-1.0..=height as f32).contains(&point.y)
        && (0.0..=4.0 * longest).contains(&point.size_px)
        && point.angle_degrees.is_finite()
}

fn mark(point: &DrawnKeyPoint) -> Markup {
    let radius = f64::from(point.size_px) / 2.0;
    let (sine, cosine) = f64::from(point.angle_degrees).to_radians().sin_cos();
    // The centre of the first pixel is at 0 in key points and at one half in a picture.
    let (x, y) = (f64::from(point.x) + 0.5, f64::from(point.y) + 0.5);
    html! {
        g class={ "c" (point.word as usize % COLOURS) } {
            title { "Word " (point.word) }
            circle cx=(pixel(x)) cy=(pixel(y)) r=(pixel(radius)) {}
            path d={ "M" (pixel(x)) " " (pixel(y)) "l" (pixel(radius * cosine)) " " (pixel(radius * sine)) } {}
        }
    }
}

fn typical(words: &[TypicalWord]) -> Markup {
    let shown = &words[..words.len().min(MAX_TYPICAL_WORDS)];
    let patches: Vec<&[Vec<u8>]> = shown
        .iter()
        .map(|word| &word.patches[..word.patches.len().min(MAX_WORD_PATCHES)])
        .collect();
    let each = pictures_per_label(&patches, PATCHES_BYTES);
    html! {
        h3 { "What some words look like" }
        p.lead { "The patches whose descriptors are nearest to the word's centre, nearest first, turned upright. Beside each word: how many key points count as it." }
        ul.typical {
            @for (word, patches) in shown.iter().zip(patches) {
                li {
                    div.name {
                        strong { "Word " (word.word) }
                        span.count { (counted(word.count, "key point", "key points")) }
                    }
                    div.patches {
                        @for (number, png) in patches.iter().take(each).enumerate() {
                            img src=(png_url(png)) alt={ "Word " (word.word) ", patch " (number + 1) }
                                width="32" height="32" loading="lazy" decoding="async";
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_are_rounded_and_do_not_overflow() {
        assert_eq!(mean(213_059, 12_503), "17.0");
        assert_eq!(mean(25_009, 10), "2,500.9");
        assert_eq!(mean(1, 3), "0.3");
        assert_eq!(mean(5, 100), "0.1", "halves go up");
        assert_eq!(mean(u64::MAX, 1), format!("{}.0", count(u64::MAX)));
    }
}
