//! The section on what is new.

use pomona_report::{Generation, GrowthData, GrowthDrift, MAX_GENERATIONS, render};
use proptest::prelude::*;

use super::dom::{Document, parse};
use super::{plain, run};

pub(crate) fn growth() -> GrowthData {
    GrowthData {
        generations: vec![
            Generation {
                number: 1,
                when: "2026-11-20T09:00:00Z".into(),
                new: 12_503,
                shards: 49,
                ..Generation::default()
            },
            Generation {
                number: 2,
                when: "2026-11-21T04:51:25Z".into(),
                new: 125,
                changed: 3,
                vanished: 2,
                forgotten: 1,
                shards: 1,
            },
        ],
        drift: Some(GrowthDrift {
            rows: 128,
            rows_fitted: 12_503,
            shift: 0.74,
            sampling_shift: 0.0888,
            spread: 1.234,
            explained: 0.81,
            explained_fitted: 0.85,
        }),
    }
}

#[expect(clippy::unwrap_used, reason = "a helper of tests reports by panicking")]
fn told(growth: GrowthData) -> (Document, String) {
    let mut data = run(1, 2, 100);
    data.growth = Some(growth);
    let document = parse(&render(&data).unwrap());
    document.check_drawings("growth");
    let text = plain(&document.id("growth").text);
    (document, text)
}

#[test]
fn what_is_new_is_told() {
    let (document, text) = told(growth());
    for part in [
        "125 new photos and 3 changed photos were worked on in the last run; 2 photos vanished and 1 photo was forgotten.",
        "The new photos lie 8.3 times further from the fitted mean than chance would put them; refit with --refit.",
        "Photos compared128 new with 12,503 fitted",
        "Distance between their means0.74 deviations; chance alone gives 0.0888",
        "Variance of the new photos1.23 times that of the fitted ones",
        "Kept by the components81.0 % of what sets the new photos apart, 85.0 % of the fitted ones",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    let rows: Vec<String> = document
        .inside("growth", "tr")
        .iter()
        .map(|row| plain(&row.text))
        .collect();
    assert_eq!(
        rows[1..3],
        [
            "2 2026-11-21 04:51 UTC1253211",
            "1 2026-11-20 09:00 UTC12,50300049"
        ]
    );
    // On a phone each number stands beside its name.
    let names: Vec<&str> = document
        .inside("growth", "td")
        .iter()
        .map(|cell| cell.attr("data-name"))
        .take(5)
        .collect();
    assert_eq!(names, ["New", "Changed", "Vanished", "Forgotten", "Shards"]);
    assert!(document.all("a").any(|link| link.attr("href") == "#growth"));
    // It comes after the counts.
    let ids: Vec<&str> = document
        .elements
        .iter()
        .filter(|e| e.name == "section")
        .map(|e| e.attr("id"))
        .collect();
    assert_eq!(ids[1..4], ["status", "growth", "labels"]);

    // Not a word of it in a first run.
    let document = parse(&render(&run(1, 2, 100)).unwrap());
    let named = |e: &super::dom::Element| e.attr("id") == "growth" || e.attr("href") == "#growth";
    assert!(!document.elements.iter().any(named));
}

/// A change to the data of [`growth`].
type Change = fn(&mut GrowthData);
/// A change to its drift.
type DriftChange = fn(&mut GrowthDrift);

#[test]
fn the_verdict_follows_the_measures() {
    let drift = |change: DriftChange| {
        let mut changed = growth();
        change(changed.drift.as_mut().unwrap());
        told(changed).1
    };
    let cases: [(DriftChange, &str); 13] = [
        (|d| d.rows = 29, "29 new photos are too few to judge by."),
        (|d| d.rows = 1, "1 new photo is too few to judge by."),
        (|d| d.rows = 30, "8.3 times further"),
        (
            |d| d.shift = 0.17,
            "The new photos lie about where chance would put them: the fit still serves them.",
        ),
        (
            |d| (d.shift, d.sampling_shift) = (0.15, 0.01),
            "The new photos lie 15 times further from the fitted mean than chance would put them, but by no more than 0.15 deviations: the fit still serves them.",
        ),
        (
            |d| (d.shift, d.explained) = (0.1, 0.7),
            "The components keep less of what sets the new photos apart than of the fitted ones; refit with --refit.",
        ),
        (
            |d| d.explained = 0.7,
            "than chance would put them, and the components keep less of what sets them apart; refit with --refit.",
        ),
        (|d| d.shift = f64::NAN, "could not be measured."),
        (
            |d| d.shift = -1.0,
            "Distance between their means– deviations",
        ),
        (|d| d.sampling_shift = 0.0, "could not be measured."),
        (
            |d| d.sampling_shift = f64::INFINITY,
            "could not be measured.",
        ),
        (|d| d.explained = 1.5, "Kept by the components– of what"),
        (|d| d.explained = 1.0 + 1e-12, "100.0 % of what sets"),
    ];
    for (change, part) in cases {
        let text = drift(change);
        assert!(text.contains(part), "{part}: {text}");
    }
    let mut none = growth();
    none.drift = None;
    let text = told(none).1;
    assert!(
        !text.contains("chance") && !text.contains("Variance"),
        "{text}"
    );
}

#[test]
fn the_last_run_is_told_in_a_sentence() {
    let cases: [(Change, &str); 5] = [
        (|g| g.generations.clear(), "No runs were recorded."),
        (
            |g| g.generations[1] = Generation::default(),
            "In the last run nothing was new.",
        ),
        (
            |g| {
                g.generations[1] = Generation {
                    vanished: 1,
                    ..Generation::default()
                }
            },
            "In the last run nothing was new; 1 photo vanished.",
        ),
        (
            |g| {
                g.generations[1] = Generation {
                    changed: 1,
                    forgotten: 2,
                    ..Generation::default()
                }
            },
            "1 changed photo was worked on in the last run; 2 photos were forgotten.",
        ),
        (
            |g| g.generations.truncate(1),
            "12,503 new photos were worked on in the last run.",
        ),
    ];
    for (change, part) in cases {
        let mut changed = growth();
        change(&mut changed);
        let text = told(changed).1;
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn of_many_runs_the_last_ones_are_shown() {
    let mut many = growth();
    many.generations = (1..=1_000)
        .map(|number| Generation {
            number,
            new: 7,
            ..Generation::default()
        })
        .collect();
    let (document, text) = told(many);
    assert!(text.contains("190 earlier runs of 990"), "{text}");
    let numbers: Vec<String> = document
        .inside("growth", "th")
        .iter()
        .filter(|cell| cell.attr("scope") == "row" && cell.around.len() > 5)
        .map(|cell| plain(&cell.text))
        .filter(|text| text.chars().all(|c| c.is_ascii_digit() || c == ','))
        .collect();
    assert_eq!(numbers.len(), MAX_GENERATIONS);
    assert_eq!(
        (numbers[0].as_str(), numbers[199].as_str()),
        ("1,000", "801")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_growth_gives_a_whole_document(
        counts in any::<[u64; 6]>(),
        when in any::<String>(),
        rows in any::<(u64, u64)>(),
        measures in any::<[f64; 5]>(),
    ) {
        let [number, new, changed, vanished, forgotten, shards] = counts;
        let [shift, sampling_shift, spread, explained, explained_fitted] = measures;
        told(GrowthData {
            generations: vec![Generation { number, when, new, changed, vanished, forgotten, shards }],
            drift: Some(GrowthDrift {
                rows: rows.0, rows_fitted: rows.1, shift, sampling_shift, spread, explained, explained_fitted,
            }),
        });
    }
}
