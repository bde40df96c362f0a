//! The section on visual words.

use pomona_report::{
    DrawnKeyPoint, KeyPointSample, MAX_DRAWN_KEYPOINTS, PassRow, ReportError, TypicalWord,
    WordsReport, render,
};

use super::dom::parse;
use super::{jpeg, plain, run};

pub(crate) fn words() -> WordsReport {
    WordsReport {
        keypoints: 3_000,
        images: 100,
        images_without_keypoints: 7,
        distance: "euclidean".into(),
        weighting: "tf-idf".into(),
        norm: "l2".into(),
        passes: (1..=4)
            .map(|pass| PassRow {
                pass,
                kind: "full".into(),
                rows: 3_000,
                inertia: 9e6 / f64::from(pass),
                moved_share: (pass > 1).then_some(0.25),
                empty_clusters: 0,
                centre_shift: 12.5,
            })
            .collect(),
        stop: "It ended because no centre moved any more.".into(),
        counts: (0..500).map(|word| word % 11).collect(),
        samples: vec![KeyPointSample {
            path: "Kiwi/1.jpg".into(),
            label: Some("Kiwi".into()),
            width_px: 100,
            height_px: 80,
            picture: jpeg(200, 1),
            keypoints: (0..300)
                .map(|point| DrawnKeyPoint {
                    x: (point % 100) as f32,
                    y: (point % 80) as f32,
                    size_px: 31.0,
                    angle_degrees: 90.0,
                    word: point,
                })
                .collect(),
        }],
        typical: vec![TypicalWord {
            word: 17,
            count: 42,
            patches: vec![vec![1, 2, 3]; 20],
        }],
    }
}

#[test]
fn words_are_told_and_drawn() {
    let mut data = run(2, 10, 100);
    data.words = Some(words());
    let document = parse(&render(&data).unwrap());
    let text = plain(&document.id("words").text);
    for part in [
        "3,000 key points, 30.0 a photo, counted as 500 words by euclidean distance",
        "Entries are tf-idf, divided by their l2 norm",
        "7 photos have no key points (7.0 %)",
        "454 words of 500 occur",
        "no centre moved any more",
        "4 passes of k-means",
        "2full3,0004.50000e625.00 %012.5",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A key point is a circle and a line from its centre; most of them are drawn, not all.
    let circles = document.inside("words", "circle");
    let drawn: Vec<_> = circles
        .iter()
        .filter(|circle| circle.attr("class") != "step")
        .collect();
    assert_eq!(drawn.len(), MAX_DRAWN_KEYPOINTS);
    assert_eq!(
        (drawn[3].attr("cx"), drawn[3].attr("cy"), drawn[3].attr("r")),
        ("3.5", "3.5", "15.5")
    );
    let lines = document.inside("words", "path");
    assert!(
        lines
            .iter()
            .any(|line| line.attr("d") == "M3.5 3.5l0.0 15.5")
    );
    let pictures = document.inside("words", "image");
    assert_eq!(
        (pictures[0].attr("width"), pictures[0].attr("height")),
        ("100", "80")
    );
    assert_eq!(document.inside("words", "img").len(), 8);
    // As many bars as fit, the first the highest.
    let bars = document.inside("words", "rect");
    let height = |bar: usize| bars[bar].attr("height").parse::<f64>().unwrap();
    assert_eq!(bars.len(), 120);
    assert!(height(0) > height(60) && height(119) == 0.0);
    assert_eq!(circles.len() - drawn.len(), 4);
    assert!(document.all("a").any(|link| link.attr("href") == "#words"));

    // Not a word of words where there are none.
    let document = parse(&render(&run(2, 10, 100)).unwrap());
    assert!(
        document
            .elements
            .iter()
            .all(|element| element.attr("id") != "words")
    );
}

#[test]
fn odd_numbers_of_words_are_told_too() {
    let mut data = run(1, 2, 100);
    for change in [
        (|words| *words = WordsReport::default()) as fn(&mut WordsReport),
        |words| words.passes.truncate(1),
        |words| words.passes[2].inertia = f64::NAN,
        |words| words.passes.iter_mut().for_each(|pass| pass.inertia = 0.0),
        |words| words.passes.iter_mut().for_each(|pass| pass.rows = 0),
        |words| words.counts = vec![0],
        |words| words.counts = vec![u64::MAX; 3],
        |words| words.images_without_keypoints = 0,
        |words| {
            words.samples[0].width_px = 0;
            words.samples[0].label = None;
            words.samples[0].keypoints[0].angle_degrees = f32::NAN;
            words.samples[0].keypoints[1].size_px = -3.0;
        },
    ] {
        let mut changed = words();
        change(&mut changed);
        data.words = Some(changed);
        let html = render(&data).unwrap();
        let document = parse(&html);
        for element in &document.elements {
            for value in element.attrs.values() {
                assert!(
                    !value.contains("NaN") && !value.contains("inf "),
                    "{}: {value}",
                    element.name
                );
            }
        }
    }
    let mut broken = words();
    broken.samples[0].picture = vec![0; 9];
    data.words = Some(broken);
    assert!(matches!(render(&data), Err(ReportError::Thumbnail { .. })));
}
