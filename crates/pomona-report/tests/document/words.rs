//! The section on visual words.

use pomona_report::{
    DrawnKeyPoint, KeyPointSample, MAX_DRAWN_KEYPOINTS, PassRow, ReportError, TypicalWord,
    WordsReport, render,
};
use proptest::prelude::*;

use super::dom::parse;
use super::{jpeg, plain, run};

/// Bytes that start as a PNG file does.
fn png(length: usize) -> Vec<u8> {
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.resize(length.max(8), 7);
    bytes
}

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
            patches: vec![png(70); 20],
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
        "occurs among its key points",
        "by euclidean distance. Entries are tf-idf, divided by their l2 norm.",
        "Key points3,000",
        "Key points per photo30.0in 100 photos",
        "Words500",
        "Photos without any77.0 %",
        "In 7 photos no key point was found. Their features are rows of zeros",
        // The mean is 4.97, so that no word with a key point is rare.
        "counts 10 key points, the one in the middle 5.",
        "46 of 500 words are never used, 0 rarely",
        "There were 4 passes of k-means. The inertia per descriptor went from 3,000 to 750: the mean squared distance",
        "no centre moved any more",
        "Pass 2 (full): 1,500 per descriptor, 25.0 % moved",
        "2full4,500,00025.00 %012.503,000",
        "1full9,000,000–012.503,000",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    // A key point is a circle and a line from its centre; the first ones are drawn, above the others.
    let drawn: Vec<_> = document
        .inside("keypoints0", "circle")
        .iter()
        .map(|circle| (circle.attr("cx"), circle.attr("cy"), circle.attr("r")))
        .collect();
    assert_eq!(drawn.len(), MAX_DRAWN_KEYPOINTS);
    assert_eq!(drawn[MAX_DRAWN_KEYPOINTS - 1 - 3], ("3.5", "3.5", "15.5"));
    let lines = document.inside("keypoints0", "path");
    assert_eq!(
        lines[MAX_DRAWN_KEYPOINTS - 1 - 3].attr("d"),
        "M3.5 3.5l0.0 15.5",
        "90° points down"
    );
    // Equal words have equal colours, neighbouring ones different ones.
    let colours: Vec<_> = document
        .inside("keypoints0", "g")
        .iter()
        .map(|g| g.attr("class"))
        .collect();
    assert_eq!((colours[99], colours[98], colours[91]), ("c0", "c1", "c0"));
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
    assert_eq!(
        document.inside("words", "tbody")[0]
            .text
            .matches("full")
            .count(),
        4
    );
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

/// A change to the words of [`words`].
type Change = fn(&mut WordsReport);

#[test]
fn odd_numbers_of_words_are_told_too() {
    let mut data = run(1, 2, 100);
    let changes: [(Change, &str); 16] = [
        (
            |words| *words = WordsReport::default(),
            "There are no words.",
        ),
        (
            |words| words.passes.truncate(1),
            "There was 1 pass of k-means. The inertia per descriptor is 3,000:",
        ),
        (|words| words.passes.clear(), "no centre moved any more"),
        (|words| words.passes[2].inertia = f64::NAN, "3full–25.00 %"),
        (
            |words| {
                for pass in &mut words.passes {
                    (pass.inertia, pass.centre_shift) = (f64::INFINITY, f64::NAN);
                    pass.moved_share = Some(f64::NAN);
                }
            },
            "4full––0–3,000",
        ),
        (
            |words| words.passes.iter_mut().for_each(|pass| pass.inertia = 0.0),
            "went from 0 to 0:",
        ),
        (
            |words| words.passes[1].inertia = f64::from_bits(1),
            "2full4.941 × 10^−324",
        ),
        (|words| words.passes[0].inertia = f64::MAX, "1.798 × 10^308"),
        (
            |words| words.passes.iter_mut().for_each(|pass| pass.rows = 0),
            "",
        ),
        (|words| words.counts = vec![0], "None of the 1 word occurs"),
        (
            |words| words.counts = vec![7],
            "The only word counts 7 key points.",
        ),
        (
            |words| words.counts = vec![u64::MAX; 3],
            "Every word is used",
        ),
        (
            |words| (words.images, words.images_without_keypoints) = (0, 0),
            "Key points per photo–",
        ),
        (
            |words| words.images_without_keypoints = 1,
            "In one photo no key point was found. Its features",
        ),
        (
            |words| {
                let sample = &mut words.samples[0];
                (sample.width_px, sample.height_px, sample.label) = (0, 0, None);
            },
            "2 key points",
        ),
        (
            |words| {
                let points = &mut words.samples[0].keypoints;
                points.truncate(5);
                points[0].angle_degrees = f32::NAN;
                points[1].size_px = -3.0;
                points[2].x = f32::INFINITY;
                points[3].y = 1e30;
            },
            "Kiwi/1.jpg1 key point",
        ),
    ];
    for (change, part) in changes {
        let mut changed = words();
        change(&mut changed);
        data.words = Some(changed);
        let document = parse(&render(&data).unwrap());
        document.check_drawings("words");
        let text = plain(&document.id("words").text);
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn pictures_of_words_are_checked() {
    let mut data = run(1, 2, 100);
    let mut broken = words();
    broken.samples[0].picture = vec![0; 9];
    data.words = Some(broken);
    assert!(matches!(render(&data), Err(ReportError::Thumbnail { .. })));
    let mut broken = words();
    broken.typical[0].patches[2] = jpeg(9, 1);
    data.words = Some(broken);
    assert!(matches!(
        render(&data),
        Err(ReportError::Patch { word: 17 })
    ));
}

#[test]
fn many_words_and_passes_stay_small() {
    let mut data = run(1, 2, 100);
    let few = render(&data).unwrap().len();
    let mut many = words();
    many.counts = (0..100_000).map(|word| 1_000_000 / (word + 1)).collect();
    many.passes = (1..=10_000)
        .map(|pass| PassRow {
            pass,
            kind: "batch".into(),
            rows: 5_000,
            inertia: 1e8 / f64::from(pass),
            moved_share: Some(0.5 / f64::from(pass)),
            ..PassRow::default()
        })
        .collect();
    many.samples = (0..40)
        .map(|i| {
            let mut sample = words().samples.swap_remove(0);
            sample.picture = jpeg(if i == 0 { 900_000 } else { 100_000 }, i);
            sample
        })
        .collect();
    many.typical = (0..60)
        .map(|word| TypicalWord {
            word,
            count: 9,
            patches: vec![png(3_000); 9],
        })
        .collect();
    data.words = Some(many);
    let html = render(&data).unwrap();
    assert!(html.len() - few < 1_400_000, "{} bytes", html.len() - few);
    let document = parse(&html);
    document.check_drawings("words");
    let text = plain(&document.id("words").text);
    // 100 kB are 133 kB of text: four fit into 600 kB, the large one does not.
    assert!(text.contains("4 of 40 photos are inside it."), "{text}");
    assert_eq!(document.inside("words", "image").len(), 4);
    // Of each of the 24 words as many, within 400 kB: 24 · 4 patches of 4 kB.
    assert_eq!(document.inside("words", "img").len(), 24 * 4);
    assert!(text.contains("The first and the last 250 of 10,000 passes."));
    assert_eq!(document.inside("words", "tbody").len(), 1);
    let rows = document.inside("words", "tr").len();
    assert_eq!(rows, 1 + 500);
    assert_eq!(document.inside("words", "rect").len(), 120);
}

prop_compose! {
    fn any_pass()(
        pass in any::<u32>(),
        rows in any::<u64>(),
        inertia in any::<f64>(),
        moved_share in any::<Option<f64>>(),
        empty_clusters in any::<u64>(),
        centre_shift in any::<f64>(),
    ) -> PassRow {
        PassRow { pass, kind: "full".into(), rows, inertia, moved_share, empty_clusters, centre_shift }
    }
}

prop_compose! {
    fn any_point()(
        x in prop_oneof![any::<f32>(), 0f32..200.0],
        y in prop_oneof![any::<f32>(), 0f32..200.0],
        size_px in prop_oneof![any::<f32>(), 0f32..200.0],
        angle_degrees in any::<f32>(),
        word in any::<u32>(),
    ) -> DrawnKeyPoint {
        DrawnKeyPoint { x, y, size_px, angle_degrees, word }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_words_give_a_whole_document(
        passes in prop::collection::vec(any_pass(), 0..9),
        points in prop::collection::vec(any_point(), 0..120),
        counts in prop::collection::vec(prop_oneof![any::<u64>(), 0u64..20], 0..300),
        sides in any::<(u32, u32)>(),
        totals in any::<(u64, u64, u64)>(),
    ) {
        let mut data = run(1, 2, 100);
        let mut any = words();
        (any.keypoints, any.images, any.images_without_keypoints) = totals;
        (any.passes, any.counts) = (passes, counts);
        (any.samples[0].width_px, any.samples[0].height_px) = sides;
        any.samples[0].keypoints = points;
        data.words = Some(any);
        parse(&render(&data).unwrap()).check_drawings("words");
    }
}
