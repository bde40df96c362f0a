//! Time and money: `pomona plan`, and the bounds of a run.

#![expect(clippy::unwrap_used, reason = "a test says what it expects by failing")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use pomona_demo::DemoSettings;
use serde_json::Value;

/// A folder with a few photos.
struct Place(tempfile::TempDir);

impl Place {
    fn with_photos(training: usize) -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let settings = DemoSettings {
            per_label_training: training,
            per_label_test: 0,
            with_troubles: false,
            ..DemoSettings::default()
        };
        pomona_demo::render(&place.path("photos"), &settings, &mut |_, _| {}).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn pomona(&self, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pomona"))
            .args(arguments)
            .current_dir(self.0.path())
            .env("POMONA_OFFLINE", "1")
            .env_remove("POMONA_SETTINGS")
            .env_remove("ORT_DYLIB_PATH")
            .output()
            .unwrap()
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.pomona(arguments);
        assert!(output.status.success(), "{arguments:?}: {}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    fn record(&self, run: &str) -> Value {
        serde_json::from_slice(&std::fs::read(self.path(run).join("run.json")).unwrap()).unwrap()
    }
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Visual words of key points: no network, so that a rehearsal takes no time.
const WORDS: [&str; 6] = ["--features", "orb", "--words", "16", "--components", "3"];

fn with<'a>(first: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [first, &WORDS[..], more].concat()
}

fn bytes_below(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| {
            let entry = entry.unwrap();
            let meta = entry.metadata().unwrap();
            // The demonstration's mark is hidden, and no photo.
            if entry.file_name().to_string_lossy().starts_with('.') {
                0
            } else if meta.is_dir() {
                bytes_below(&entry.path())
            } else {
                meta.len()
            }
        })
        .sum()
}

#[test]
fn a_forecast_is_left_for_the_run_which_says_how_it_came_true() {
    let place = Place::with_photos(2);
    let plan = place.json(&with(&["plan", "photos", "--out", "run", "--json"], &[]));
    let bytes = bytes_below(&place.path("photos"));
    assert_eq!(plan["bytes_read"], bytes);
    assert_eq!(plan["requests"], plan["images"]);
    assert_eq!(plan["is_estimate"], false);
    assert_eq!(plan["feature_count"], 16);
    assert!(plan["total_secs"].as_f64().unwrap() > 0.0);
    assert!(plan["peak_memory_bytes"].as_u64().unwrap() > 1_000_000);
    assert!(plan["sample"]["images"].as_u64().unwrap() >= 24);

    let run = with(&["run", "photos", "--out", "run"], &[]);
    let output = place.pomona(&run);
    assert!(output.status.success(), "{}", said(&output));
    assert!(said(&output).contains("forecast"), "{}", said(&output));
    let record = place.record("run");
    let compared = &record["forecast"];
    assert_eq!(
        compared["images"]["forecast"],
        compared["images"]["outcome"]
    );
    assert_eq!(compared["bytes_read"]["outcome"], bytes as f64);
    assert_eq!(compared["bytes_read"]["forecast"], bytes as f64);
    assert_eq!(
        compared["total_secs"]["forecast"],
        plan["total_secs"].as_f64().unwrap()
    );
    assert!(compared["total_secs"]["outcome"].as_f64().unwrap() > 0.0);
    let report = std::fs::read_to_string(place.path("run").join("report.html")).unwrap();
    assert!(
        report.contains("The forecast was "),
        "the report tells of it too"
    );

    // Doing it again does less than was forecast: that is not compared.
    let output = place.pomona(&run);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(place.record("run")["forecast"], Value::Null);
}

/// A machine like none that exists: one core, three euros an hour.
const PRICES: &str = "
dated = '2026-03-01'
currency = 'EUR'
eur_per_unit = 1.0
eur_dated = '2026-03-01'
[cpu.slow]
title = 'Slow'
isa = 'x86_64'
matrix_gflops = 1.0
general = 0.01
[[machine]]
name = 'own.small'
provider = 'own'
region = 'cellar'
cpu = 'slow'
vcpus = 1
memory_gib = 1000.0
on_demand = 3.0
";

#[test]
fn machines_and_prices_may_be_ones_own() {
    let place = Place::with_photos(1);
    std::fs::write(place.path("prices.toml"), PRICES).unwrap();
    let own = ["--prices", "prices.toml", "--machine", "own.small"];
    let plan = place.json(&with(&["plan", "photos", "--json"], &own));
    let machines = plan["machines"].as_array().unwrap();
    assert_eq!(machines.len(), 1);
    let machine = &machines[0];
    assert_eq!(machine["name"], "own.small");
    assert_eq!(machine["eur_spot"], Value::Null);
    // It is paid for from its start on, the start included.
    let secs = machine["total_secs"].as_f64().unwrap();
    let euros = machine["eur_on_demand"].as_f64().unwrap();
    assert!(secs > 90.0);
    assert!((euros - secs * 3.0 / 3600.0).abs() < 1e-9, "{euros}");
    assert_eq!(plan["prices"]["dated"], "2026-03-01");

    // As text, too.
    let output = place.pomona(&with(&["plan", "photos"], &own));
    assert!(output.status.success(), "{}", said(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    for word in ["photos", "1 × own.small", "2026-03-01", "--shard-images"] {
        assert!(text.contains(word), "{word}: {text}");
    }
}

#[test]
fn a_deadline_or_a_budget_asks_for_machines() {
    let place = Place::with_photos(1);
    let machine = ["--machine", "c7g.xlarge,c7i.4xlarge", "--json"];
    let plan = place.json(&with(&["plan", "photos", "--within", "1h"], &machine));
    let sizes = plan["sizes"].as_array().unwrap();
    assert_eq!(sizes.len(), 2);
    for size in sizes {
        assert_eq!(size["offer"]["machines"], 1, "few photos need no more");
        assert!(size["secs_95"].as_f64().unwrap() <= 3600.0);
    }
    let plan = place.json(&with(&["plan", "photos", "--budget-eur", "5"], &machine));
    for size in plan["sizes"].as_array().unwrap() {
        let price = &size["offer"]["eur_spot"];
        assert!(price.as_f64().unwrap() <= 5.0);
    }
    // No machine has started by then.
    let output = place.pomona(&with(&["plan", "photos", "--within", "5s"], &machine));
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("in time"), "{}", said(&output));
}

#[test]
fn what_will_fail_is_told_before() {
    let place = Place::with_photos(1);
    let told = |arguments: &[&str]| {
        let output = place.pomona(arguments);
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        said(&output)
    };
    let text = told(&with(&["plan", "photos", "--machine", "c7g.huge"], &[]));
    assert!(
        text.contains("c7g.huge") && text.contains("c7g.xlarge"),
        "{text}"
    );
    let text = told(&["plan", "photos", "--backbone", "missing.onnx"]);
    assert!(
        text.contains("the run would fail") && text.contains("missing.onnx"),
        "{text}"
    );
    let text = told(&["plan", "nothing"]);
    assert!(text.contains("nothing"), "{text}");
    std::fs::create_dir(place.path("empty")).unwrap();
    let text = told(&["plan", "empty"]);
    assert!(text.contains("no photos"), "{text}");
    std::fs::write(place.path("empty/note.jpg"), "no photo").unwrap();
    let text = told(&["plan", "empty"]);
    assert!(
        text.contains("note.jpg, cannot be read") && !text.contains("pomona-plan-"),
        "{text}"
    );
    let text = told(&["plan", "photos", "--prices", "missing.toml"]);
    assert!(text.contains("missing.toml"), "{text}");
    // Nothing was begun.
    assert!(!place.path("run").exists());
}

#[test]
fn a_run_stops_at_its_bounds_and_goes_on() {
    let place = Place::with_photos(1);
    let run = |out: &'static str| {
        with(
            &[
                "run",
                "photos",
                "--out",
                out,
                "--shard-images",
                "1",
                "--workers",
                "1",
            ],
            &[],
        )
    };
    assert!(place.pomona(&run("whole")).status.success());

    let output = place.pomona(&[&run("bounded")[..], &["--max-minutes", "0.00001"]].concat());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("--max-minutes") && text.contains("left") && text.contains("goes on"),
        "{text}"
    );
    assert!(!place.path("bounded/run.json").exists());
    let dear = ["--max-eur", "0.000001", "--price-per-hour", "1000000"];
    let output = place.pomona(&[&run("bounded")[..], &dear].concat());
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("--max-eur"), "{}", said(&output));

    let output = place.pomona(&[&run("bounded")[..], &["--price-per-hour", "0.5"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    let spent = &place.record("bounded")["spent"];
    assert_eq!(spent["currency"], "EUR");
    assert!(spent["amount"].as_f64().unwrap() > 0.0);
    for file in ["results.csv", "manifest.parquet", "model.pomona"] {
        let read = |run: &str| std::fs::read(place.path(run).join(file)).unwrap();
        assert!(read("whole") == read("bounded"), "{file} differs");
    }

    // Euros cannot be counted without a price.
    let output = place.pomona(&[&run("bounded")[..], &["--max-eur", "1"]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("--price-per-hour"),
        "{}",
        said(&output)
    );
}
