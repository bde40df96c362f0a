//! The report as a document: what it says, that it is whole, and that foreign text stays text.

mod cluster;
mod dom;
mod growth;
mod storage;
mod words;

use dom::parse;
use pomona_report::{
    Confusion, Failure, Forecast, LabelCount, Quality, ReportData, ReportError, ScatterPoint,
    Stage, render,
};
use proptest::prelude::*;

/// Bytes that start as a JPEG file does; `tag` makes them tell apart.
fn jpeg(length: usize, tag: u32) -> Vec<u8> {
    let mut bytes = vec![0xFF, 0xD8, 0xFF];
    bytes.extend(tag.to_be_bytes());
    bytes.extend((0..length.saturating_sub(7)).map(|i| (i * 31 + tag as usize) as u8));
    bytes
}

/// A run over `labels` labels and `points` reduced photos with pictures of `picture_bytes`.
fn run(labels: usize, points: usize, picture_bytes: usize) -> ReportData {
    let photos = (points / labels.max(1)) as u64;
    ReportData {
        title: "orchard".into(),
        source: "photos".into(),
        created: "2026-11-21T04:51:25Z".into(),
        version: "0.1.0".into(),
        statuses: vec![
            ("ok".into(), points as u64),
            ("corrupt".into(), 2),
            ("empty".into(), 1),
        ],
        failures: vec![Failure {
            path: "a/broken.jpg".into(),
            status: "corrupt".into(),
            error: "The data end early.".into(),
        }],
        failures_total: 3,
        labels: (0..labels)
            .map(|i| LabelCount {
                label: format!("Fruit number {i}"),
                photos,
                ok: photos,
                thumbnails: (0..8)
                    .map(|j| jpeg(picture_bytes, (i * 8 + j) as u32))
                    .collect(),
            })
            .collect(),
        labels_total: labels as u64,
        explained_variance_ratio: (0..100).map(|i| 0.05 * 0.95f64.powi(i)).collect(),
        total_components_possible: 1_280,
        scatter: (0..points)
            .map(|i| ScatterPoint {
                x: (i as f32 * 0.7).sin() * 9.0,
                y: (i as f32 * 1.3).cos() * 4.0,
                label: (i % labels.max(1)) as u32,
                path: format!("Training/Fruit number {}/{i:05}_100.jpg", i % labels.max(1)),
                thumbnail: Some(jpeg(picture_bytes, i as u32)),
            })
            .collect(),
        scatter_of: points as u64,
        stages: vec![
            Stage {
                name: "list".into(),
                seconds: 0.2,
                items: 100,
            },
            Stage {
                name: "extract".into(),
                seconds: 8.0,
                items: 100,
            },
        ],
        images_per_second: 148.2,
        settings: vec![("seed".into(), "42".into())],
        notes: vec!["The built-in engine was used.".into()],
        words: None,
        quality: None,
        growth: None,
        storage: None,
        cluster: None,
        forecast: None,
    }
}

/// Text with ordinary spaces, single ones.
fn plain(text: &str) -> String {
    text.replace('\u{a0}', " ")
        .split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
}

#[test]
fn a_forecast_stands_beside_what_came_of_it() {
    let told = |forecast| {
        let data = ReportData {
            forecast,
            ..run(1, 2, 50)
        };
        plain(&parse(&render(&data).unwrap()).id("stages").text)
    };
    let forecast = Forecast {
        seconds: 42.0,
        took_seconds: 40.5,
        peak_memory_bytes: Some((516_000_000, 532_000_000)),
    };
    let text = told(Some(forecast));
    assert!(
        text.ends_with(
            "The forecast was 42.0 s and 516 MB of memory; the run took 40.5 s and 532 MB."
        ),
        "{text}"
    );
    let text = told(Some(Forecast {
        peak_memory_bytes: None,
        ..forecast
    }));
    assert!(
        text.ends_with("The forecast was 42.0 s; the run took 40.5 s."),
        "{text}"
    );
    assert!(!told(None).contains("forecast"));
}

#[test]
fn a_run_is_told_whole() {
    let document = parse(&render(&run(3, 30, 200)).unwrap());
    let status = plain(&document.id("status").text);
    assert!(
        status.contains("ok read and turned into numbers3090.9 %"),
        "{status}"
    );
    assert!(
        status.contains("The first 1 of 3 failed photos"),
        "{status}"
    );
    assert!(status.contains("a/broken.jpg") && status.contains("The data end early."));
    assert_eq!(document.inside("labels", "img").len(), 15);
    assert_eq!(
        document.inside("scatter", "title").len(),
        31,
        "each mark and the plot have a title"
    );
    assert!(plain(&document.id("settings").text).contains("seed42"));
    let stages = plain(&document.id("stages").text);
    assert!(stages.contains("extract8.00 s10012.5"), "{stages}");
    let all = plain(&document.all("main").next().unwrap().text);
    assert!(
        all.contains("The built-in engine was used.") && all.contains("Photos per second148"),
        "{all}"
    );
}

#[test]
fn marks_of_the_variance_are_told_in_words() {
    let mut data = run(1, 4, 100);
    data.explained_variance_ratio = vec![0.02; 47];
    let text = plain(&parse(&render(&data).unwrap()).id("variance").text);
    assert!(
        text.contains("47 components of 1,280 possible keep 94.0 % of the variance."),
        "{text}"
    );
    assert!(
        text.contains("90 % at 45 components") && text.contains("95 % not reached by the 47 kept"),
        "{text}"
    );
    data.explained_variance_ratio = vec![0.4];
    let text = plain(&parse(&render(&data).unwrap()).id("variance").text);
    assert!(
        text.contains("1 component of 1,280 possible keeps 40.0 %")
            && text.contains("not reached by the one kept"),
        "{text}"
    );
    data.explained_variance_ratio = vec![];
    data.scatter = vec![];
    let document = parse(&render(&data).unwrap());
    assert!(
        document
            .id("variance")
            .text
            .contains("No reducer was fitted")
    );
    assert!(
        document
            .id("scatter")
            .text
            .contains("No reducer was fitted")
    );
}

#[test]
fn an_empty_run_is_told_too() {
    let document = parse(&render(&ReportData::default()).unwrap());
    assert!(document.id("status").text.contains("No photos were found."));
    assert!(document.id("labels").text.contains("No labels were found."));
    let mut data = ReportData {
        statuses: vec![("corrupt".into(), 5)],
        failures_total: 5,
        ..ReportData::default()
    };
    let text = plain(&parse(&render(&data).unwrap()).id("status").text);
    assert!(
        text.contains("5 photos failed") && text.contains("100.0 %"),
        "{text}"
    );
    data.statuses = vec![("ok".into(), 5)];
    data.failures_total = 0;
    assert!(
        parse(&render(&data).unwrap())
            .id("status")
            .text
            .contains("Every photo could be read.")
    );
}

#[test]
fn pictures_belong_to_their_marks() {
    let mut data = run(3, 30, 60);
    data.scatter[7].thumbnail = None;
    let document = parse(&render(&data).unwrap());
    let marks: Vec<String> = document
        .inside("scatter", "title")
        .iter()
        .filter_map(|t| t.text.split_once(" – ").map(|(_, path)| path.to_owned()))
        .collect();
    let json = &document.id("scatter-pictures").text;
    let pictures: Vec<&str> = json
        .strip_prefix("[\"")
        .unwrap()
        .strip_suffix("\"]")
        .unwrap()
        .split("\",\"")
        .collect();
    assert_eq!(pictures.len(), marks.len());
    for (path, picture) in marks.iter().zip(pictures) {
        let point = data.scatter.iter().find(|p| &p.path == path).unwrap();
        let label = format!("/Fruit number {}/", point.label);
        assert!(path.contains(&label), "{path}");
        // The base64 of the alphabet's own order: four letters hold three bytes.
        let first = point
            .thumbnail
            .as_ref()
            .map_or(String::new(), |jpeg| base64(jpeg));
        assert_eq!(picture, first, "{path}");
    }
}

/// Base64 as RFC 4648 writes it, apart from the crate that the report uses.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    bytes
        .chunks(3)
        .flat_map(|chunk| {
            let word =
                chunk.iter().fold(0u32, |w, &b| w << 8 | u32::from(b)) << (8 * (3 - chunk.len()));
            (0..4).map(move |i| {
                if i > chunk.len() {
                    '='
                } else {
                    char::from(ALPHABET[(word >> (18 - 6 * i) & 63) as usize])
                }
            })
        })
        .collect()
}

#[test]
fn a_large_run_stays_small() {
    let data = run(131, 5_000, 2_000);
    let html = render(&data).unwrap();
    assert!(html.len() < 6_000_000, "{} bytes", html.len());
    assert!(
        html.len() > 4_000_000,
        "{} bytes: the room for pictures is used",
        html.len()
    );
    let document = parse(&html);
    assert_eq!(document.inside("scatter", "title").len(), 5_001);
    assert_eq!(document.inside("labels", "strong").len(), 131);
    assert!(plain(&document.id("scatter").text).contains("of 5,000 photos are inside it"));
    let mut longer = run(131, 20_000, 900);
    for point in &mut longer.scatter {
        point.path = format!("{}/{}", "<&>".repeat(300), point.path);
    }
    let html = render(&longer).unwrap();
    assert!(html.len() < 6_500_000, "{} bytes", html.len());
    let text = plain(&parse(&html).id("scatter").text);
    assert!(text.contains("5,000 of 20,000 photos, evenly chosen."));
}

#[test]
fn the_policy_names_the_style_and_the_script() {
    use sha2::{Digest as _, Sha256};
    let document = parse(&render(&run(2, 4, 50)).unwrap());
    let policy = document
        .all("meta")
        .find(|m| m.attr("http-equiv") == "Content-Security-Policy")
        .unwrap();
    let policy = policy.attr("content");
    assert!(policy.starts_with("default-src 'none'; "));
    assert!(!policy.contains("unsafe"));
    for name in ["style", "script"] {
        let text = &document
            .all(name)
            .find(|e| !e.attrs.contains_key("type"))
            .unwrap()
            .text;
        let hash = base64(&Sha256::digest(text));
        assert!(
            policy.contains(&format!("{name}-src 'sha256-{hash}'")),
            "{policy}"
        );
    }
}

const HOSTILE: [&str; 9] = [
    "<script>alert(1)</script>",
    "</title></svg></script><img src=x onerror=alert(1)>",
    "\" onmouseover=\"alert(1)\" x=\"",
    "' onclick='alert(1)",
    "a\u{202e}gpj.exe",
    "תפוח עץ אדום",
    "<!--",
    "&lt;b&gt; &amp;",
    "line\nbreak\ttab\0nul",
];

/// A run in which every text is `text`.
fn everywhere(text: &str) -> ReportData {
    let text = text.to_owned();
    let mut data = run(2, 6, 60);
    data.title.clone_from(&text);
    data.source.clone_from(&text);
    data.created.clone_from(&text);
    data.version.clone_from(&text);
    data.statuses.push((text.clone(), 3));
    data.failures.push(Failure {
        path: text.clone(),
        status: text.clone(),
        error: text.clone(),
    });
    data.labels[0].label.clone_from(&text);
    data.scatter[0].path.clone_from(&text);
    data.stages[0].name.clone_from(&text);
    data.settings.push((text.clone(), text.clone()));
    data.notes.push(text.clone());
    let mut words = words::words();
    words.samples[0].path.clone_from(&text);
    words.samples[0].label = Some(text.clone());
    words.stop.clone_from(&text);
    words.distance.clone_from(&text);
    words.weighting.clone_from(&text);
    words.norm.clone_from(&text);
    words.passes[0].kind.clone_from(&text);
    data.words = Some(words);
    let mut growth = growth::growth();
    growth.generations[0].when.clone_from(&text);
    data.growth = Some(growth);
    let mut storage = storage::storage();
    storage.places[0].url.clone_from(&text);
    data.storage = Some(storage);
    let mut cluster = cluster::cluster();
    cluster.scheduler.clone_from(&text);
    cluster.executors[0].id.clone_from(&text);
    cluster.executors[1].host.clone_from(&text);
    cluster.steps[0].name.clone_from(&text);
    cluster.cost = Some((1.0, text.clone()));
    data.cluster = Some(cluster);
    data.quality = Some(Quality {
        measures: vec![(text.clone(), text.clone())],
        confusions: vec![Confusion {
            label: text.clone(),
            taken_for: text,
            photos: 2,
        }],
    });
    data
}

#[test]
fn foreign_text_stays_text() {
    let harmless = parse(&render(&everywhere("harmless")).unwrap());
    let names = |d: &dom::Document| {
        d.elements
            .iter()
            .map(|e| e.name.clone())
            .collect::<Vec<_>>()
    };
    for text in HOSTILE {
        let html = render(&everywhere(text)).unwrap();
        assert!(!html.contains('\u{202e}') && !html.contains('\0'));
        let document = parse(&html);
        assert_eq!(names(&document), names(&harmless), "{text}");
    }
    let document = parse(&render(&everywhere(HOSTILE[0])).unwrap());
    assert!(document.id("labels").text.contains(HOSTILE[0]));
    assert!(
        document
            .inside("scatter", "g")
            .iter()
            .any(|g| g.attr("data-name") == HOSTILE[0])
    );
    assert!(document.all("h1").next().unwrap().text.contains(HOSTILE[0]));
    let document = parse(&render(&everywhere(HOSTILE[4])).unwrap());
    assert!(document.id("status").text.contains("a⟨U+202E⟩gpj.exe"));
}

#[test]
fn very_long_names_are_cut() {
    let html = render(&everywhere(&"long name ".repeat(2_000))).unwrap();
    let document = parse(&html);
    let label = document.inside("labels", "strong")[0].text.clone();
    assert!(
        label.chars().count() <= 80 && label.contains('…'),
        "{label}"
    );
}

#[test]
fn contradictions_are_refused() {
    let refused = |change: fn(&mut ReportData)| {
        let mut data = run(2, 4, 50);
        change(&mut data);
        render(&data).unwrap_err()
    };
    assert!(matches!(
        refused(|d| d.scatter[1].label = 2),
        ReportError::LabelIndex {
            index: 2,
            labels: 2,
            ..
        }
    ));
    assert!(matches!(
        refused(|d| d.explained_variance_ratio[3] = f64::NAN),
        ReportError::Ratio { component: 4, .. }
    ));
    assert!(matches!(
        refused(|d| d.explained_variance_ratio[0] = 1.1),
        ReportError::Ratio { component: 1, .. }
    ));
    assert!(matches!(
        refused(|d| d.stages[0].seconds = -1.0),
        ReportError::Seconds { .. }
    ));
    assert!(matches!(
        refused(|d| d.labels[0].thumbnails[0] = b"GIF89a".to_vec()),
        ReportError::Thumbnail { .. }
    ));
    assert!(matches!(
        refused(|d| d.scatter[0].thumbnail = Some(vec![])),
        ReportError::Thumbnail { .. }
    ));
    let mut some = run(2, 4, 50);
    some.labels_total = 3;
    some.scatter[1].label = 2;
    assert!(
        parse(&render(&some).unwrap())
            .id("scatter")
            .text
            .contains("(another label)")
    );
}

#[test]
fn points_without_a_place_are_counted() {
    let mut data = run(2, 6, 50);
    data.scatter[0].x = f32::NAN;
    data.scatter[1].y = f32::INFINITY;
    let document = parse(&render(&data).unwrap());
    assert!(plain(&document.id("scatter").text).contains("2 photos are left out"));
    assert_eq!(document.inside("scatter", "title").len(), 5);
}

#[test]
fn the_same_data_gives_the_same_text() {
    assert_eq!(
        render(&run(40, 200, 90)).unwrap(),
        render(&run(40, 200, 90)).unwrap()
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_text_and_any_numbers_give_a_whole_document(
        text in any::<String>(),
        places in prop::collection::vec((any::<f32>(), any::<f32>(), 0u32..2), 0..12),
        rate in any::<f64>(),
        ratios in prop::collection::vec(0.0f64..=1.0, 0..5),
    ) {
        let mut data = everywhere(&text);
        data.images_per_second = rate;
        data.explained_variance_ratio = ratios;
        data.scatter = places
            .into_iter()
            .map(|(x, y, label)| ScatterPoint { x, y, label, path: text.clone(), thumbnail: None })
            .collect();
        let html = render(&data).unwrap();
        parse(&html);
        prop_assert!(!html.contains("\"NaN") && !html.contains("\"inf"));
    }
}
