//! The section on storage.

use pomona_report::{MAX_PLACES, StorageData, StoragePlace, render};
use proptest::prelude::*;

use super::dom::{Document, parse};
use super::{plain, run};

pub(crate) fn storage() -> StorageData {
    StorageData {
        requests: 1_180,
        retries: 15,
        throttled: 12,
        failed: 0,
        bytes_read: 31_400_000,
        bytes_written: 2_050_000,
        most_in_flight: 64,
        limits: vec![(0.0, 16), (1.5, 64), (4.0, 8), (6.0, 24), (10.0, 24)],
        waited_seconds: 3.25,
        places: vec![
            StoragePlace {
                url: "s3://fruit/photos/".into(),
                requests: 1_150,
                bytes: 31_400_000,
            },
            StoragePlace {
                url: "https://key:secret@results.example/out?signature=secret".into(),
                requests: 30,
                bytes: 2_050_000,
            },
        ],
    }
}

#[expect(clippy::unwrap_used, reason = "a helper of tests reports by panicking")]
fn told(storage: StorageData) -> (Document, String) {
    let mut data = run(1, 2, 100);
    data.storage = Some(storage);
    let document = parse(&render(&data).unwrap());
    document.check_drawings("storage");
    let text = plain(&document.id("storage").text);
    (document, text)
}

#[test]
fn storage_is_told_and_drawn() {
    let (document, text) = told(storage());
    for part in [
        "12 of 1,180 requests were throttled; the number in flight fell to 8, and none was given up.",
        "Requests1,180",
        "Tried again151.3 %",
        "Throttled121.0 %",
        "Given up00.0 %",
        "Read31.4 MB",
        "Written2.05 MB",
        "Most in flight64",
        "Waited for storage3.25 s",
        "Between 8 and 64 requests, at last 24.",
        "seconds since the run began",
        "s3://fruit/photos/1,15031.4 MB",
        "https://results.example/out302.05 MB",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("secret"), "{text}");
    // A limit holds until the next one: across, then up or down.
    let lines: Vec<_> = document.inside("storage", "path");
    let line = lines[0].attr("d");
    assert_eq!(
        (line.matches('H').count(), line.matches('V').count()),
        (4, 4)
    );
    assert!(line.starts_with("M84.0 "), "{line}");
    assert!(line.find('H') < line.find('V'), "{line}");
    let heights: Vec<f64> = line
        .split('V')
        .skip(1)
        .map(|part| part.split('H').next().unwrap().parse().unwrap())
        .collect();
    assert!(heights[1] > heights[2] && heights[2] > heights[0], "{line}");
    assert_eq!(heights[2], heights[3]);
    assert!(
        document
            .all("a")
            .any(|link| link.attr("href") == "#storage")
    );

    // Not a word of storage where there was none.
    let document = parse(&render(&run(1, 2, 100)).unwrap());
    let named = |e: &super::dom::Element| e.attr("id") == "storage" || e.attr("href") == "#storage";
    assert!(!document.elements.iter().any(named));
}

/// A change to the storage of [`storage`].
type Change = fn(&mut StorageData);

#[test]
fn the_first_sentence_says_what_mattered() {
    let cases: [(Change, &str); 11] = [
        (
            |s| *s = StorageData::default(),
            "Nothing was asked of storage.",
        ),
        (
            |s| (s.retries, s.throttled) = (0, 0),
            "StorageAll 1,180 requests were answered at the first try.Requests",
        ),
        (
            |s| (s.requests, s.retries, s.throttled) = (1, 0, 0),
            "StorageThe only request was answered at the first try.Requests",
        ),
        (
            |s| s.throttled = 0,
            "Storage15 of 1,180 requests were further tries; none was given up.Requests",
        ),
        (
            |s| (s.throttled, s.retries) = (0, 1),
            "1 of 1,180 requests was a further try; none was given up.",
        ),
        (
            |s| s.limits.truncate(2),
            "12 of 1,180 requests were throttled; none was given up.",
        ),
        (
            |s| s.failed = 3,
            "3 of 1,180 requests were given up, 12 throttled; the number in flight fell to 8. What they were for",
        ),
        (
            |s| (s.failed, s.throttled) = (1, 0),
            "1 of 1,180 requests was given up. What they were for",
        ),
        (|s| s.waited_seconds = f64::NAN, "Waited for storage–"),
        (
            |s| s.limits.iter_mut().for_each(|(at, _)| *at *= 3_600.0),
            "hours since the run began",
        ),
        (
            |s| s.limits.iter_mut().for_each(|(at, _)| *at *= 60.0),
            "minutes since the run began",
        ),
    ];
    for (change, part) in cases {
        let mut changed = storage();
        change(&mut changed);
        let (_, text) = told(changed);
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn limits_recorded_once_are_not_drawn() {
    for limits in [vec![], vec![(0.0, 16)], vec![(0.0, 16), (f64::NAN, 8)]] {
        let mut changed = storage();
        changed.limits = limits;
        let (document, text) = told(changed);
        assert!(document.inside("storage", "svg").is_empty());
        assert!(!text.contains("Requests allowed in flight"), "{text}");
    }
}

#[test]
fn many_limits_and_places_stay_small() {
    let mut many = storage();
    many.limits = (0..100_000_u32)
        .map(|i| {
            (
                f64::from(i) * 0.3,
                if i == 54_321 {
                    1
                } else {
                    16 + u64::from(i % 7)
                },
            )
        })
        .collect();
    many.places = (0..500)
        .map(|i| StoragePlace {
            url: format!("s3://bucket-{i}/{}", "long/".repeat(500)),
            ..StoragePlace::default()
        })
        .collect();
    let few = render(&run(1, 2, 100)).unwrap().len();
    let mut data = run(1, 2, 100);
    data.storage = Some(many.clone());
    let more = render(&data).unwrap().len() - few;
    assert!(more < 40_000, "{more} bytes");
    let (document, text) = told(many);
    assert!(text.contains("Between 1 and 22 requests"), "{text}");
    assert!(text.contains("The first 50 of 500 places."), "{text}");
    assert_eq!(document.inside("storage", "tr").len(), 1 + MAX_PLACES);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_storage_gives_a_whole_document(
        counts in any::<[u64; 7]>(),
        limits in prop::collection::vec((any::<f64>(), prop_oneof![any::<u64>(), 0_u64..100]), 0..9),
        waited_seconds in any::<f64>(),
        url in any::<String>(),
    ) {
        let [requests, retries, throttled, failed, bytes_read, bytes_written, most_in_flight] = counts;
        told(StorageData {
            requests, retries, throttled, failed, bytes_read, bytes_written, most_in_flight,
            limits, waited_seconds,
            places: vec![StoragePlace { url, requests, bytes: bytes_read }],
        });
    }
}
